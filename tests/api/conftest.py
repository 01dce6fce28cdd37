from collections.abc import Awaitable, Callable, Iterator, MutableMapping

import pytest
import structlog
import trio

from trio_sfu.api.http import FrontDoor, Routes

Visit = Callable[[], Awaitable[trio.SocketStream]]


@pytest.fixture
async def serve(nursery: trio.Nursery) -> Callable[..., Awaitable[Visit]]:
    """`visit = await serve(routes)`: a front door on loopback; each visit is a connection."""

    async def serve(routes: Routes, **limits: int) -> Visit:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(FrontDoor(routes, **limits).serve, listeners)
        port = listeners[0].socket.getsockname()[1]

        async def visit() -> trio.SocketStream:
            return await trio.open_tcp_stream("127.0.0.1", port)

        return visit

    return serve


@pytest.fixture
def enter(nursery: trio.Nursery) -> Callable[..., trio.abc.HalfCloseableStream]:
    """A connection in memory: under a mock clock, nothing may wait for the kernel."""

    def enter(door: FrontDoor) -> trio.abc.HalfCloseableStream:
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(door.greet, theirs)
        return ours

    return enter


@pytest.fixture
def log_lines() -> Iterator[list[MutableMapping[str, object]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines
