"""POSTs to somebody else's server: HTTP/1.1 as a client, over TLS where the URL says so.

Our own server has its front door in `http`; this is the other direction, and as little
of HTTP as it takes: one method, no redirects, no more of the answer than its status.
Whoever is posted to is not ours. It may be slow, endless or wrong, and whatever it does
ends within a deadline as a status or as `PostFailed` with a reason.

Connections are kept and used again, because a handshake of TLS costs more than all the
rest. The other side may have closed one meanwhile: what fails on a used connection
before anything was answered is tried again, once, on a new one.
"""

import math
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import attrs
import h11
import trio

from trio_sfu import __version__

POST_SECONDS: Final = 10.0
"""For one request, from the name's look-up to the answer's end."""
ANSWER_LIMIT: Final = 64 * 1024
"""Bytes of an answer that are read; a connection with more to say is not used again."""
IDLE_SECONDS: Final = 30.0
"""After which a connection is not used again: most servers have closed it by then."""
IDLE_LIMIT: Final = 10
"""Connections kept to one server."""
CHUNK: Final = 16 * 1024

_PORTS: Final = {"http": 80, "https": 443}


Connector = Callable[[str, int], Awaitable[trio.abc.Stream]]


class PostFailed(Exception):  # noqa: N818 - reads as what happened
    """There was no answer; the text says why, without anything that was sent."""


@attrs.define(eq=False)
class _Connection:
    stream: trio.abc.Stream
    h11: h11.Connection
    idle_since: float = math.inf
    """inf: it is new."""
    answered: bool = False
    """Whether anything of an answer came to what was asked last."""


class Poster:
    """Posts to one URL, from as many tasks as like to."""

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        connect: Connector = trio.open_tcp_stream,
    ) -> None:
        """*tls*: whom to trust; None for whom the system does. *connect* opens a stream
        to a host and port, or raises `OSError`. Raises `ValueError`."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("a URL that begins with http:// or https://")
        self._host = parts.hostname
        self._port = parts.port or _PORTS[parts.scheme]
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        name = f"[{self._host}]" if ":" in self._host else self._host
        self._authority = name if parts.port is None else f"{name}:{parts.port}"
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._connect = connect
        self._idle: list[_Connection] = []

    def __repr__(self) -> str:
        # Without path and query, in which people put keys.
        return f"Poster({'https' if self._tls else 'http'}://{self._authority})"

    @property
    def receiver(self) -> str:
        """Whom it posts to, for a log line: a host, and no path, which may hold a key."""
        return self._authority

    async def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Send *body*; the status of the answer. Raises `PostFailed`."""
        try:
            with trio.fail_after(POST_SECONDS):
                while (used := await self._take_idle()) is not None:
                    try:
                        return await self._ask(used, body, headers)
                    except (trio.BrokenResourceError, h11.RemoteProtocolError):
                        if used.answered:
                            raise
                return await self._ask(await self._open(), body, headers)
        except trio.TooSlowError:
            raise PostFailed(f"no answer within {POST_SECONDS:g} s") from None
        except h11.RemoteProtocolError as error:
            raise PostFailed(f"the answer is no HTTP: {error}") from None
        except trio.BrokenResourceError as error:
            raise PostFailed(_reason(error.__cause__ or error)) from None
        except (OSError, ssl.CertificateError) as error:
            raise PostFailed(_reason(error)) from None

    async def _take_idle(self) -> _Connection | None:
        """The one that was used last; the others are closed as they grow old."""
        now = trio.current_time()
        while self._idle:
            connection = self._idle.pop()
            if now - connection.idle_since < IDLE_SECONDS:
                return connection
            await trio.aclose_forcefully(connection.stream)
        return None

    async def _open(self) -> _Connection:
        stream = await self._connect(self._host, self._port)
        if self._tls is not None:
            stream = trio.SSLStream(
                stream, self._tls, server_hostname=self._host, https_compatible=True
            )
        return _Connection(stream, h11.Connection(h11.CLIENT))

    async def _ask(self, connection: _Connection, body: bytes, headers: Mapping[str, str]) -> int:
        keep = False
        try:
            connection.answered = False
            await self._say(connection, body, headers)
            response = await self._hear(connection)
            keep = await self._finish(connection)
            return response.status_code
        finally:
            if keep and len(self._idle) < IDLE_LIMIT:
                connection.idle_since = trio.current_time()
                self._idle.append(connection)
            else:
                await trio.aclose_forcefully(connection.stream)

    async def _say(self, connection: _Connection, body: bytes, headers: Mapping[str, str]) -> None:
        head = {
            "Host": self._authority,
            "User-Agent": f"trio-sfu/{__version__}",
            "Content-Length": str(len(body)),
            **headers,
        }
        events = (
            h11.Request(method="POST", target=self._target, headers=list(head.items())),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        await connection.stream.send_all(
            b"".join(connection.h11.send(event) or b"" for event in events)
        )

    async def _hear(self, connection: _Connection) -> h11.Response:
        """The head of the answer; what servers say before it (1xx) is passed over."""
        while not isinstance(event := await self._event(connection), h11.Response):
            if isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("the connection was closed instead")
        return event

    async def _finish(self, connection: _Connection) -> bool:
        """Read the rest, unseen; whether the connection can be used again."""
        size = 0
        while not isinstance(event := await self._event(connection), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                return False
            size += len(event.data)
            if size > ANSWER_LIMIT:
                return False
        if {connection.h11.our_state, connection.h11.their_state} != {h11.DONE}:
            return False
        connection.h11.start_next_cycle()
        return True

    async def _event(self, connection: _Connection) -> h11.Event:
        while True:
            event = connection.h11.next_event()
            if isinstance(event, h11.Event):
                return event
            data = bytes(await connection.stream.receive_some(CHUNK))
            connection.answered |= bool(data)
            connection.h11.receive_data(data)

    async def aclose(self) -> None:
        """Let go of the connections that wait to be used again."""
        with trio.CancelScope(shield=True):  # nothing in it waits
            while self._idle:
                await trio.aclose_forcefully(self._idle.pop().stream)


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        verified = getattr(error, "verify_message", "")
        return f"TLS: {verified or error.reason or 'it failed'}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
