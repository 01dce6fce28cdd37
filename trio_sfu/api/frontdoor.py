"""The front door: everybody's connections, up to a limit of them.

A connection is a task. The rule: what goes wrong in one ends it and nothing else, and
whoever is one too many is told so at the price of a greeting.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
import trio

from trio_sfu.api.http import LINGER_SECONDS, Connection, Counters, Sizes, linger
from trio_sfu.api.routes import Routes
from trio_sfu.api.tls import SecureStream

CONNECTION_LIMIT: Final = 4096
"""Connections at one time, WebSockets among them: more than one core has clients for."""

log = structlog.get_logger(__name__)


class FrontDoor:
    """Serves *routes* to every connection it is given, up to a limit of them."""

    def __init__(
        self,
        routes: Routes,
        connection_limit: int = CONNECTION_LIMIT,
        *,
        secure: ssl.SSLContext | None = None,
        sizes: Callable[[], Sizes] = Sizes,
    ) -> None:
        """With *secure* it speaks TLS only. *sizes* are asked for each connection."""
        self.counters = Counters()
        self._routes = routes
        self._secure = secure
        self._sizes = sizes
        self._connection_limit = connection_limit
        self._quiet = trio.lowlevel.ParkingLot()

    async def wait_quiet(self) -> None:
        """Return when nobody is being answered, and every WebSocket is closed."""
        while self.counters.answering:
            await self._quiet.park()
        await trio.lowlevel.checkpoint()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        self.counters.answering += 1
        try:
            yield
        finally:
            self.counters.answering -= 1
            if not self.counters.answering:
                self._quiet.unpark_all()

    async def serve(
        self,
        listeners: list[trio.SocketListener],
        task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until cancelled. Connections end with it."""

        async def greet(stream: trio.SocketStream) -> None:
            secure = self._secure
            await self.greet(stream if secure is None else SecureStream(stream, secure))

        async with trio.open_nursery() as nursery:
            await trio.serve_listeners(
                greet, listeners, handler_nursery=nursery, task_status=task_status
            )

    async def greet(self, stream: trio.abc.HalfCloseableStream) -> None:
        """One connection, from its first byte to its last. Raises `Cancelled` only."""
        try:
            if self.counters.connections >= self._connection_limit:
                self.counters.refused += 1
                await _turn_away(stream)
                return
            self.counters.connections += 1
            try:
                await Connection(
                    stream, self._routes, self.counters, self._answering, self._sizes()
                ).run()
            finally:
                self.counters.connections -= 1
        except Exception:
            self.counters.failed += 1
            log.exception("a connection crashed and was closed")
        finally:
            await trio.aclose_forcefully(stream)


async def _turn_away(stream: trio.abc.HalfCloseableStream) -> None:
    with trio.move_on_after(LINGER_SECONDS):
        try:
            await stream.send_all(
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await linger(stream)
        except trio.BrokenResourceError:
            pass
