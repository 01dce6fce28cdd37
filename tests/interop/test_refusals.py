"""PyPI `livekit` finds its way to `/rtc`, and shows its user why it may not join."""

import asyncio
import time

import pytest
import trio

from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.rtc import Gate
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.room.grants import Grants
from trio_sfu.signalling.join import JoinRequest, Refused, Sdk

pytestmark = [pytest.mark.interop, pytest.mark.slow]
rtc = pytest.importorskip("livekit.rtc")

SECRET = "a secret of more than thirty-two bytes"


def token(**claims: object) -> str:
    said = Claims(identity="alice", grants=Grants(room_join=True, room="kitchen"), **claims)
    return sign(said, "key", SECRET, time.time())


def try_to_join(url: str, with_token: str) -> str:
    """What the SDK's user is told."""

    async def main() -> str:
        room = rtc.Room()
        try:
            await room.connect(url, with_token)
        except rtc.ConnectError as error:
            return str(error)
        await room.disconnect()
        return "joined"

    return asyncio.run(main())


@pytest.fixture
async def joins(nursery: trio.Nursery) -> tuple[str, list[JoinRequest]]:
    """A server whose only room is closed: its URL, and who came."""
    joins: list[JoinRequest] = []

    async def connect(join, requests, responses) -> None:
        joins.append(join)
        raise Refused(503, "the kitchen is closed")

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    door = FrontDoor(Gate({"key": SECRET}, connect, time.time).routes())
    await nursery.start(door.serve, listeners)
    return f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}", joins


async def test_a_refusal_of_the_session_reaches_the_user(joins) -> None:
    url, came = joins
    said = await trio.to_thread.run_sync(try_to_join, url, token())
    assert said.endswith("503 Service Unavailable")
    assert {(join.identity, join.room, join.client.sdk) for join in came} == {
        ("alice", "kitchen", Sdk.PYTHON)
    }
    assert came[0].protocol >= 16


async def test_a_token_that_is_not_believed_reaches_the_user(joins) -> None:
    url, came = joins
    wrong = sign(Claims(identity="alice"), "nobody", SECRET, time.time())
    said = await trio.to_thread.run_sync(try_to_join, url, wrong)
    assert said.endswith("401 Unauthorized - invalid API key: 'nobody'")
    assert came == []
