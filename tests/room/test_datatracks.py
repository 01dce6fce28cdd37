"""Data tracks in a room: who hears which, by which handle, and how frames get there."""

from collections.abc import Callable

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import rtc

from tests.signalling.house import House
from trio_sfu.client.events import DataHandles, FrameReceived
from trio_sfu.client.participant import Participant as Client
from trio_sfu.peer.events import SendData
from trio_sfu.room import changes, datatracks
from trio_sfu.room.data import DATA_TRACK
from trio_sfu.room.datatracks import MAX_WANTED, DataTrack, DataTrackInfo, Tracks
from trio_sfu.room.frames import Frame
from trio_sfu.room.participant import Participant

pytestmark = pytest.mark.virtual_time


def publish(house: House, name: str, handle: int = 1) -> DataTrack:
    info = DataTrackInfo(sid=f"DTR_{name}{handle}", handle=handle, name=f"{name}'s {handle}")
    track = DataTrack(info, house.participant(name))
    datatracks.publish(house.room(), track)
    return track


def choose(house: House, name: str, *sids: str, wanted: bool = True) -> None:
    datatracks.choose(house.room(), house.participant(name), dict.fromkeys(sids, wanted))


def heard(house: House, name: str) -> list[str]:
    return list(house.participant(name).data_tracks.heard)


def rights(house: House, name: str, **fields: object) -> None:
    participant = house.participant(name)
    grants = attrs.evolve(participant.who.grants, **fields)
    changes.permit(house.room(), participant, grants)


async def test_a_track_is_heard_by_those_who_asked(house: House) -> None:
    for name in ("alice", "bob", "carol"):
        await house.attend(name)
    track = publish(house, "alice")
    assert heard(house, "bob") == []
    choose(house, "bob", track.info.sid)
    choose(house, "alice", track.info.sid)  # one's own is not heard
    assert [heard(house, name) for name in ("alice", "bob", "carol")] == [[], ["DTR_alice1"], []]
    choose(house, "bob", track.info.sid, wanted=False)
    assert heard(house, "bob") == []
    assert track.subscriptions == {}


async def test_who_joined_for_all_hears_all(house: House) -> None:
    await house.attend("alice")
    first = publish(house, "alice")
    await house.attend("bob", auto_subscribe_data_track=True)
    second = publish(house, "alice", 2)
    assert heard(house, "bob") == [first.info.sid, second.info.sid]


async def test_a_track_may_be_asked_for_before_it_is_there(house: House) -> None:
    for name in ("alice", "bob"):
        await house.attend(name)
    choose(house, "bob", "DTR_alice1")
    assert heard(house, "bob") == []
    publish(house, "alice")
    assert heard(house, "bob") == ["DTR_alice1"]


async def test_a_track_that_ends_is_heard_by_nobody(house: House) -> None:
    for name in ("alice", "bob"):
        await house.attend(name)
    track = publish(house, "alice")
    choose(house, "bob", track.info.sid)
    datatracks.unpublish(house.room(), track)
    datatracks.unpublish(house.room(), track)
    assert heard(house, "bob") == []
    assert not house.participant("bob").data_tracks.wanted
    assert not house.room().data_tracks


async def test_who_may_publish_no_data_any_more_has_no_data_tracks(house: House) -> None:
    for name in ("alice", "bob"):
        await house.attend(name)
    track = publish(house, "alice")
    choose(house, "bob", track.info.sid)
    rights(house, "alice", can_publish_data=False)
    assert heard(house, "bob") == []
    assert not house.room().data_tracks


async def test_who_may_not_hear_hears_again_when_they_may(house: House) -> None:
    for name in ("alice", "bob"):
        await house.attend(name)
    track = publish(house, "alice")
    rights(house, "bob", can_subscribe=False)
    choose(house, "bob", track.info.sid)
    assert heard(house, "bob") == []
    rights(house, "bob", can_subscribe=True)
    assert heard(house, "bob") == [track.info.sid]
    rights(house, "bob", can_subscribe=False)
    assert heard(house, "bob") == []


async def test_who_leaves_takes_their_tracks_along(house: House) -> None:
    alice = await house.attend("alice")
    bob = await house.attend("bob")
    track, other = publish(house, "alice"), publish(house, "bob")
    choose(house, "bob", track.info.sid)
    choose(house, "alice", other.info.sid)
    alice.say(leave=rtc.LeaveRequest())
    await bob.hear()
    assert heard(house, "bob") == []
    assert other.subscriptions == {}
    assert list(house.room().data_tracks) == [other.info.sid]


async def test_wishes_are_limited(house: House) -> None:
    await house.attend("bob")
    choose(house, "bob", *map(str, range(MAX_WANTED + 10)))
    assert len(house.participant("bob").data_tracks.wanted) == MAX_WANTED


async def test_a_frame_leaves_under_the_subscribers_handle(house: House) -> None:
    for name in ("alice", "bob"):
        await house.attend(name)
    track = publish(house, "alice", 7)
    choose(house, "bob", track.info.sid)
    bob = house.participant("bob")
    bob.downlink.mailbox.take_wishes()
    frame = Frame(handle=7, payload=b"hello", sequence=3, number=2, timestamp=1)
    house.participant("alice").data_tracks.hear(frame.encode())
    (wish,) = [w for w in bob.downlink.mailbox.take_wishes() if isinstance(w, SendData)]
    expected = attrs.evolve(frame, handle=track.subscriptions[bob.sid].handle)
    assert (wish.label, Frame.decode(wish.data)) == (DATA_TRACK, expected)


async def test_frames_of_no_track_are_counted(house: House) -> None:
    await house.attend("alice")
    tracks = house.participant("alice").data_tracks
    publish(house, "alice", 7)
    tracks.hear(Frame(handle=8, payload=b"").encode())
    tracks.hear(b"short")
    assert tracks.ignored == 2


@given(st.integers(0, 255), st.lists(st.booleans(), max_size=60), st.randoms())
def test_handles_never_meet(first: int, steps: list[bool], dice: object) -> None:
    """Whatever is subscribed to and given up; also when the numbers begin again."""
    tracks = Tracks(first)
    track = DataTrack(DataTrackInfo(sid="DTR_", handle=1, name="x"), None)
    for number, more in enumerate(steps):
        if more or not tracks.heard:
            handle = tracks.take_handle()
            assert 0 < handle <= 0xFFFF
            assert handle not in {each.handle for each in tracks.heard.values()}
            tracks.heard[str(number)] = datatracks.DataSubscription(track, None, handle)
        else:
            del tracks.heard[dice.choice(sorted(tracks.heard))]


def test_handles_begin_again_after_the_last_and_pass_over_those_in_use() -> None:
    tracks = Tracks(0)
    track = DataTrack(DataTrackInfo(sid="DTR_", handle=1, name="x"), None)
    tracks.heard["a"] = datatracks.DataSubscription(track, None, tracks.take_handle())
    handles = [tracks.take_handle() for _ in range(0xFFFF)]
    assert handles[:1] == [2]
    assert handles[-2:] == [0xFFFF, 2]


# --- in a whole call


async def next_of(client: Client, kind: type, seconds: float = 5.0) -> object:
    with trio.fail_after(seconds):
        async for event in client.events:
            if isinstance(event, kind):
                return event
    raise AssertionError("gone")


async def pair(house: House) -> tuple[Client, Client, Callable[[int, bytes], object]]:
    alice = await house.visit("alice")
    bob = await house.visit("bob", auto_subscribe_data_track=True)
    await bob.connected.wait()
    request = rtc.PublishDataTrackRequest(pub_handle=7, name="sensor")
    alice.request(rtc.SignalRequest(publish_data_track_request=request))
    heard = await next_of(bob, DataHandles)
    ((handle, sid),) = heard.tracks.items()
    assert sid.startswith("DTR_")

    async def send(number: int, payload: bytes) -> None:
        await alice.send_frame(Frame(handle=7, payload=payload, sequence=number).encode())

    return bob, handle, send


async def test_frames_arrive(house: House) -> None:
    bob, handle, send = await pair(house)
    for number in range(10):
        await send(number, b"x" * number)
        frame = Frame.decode((await next_of(bob, FrameReceived)).data)
        assert (frame.handle, frame.sequence, frame.payload) == (handle, number, b"x" * number)


async def test_on_a_slow_link_frames_are_late_or_never(house: House) -> None:
    """Four hundred frames at fifty a second: what comes is no older than a second."""
    bob, _, send = await pair(house)
    await trio.sleep(1)
    house.switch.throttle("198.51.100.2", 400_000)
    sent, delays = {}, list[float]()

    async def count() -> None:
        while True:
            frame = Frame.decode((await next_of(bob, FrameReceived, 60)).data)
            delays.append(trio.current_time() - sent[frame.sequence])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        for number in range(400):
            sent[number] = trio.current_time()
            await send(number, bytes(5_000))  # 2 Mbit/s
            await trio.sleep(0.02)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    participant: Participant = house.participant("bob")
    assert participant.downlink.peer.drops["data that would come too late"] > 200
    assert len(delays) > 30
    assert max(delays) < 1.0
