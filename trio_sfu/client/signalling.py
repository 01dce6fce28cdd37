"""The client's end of the signalling socket: protobuf frames over a WebSocket.

What is understood is in `trio_sfu.client.participant`; here messages come and go,
and the application's keepalive is kept.
"""

import base64
import ssl
from typing import Final
from urllib.parse import SplitResult, urlencode

import trio
import trio_websocket
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc
from livekit.protocol.rtc import Ping, SignalRequest, SignalResponse

from trio_sfu.errors import WireError

PROTOCOL: Final = 17
CONNECT_SECONDS: Final = 10.0

_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}


class SignallingClosed(Exception):  # noqa: N818 - the other side may close whenever it likes
    """The socket is closed; there will be no more messages."""


class SignallingRefused(Exception):  # noqa: N818 - an answer, and read as one
    """The server did not let us in: an HTTP status and its reason."""

    def __init__(self, rejected: trio_websocket.ConnectionRejected) -> None:
        self.status = rejected.status_code
        self.text = (rejected.body or b"").decode(errors="replace")
        super().__init__(f"{self.status}: {self.text}")


class Signalling:
    """An open socket. One task may `receive`; `send` never waits and keeps order."""

    def __init__(self, websocket: trio_websocket.WebSocketConnection) -> None:
        self._websocket = websocket
        self._outbox, self._to_send = trio.open_memory_channel[SignalRequest](1000)

    async def run(self) -> None:
        """Write what is sent, until cancelled or closed."""
        async for request in self._to_send:
            try:
                await self._websocket.send_message(request.SerializeToString())
            except trio_websocket.ConnectionClosed:
                return

    def send(self, request: SignalRequest) -> None:
        self._outbox.send_nowait(request)

    def ping(self) -> None:
        """Any message keeps the server's patience; this one asks for nothing else."""
        self.send(SignalRequest(ping_req=Ping(timestamp=int(trio.current_time() * 1000))))

    async def receive(self) -> SignalResponse:
        """The next message. Raises `SignallingClosed`; `WireError` for what is no message."""
        try:
            data = await self._websocket.get_message()
        except trio_websocket.ConnectionClosed as error:
            raise SignallingClosed(str(error.reason)) from None
        if isinstance(data, str):
            raise WireError("a text frame, unasked")
        try:
            return SignalResponse.FromString(data)
        except DecodeError:
            raise WireError("not a SignalResponse") from None


async def open_stream(url: SplitResult) -> trio.SocketStream:
    """A TCP connection to the server; `OSError` if it is not there."""
    with trio.fail_after(CONNECT_SECONDS):
        return await trio.open_tcp_stream(url.hostname or "", url.port or _PORTS[url.scheme])


async def connect(
    nursery: trio.Nursery,
    stream: trio.SocketStream,
    url: SplitResult,
    token: str,
    *,
    one_connection: bool = True,
) -> Signalling:
    """Open the signalling socket over *stream*, which stays the caller's to close.

    *one_connection* asks for `/rtc/v1`, else it is `/rtc`. Its tasks live in *nursery*, and
    end it with trio-websocket's `ConnectionRejected` if the server does not let us in.
    """
    if one_connection:
        path, asked = "/rtc/v1", {"join_request": _join_request()}
    else:
        path, asked = "/rtc", {"protocol": str(PROTOCOL), "sdk": "python", "auto_subscribe": "1"}
    below: trio.SocketStream | trio.SSLStream[trio.SocketStream] = stream
    if url.scheme in ("wss", "https"):
        trusted = ssl.create_default_context()
        below = trio.SSLStream(stream, trusted, server_hostname=url.hostname, https_compatible=True)
    resource = f"{url.path.rstrip('/')}{path}?{urlencode({'access_token': token, **asked})}"
    with trio.fail_after(CONNECT_SECONDS):
        websocket = await trio_websocket.wrap_client_stream(nursery, below, url.netloc, resource)
    signalling = Signalling(websocket)
    nursery.start_soon(signalling.run)
    return signalling


def _join_request() -> str:
    """What we are, and that we want to hear everybody. Our first offer follows by itself."""
    info = models.ClientInfo(sdk=models.ClientInfo.SDK.PYTHON, protocol=PROTOCOL)
    settings = rtc.ConnectionSettings(auto_subscribe=True)
    join = rtc.JoinRequest(client_info=info, connection_settings=settings)
    wrapped = rtc.WrappedJoinRequest(join_request=join.SerializeToString())
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
