"""The fan-out, and what a track knows of its layers."""

import attrs
import pytest
import trio
import trio.lowlevel
from livekit.protocol import models

from tests.signalling.house import Caller, House, sending
from trio_sfu.client.media import DELTA_FRAME, KEY_FRAME
from trio_sfu.peer.events import RequestKeyFrame
from trio_sfu.peer.media import StreamKey
from trio_sfu.room.info import Quality, TrackSettings
from trio_sfu.room.subscription import VIDEO_QUEUE, Subscription
from trio_sfu.room.track import PublishedTrack
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.payload import describer

pytestmark = pytest.mark.virtual_time

RIDS = ("q", "h", "f")


async def published(house: House, rids: tuple[str, ...] = (), layers: int = 3) -> PublishedTrack:
    alice = await house.enter("alice")
    wanted = [models.VideoLayer(quality=each, height=180 << each) for each in range(layers)]
    alice.announce("video", "cid", layers=wanted)
    ssrc = None if rids else 7
    alice.sendings["cid"] = sending("video", "cid", ssrc=ssrc, rids=rids)
    await alice.renegotiate()
    (track,) = house.participant("alice").tracks.values()
    track.connection.mailbox.take_wishes()
    return track


async def subscribed(house: House, name: str, **options: object) -> tuple[Caller, Subscription]:
    caller = await house.attend(name, **options)
    (subscription,) = house.participant(name).subscriptions.values()
    return caller, subscription


def picture(number: int, *, key: bool = False) -> RtpPacket:
    payload = bytes((0x90, 0x80)) + (0x8000 | number).to_bytes(2, "big")
    payload += KEY_FRAME if key else DELTA_FRAME
    packet = RtpPacket(96, True, number, 3000 * number, 7, {}, payload)
    packet.frame, packet.index = describer("video/VP8")(payload), number
    return packet


def forward(house: House, track: PublishedTrack, rid: str, *packets: RtpPacket) -> None:
    now = trio.current_time()
    track.forward(StreamKey(track.info.mid, rid), list(packets), house.room().speakers, now)


def asked(track: PublishedTrack) -> list[str]:
    """The rids of which a key frame was asked for since the last call."""
    wishes = track.connection.mailbox.take_wishes()
    return [each.stream.rid for each in wishes if isinstance(each, RequestKeyFrame)]


async def test_all_subscribers_get_the_same_packets_renumbered_for_each(house: House) -> None:
    track = await published(house)
    subscriptions = [(await subscribed(house, name))[1] for name in ("bob", "carol")]
    packets = [picture(1, key=True), picture(2)]
    forward(house, track, "", *packets)
    for each in subscriptions:
        outgoing = each.take(trio.current_time())
        assert [out.packet for out in outgoing] == packets
        assert {out.ssrc for out in outgoing} == {each.ssrc}
    assert subscriptions[0].ssrc != subscriptions[1].ssrc


async def test_nothing_passes_before_a_subscription_is_bound_or_after_it_ends(
    house: House,
) -> None:
    track = await published(house)
    await house.enter("bob")
    (wanted,) = house.participant("bob").subscriptions.values()
    assert not wanted.bound
    forward(house, track, "", picture(1, key=True))
    assert len(wanted.queue) == 0
    _, bound = await subscribed(house, "carol")
    forward(house, track, "", picture(2, key=True))
    assert len(bound.queue) == 1
    house.room().detach(bound)
    forward(house, track, "", picture(3, key=True))
    assert bound.take(trio.current_time()) == []


async def test_a_muted_track_passes_nothing_and_video_begins_again_with_a_key_frame(
    house: House,
) -> None:
    track = await published(house)
    _, bob = await subscribed(house, "bob")
    room = house.room()
    forward(house, track, "", picture(1, key=True))
    assert len(bob.take(0.0)) == 1
    room.mute(track, muted=True)
    forward(house, track, "", picture(2, key=True))
    assert bob.take(0.0) == []
    asked(track)
    room.mute(track, muted=False)
    await trio.sleep(1)
    forward(house, track, "", picture(3), picture(4, key=True), picture(5))
    numbers = [(out.packet.sequence, out.sequence) for out in bob.take(0.0)]
    assert numbers == [(4, 2), (5, 3)]  # no hole in what he gets


async def test_many_who_wait_cost_one_key_frame(house: House) -> None:
    track = await published(house)
    for name in ("bob", "carol", "dave"):
        _, each = await subscribed(house, name)
        each.want_key_frame(trio.current_time())
    now = trio.current_time()
    track.ask(now)
    track.ask(now)
    assert len(asked(track)) <= 1


async def test_a_layer_is_asked_for_and_forwarded_by_its_rid(house: House) -> None:
    track = await published(house, RIDS)
    _, bob = await subscribed(house, "bob")
    for each in RIDS:
        forward(house, track, each, picture(1, key=True))
    bob.take(0.0)
    assert bob.forwarder.current == 2
    for number, (quality, rid) in enumerate(zip(Quality, RIDS, strict=True), 10):
        await trio.sleep(0.9)  # a layer flows as long as something comes of it
        for each in RIDS:
            forward(house, track, each, picture(number))
        await trio.sleep(0.5)
        bob.change(TrackSettings(quality=quality), trio.current_time())
        assert asked(track) == [rid]
        bob.take(0.0)
        for each in RIDS:
            forward(house, track, each, picture(number + 100, key=True))
        bob.take(0.0)
        assert bob.forwarder.current == quality


@pytest.mark.parametrize(("rids", "highest"), [((), 0), (("q",), 0), (("q", "h"), 1), (RIDS, 2)])
async def test_more_layers_may_be_announced_than_are_negotiated(
    house: House, rids: tuple[str, ...], highest: int
) -> None:
    """A client that announces three and sends one is seen nevertheless."""
    track = await published(house, rids)
    assert track.layer_for(TrackSettings(quality=Quality.HIGH)) == highest


async def test_a_later_offer_may_bring_layers(house: House) -> None:
    track = await published(house)
    track.reconfigure(attrs.evolve(track.section, rids=RIDS))
    assert track.layer_for(TrackSettings()) == 2


async def test_a_queue_that_overflows_costs_a_key_frame_and_no_hole(house: House) -> None:
    track = await published(house)
    _, bob = await subscribed(house, "bob")
    forward(house, track, "", picture(1, key=True))
    bob.take(0.0)
    for number in range(2, VIDEO_QUEUE + 10):
        forward(house, track, "", picture(number))
    bob.take(trio.current_time())  # before his task can run
    assert bob.forwarder.needs_key_frame == 0
    forward(house, track, "", picture(1000, key=True))
    (out,) = bob.take(0.0)
    assert out.sequence == 2


async def test_a_subscriber_that_wants_nothing_costs_nothing(house: House) -> None:
    track = await published(house)
    _, bob = await subscribed(house, "bob")
    bob.change(TrackSettings(disabled=True), 0.0)
    forward(house, track, "", picture(1, key=True))
    assert len(bob.queue) == 0
    bob.change(TrackSettings(), 0.0)
    forward(house, track, "", picture(2, key=True))
    assert len(bob.take(0.0)) == 1
