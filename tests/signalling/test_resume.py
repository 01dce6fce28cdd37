"""A client comes back on another socket: what it is told, what goes on, what ends."""

import pytest
import trio
from livekit.protocol import models, rtc

from tests.signalling.house import Caller, House, ask, kinds
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.observe import ParticipantLeft

pytestmark = pytest.mark.virtual_time

Action = rtc.LeaveRequest.Action


async def come_back(house: House, identity: str, sid: str, **fields: object) -> Caller:
    """*identity* has another socket."""
    caller = Caller()
    join = ask(identity, reconnect=True, participant_sid=sid, **fields)
    await house.signalling.connect(join, caller.requests_out, caller.responses_in)
    return caller


async def test_the_answer_to_a_resume_comes_first_and_the_rest_in_order(house: House) -> None:
    alice = await house.attend("alice")
    await house.attend("bob")
    alice.hang_up()
    again = await come_back(house, "alice", house.participant("alice").sid)
    told = await again.hear()
    assert kinds(told) == ["reconnect", "update", "room_update", "offer"]
    assert told[0].reconnect.server_info.version == "1.13.5"
    assert {each.identity for each in told[1].update.participants} == {"alice", "bob"}
    assert told[2].room_update.room.name == "kitchen"


async def test_the_offer_after_a_resume_begins_ice_again(house: House) -> None:
    alice = await house.knock("alice")
    (first,) = await alice.hear_of("offer")
    alice.answer_to(first)
    await house.activate("alice")
    again = await come_back(house, "alice", house.participant("alice").sid)
    (second,) = await again.hear_of("offer")
    assert second.id == first.id + 1
    assert ufrag(first.sdp) != ufrag(second.sdp)
    again.answer_to(second)
    await again.hear()
    assert house.participant("alice").downlink.local.ufrag == ufrag(second.sdp)


def ufrag(sdp: str) -> str:
    return next(
        line.partition(":")[2] for line in sdp.splitlines() if line.startswith("a=ice-ufrag")
    )


async def test_nobody_hears_of_a_resume(house: House) -> None:
    alice = await house.attend("alice")
    bob = await house.attend("bob")
    await trio.sleep(6)  # and the room has said how many there are
    await bob.hear()
    alice.hang_up()
    await trio.sleep(3)
    await come_back(house, "alice", house.participant("alice").sid)
    await trio.sleep(4)
    assert await bob.hear() == []


async def test_the_old_socket_is_closed_and_what_it_still_says_is_done(house: House) -> None:
    alice = await house.attend("alice")
    again = await come_back(house, "alice", house.participant("alice").sid)
    alice.announce("audio", "mic")
    assert "track_published" in kinds(await again.hear())
    assert await alice.hear() == []
    with pytest.raises(trio.EndOfChannel):
        alice.responses.receive_nowait()


@pytest.mark.parametrize("who", ["nobody", "another sid", "gone", "another room"])
async def test_who_has_nothing_to_resume_is_told_to_join_anew(house: House, who: str) -> None:
    alice = await house.attend("alice")
    sid = house.participant("alice").sid
    match who:
        case "nobody":
            again = await come_back(house, "bob", "PA_bob")
        case "another sid":
            again = await come_back(house, "alice", "PA_another")
        case "gone":
            alice.say(leave=rtc.LeaveRequest())
            await alice.hear()
            again = await come_back(house, "alice", sid)
        case "another room":
            again = await come_back(house, "alice", sid, room="cellar")
    (leave,) = [each.leave for each in await again.hear()]
    assert leave.reason == models.DisconnectReason.STATE_MISMATCH
    assert leave.action == Action.RECONNECT
    with pytest.raises(trio.EndOfChannel):
        again.responses.receive_nowait()


@pytest.mark.parametrize("connected", [False, True])
async def test_a_lost_socket_is_the_end_only_before_media_could_flow(
    house: House, connected: bool
) -> None:
    alice = await (house.attend if connected else house.enter)("alice")
    alice.hang_up()
    await trio.testing.wait_all_tasks_blocked()
    assert ("alice" in house.room().participants) is connected


async def test_whoever_is_gone_altogether_leaves_when_media_has_been_silent(house: House) -> None:
    async with trio.open_nursery() as own:
        alice = await house.visit("alice", own=own)
        await alice.connected.wait()
        own.cancel_scope.cancel()
    started = trio.current_time()
    with trio.fail_after(60):
        while "alice" in house.room().participants:  # noqa: ASYNC110 - of another task's
            await trio.sleep(0.1)
    assert 15 < trio.current_time() - started < 25
    left = house.happenings[-1]
    assert isinstance(left, ParticipantLeft)
    assert left.participant.leave_reason is LeaveReason.CONNECTION_TIMEOUT
