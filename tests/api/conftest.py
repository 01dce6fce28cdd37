import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping

import pytest
import structlog
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse

from tests.api.test_http import Answer, ask
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.routes import Routes
from trio_sfu.api.rtc import Gate
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.room.grants import Grants
from trio_sfu.signalling.join import JoinRequest

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


# --- joining, with a session that is played by the test

SECRET = "a secret of more than thirty-two bytes"
GRANTS = Grants(room_join=True, room="kitchen", can_update_own_metadata=True)
JOINED = SignalResponse(pong=1)


def token(secret: str = SECRET, grants: Grants | None = GRANTS, **claims: object) -> str:
    said = Claims(**{"identity": "alice", **claims}, grants=grants)
    return sign(said, "key", secret, time.time())


def routes_to(connect: Callable[..., Awaitable[None]]) -> Routes:
    return Gate({"key": SECRET}, connect, time.time).routes()


class Sessions:
    """What the room's side would do: starts sessions that the test then plays."""

    def __init__(self) -> None:
        self.joins: list[JoinRequest] = []
        self.refusal: Exception | None = None
        self.silent = False

    async def connect(
        self,
        join: JoinRequest,
        requests: trio.MemoryReceiveChannel[SignalRequest],
        responses: trio.MemorySendChannel[SignalResponse],
    ) -> None:
        self.joins.append(join)
        self.requests, self.responses = requests, responses
        if self.refusal is not None:
            raise self.refusal
        if not self.silent:
            await responses.send(JOINED)


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
async def get(serve, sessions: Sessions) -> Callable[[str], Awaitable[Answer]]:
    visit = await serve(routes_to(sessions.connect))

    async def get(target: str, headers: str = "") -> Answer:
        async with await visit() as stream:
            return await ask(stream, f"GET {target} HTTP/1.1{headers}")

    return get
