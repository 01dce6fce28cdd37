"""What observers are told of a call, and in which order."""

from collections.abc import MutableMapping

import pytest
import trio
from livekit.protocol import rtc
from trio.testing import wait_all_tasks_blocked

from tests.signalling.conftest import *  # noqa: F403 - its fixtures
from tests.signalling.house import House
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.observe import Happening, ParticipantLeft

pytestmark = pytest.mark.virtual_time


def told(house: House) -> list[tuple[str, str]]:
    """What, and of whom or what."""
    return [(type(each).__name__, subject(each)) for each in house.happenings]


def subject(happening: Happening) -> str:
    if (participant := getattr(happening, "participant", None)) is not None:
        return participant.identity
    if (track := getattr(happening, "track", None)) is not None:
        return track.publisher.identity
    if (subscription := getattr(happening, "subscription", None)) is not None:
        return subscription.subscriber.identity
    return happening.room.name


async def test_a_whole_call_is_told_in_the_order_in_which_it_happens(house: House) -> None:
    alice = await house.attend("alice")
    await house.attend("bob")
    await alice.publish("audio", "mic")
    alice.say(leave=rtc.LeaveRequest())
    await wait_all_tasks_blocked()
    assert told(house) == [
        ("RoomStarted", "kitchen"),
        ("ParticipantSeated", "alice"),
        ("ParticipantGreeted", "alice"),
        ("ParticipantJoined", "alice"),
        ("ParticipantSeated", "bob"),
        ("ParticipantGreeted", "bob"),
        ("ParticipantJoined", "bob"),
        ("TrackAnnounced", "alice"),
        ("SubscriptionBegun", "bob"),
        ("TrackPublished", "alice"),
        ("TrackUnpublished", "alice"),
        ("ParticipantLeft", "alice"),
    ]


async def test_who_never_got_a_connection_has_aborted(house: House) -> None:
    caller = await house.enter("carl")
    caller.hang_up()
    await wait_all_tasks_blocked()
    *_, last = house.happenings
    assert isinstance(last, ParticipantLeft)
    assert last.aborted
    assert ("ParticipantJoined", "carl") not in told(house)


async def test_a_room_is_finished_after_everybody_has_left_it(house: House) -> None:
    await house.attend("alice")
    await house.attend("bob")
    house.room().close(LeaveReason.ROOM_DELETED)
    await wait_all_tasks_blocked()
    assert sorted(told(house)[-3:-1]) == [("ParticipantLeft", "alice"), ("ParticipantLeft", "bob")]
    assert told(house)[-1] == ("RoomFinished", "kitchen")


async def test_a_bound_subscription_is_told(house: House) -> None:
    alice = await house.attend("alice")
    bob = await house.attend("bob")
    await alice.publish("audio", "mic")
    await trio.sleep(0.2)  # offers are not made for each change
    await bob.answer()
    await wait_all_tasks_blocked()
    assert told(house)[-1] == ("TrackSubscribed", "bob")


async def test_the_log_has_a_line_for_each_with_names_and_sids(
    house: House, log_lines: list[MutableMapping[str, object]]
) -> None:
    alice = await house.attend("alice", metadata="a secret of hers", name="Alice")
    sid = await alice.publish("audio", "mic")
    room, participant = house.room(), house.participant("alice")
    passwords = [each.peer.ice.local.password for each in participant.connections.values()]
    alice.say(leave=rtc.LeaveRequest())
    await wait_all_tasks_blocked()
    mine = [line for line in log_lines if "participant_sid" in line]
    assert {line["event"] for line in mine} == {
        "joined",
        "active",
        "track published",
        "track unpublished",
        "left",
    }
    for line in mine:
        assert (line["room"], line["room_sid"]) == ("kitchen", room.sid)
        assert (line["participant"], line["participant_sid"]) == ("alice", participant.sid)
        assert ("track" in line["event"]) == (line.get("track") == sid)
    for secret in ("a secret of hers", *passwords):
        assert secret not in str(log_lines)
