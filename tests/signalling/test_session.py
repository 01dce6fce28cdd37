import pytest
import trio
from livekit.protocol import models, rtc

from tests.signalling.house import Caller, House, ask, kinds, open_house
from trio_sfu.config import RoomConfig
from trio_sfu.room.choices import MAX_CHOICES
from trio_sfu.room.grants import Kind, Source
from trio_sfu.room.info import LeaveReason, ParticipantState
from trio_sfu.signalling.join import Refused
from trio_sfu.signalling.session import MAX_RESPONSES

pytestmark = pytest.mark.virtual_time

State = models.ParticipantInfo.State
Action = rtc.LeaveRequest.Action


def others(told: list[rtc.SignalResponse]) -> list[tuple[str, str]]:
    """Who was told of, in which state, in order."""
    return [
        (info.identity, State.Name(info.state))
        for each in told
        for info in each.update.participants
    ]


# --- joining


async def test_the_first_message_is_join_and_says_who_one_is(house: House) -> None:
    alice = await house.knock("alice", name="Alice", metadata="m", attributes={"a": "b"})
    first = (await alice.hear())[0].join
    assert first.participant.sid.startswith("PA_")
    assert first.room.sid.startswith("RM_")
    assert first.room.name == "kitchen"
    assert (first.participant.identity, first.participant.name) == ("alice", "Alice")
    assert first.participant.attributes == {"a": "b"}
    assert first.participant.state == State.JOINING  # the change follows the message
    assert (first.ping_interval, first.ping_timeout) == (5, 15)
    assert first.server_info.version == first.server_version == "1.13.5"
    assert first.enabled_publish_codecs[0].mime == "video/VP8"
    assert first.subscriber_primary
    assert first.fast_publish
    assert house.participant("alice").state is ParticipantState.JOINED


async def test_join_tells_of_the_others_but_not_of_the_hidden(house: House) -> None:
    await house.enter("alice")
    await house.enter("spy", hidden=True)
    bob = await house.knock("bob")
    join = (await bob.hear())[0].join
    assert [each.identity for each in join.other_participants] == ["alice"]
    assert join.room.num_participants == 3


async def test_who_subscribes_is_offered_channels_at_once(house: House) -> None:
    alice = await house.knock("alice")
    told = await alice.hear()
    (offer,) = [each.offer for each in told if each.WhichOneof("message") == "offer"]
    assert offer.type == "offer"
    assert 1 <= offer.id <= 256
    assert "m=application" in offer.sdp


async def test_who_may_not_subscribe_is_offered_nothing(house: House) -> None:
    alice = await house.knock("alice", can_subscribe=False)
    told = await alice.hear()
    assert "offer" not in kinds(told)
    assert not told[0].join.subscriber_primary


async def test_a_mere_listener_who_comes_is_told_after_three_seconds(house: House) -> None:
    alice = await house.enter("alice")
    await house.enter("bob")
    assert await alice.hear_of("update") == []
    await trio.sleep(2.9)
    assert await alice.hear_of("update") == []
    await trio.sleep(0.2)
    assert others(await alice.hear()) == [("bob", "JOINED")]


async def test_who_came_and_went_within_a_batch_was_never_there(house: House) -> None:
    alice = await house.enter("alice")
    bob = await house.enter("bob")
    bob.say(leave=rtc.LeaveRequest())
    await trio.sleep(4)
    assert others(await alice.hear()) == []


async def test_a_hidden_participant_is_told_of_to_nobody(house: House) -> None:
    alice = await house.enter("alice")
    spy = await house.enter("spy", hidden=True)
    spy.say(leave=rtc.LeaveRequest())
    await trio.sleep(4)
    assert others(await alice.hear()) == []


async def test_kinds_and_details_of_a_token_are_told(house: House) -> None:
    await house.enter("robot", kind=Kind.AGENT, kind_details=("cloud_agent", "martian"))
    bob = await house.knock("bob")
    (robot,) = (await bob.hear())[0].join.other_participants
    assert robot.kind == models.ParticipantInfo.Kind.AGENT
    assert list(robot.kind_details) == [models.ParticipantInfo.KindDetail.CLOUD_AGENT]
    assert (await bob.hear()) == []


async def test_permissions_are_told_as_granted(house: House) -> None:
    alice = await house.knock(
        "alice", can_publish_sources=frozenset({Source.MICROPHONE, Source.CAMERA})
    )
    permission = (await alice.hear())[0].join.participant.permission
    assert list(permission.can_publish_sources) == [
        models.TrackSource.CAMERA,
        models.TrackSource.MICROPHONE,
    ]
    assert permission.can_publish
    assert not permission.can_update_metadata


# --- leaving


async def test_a_second_join_takes_an_identity_over(house: House) -> None:
    first = await house.enter("alice")
    sid = house.participant("alice").sid
    await house.knock("alice")
    (leave,) = await first.hear_of("leave")
    assert leave.reason == models.DisconnectReason.DUPLICATE_IDENTITY
    assert leave.action == Action.DISCONNECT
    assert house.participant("alice").sid != sid


async def test_others_see_a_takeover_as_going_and_coming_in_that_order(house: House) -> None:
    bob = await house.enter("bob")
    await house.enter("alice")
    await trio.sleep(4)
    await bob.hear()
    await house.enter("alice")
    await trio.sleep(4)
    assert others(await bob.hear()) == [("alice", "DISCONNECTED"), ("alice", "JOINED")]


async def test_two_joins_of_one_identity_at_once_leave_one(house: House) -> None:
    await house.enter("alice")
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(house.enter, "alice")
    assert list(house.room().participants) == ["alice"]
    assert house.participant("alice").state is ParticipantState.JOINED


async def test_a_client_that_leaves_is_not_told_so(house: House) -> None:
    alice = await house.enter("alice")
    alice.say(leave=rtc.LeaveRequest())
    assert await alice.hear_of("leave") == []
    with pytest.raises(trio.EndOfChannel):
        await alice.responses.receive()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("UNKNOWN_REASON", "CLIENT_INITIATED"),
        ("CLIENT_INITIATED", "CLIENT_INITIATED"),
        ("USER_REJECTED", "USER_REJECTED"),
        ("USER_UNAVAILABLE", "USER_UNAVAILABLE"),
        ("AGENT_ERROR", "AGENT_ERROR"),
        ("DUPLICATE_IDENTITY", "CLIENT_INITIATED"),
        ("ROOM_DELETED", "CLIENT_INITIATED"),
        ("SERVER_SHUTDOWN", "CLIENT_INITIATED"),
    ],
)
async def test_a_client_may_say_why_it_goes_but_not_in_our_name(
    house: House, given: str, told: str
) -> None:
    bob = await house.enter("bob")
    alice = await house.enter("alice")
    await trio.sleep(4)
    await bob.hear()
    alice.say(leave=rtc.LeaveRequest(reason=given))
    await trio.sleep(4)
    (update,) = await bob.hear_of("update")
    (info,) = update.participants
    assert models.DisconnectReason.Name(info.disconnect_reason) == told


@pytest.mark.parametrize("reason", LeaveReason)
@pytest.mark.parametrize("rejoin", [False, True])
async def test_whoever_is_removed_hears_why_and_what_to_do(
    house: House, reason: LeaveReason, rejoin: bool
) -> None:
    alice = await house.enter("alice")
    house.participant("alice").leave(reason, rejoin=rejoin)
    leaves = await alice.hear_of("leave")
    if reason.name in ("CLIENT_INITIATED", "SIGNAL_CLOSE", "USER_UNAVAILABLE", "USER_REJECTED"):
        assert leaves == []  # it knows already, or nobody is there to hear it
    elif reason.name == "AGENT_ERROR":
        assert leaves == []
    elif reason is not LeaveReason.UNKNOWN_REASON:
        (leave,) = leaves
        assert models.DisconnectReason.Name(leave.reason) == reason.name
        assert leave.action == (Action.RECONNECT if rejoin else Action.DISCONNECT)
        assert leave.can_reconnect == rejoin


async def test_only_the_first_reason_for_leaving_counts(house: House) -> None:
    alice = await house.enter("alice")
    participant = house.participant("alice")
    participant.leave(LeaveReason.PARTICIPANT_REMOVED)
    participant.leave(LeaveReason.STATE_MISMATCH, rejoin=True)
    (leave,) = await alice.hear_of("leave")
    assert leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
    assert leave.action == Action.DISCONNECT


async def test_a_socket_that_closes_ends_its_participant(house: House) -> None:
    bob = await house.enter("bob")
    alice = await house.enter("alice")
    await trio.sleep(4)
    await bob.hear()
    alice.hang_up()
    await trio.sleep(4)
    (update,) = await bob.hear_of("update")
    assert update.participants[0].disconnect_reason == models.DisconnectReason.SIGNAL_CLOSE
    assert list(house.room().participants) == ["bob"]


async def test_a_room_that_is_deleted_says_so_to_everybody(house: House) -> None:
    people = [await house.enter(name) for name in ("alice", "bob")]
    house.room().close(LeaveReason.ROOM_DELETED)
    for each in people:
        (leave,) = await each.hear_of("leave")
        assert leave.reason == models.DisconnectReason.ROOM_DELETED
    assert house.rooms == {}


async def test_who_does_not_connect_within_a_minute_failed_to_join(house: House) -> None:
    alice = await house.enter("alice")
    await trio.sleep(RoomConfig().join_timeout - 0.1)
    assert "alice" in house.room().participants
    await trio.sleep(0.2)
    (leave,) = await alice.hear_of("leave")
    assert leave.reason == models.DisconnectReason.JOIN_FAILURE
    assert leave.action == Action.DISCONNECT


async def test_a_resume_is_told_to_join_anew(house: House) -> None:
    alice = Caller()
    join = ask("alice", reconnect=True, participant_sid="PA_x")
    await house.signalling.connect(join, alice.requests_out, alice.responses_in)
    (leave,) = await alice.hear_of("leave")
    assert leave.action == Action.RECONNECT
    with pytest.raises(trio.BrokenResourceError):
        alice.say(ping=1)
    assert house.rooms == {}


async def test_a_room_that_may_not_be_made_is_not_found(nursery: trio.Nursery) -> None:
    house = await open_house(nursery, RoomConfig(auto_create=False))
    with pytest.raises(Refused, match="404: requested room does not exist"):
        await house.knock("alice")
    await house.enter("owner", room_create=True)
    await house.enter("alice")
    assert list(house.room().participants) == ["owner", "alice"]


# --- the room itself


async def test_everybody_is_told_how_many_there_are_but_not_all_the_time(house: House) -> None:
    alice = await house.enter("alice")
    await trio.sleep(6)
    await alice.hear()
    for number in range(10):
        await house.enter(f"guest {number}")
    now = await alice.hear_of("room_update")
    await trio.sleep(4.5)
    soon = await alice.hear_of("room_update")
    await trio.sleep(1)
    late = await alice.hear_of("room_update")
    assert [each.room.num_participants for each in now] == [2]
    assert soon == []
    assert [each.room.num_participants for each in late] == [11]


async def test_a_recorder_is_told_of_at_once(house: House) -> None:
    alice = await house.enter("alice")
    recorder = await house.enter("recorder", recorder=True, hidden=True)
    told = await alice.hear_of("room_update")
    assert told[0].room.active_recording
    assert told[0].room.num_participants == 1  # it serves the others
    recorder.say(leave=rtc.LeaveRequest())
    told = await alice.hear_of("room_update")
    assert not told[-1].room.active_recording


# --- who does not listen, and who says too much


async def test_a_client_that_never_listens_is_ended_and_blocks_nobody(house: House) -> None:
    deaf, alice = await house.knock("deaf"), await house.enter("alice")
    for _ in range(2 * (MAX_RESPONSES + 256)):
        deaf.say(mute=rtc.MuteTrackRequest(sid="TR_none", muted=True))
        await trio.testing.wait_all_tasks_blocked()
        if "deaf" not in house.room().participants:
            break
    assert list(house.room().participants) == ["alice"]
    await house.enter("bob")
    await trio.sleep(4)
    assert others(await alice.hear())[-1] == ("bob", "JOINED")


async def test_a_front_end_that_breaks_is_a_closed_socket_and_no_bug(
    house: House, log_lines
) -> None:
    alice = await house.enter("alice")
    alice.responses.close()  # but the requests are open still
    house.room().changed()
    await trio.testing.wait_all_tasks_blocked()
    assert house.room().participants == {}
    assert "crashed and was removed" not in {line["event"] for line in log_lines}


async def test_settings_of_many_tracks_are_not_remembered_for_ever(house: House) -> None:
    alice = await house.enter("alice")
    for start in range(0, 4 * MAX_CHOICES, 500):
        sids = [f"TR_{number}" for number in range(start, start + 500)]
        alice.say(track_setting=rtc.UpdateTrackSettings(track_sids=[*sids, "x" * 1000]))
        await trio.testing.wait_all_tasks_blocked()
    assert await alice.hear_of("leave") == []


async def test_a_client_is_not_reminded_of_a_huge_request(house: House) -> None:
    alice = await house.enter("alice")
    alice.say(trickle=rtc.TrickleRequest(candidateInit="x" * 1_000_000))
    (refusal,) = await alice.hear_of("request_response")
    assert refusal.ByteSize() < 1_000
    alice.say(trickle=rtc.TrickleRequest(candidateInit="x"))
    (refusal,) = await alice.hear_of("request_response")
    assert refusal.trickle.candidateInit == "x"
    assert refusal.reason == rtc.RequestResponse.Reason.UNCLASSIFIED_ERROR
