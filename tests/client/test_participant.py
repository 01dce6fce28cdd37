"""Our own client against our own server, over real loopback sockets."""

import time
from functools import partial

import attrs
import pytest
import trio
from livekit.protocol import models

from trio_sfu.api import tokens
from trio_sfu.api.server import serve
from trio_sfu.client.events import (
    DataPacketReceived,
    Left,
    ParticipantsChanged,
    TrackEnded,
    TrackSubscribed,
)
from trio_sfu.client.media import SILENCE, synthetic_vp8, vp8_payloads
from trio_sfu.client.participant import Participant, RequestRefused, run_participant
from trio_sfu.client.signalling import SignallingRefused
from trio_sfu.config import Config, RtcConfig
from trio_sfu.room.grants import Grants

CONFIG = attrs.evolve(
    Config.dev(),
    port=0,
    bind_addresses=("127.0.0.1",),
    rtc=RtcConfig(udp_ports=(0,), node_ip="127.0.0.1"),
)


def token(identity: str, **grants: object) -> str:
    claims = tokens.Claims(
        identity=identity, grants=Grants(room="kitchen", room_join=True, **grants)
    )
    return tokens.sign(claims, "devkey", "secret", time.time())


@pytest.fixture
async def url(nursery: trio.Nursery) -> str:
    running = await nursery.start(serve, CONFIG)
    return running.urls[0].replace("http", "ws")


async def join(nursery: trio.Nursery, url: str, identity: str, **grants: object) -> Participant:
    start = partial(run_participant, url, token(identity, **grants), host="127.0.0.1")
    participant: Participant = await nursery.start(start)
    return participant


async def event_of(participant: Participant, kind: type) -> object:
    with trio.fail_after(30):
        async for event in participant.events:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__} came")


async def test_what_one_publishes_the_other_hears(nursery: trio.Nursery, url: str) -> None:
    alice = await join(nursery, url, "alice")
    bob = await join(nursery, url, "bob")
    camera = await alice.publish_video()
    heard = await event_of(bob, TrackSubscribed)
    assert isinstance(heard, TrackSubscribed)
    assert (heard.track.sid, heard.track.participant_sid) == (camera.sid, alice.sid)
    await bob.connected.wait()
    with trio.fail_after(30):
        while not camera.key_frame_wanted.is_set():
            camera.send(vp8_payloads(synthetic_vp8(100, key=False), 0), 0)
            await trio.sleep(0.02)
    camera.send(vp8_payloads(synthetic_vp8(5000, key=True), 1), 0)
    with trio.fail_after(30):
        packets = await heard.track.receive()
    assert packets[0].frame.key_frame
    microphone = await alice.publish_audio()
    voice = await event_of(bob, TrackSubscribed)
    with trio.fail_after(30):
        while voice.track.received == 0:
            microphone.send([SILENCE], 960 * microphone.packets)
            await trio.sleep(0.02)
    alice.unpublish(microphone)
    ended = await event_of(bob, TrackEnded)
    assert ended.track.sid == microphone.sid


async def test_data_is_stamped_with_its_sender(nursery: trio.Nursery, url: str) -> None:
    alice, bob = [await join(nursery, url, name) for name in ("alice", "bob")]
    with trio.fail_after(30):
        await bob.connected.wait()
        await alice.send_data(b"hello", topic="chat")
    packet = (await event_of(bob, DataPacketReceived)).packet
    assert (packet.participant_identity, packet.user.payload) == ("alice", b"hello")
    assert packet.kind == models.DataPacket.Kind.RELIABLE


async def test_leaving_is_seen_by_the_others(nursery: trio.Nursery, url: str) -> None:
    alice, bob = [await join(nursery, url, name) for name in ("alice", "bob")]
    with trio.fail_after(30):
        await bob.publish_audio()  # of mere listeners one hears later
        bob.leave()
        async for event in alice.events:
            if isinstance(event, ParticipantsChanged) and (
                event.participants[0].state == models.ParticipantInfo.State.DISCONNECTED
            ):
                break
    assert alice.others == {}


async def test_a_server_that_stops_says_so(nursery: trio.Nursery) -> None:
    async with trio.open_nursery() as server:
        running = await server.start(serve, CONFIG)
        alice = await join(nursery, running.urls[0].replace("http", "ws"), "alice")
        with trio.fail_after(30):
            await alice.connected.wait()  # who is cut off in mid-word hears nothing more
        server.cancel_scope.cancel()
    with trio.fail_after(30):
        lefts = [event async for event in alice.events if isinstance(event, Left)]
    assert [each.leave.reason for each in lefts] == [models.DisconnectReason.SERVER_SHUTDOWN]


async def test_a_track_that_may_not_be_published_is_refused(
    nursery: trio.Nursery, url: str
) -> None:
    alice = await join(nursery, url, "alice", can_publish=False)
    with trio.fail_after(30), pytest.raises(RequestRefused, match="NOT_ALLOWED"):
        await alice.publish_video()


async def test_a_token_for_nothing_is_refused_with_a_reason(
    nursery: trio.Nursery, url: str
) -> None:
    with pytest.raises(SignallingRefused, match="401: invalid"):
        await run_participant(url, "not a token", host="127.0.0.1")


async def test_who_stops_the_server_tells_everybody_why(nursery: trio.Nursery) -> None:
    running = await nursery.start(serve, CONFIG)
    alice = await join(nursery, running.urls[0].replace("http", "ws"), "alice")
    running.stop()
    left = await event_of(alice, Left)
    assert left.leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
