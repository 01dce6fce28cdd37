"""Who is in which table, whoever is cancelled when."""

import itertools
from collections.abc import Callable, MutableMapping
from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.signalling.house import Caller, House, ask, open_house, sending, tables
from trio_sfu.client.events import Left
from trio_sfu.client.participant import Participant as Client
from trio_sfu.config import RoomConfig
from trio_sfu.peer.events import RestartIce
from trio_sfu.room.info import LeaveReason, ParticipantState
from trio_sfu.room.room import RoomClosed

pytestmark = pytest.mark.virtual_time

Lines = list[MutableMapping[str, object]]


# --- the tables


async def strike(blow: Callable[[], object], checkpoints: int) -> None:
    for _ in range(checkpoints):
        await trio.lowlevel.checkpoint()
    blow()


def blow_of(struck: str, house: House, caller: trio.CancelScope) -> Callable[[], object]:
    def participant() -> None:
        if (bob := house.room().participants.get("bob")) is not None:
            bob.leave(LeaveReason.PARTICIPANT_REMOVED)

    return {
        "caller": caller.cancel,
        "participant": participant,
        "room": lambda: house.room().close(),
        "server": house.nursery.cancel_scope.cancel,
    }[struck]


@pytest.mark.slow
@pytest.mark.parametrize("struck", ["caller", "participant", "room", "server"])
async def test_cancelling_at_any_checkpoint_leaves_the_tables_right(
    struck: str, log_lines: Lines
) -> None:
    """Bob joins, is heard and hears; the blow falls one checkpoint later each time.

    Trio shuffles the tasks that are ready, hence several times each.
    """
    ends: set[str] = set()
    for checkpoints, _ in itertools.product(range(24), range(4)):
        async with trio.open_nursery() as nursery:
            house = await open_house(nursery)
            alice = await house.attend("alice")
            hers = await alice.publish("audio", "alice's")
            bob = Caller()
            with trio.CancelScope() as caller:
                blow = blow_of(struck, house, caller)
                nursery.start_soon(strike, blow, checkpoints)
                await house.signalling.connect(ask("bob"), bob.requests_out, bob.responses_in)
                ends.add("in")
                bob.told_in = True
                with suppress(trio.BrokenResourceError):  # the room has ended already
                    bob.announce("video", "bob's")
                    bob.sendings["bob's"] = sending("video", "bob's")
                    bob.offer()
                await wait_all_tasks_blocked()
            await wait_all_tasks_blocked()
            found = tables(house)
            if struck in ("room", "server"):
                # A room that closed before he came made way for another.
                assert found in ({}, {"kitchen": {"bob": found.get("kitchen", {}).get("bob")}})
                assert struck == "room" or found == {}
            else:
                assert_right(house, hers, bob_is_in="bob" in found["kitchen"])
                if struck == "participant":
                    ends.add("gone" if "bob" not in found["kitchen"] else "stayed")
            # Whoever was told that he is in, is in, or was told that he is out.
            assert_nothing_left(house, bob)
            nursery.cancel_scope.cancel()
        assert tables(house) == {}
        assert house.switch.sockets  # only the server's own
        await alice.hear()
    assert "in" in ends
    if struck == "participant":
        assert {"gone", "stayed"} <= ends
    assert [line for line in log_lines if line["event"] == "crashed and was removed"] == []


def assert_right(house: House, hers: str, *, bob_is_in: bool) -> None:
    room = house.room()
    assert set(room.participants) == {"alice", "bob"} if bob_is_in else {"alice"}
    alice = room.participants["alice"]
    everyone = {each.sid for each in room.participants.values()}
    for each in room.participants.values():
        for track in each.tracks.values():
            assert set(track.subscriptions) <= everyone - {each.sid}
            assert track.connection.tracks[track.info.mid] is track
        for sid, subscription in each.subscriptions.items():
            assert subscription.track.sid == sid
            assert subscription.track.subscriptions[each.sid] is subscription
            assert subscription.track.publisher.tracks[sid] is subscription.track
        for connection in each.connections.values():
            for track in connection.tracks.values():
                assert each.tracks[track.sid] is track
    assert set(alice.tracks) == {hers}
    if bob_is_in:
        bob = room.participants["bob"]
        assert set(bob.subscriptions) == {hers}
        assert set(alice.subscriptions) == set(bob.tracks)
    else:
        assert alice.subscriptions == {}
        assert alice.tracks[hers].subscriptions == {}


def assert_nothing_left(house: House, bob: Caller) -> None:
    """No mailbox of somebody who is gone, and no channel that nobody will close."""
    here = [each for room in house.rooms.values() for each in room.participants.values()]
    assert house.endpoint.statistics().mailboxes == sum(len(each.connections) for each in here)
    if "bob" not in [each.identity for each in here]:
        assert bob.responses.statistics().open_send_channels == 0 or not bob.told_in


# --- coming and going


async def test_a_room_that_is_closed_lets_nobody_in(house: House) -> None:
    await house.enter("alice")
    room = house.room()
    participant = house.participant("alice")
    room.close()
    for _ in ("closing", "closed"):
        with pytest.raises(RoomClosed):
            await room.join(participant, _live)
        await wait_all_tasks_blocked()
    assert room.participants == {}


async def _live(participant: object) -> None:
    raise AssertionError("nobody gets in")


async def test_who_joins_while_a_room_closes_gets_a_new_one_of_that_name(house: House) -> None:
    await house.enter("alice")
    old = house.room()
    old.close()
    await house.enter("bob")
    assert house.room() is not old
    assert list(house.room().participants) == ["bob"]
    assert house.room().sid != old.sid


async def test_a_bug_removes_one_participant_and_the_call_beside_it_goes_on(
    house: House, log_lines: Lines
) -> None:
    alice, _, carol = [await house.visit(name) for name in ("alice", "bob", "carol")]
    voice = await alice.publish_audio()
    await hear_from(carol, voice)
    # A bug of ours, as his connection's task sees it: a wish that makes no sense.
    house.participant("bob").uplink.mailbox.wish(RestartIce(None))
    await wait_all_tasks_blocked()
    assert list(house.room().participants) == ["alice", "carol"]
    crashes = [line for line in log_lines if line["event"] == "crashed and was removed"]
    assert [line["what"] for line in crashes] == ["bob"]
    assert isinstance(crashes[0]["exc_info"], Exception)
    await hear_from(carol, voice)
    await house.visit("dave")
    assert list(house.room().participants) == ["alice", "carol", "dave"]


async def hear_from(listener: Client, voice: object) -> None:
    """Returns when *listener* hears something new of *voice*."""
    with trio.fail_after(30):
        while voice.sid not in listener.remote_tracks:  # noqa: ASYNC110 - of another task's
            await trio.sleep(0.1)
        track = listener.remote_tracks[voice.sid]
        before = track.received
        while track.received == before:
            voice.send([b"\xf8\xff\xfe"], 960 * voice.packets)
            await trio.sleep(0.02)


async def test_states_only_go_forward(house: House) -> None:
    await house.enter("alice")
    alice = house.participant("alice")
    assert alice.state is ParticipantState.JOINED
    assert not alice.advance(ParticipantState.JOINING)
    await house.activate("alice")
    await house.activate("alice")
    assert not alice.advance(ParticipantState.JOINED)
    assert alice.state is ParticipantState.ACTIVE
    alice.leave(LeaveReason.PARTICIPANT_REMOVED)
    await wait_all_tasks_blocked()
    assert not alice.advance(ParticipantState.ACTIVE)
    assert alice.state is ParticipantState.DISCONNECTED


# --- how a room ends by itself

SHORT = RoomConfig(empty_timeout=30, departure_timeout=20)


@pytest.fixture
async def short(nursery: trio.Nursery) -> House:
    return await open_house(nursery, SHORT)


async def test_a_room_that_nobody_joins_closes_after_a_while(short: House) -> None:
    await short.node.open("kitchen")
    await trio.sleep(29)
    assert "kitchen" in short.rooms
    await trio.sleep(2)
    assert short.rooms == {}


async def test_a_room_closes_some_time_after_the_last_one_left(short: House) -> None:
    alice = await short.visit("alice")
    await trio.sleep(100)
    alice.leave()
    await trio.sleep(19)
    assert "kitchen" in short.rooms
    await trio.sleep(2)
    assert short.rooms == {}


async def test_who_comes_back_in_time_finds_the_same_room(short: House) -> None:
    alice = await short.visit("alice")
    room = short.room()
    alice.leave()
    await trio.sleep(19)
    await short.visit("alice")
    await trio.sleep(100)
    assert short.room() is room


async def test_an_agent_does_not_keep_a_room_open(short: House) -> None:
    alice = await short.visit("alice")
    robot = await short.visit("robot", agent=True)
    await trio.sleep(30)
    alice.leave()
    await trio.sleep(21)
    assert short.rooms == {}
    (left,) = [event async for event in robot.events if isinstance(event, Left)]
    assert left.leave.reason == LeaveReason.ROOM_CLOSED.value


async def test_an_agent_that_comes_first_does_not_hurry_the_end(short: House) -> None:
    await short.node.open("kitchen")
    await trio.sleep(5)
    await short.visit("robot", agent=True)
    await trio.sleep(24)
    assert "kitchen" in short.rooms  # thirty seconds since it began, not twenty
    await trio.sleep(2)
    assert short.rooms == {}


# --- who hears whom


async def test_tracks_are_subscribed_to_by_those_who_are_active_and_want_to(
    house: House,
) -> None:
    for name, options in {
        "eager": {},
        "picky": {"auto_subscribe": False},
        "deaf": {"can_subscribe": False},
        "slow": {},
    }.items():
        await house.enter(name, **options)
        if name != "slow":
            await house.activate(name)
    alice = await house.enter("alice")
    sid = await alice.publish("audio", "cid")
    subscribers = house.participant("alice").tracks[sid].subscriptions
    assert set(subscribers) == {house.participant("eager").sid}
    await house.activate("slow")
    assert set(subscribers) == {house.participant(name).sid for name in ("eager", "slow")}


async def test_speakers_are_told_to_those_who_hear_them_and_to_themselves(house: House) -> None:
    alice, bob = await house.enter("alice"), await house.enter("bob")
    carol = await house.enter("carol", auto_subscribe=False)
    for name in ("alice", "bob", "carol"):
        await house.activate(name)
    sid = await alice.publish("audio", "cid")
    people = {"alice": alice, "bob": bob, "carol": carol}
    for each in people.values():
        await each.hear()
    await speak(house, "alice", sid)
    heard = {name: await each.hear_of("speakers_changed") for name, each in people.items()}
    assert heard.pop("carol") == []
    for (
        first,
        *_,
    ) in heard.values():
        (speaker,) = first.speakers
        assert (speaker.sid, speaker.active) == (house.participant("alice").sid, True)
        assert 0 < speaker.level <= 1


async def test_who_begins_to_listen_hears_who_speaks_and_who_ends_hears_silence(
    house: House,
) -> None:
    alice = await house.enter("alice")
    sid = await alice.publish("audio", "cid")
    await speak(house, "alice", sid)
    bob = await house.knock("bob")
    await bob.answer()
    (changed,) = await bob.hear_of("speakers_changed")
    assert [(each.sid, each.active) for each in changed.speakers] == [
        (house.participant("alice").sid, True)
    ]
    room = house.room()
    room.detach(house.participant("bob").subscriptions[sid])
    (changed,) = await bob.hear_of("speakers_changed")
    assert [(each.active, each.level) for each in changed.speakers] == [(False, 0.0)]


async def test_who_is_muted_falls_silent(house: House) -> None:
    alice = await house.enter("alice")
    sid = await alice.publish("audio", "cid")
    await speak(house, "alice", sid)
    await alice.hear()
    house.room().mute(house.participant("alice").tracks[sid], muted=True)
    await trio.sleep(2 * house.room().speakers.interval)
    (changed,) = await alice.hear_of("speakers_changed")
    assert [each.active for each in changed.speakers] == [False]


async def speak(house: House, identity: str, track: str) -> None:
    """As if loud packets came for a second and a half; ends while it still speaks."""
    speakers, sid = house.room().speakers, house.participant(identity).sid
    for number in range(75):
        speakers.observe(sid, track, 10, 960 * number, trio.current_time())
        await trio.sleep(0.02)


async def test_a_call_over_a_bad_network_still_ends_right(nursery: trio.Nursery) -> None:
    house = await open_house(nursery)
    house.switch.loss = 0.1
    alice, bob = [await house.visit(name) for name in ("alice", "bob")]
    voice = await alice.publish_audio()
    await hear_from(bob, voice)
    bob.leave()
    await trio.sleep(1)
    assert list(tables(house)["kitchen"]) == ["alice"]
    assert house.participant("alice").tracks[voice.sid].subscriptions == {}


async def test_a_client_whose_cable_is_pulled_is_gone_within_half_a_minute(
    house: House,
) -> None:
    alice, bob = [await house.visit(name) for name in ("alice", "bob")]
    voice = await bob.publish_audio()
    await hear_from(alice, voice)
    for address in [each for each in house.switch.sockets if each[0] == "198.51.100.2"]:
        house.switch.cut.add(address)
    started = trio.current_time()
    with trio.fail_after(30):
        while "bob" in house.room().participants:  # noqa: ASYNC110 - a table, not an event
            await trio.sleep(0.1)
    assert trio.current_time() - started > 5
    assert house.participant("alice").subscriptions == {}
    assert voice.sid not in alice.remote_tracks or (await trio.sleep(1)) is None
    assert voice.sid not in alice.remote_tracks
