"""A call of two clients and a server's API, as the rows of `stock_clients.py` have it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from attrs import define
from conversation import Party, until
from livekit import api
from livekit.api.twirp_client import TwirpClient
from livekit.protocol.room import PerformRpcRequest, PerformRpcResponse
from tapped import Tap


class MissError(Exception):
    """Something is not as it must be."""


def demand(holds: bool, found: object) -> None:
    if not holds:
        raise MissError(str(found))


def wait(
    condition: Callable[[], Any], what: str | Callable[[], str], patience: float = 10.0
) -> None:
    """*what* is said of a condition that did not come true in time."""
    if not until(condition, patience):
        raise MissError(f"{what() if callable(what) else what}, after {patience:g} s")


@define
class ServerApi:
    """What an application's server asks of ours over HTTP, by PyPI `livekit-api`."""

    url: str
    key: str
    secret: str

    def __call__(self, ask: Callable[[api.LiveKitAPI], Any]) -> Any:
        async def main() -> Any:
            async with api.LiveKitAPI(self.url, self.key, self.secret) as server:
                return await ask(server)

        return _run(main())

    def perform(self, request: PerformRpcRequest) -> str:
        """Calls a client's procedure. livekit-api 1.2 has no function for it, but for its parts."""

        async def main() -> str:
            grants = api.VideoGrants(room_admin=True, room=request.room)
            token = api.AccessToken(self.key, self.secret).with_grants(grants).to_jwt()
            async with aiohttp.ClientSession() as session:
                answer = await TwirpClient(session, self.url, "livekit").request(
                    "RoomService",
                    "PerformRpc",
                    request,
                    {"authorization": f"Bearer {token}"},
                    PerformRpcResponse,
                )
                return answer.payload

        answer: str = _run(main())
        return answer


def _run(main: Coroutine[Any, Any, Any]) -> Any:
    # In a thread of its own: where Chromium is driven from, an event loop runs already.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, main).result()


@define
class Call:
    """Two clients in a room, and how each of them can be brought there again."""

    subject: Party
    """The client that a column is about."""
    partner: Party
    """The one at the other end, always PyPI `livekit`."""
    visitor: Party
    """A third one, of PyPI `livekit`, that comes where somebody else is needed."""
    tap: Tap
    """What the subject talks through."""
    path: str
    """That it is to join by."""
    room: str
    join: Callable[[Party, str], None]
    """Somebody enters the room under an identity."""
    server: ServerApi
    size: int
    """Of a stream, in bytes."""
    patient: bool
    """Whether to wait for what takes seconds by design, and to count pictures closely."""

    def both_ways(self) -> Iterable[tuple[Party, Party]]:
        """(who sends, who receives)."""
        return ((self.subject, self.partner), (self.partner, self.subject))
