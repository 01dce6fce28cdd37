"""How a session runs: what ends it, and what it holds up."""

import math

import pytest
import trio
from livekit.protocol import models, rtc

from tests.signalling.house import Caller, House, ask, kinds, open_house
from trio_sfu.config import RoomConfig
from trio_sfu.room.info import LeaveReason
from trio_sfu.signalling.join import Refused
from trio_sfu.signalling.lines import Bell
from trio_sfu.signalling.serve import Signalling

pytestmark = pytest.mark.virtual_time


# --- the bell


async def test_a_bell_rung_before_anybody_waits_is_heard() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    with trio.fail_after(1):
        await bell.wait()
    with trio.move_on_after(1) as scope:
        await bell.wait()
    assert scope.cancelled_caught  # twice rung is once heard


async def test_a_bell_wakes_who_waits_at_once(nursery: trio.Nursery) -> None:
    bell, heard = Bell(), trio.Event()

    async def wait() -> None:
        await bell.wait(trio.current_time() + 10)
        heard.set()

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    bell.ring()
    started = trio.current_time()
    await heard.wait()
    assert trio.current_time() == started


@pytest.mark.parametrize("deadline", [-math.inf, 3.0])
async def test_a_bell_that_nobody_rings_waits_for_its_deadline(deadline: float) -> None:
    started = trio.current_time()
    await Bell().wait(started + deadline)
    assert trio.current_time() - started == max(0.0, deadline)


# --- what ends a session


@pytest.mark.parametrize("end", ["leave", "hang up", "kick", "room", "takeover"])
async def test_however_a_session_ends_both_its_channels_are_closed(house: House, end: str) -> None:
    alice = await house.enter("alice")
    match end:
        case "leave":
            alice.say(leave=rtc.LeaveRequest())
        case "hang up":
            alice.requests.close()
        case "kick":
            house.participant("alice").leave(LeaveReason.PARTICIPANT_REMOVED)
        case "room":
            house.room().close()
        case "takeover":
            await house.enter("alice")
    await alice.hear()
    with pytest.raises(trio.EndOfChannel):
        alice.responses.receive_nowait()
    if end != "hang up":
        with pytest.raises(trio.BrokenResourceError):
            alice.say(ping=1)


async def test_a_server_that_stops_tells_everybody(nursery: trio.Nursery) -> None:
    async with trio.open_nursery() as own:
        house = await open_house(own)
        people = [await house.enter(name) for name in ("alice", "bob")]
        own.cancel_scope.cancel()
    for each in people:
        (leave,) = await each.hear_of("leave")
        assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
        assert leave.action == rtc.LeaveRequest.Action.DISCONNECT


async def test_last_words_that_do_not_fit_are_given_up(
    house: House, log_lines: list[dict[str, object]]
) -> None:
    alice = Caller(responses=1)
    await house.signalling.connect(ask("alice"), alice.requests_out, alice.responses_in)
    await trio.testing.wait_all_tasks_blocked()  # Join fills the channel
    house.participant("alice").leave(LeaveReason.PARTICIPANT_REMOVED)
    await trio.testing.wait_all_tasks_blocked()
    assert house.room().participants == {}
    assert kinds(await alice.hear()) == ["join"]
    events = [line["event"] for line in log_lines]
    assert "a goodbye did not fit" in events
    assert "crashed and was removed" not in events


async def test_there_are_only_so_many_rooms(nursery: trio.Nursery) -> None:
    house = await open_house(nursery, max_rooms=2)
    for room in ("one", "two"):
        await house.enter("alice", room)
    with pytest.raises(Refused, match="503"):
        await house.knock("alice", "three")
    await house.enter("bob", "one")
    assert set(house.rooms) == {"one", "two"}


# --- who was removed for good


async def test_whose_token_was_revoked_is_kept_out_and_a_newer_one_lets_in(house: House) -> None:
    now = house.node.wall_time()
    house.node.revoked.revoke("kitchen", "mallory", before=now, now=now, expires=now + 100)
    for reconnect in False, True:
        with pytest.raises(Refused, match="401: the token was revoked"):
            await house.knock("mallory", token_made=now - 1, reconnect=reconnect)
    assert not house.node.rooms
    await house.knock("mallory", token_made=now + 1)
    assert list(house.room().participants) == ["mallory"]


async def test_a_room_that_is_not_there_and_may_not_be_made_is_known_before(
    nursery: trio.Nursery,
) -> None:
    house = await open_house(nursery, RoomConfig(auto_create=False))
    signalling = Signalling(house.node)
    with pytest.raises(Refused, match="404: requested room does not exist"):
        signalling.check(ask("alice"))
    signalling.check(ask("alice", room_create=True))
    await house.enter("alice", room_create=True)
    signalling.check(ask("bob"))
