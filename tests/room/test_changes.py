"""What an application changes of somebody who is there: to media, to tables, and who is told."""

import attrs
import pytest
import trio
from livekit.protocol import models, rtc

from tests.signalling.house import Caller, House, open_house
from trio_sfu.config import LimitConfig, RoomConfig
from trio_sfu.room import changes
from trio_sfu.room.changes import Change
from trio_sfu.room.connection import Target
from trio_sfu.room.grants import Source
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.room import WOKEN_AT_ONCE
from trio_sfu.signalling.join import Refused

pytestmark = pytest.mark.virtual_time


def permit(house: House, identity: str, **rights: object) -> None:
    participant = house.participant(identity)
    grants = attrs.evolve(participant.who.grants, **rights)
    changes.permit(house.room(), participant, grants)


async def about(identity: str, caller: Caller) -> list[models.ParticipantInfo]:
    """What *caller* is told of *identity*."""
    updates = await caller.hear_of("update")
    return [each for update in updates for each in update.participants if each.identity == identity]


# --- what somebody says of themselves


async def test_a_change_is_told_to_all_and_to_whom_it_is_about(house: House) -> None:
    alice = await house.enter("alice", attributes={"seat": "1", "hand": "up"})
    bob = await house.enter("bob")
    await alice.hear()
    change = Change(name="Alice", metadata="m", attributes={"hand": "", "colour": "red"})
    changes.describe(house.room(), house.participant("alice"), change)
    for each in (alice, bob):
        (info,) = await about("alice", each)
        assert (info.identity, info.name, info.metadata) == ("alice", "Alice", "m")
        assert dict(info.attributes) == {"seat": "1", "colour": "red"}


async def test_a_change_that_changes_nothing_is_told_to_nobody(house: House) -> None:
    alice = await house.enter("alice", name="Alice", metadata="m")
    changes.describe(house.room(), house.participant("alice"), Change(name="Alice", metadata="m"))
    assert await alice.hear() == []


async def test_what_a_hidden_one_says_is_told_to_them_alone(house: House) -> None:
    alice = await house.enter("alice", hidden=True)
    bob = await house.enter("bob")
    await alice.hear()
    changes.describe(house.room(), house.participant("alice"), Change(metadata="m"))
    assert [each.metadata for each in await about("alice", alice)] == ["m"]
    assert await about("alice", bob) == []


@pytest.mark.parametrize(
    ("given", "exceeded"),
    [
        ({"name": "n" * 8}, ""),
        ({"name": "n" * 9}, "name"),
        ({"name": "\u00e9" * 5}, "name"),
        ({"metadata": "m" * 17}, "metadata"),
        ({"attributes": {"k": "v" * 31}}, ""),
        ({"attributes": {"k": "v" * 16, "l": "w" * 15}}, "attributes"),
    ],
)
def test_limits_count_bytes(given: dict[str, object], exceeded: str) -> None:
    names = ("max_participant_name_length", "max_metadata_size", "max_attributes_size")
    limits = LimitConfig(**dict(zip(names, (8, 16, 32), strict=True)))
    assert changes.exceeded(limits, **given) == exceeded
    without = LimitConfig(**dict.fromkeys(names, 0))
    assert changes.exceeded(without, **given) == ""


async def test_who_brings_more_than_may_be_told_does_not_get_in(house: House) -> None:
    with pytest.raises(Refused, match="attributes exceeds limits"):
        await house.knock("alice", attributes={"k": "v" * (64 << 10)})


# --- rights


async def test_a_right_that_is_taken_ends_the_tracks_that_needed_it(house: House) -> None:
    alice = await house.attend("alice")
    microphone = await alice.publish("audio", "voice")
    camera = await alice.publish("video", "face")
    bob = await house.attend("bob")
    await alice.hear()
    permit(house, "alice", can_publish_sources=frozenset({Source.MICROPHONE}))
    told = await alice.hear()
    assert [each.track_unpublished.track_sid for each in told if each.HasField("track_unpublished")]
    assert list(house.participant("alice").tracks) == [microphone]
    assert camera not in house.participant("bob").subscriptions
    info = (await about("alice", bob))[-1]
    assert [track.sid for track in info.tracks] == [microphone]
    assert list(info.permission.can_publish_sources) == [2]
    alice.announce("video", "again")
    (refused,) = await alice.hear_of("request_response")
    assert refused.reason == rtc.RequestResponse.Reason.NOT_ALLOWED


async def test_who_may_publish_nothing_is_no_publisher_any_more(house: House) -> None:
    alice = await house.attend("alice")
    await alice.publish("audio", "voice")
    permit(house, "alice", can_publish=False)
    (info,) = await about("alice", alice)
    assert not info.is_publisher
    assert not info.permission.can_publish
    assert len(info.tracks) == 0


async def test_whoever_may_hear_no_more_loses_all_and_gets_it_back_with_the_right(
    house: House,
) -> None:
    alice = await house.attend("alice")
    sid = await alice.publish("audio", "voice")
    bob = await house.attend("bob")
    await bob.hear()
    permit(house, "bob", can_subscribe=False)
    assert house.participant("bob").subscriptions == {}
    (info,) = await about("bob", bob)
    assert not info.permission.can_subscribe
    permit(house, "bob", can_subscribe=True)
    assert list(house.participant("bob").subscriptions) == [sid]


async def test_who_may_hear_only_later_hears_on_the_connection_that_we_offer(
    house: House,
) -> None:
    """With two connections, data keep coming on the one that was primary from the start."""
    alice = await house.attend("alice")
    sid = await alice.publish("audio", "voice")
    bob = await house.attend("bob", can_subscribe=False)
    permit(house, "bob", can_subscribe=True)
    assert bob.answer_to(await bob.wait_for("offer")) == [sid]
    participant = house.participant("bob")
    subscription = participant.subscriptions[sid]
    assert subscription.connection is participant.connections[Target.SUBSCRIBER]
    assert participant.downlink is participant.connections[Target.PUBLISHER]


async def test_the_same_rights_again_are_no_news(house: House) -> None:
    alice = await house.enter("alice")
    permit(house, "alice")
    assert await alice.hear() == []


async def test_a_room_whose_last_guest_becomes_an_agent_ends(house: House) -> None:
    alice = await house.enter("alice")
    permit(house, "alice", agent=True)
    leave = await alice.wait_for("leave")
    assert leave.reason == LeaveReason.ROOM_CLOSED.value


# --- mute, room


async def test_a_track_muted_by_the_application_is_told_to_all_and_asked_of_its_client(
    house: House,
) -> None:
    alice = await house.attend("alice")
    sid = await alice.publish("audio", "voice")
    bob = await house.attend("bob")
    await alice.hear()
    info = changes.mute(house.room(), house.participant("alice"), sid, muted=True)
    assert info is not None
    assert info.muted
    told = await alice.hear()
    assert [(each.mute.sid, each.mute.muted) for each in told if each.HasField("mute")] == [
        (sid, True)
    ]
    (mine,) = [each.update.participants for each in told if each.HasField("update")]
    assert [each.tracks[0].muted for each in mine if each.identity == "alice"] == [True]
    assert (await about("alice", bob))[-1].tracks[0].muted


async def test_an_announced_track_can_be_muted_before_its_media_comes(house: House) -> None:
    alice = await house.attend("alice")
    alice.announce("audio", "voice")
    (published,) = await alice.hear_of("track_published")
    info = changes.mute(house.room(), house.participant("alice"), published.track.sid, muted=True)
    assert info is not None
    assert info.muted


async def test_muting_what_is_not_there_gives_nothing(house: House) -> None:
    await house.attend("alice")
    assert changes.mute(house.room(), house.participant("alice"), "TR_none", muted=True) is None


async def test_metadata_of_a_room_are_told_at_once(house: House) -> None:
    alice = await house.enter("alice")
    changes.set_room_metadata(house.room(), "soup")
    (update,) = await alice.hear_of("room_update")
    assert update.room.metadata == "soup"
    changes.set_room_metadata(house.room(), "soup")
    assert await alice.hear_of("room_update") == []


async def test_a_full_room_lets_in_nobody_but_agents_and_whoever_was_there(
    nursery: trio.Nursery,
) -> None:
    house = await open_house(nursery, RoomConfig(max_participants=1))
    await house.enter("alice")
    with pytest.raises(Refused) as refused:
        await house.enter("bob")
    assert refused.value.status == 500
    await house.enter("robot", agent=True)
    await house.enter("alice")
    assert sorted(house.room().participants) == ["alice", "robot"]


async def test_in_a_crowd_all_are_told_but_not_all_in_one_turn(house: House) -> None:
    crowd = [await house.enter(f"guest-{number}") for number in range(WOKEN_AT_ONCE + 20)]
    await trio.sleep(10)
    for each in crowd:
        await each.hear()
    change = Change(metadata="m")
    changes.describe(house.room(), house.participant("guest-0"), change)
    for each in crowd:
        assert [info.metadata for info in await about("guest-0", each)] == ["m"]
    changes.set_room_metadata(house.room(), "soup")
    told = [(await each.hear_of("room_update"))[-1] for each in crowd]
    assert {each.room.metadata for each in told} == {"soup"}
    assert {each.room.num_participants for each in told} == {len(crowd)}
