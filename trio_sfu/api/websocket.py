"""WebSockets behind the HTTP front door: trio-websocket, with the bytes that h11 has read.

Problem: one port carries both, and by the time we know that a request wants to be a
WebSocket, h11 has eaten its head. trio-websocket, which knows the rest of the
protocol, wants to read that head itself. So it is given a stream that begins with
one. It is not the head that came but a plain one of our own, made of the one header
that matters, its key: the real head was checked before (`refuse_handshake`), because
of a head that it does not like trio-websocket would make us wait for ever.

`WebSocket` is what a conversation may do. Three rules of the library are kept inside:
a send that was cut short has left half a frame behind, so nothing may be sent after
it; a close waits for an answer as long as one lets it; a peer that answers no ping is
gone, and no second ping may be sent to it.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

__all__ = ["ConnectionClosed", "WebSocket", "open_websocket", "refuse_handshake"]

MESSAGE_LIMIT: Final = 2 * 1024 * 1024
"""Bytes (characters, if text) of one message; LiveKit's limit."""
ACCEPT_SECONDS: Final = 5.0
SEND_SECONDS: Final = 5.0
"""How long one message may take to leave us. LiveKit's clients read all the time; the
kernel's buffer alone holds seconds of signalling."""
CLOSE_SECONDS: Final = 0.25
"""For our last words and the other side's answer to a close; as in LiveKit."""
CHUNK: Final = 16384

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
INVALID_DATA: Final = 1007
POLICY: Final = 1008
TOO_BIG: Final = 1009


class WebSocket:
    """The server's end of one open WebSocket.

    Every method raises `ConnectionClosed` once the other side has gone, and after a
    deadline was missed.
    """

    def __init__(self, connection: WebSocketConnection, stream: trio.abc.Stream) -> None:
        self._connection = connection
        self._stream = stream

    async def receive(self) -> bytes | str:
        """The next message. Somebody must always be waiting here: else pings are not
        answered either."""
        return await self._connection.get_message()

    async def send(self, message: bytes | str, seconds: float = SEND_SECONDS) -> None:
        """One message, whole within *seconds*, or the connection is cut."""
        try:
            with trio.fail_after(seconds):
                await self._connection.send_message(message)
        except (trio.TooSlowError, LocalProtocolError):
            await trio.aclose_forcefully(self._stream)
            raise ConnectionClosed(None) from None
        except trio.Cancelled:
            # Perhaps in the middle of a frame: what we sent next would be read as its rest.
            await trio.aclose_forcefully(self._stream)
            raise

    async def ping(self, seconds: float) -> None:
        """Return when the other side has shown that it is there, or cut the connection."""
        try:
            with trio.fail_after(seconds):
                await self._connection.ping()
        except (trio.TooSlowError, LocalProtocolError):
            await trio.aclose_forcefully(self._stream)
            raise ConnectionClosed(None) from None

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye, and wait a moment for an answer."""
        with trio.move_on_after(CLOSE_SECONDS):
            with suppress(ConnectionClosed, LocalProtocolError):
                await self._connection.aclose(code, reason)
        await trio.aclose_forcefully(self._stream)


async def open_websocket(
    nursery: trio.Nursery,
    stream: trio.abc.HalfCloseableStream,
    key: bytes,
    leftover: bytes,
    message_limit: int = MESSAGE_LIMIT,
) -> WebSocket:
    """Answer 101 to a handshake with *key*; *leftover* came after its head.

    The task that reads lives in *nursery*. Raises `ConnectionClosed`.
    """
    head = (
        b"GET / HTTP/1.1\r\nHost: trio-sfu\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    try:
        with trio.fail_after(ACCEPT_SECONDS):
            proposal = await wrap_server_stream(
                nursery,
                PrefixedStream(head + leftover, stream),
                max_message_size=message_limit,
                receive_buffer_size=CHUNK,
            )
            return WebSocket(await proposal.accept(), stream)
    except trio.TooSlowError:
        raise ConnectionClosed(None) from None


class PrefixedStream(trio.abc.HalfCloseableStream):
    """A stream of which *prefix* was read before and is to be read again."""

    def __init__(self, prefix: bytes, stream: trio.abc.HalfCloseableStream) -> None:
        self._prefix = prefix
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if not self._prefix:
            return await self._stream.receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        size = max_bytes or len(self._prefix)
        given, self._prefix = self._prefix[:size], self._prefix[size:]
        return given

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


def refuse_handshake(
    method: str, headers: Iterable[tuple[bytes, bytes]]
) -> tuple[int, str, Mapping[str, str]] | None:
    """Status, text and headers for what is no handshake of RFC 6455 section 4.2.1."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)

    def tokens(name: bytes) -> set[bytes]:
        return {token.strip().lower() for token in b",".join(values.get(name, ())).split(b",")}

    if b"upgrade" not in tokens(b"connection") or b"websocket" not in tokens(b"upgrade"):
        return 404, "404 page not found\n", {}
    if method != "GET":
        return 405, "a WebSocket begins with a GET\n", {"Allow": "GET, OPTIONS"}
    if values.get(b"sec-websocket-version") != [b"13"]:
        return 426, "only version 13 of WebSocket is spoken\n", {"Sec-WebSocket-Version": "13"}
    if len(keys := values.get(b"sec-websocket-key", [])) != 1 or not _is_key(keys[0]):
        return 400, "Sec-WebSocket-Key must be 16 bytes in base64\n", {}
    return None


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
