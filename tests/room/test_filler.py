"""Black pictures and silence, from their bytes to what a client gets."""

import itertools
import math
import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from tests.room.test_forwarder import Camera, Microphone, forwarder_to, seen, unbroken
from tests.signalling.house import House
from trio_sfu.client.media import KEY_FRAME, vp8_payloads
from trio_sfu.client.participant import Participant as Client
from trio_sfu.client.tracks import LocalTrack
from trio_sfu.peer.media import Format
from trio_sfu.room.filler import (
    BLACK_INTERVAL,
    FRAMES,
    H264_BLACK,
    OPUS_SILENCE,
    SILENCE_INTERVAL,
    VP8_BLACK,
    Filler,
    black,
    silence,
)
from trio_sfu.room.redundancy import choose
from trio_sfu.room.rewriter import REMEMBERED_POINTS, Rewriter
from trio_sfu.rtp.packet import Outgoing, parse, render
from trio_sfu.rtp.payload import describer, red, vp8
from trio_sfu.signalling.join import ClientInfo, Sdk

# --- the bytes, and when they are due


def test_each_frame_is_a_key_frame_in_one_packet() -> None:
    for mime, prefix in (("video/VP8", b"\x10"), ("video/H264", b"")):
        describe = describer(mime)
        assert describe
        frame = describe(prefix + FRAMES[mime.lower()])
        assert frame.key_frame and frame.start


def test_a_filler_takes_its_time_and_catches_up() -> None:
    filler = silence("audio/OPUS", b"", 10.0)
    assert filler is not None and filler.remaining == 50
    assert filler.take_due(10.0) == 1
    assert filler.take_due(10.01) == 0
    assert filler.deadline == 10.0 + SILENCE_INTERVAL
    assert filler.take_due(10.1) == 5
    assert filler.take_due(99.0) == 44
    assert filler.deadline == math.inf


def test_a_frame_ends_with_the_trailer_of_its_room() -> None:
    filler = black("video/VP8", b"trailer", 0.0)
    assert filler is not None
    assert filler.payload == VP8_BLACK + b"trailer"
    assert filler.remaining == 6


@pytest.mark.parametrize("mime", ["video/VP9", "video/AV1", "audio/whatever"])
def test_of_other_codecs_there_is_nothing(mime: str) -> None:
    assert black(mime, b"", 0.0) is None


# --- in a subscriber's numbers


@given(st.lists(st.sampled_from(["forward", "leave out", "lost", "insert"]), max_size=80))
def test_own_packets_fit_between_those_of_others(events: list[str]) -> None:
    rewriter, index, sent = Rewriter(1), 500, []
    rewriter.begin(index)
    in_time: dict[int, object] = {}
    for event in events:
        if event == "insert":
            sent.append(rewriter.insert())
            continue
        if event == "forward":
            in_time[index] = rewriter.forward(index)
            sent.append(in_time[index])
        elif event == "leave out":
            rewriter.leave_out(index)
        index += 1
    assert len(set(sent)) == len(sent)
    assert sent == sorted(sent)
    if "lost" not in events:
        assert sent == list(range(1, 1 + len(sent)))
    for each, number in in_time.items():
        assert rewriter.forward(each) == number


def test_a_late_packet_has_its_number_however_much_of_our_own_came_since() -> None:
    rewriter = Rewriter(1)
    rewriter.begin(500)
    rewriter.forward(502)
    own = [rewriter.insert() for _ in range(10 * REMEMBERED_POINTS)]
    assert own == list(range(4, 4 + len(own)))
    assert rewriter.forward(501) == 2


def test_black_goes_on_where_the_picture_stopped_and_a_picture_after_it() -> None:
    camera, forwarder = Camera(random.Random(1)), forwarder_to(0)
    outgoing = forwarder.forward(0, camera.pictures(2))
    before = seen(outgoing[-1])
    own = [forwarder.insert(VP8_BLACK, BLACK_INTERVAL, 0.0) for _ in range(3)]
    outgoing += own
    after = forwarder.forward(0, camera.pictures(1, key=False))
    assert after == [], "what follows needs a key frame"
    after = forwarder.forward(0, camera.pictures(1))
    outgoing += after
    assert unbroken(outgoing)
    counts = [before, *map(seen, own), seen(after[0])]
    for earlier, later in itertools.pairwise(counts):
        bits = (0x7FFF, 0xFF, 0x1F)
        steps = [(b - a) & mask for a, b, mask in zip(earlier, later, bits, strict=True)]
        assert steps == [1, 1, 1]
    for each in own:
        payload = parse(render(each)).payload
        descriptor = vp8.parse(payload)
        assert payload[descriptor.size :] == VP8_BLACK
        assert vp8.is_key_frame(payload, descriptor) and descriptor.temporal == 0
        assert each.marker


def test_silence_goes_on_in_time_and_sound_after_it() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    outgoing = forwarder.forward(0, microphone.packets(3))
    forwarder.mute()
    outgoing += [forwarder.insert(OPUS_SILENCE, SILENCE_INTERVAL, 0.0) for _ in range(50)]
    microphone.packets(20)  # it went on for less long than we thought
    forwarder.unmute()
    outgoing += forwarder.forward(0, microphone.packets(3))
    assert unbroken(outgoing)
    steps = [
        (later.timestamp - earlier.timestamp) & 0xFFFFFFFF
        for earlier, later in itertools.pairwise(outgoing)
    ]
    assert steps == [960] * 52 + [1, 960, 960]


def test_every_silence_begins_where_the_sound_before_it_stopped() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    outgoing: list[Outgoing] = []
    for _ in range(2):
        outgoing += forwarder.forward(0, microphone.packets(30))
        forwarder.mute()
        outgoing += [forwarder.insert(OPUS_SILENCE, SILENCE_INTERVAL, 0.0) for _ in range(3)]
        microphone.packets(3)
        forwarder.unmute()
    assert unbroken(outgoing)
    assert {
        (later.timestamp - earlier.timestamp) & 0xFFFFFFFF
        for earlier, later in itertools.pairwise(outgoing)
    } == {960}


def test_whoever_takes_repeats_gets_silence_in_that_form() -> None:
    taken = {63: Format("audio/red", 48_000, 2), 111: Format("audio/opus", 48_000, 2)}
    chosen = choose("audio/opus", taken, adapt=True)
    assert chosen is not None and chosen.adapter is not None
    payload = chosen.adapter.insert() + OPUS_SILENCE
    assert [each.data for each in red.decode(payload)] == [OPUS_SILENCE]


@pytest.mark.parametrize("timestamp", [0xFFFFFF00, 0x40000000, 0xC0000000, 0])
def test_what_is_sent_before_anything_came_is_followed_by_it(timestamp: int) -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    microphone.timestamp = timestamp
    forwarder.mute()
    outgoing: list[Outgoing] = [forwarder.insert(OPUS_SILENCE, 0.02, 5.0) for _ in range(2)]
    forwarder.unmute()
    outgoing += forwarder.forward(0, microphone.packets(2))
    assert unbroken(outgoing)
    assert (outgoing[2].timestamp - outgoing[1].timestamp) & 0xFFFFFFFF == 1


# --- in a whole call


async def call(house: House, **fields: object) -> tuple[Client, Client]:
    return await house.visit("alice"), await house.visit("bob", **fields)


async def heard(bob: Client, track: LocalTrack) -> list[bytes]:
    """The payloads that came since the last call."""
    with trio.fail_after(5):
        while track.sid not in bob.remote_tracks:  # noqa: ASYNC110 - of another task's
            await trio.sleep(0.1)
    return [each.payload for each in bob.remote_tracks[track.sid].take_packets()]


@pytest.mark.virtual_time
async def test_a_picture_that_is_no_longer_wanted_ends_in_black_before_its_section_does(
    house: House,
) -> None:
    alice, bob = await call(house)
    camera = await alice.publish_video()
    await heard(bob, camera)
    for number in range(10):
        camera.send(vp8_payloads(KEY_FRAME, number), 3000 * number)
        await trio.sleep(1 / 30)
    await trio.sleep(0.1)
    assert len(await heard(bob, camera)) == 10
    remote = bob.remote_tracks[camera.sid]
    bob.request(
        rtc.SignalRequest(
            subscription=rtc.UpdateSubscription(track_sids=[camera.sid], subscribe=False)
        )
    )
    await trio.sleep(0.15)
    assert camera.sid in bob.remote_tracks, "the section is there while there is black to send"
    assert house.participant("bob").subscriptions == {}
    await trio.sleep(0.3)
    assert camera.sid not in bob.remote_tracks
    assert house.participant("bob").fading == {}
    frames = [each.payload for each in remote.take_packets()]
    assert len(frames) == 6
    assert all(each.endswith(VP8_BLACK) for each in frames)


@pytest.mark.virtual_time
async def test_whoever_wants_it_back_at_once_gets_it_at_once(house: House) -> None:
    alice, bob = await call(house)
    camera = await alice.publish_video()
    await heard(bob, camera)
    camera.send(vp8_payloads(KEY_FRAME, 0), 0)
    await trio.sleep(0.1)
    for wanted in (False, True):
        ask = rtc.UpdateSubscription(track_sids=[camera.sid], subscribe=wanted)
        bob.request(rtc.SignalRequest(subscription=ask))
    await trio.sleep(1)
    assert house.participant("bob").fading == {}
    camera.send(vp8_payloads(KEY_FRAME, 1), 3000)
    await trio.sleep(0.1)
    (subscription,) = house.participant("bob").subscriptions.values()
    assert subscription.bound
    assert subscription.forwarder.current == 0


@pytest.mark.virtual_time
async def test_a_muted_microphone_ends_in_a_second_of_silence(house: House) -> None:
    alice, bob = await call(house)
    voice = await alice.publish_audio()
    await heard(bob, voice)
    for number in range(10):
        voice.send([b"sound"], 960 * number)
        await trio.sleep(0.02)
    await trio.sleep(0.1)
    await heard(bob, voice)
    alice.mute(voice, muted=True)
    await trio.sleep(3)
    assert await heard(bob, voice) == [OPUS_SILENCE] * 50
    alice.mute(voice, muted=False)
    await trio.sleep(0.1)
    voice.send([b"again"], 960 * 200)
    await trio.sleep(0.1)
    assert await heard(bob, voice) == [b"again"]
    alice.mute(voice, muted=True)
    await trio.sleep(0.2)
    alice.mute(voice, muted=False)
    await trio.sleep(3)
    assert 5 < len(await heard(bob, voice)) < 15, "whoever speaks again is silent no longer"


@pytest.mark.virtual_time
@pytest.mark.parametrize("sdk", [Sdk.GO, Sdk.JS])
async def test_a_client_that_waits_for_a_packet_gets_one_of_a_muted_track(
    house: House, sdk: Sdk
) -> None:
    alice, bob = await call(house, client=ClientInfo(sdk=sdk))
    voice = await alice.publish_audio()
    alice.mute(voice, muted=True)
    await trio.sleep(0.01)
    carol = await house.visit("carol", client=ClientInfo(sdk=sdk))
    await trio.sleep(3)
    assert len(await heard(carol, voice)) in ((0,) if sdk is Sdk.JS else range(40, 51))
    assert bob.sid in alice.others


@pytest.mark.virtual_time
async def test_encrypting_clients_know_our_silence_by_the_trailer_they_were_told(
    house: House,
) -> None:
    alice, bob = await call(house)
    trailer = bob.join.sif_trailer
    assert len(trailer) == 43 and trailer == alice.join.sif_trailer
    voice = await alice.publish_audio()
    await heard(bob, voice)
    (track,) = house.participant("alice").tracks.values()
    assert track.trailer == b"" and not track.encrypted
    caller = await house.attend("eve")
    await caller.publish("audio", "cid", encryption=models.Encryption.Type.GCM)
    (track,) = house.participant("eve").tracks.values()
    assert track.trailer == trailer
    made = silence("audio/opus", track.trailer, 0.0)
    assert isinstance(made, Filler) and made.payload == OPUS_SILENCE + trailer
    assert H264_BLACK != VP8_BLACK
