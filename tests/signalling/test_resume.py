"""A client comes back on another socket: what it is told, what goes on, what ends."""

import pytest
import trio
from livekit.protocol import models, rtc

from tests.signalling.house import (
    WALL,
    Caller,
    House,
    InMemory,
    ask,
    kind_of,
    kinds,
    open_house,
    tables,
)
from trio_sfu.client.media import synthetic_vp8, vp8_payloads
from trio_sfu.client.participant import Participant as Client
from trio_sfu.client.signalling import SignallingClosed
from trio_sfu.client.tracks import LocalTrack
from trio_sfu.config import RoomConfig
from trio_sfu.peer.events import PeerState, StateChanged
from trio_sfu.room import changes
from trio_sfu.room.grants import Source
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.observe import ParticipantLeft
from trio_sfu.room.participant import Identity
from trio_sfu.signalling.session import MAX_RESPONSES

pytestmark = pytest.mark.virtual_time

Action = rtc.LeaveRequest.Action


async def test_the_answer_to_a_resume_comes_first_and_the_rest_in_order(house: House) -> None:
    alice = await house.attend("alice")
    await house.attend("bob")
    alice.hang_up()
    again = await house.resume("alice")
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
    again = await house.resume("alice")
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
    await house.resume("alice")
    await trio.sleep(4)
    assert await bob.hear() == []


async def test_the_old_socket_is_closed_and_what_it_still_says_is_done(house: House) -> None:
    alice = await house.attend("alice")
    again = await house.resume("alice")
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
            again = await house.resume("bob", "PA_bob")
        case "another sid":
            again = await house.resume("alice", "PA_another")
        case "gone":
            alice.say(leave=rtc.LeaveRequest())
            await alice.hear()
            again = await house.resume("alice", sid)
        case "another room":
            again = await house.resume("alice", sid, room="cellar")
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


@pytest.mark.parametrize("one_connection", [False, True])
async def test_media_flows_both_ways_all_through_a_resume(
    house: House, one_connection: bool
) -> None:
    alice, bob = [
        await house.visit(name, one_connection=one_connection) for name in ("alice", "bob")
    ]
    cameras = [await client.publish_video() for client in (alice, bob)]
    await trio.sleep(1)
    taken: dict[str, list[int]] = {}

    async def watch(client: Client, camera: LocalTrack) -> None:
        numbers = taken.setdefault(client.identity, [])
        while True:
            packets = await client.remote_tracks[camera.sid].receive()
            numbers += [packet.sequence for packet in packets]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, bob, cameras[0])
        nursery.start_soon(watch, alice, cameras[1])
        for camera in cameras:
            nursery.start_soon(film, camera, 6.0)
        await trio.sleep(2)
        connections = house.participant("alice").connections.values()
        before = [each.local for each in connections]
        alice.resume(InMemory(await house.resume("alice"), []))
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert len(before) == 2 - one_connection
    for connection, old in zip(connections, before, strict=True):
        assert connection.local != old
        assert connection.peer.ice.ufrags == {connection.local.ufrag}
    for numbers in taken.values():
        assert len(numbers) > 6 * 30
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def film(camera: LocalTrack, seconds: float) -> None:
    for number in range(int(30 * seconds)):
        camera.send(vp8_payloads(synthetic_vp8(2000, key=number == 0), number), 3000 * number)
        await trio.sleep(1 / 30)


# --- what was missed


async def test_who_left_while_the_client_was_away_is_told_as_gone(house: House) -> None:
    alice = await house.attend("alice")
    bob = await house.attend("bob")
    await trio.sleep(4)  # alice has been told of him
    alice.hang_up()
    bob.say(leave=rtc.LeaveRequest())
    await trio.sleep(1)
    (update,) = await (await house.resume("alice")).hear_of("update")
    assert {(each.identity, each.state) for each in update.participants} == {
        ("bob", models.ParticipantInfo.State.DISCONNECTED),
        ("alice", models.ParticipantInfo.State.ACTIVE),
    }


async def test_who_left_and_is_there_again_is_told_as_there(house: House) -> None:
    alice = await house.attend("alice")
    await house.attend("bob")
    alice.hang_up()
    await house.attend("bob")
    (update,) = await (await house.resume("alice")).hear_of("update")
    told = {each.identity: each for each in update.participants}
    assert len(update.participants) == 2
    assert told["bob"].sid == house.participant("bob").sid


async def test_nothing_is_told_twice_after_a_resume(house: House) -> None:
    alice = await house.attend("alice")
    bob = await house.attend("bob")
    await trio.sleep(4)
    alice.hang_up()
    await bob.publish("audio", "mic")
    again = await house.resume("alice")
    (offer,) = await again.hear_of("offer")
    assert len(offer.mid_to_track_id) == 1
    again.answer_to(offer)
    await trio.sleep(4)
    assert await again.hear_of("update") == []


async def test_a_hidden_participant_is_told_of_itself_only(house: House) -> None:
    spy = await house.attend("spy", hidden=True)
    alice = await house.attend("alice")
    for caller, expected in ((spy, {"alice", "spy"}), (alice, {"alice"})):
        caller.hang_up()
        (update,) = await (await house.resume(caller.identity)).hear_of("update")
        assert {each.identity for each in update.participants} == expected


async def test_what_was_announced_is_confirmed_again(house: House) -> None:
    alice = await house.attend("alice")
    alice.announce("audio", "mic")
    (first,) = await alice.hear_of("track_published")
    (second,) = await (await house.resume("alice")).hear_of("track_published")
    assert (second.cid, second.track.sid) == (first.cid, first.track.sid)


async def test_an_answer_to_a_request_waits_for_a_client_that_is_away(house: House) -> None:
    alice = await house.attend("alice", can_publish_sources=frozenset({Source.CAMERA}))
    alice.responses.close()
    alice.announce("audio", "mic")
    await trio.testing.wait_all_tasks_blocked()
    (refusal,) = await (await house.resume("alice")).hear_of("request_response")
    assert refusal.add_track.cid == "mic"


async def test_a_client_that_is_away_is_not_kept_for_ever_more_to_hear(house: House) -> None:
    alice = await house.attend("alice")
    alice.hang_up()
    for number in range(3 * MAX_RESPONSES):
        track = rtc.MuteTrackRequest(sid=f"TR_{number}", muted=True)
        house.participant("alice").listener.respond(rtc.SignalResponse(mute=track))
    again = await house.resume("alice")
    with trio.fail_after(5):
        assert len(await again.hear_of("mute")) <= MAX_RESPONSES


# --- what the client believes


async def test_a_client_that_publishes_what_we_know_goes_on(house: House) -> None:
    alice = await house.attend("alice")
    published = await alice.publish("audio", "mic")
    alice.announce("video", "cam")
    (announced,) = await alice.hear_of("track_published")
    again = await house.resume("alice")
    again.say(sync_state=sync(published, announced.track.sid))
    assert "leave" not in kinds(await again.hear())
    assert "alice" in house.room().participants


async def test_a_client_that_publishes_what_we_do_not_know_joins_anew(house: House) -> None:
    alice = await house.attend("alice")
    bob = await house.attend("bob")
    bobs = await bob.publish("audio", "mic")
    for sid in ("TR_unknown", bobs, ""):
        alice.hang_up()
        alice = await house.resume("alice")
        await alice.hear()
        alice.say(sync_state=sync(sid))
        (leave,) = await alice.hear_of("leave")
        assert leave.action == Action.RECONNECT
        assert leave.reason == models.DisconnectReason.STATE_MISMATCH
        alice = await house.attend("alice")


async def test_what_the_client_wants_to_hear_is_settled_again(house: House) -> None:
    alice = await house.attend("alice")
    bob = await house.attend("bob")
    sids = [await bob.publish("audio", "mic"), await bob.publish("video", "cam")]
    await trio.sleep(0.5)
    alice.hang_up()
    again = await house.resume("alice")
    state = rtc.SyncState(
        subscription=rtc.UpdateSubscription(track_sids=sids[:1], subscribe=False),
        track_sids_disabled=sids[1:],
    )
    again.say(sync_state=state)
    await trio.sleep(0.5)
    assert list(house.participant("alice").subscriptions) == sids[1:]
    assert house.participant("alice").choices.chosen(sids[1]).disabled


def sync(*sids: str) -> rtc.SyncState:
    tracks = [rtc.TrackPublishedResponse(track=models.TrackInfo(sid=sid)) for sid in sids]
    return rtc.SyncState(publish_tracks=tracks)


# --- races


async def test_the_last_of_two_resumes_is_spoken_on(house: House) -> None:
    await house.attend("alice")
    first, second = [await house.resume("alice") for _ in range(2)]
    assert kinds(await second.hear())[0] == "reconnect"
    await first.hear()
    with pytest.raises(trio.EndOfChannel):
        first.responses.receive_nowait()
    first.hang_up()
    second.say(leave=rtc.LeaveRequest())
    await trio.testing.wait_all_tasks_blocked()
    assert house.room().participants == {}


async def test_a_resume_that_meets_the_end_joins_anew(house: House) -> None:
    await house.attend("alice")
    sid = house.participant("alice").sid
    house.participant("alice").leave(LeaveReason.PARTICIPANT_REMOVED)
    again = await house.resume("alice", sid)  # before the others have had a turn
    (leave,) = await again.hear_of("leave")
    assert leave.action == Action.RECONNECT
    assert house.room().participants == {}


async def test_somebody_who_comes_back_is_taken_over_by_a_new_join(house: House) -> None:
    alice = await house.attend("alice")
    sid = house.participant("alice").sid
    alice.hang_up()
    await house.attend("alice")
    old = await house.resume("alice", sid)
    (leave,) = await old.hear_of("leave")
    assert leave.action == Action.RECONNECT
    assert house.participant("alice").sid != sid


async def test_a_client_that_reads_nothing_does_not_hold_up_its_own_resume(house: House) -> None:
    deaf = Caller(responses=1)
    await house.signalling.connect(ask("alice"), deaf.requests_out, deaf.responses_in)
    await trio.testing.wait_all_tasks_blocked()  # Join fills the channel
    await house.activate("alice")
    again = await house.resume("alice")
    assert kinds(await again.hear())[0] == "reconnect"


@pytest.mark.parametrize("steps", range(12))
async def test_whenever_a_resume_is_cut_off_the_tables_are_right(house: House, steps: int) -> None:
    """The resume, the loss of its socket, the end: so many turns of the loop after another."""
    alice = await house.attend("alice")
    bob = await house.attend("bob")
    await alice.publish("audio", "mic")
    await trio.testing.wait_all_tasks_blocked()
    alice.hang_up()
    for _ in range(steps % 4):
        await trio.lowlevel.checkpoint()
    again = await house.resume("alice")
    for _ in range(steps // 4):
        await trio.lowlevel.checkpoint()
    again.hang_up()
    await trio.testing.wait_all_tasks_blocked()
    assert set(tables(house)["kitchen"]) == {"alice", "bob"}
    assert len(tables(house)["kitchen"]["bob"]["subscriptions"]) == 1
    last = await house.resume("alice")
    for _ in range(steps % 3):
        await trio.lowlevel.checkpoint()
    house.participant("alice").leave(LeaveReason.PARTICIPANT_REMOVED)
    await trio.testing.wait_all_tasks_blocked()
    (leave,) = await last.hear_of("leave")
    assert leave.reason == models.DisconnectReason.PARTICIPANT_REMOVED
    assert tables(house)["kitchen"] == {
        "bob": {"tracks": [], "subscriptions": [], "subscribers": {}, "sections": []}
    }
    assert await bob.hear() != []


# --- a connection that fails


async def test_a_client_whose_connection_failed_has_five_seconds_to_resume(house: House) -> None:
    heard: list[rtc.SignalResponse] = []
    alice = await house.visit("alice", heard=heard)
    await alice.connected.wait()
    house.switch.cut |= {each for each in house.switch.sockets if each[0].startswith("198.51")}
    await trio.sleep(16)
    assert heard[-1].leave.action == Action.RESUME
    assert heard[-1].leave.reason == models.DisconnectReason.CONNECTION_TIMEOUT
    assert "alice" in house.room().participants
    await trio.sleep(5)
    assert house.room().participants == {}


async def test_a_client_whose_connections_both_failed_is_told_once(house: House) -> None:
    alice = await house.attend("alice")
    for connection in house.participant("alice").connections.values():
        connection.state = PeerState.FAILED
        house.participant("alice").hear(connection, StateChanged(PeerState.FAILED, "on purpose"))
    (leave,) = await alice.hear_of("leave")
    assert leave.action == Action.RESUME


class Patient(InMemory):
    """Its end is not the client's, who comes back."""

    def __init__(self, caller: Caller, heard: list[rtc.SignalResponse]) -> None:
        super().__init__(caller, heard)
        self.over = trio.Event()

    async def receive(self) -> rtc.SignalResponse:
        try:
            return await super().receive()
        except SignallingClosed:
            await self.over.wait()
            raise


async def test_who_is_away_when_its_connection_fails_has_five_seconds_too(house: House) -> None:
    alice = await house.visit("alice")
    await alice.connected.wait()
    patient = Patient(await house.resume("alice"), [])
    alice.resume(patient)
    await trio.sleep(1)
    patient.caller.hang_up()
    house.switch.cut |= {each for each in house.switch.sockets if each[0].startswith("198.51")}
    await trio.sleep(17)
    assert "alice" in house.room().participants
    await trio.sleep(5)
    assert house.room().participants == {}


@pytest.mark.parametrize("one_connection", [False, True])
async def test_who_comes_back_and_does_not_mend_its_connection_is_given_up(
    house: House, one_connection: bool
) -> None:
    alice = await house.visit("alice", one_connection=one_connection)
    await alice.connected.wait()
    patient = Patient(await house.resume("alice"), [])
    alice.resume(patient)
    await trio.sleep(1)
    house.switch.cut |= {each for each in house.switch.sockets if each[0].startswith("198.51")}
    await trio.sleep(17)
    again = await house.resume("alice")
    with trio.fail_after(45):
        while house.room().participants:  # noqa: ASYNC110 - of another task's
            await trio.sleep(0.1)
    assert "leave" in kinds(await again.hear())


@pytest.mark.parametrize("one_connection", [False, True])
async def test_a_connection_that_failed_is_mended_by_a_resume(
    house: House, one_connection: bool
) -> None:
    heard: list[rtc.SignalResponse] = []
    alice = await house.visit("alice", one_connection=one_connection)
    await alice.connected.wait()
    patient = Patient(await house.resume("alice"), heard)
    alice.resume(patient)
    await trio.sleep(1)
    cables = {each for each in house.switch.sockets if each[0].startswith("198.51")}
    house.switch.cut |= cables
    while not any(kind_of(each) == "leave" for each in heard):  # noqa: ASYNC110 - of another task's
        await trio.sleep(0.1)
    house.switch.cut -= cables
    alice.resume(InMemory(await house.resume("alice"), []))
    patient.over.set()
    await trio.sleep(30)
    assert house.participant("alice").downlink.state is PeerState.CONNECTED


# --- the token


async def test_a_new_token_comes_after_join_every_five_minutes_and_with_each_change(
    nursery: trio.Nursery,
) -> None:
    signed: list[tuple[str, str, float]] = []

    def sign(who: Identity, room: str, seconds: float) -> str:
        signed.append((who.identity, who.name or room, seconds))
        return f"token {len(signed)}"

    house = await open_house(nursery, RoomConfig(join_timeout=10_000), sign=sign)
    alice = await house.knock("alice", can_subscribe=False, token_expires=WALL + 3600)
    told = await alice.hear()
    assert kinds(told)[0] == "join"
    assert [each.refresh_token for each in told if kind_of(each) == "refresh_token"] == ["token 1"]
    await trio.sleep(301)
    assert await alice.hear_of("refresh_token") == ["token 2"]
    changes.describe(house.room(), house.participant("alice"), changes.Change(name="Alice"))
    assert await alice.hear_of("refresh_token") == ["token 3"]
    await trio.sleep(3600)
    assert [name for _, name, _ in signed[:3]] == ["kitchen", "kitchen", "Alice"]
    lasting = [round(seconds) for *_, seconds in signed]
    assert lasting[:2] == [3600, 3300]
    assert lasting[-1] == 600


async def test_a_new_token_comes_with_a_resume(nursery: trio.Nursery) -> None:
    house = await open_house(nursery, sign=lambda *_: "another")
    await house.attend("alice")
    again = await house.resume("alice")
    assert "refresh_token" in kinds(await again.hear())
