"""Two participants of PyPI `livekit` (libwebrtc inside) hold a call; what one sends, the other has.

    python tests/interop/python_call.py [--url ws://...] [--codec h264] [--simulcast] [--e2ee]

Without options the clients use their defaults: a first try at `/rtc/v1`, then `/rtc`.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from livekit import rtc
from pictures import Luma, Samples, draw, i420, loudest, read, share_seen, tone
from server import arguments, enter_namespace, server, token
from verdict import Verdict

RATE: Final = 48000
PICTURES_A_SECOND: Final = 20
ENOUGH: Final = 0.95
PATIENCE: Final = 10.0
SETTLE: Final = 2.0
LAYER_PATIENCE: Final = 25.0
"""Seconds: a sender's bandwidth estimate has to grow before it sends its largest layer."""
FIRST_PICTURE: Final = 3.0
"""Seconds from connecting to the first picture decoded, of somebody who is there already. The
figure should be half of it; a busy machine is given the rest."""
MESSAGES: Final = 20
SOURCES: Final = {
    "camera": rtc.TrackSource.SOURCE_CAMERA,
    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
}


class Sender:
    """One participant's camera and microphone: numbered pictures and a tone, until stopped."""

    def __init__(self, frequency: float, size: tuple[int, int]) -> None:
        self.frequency = frequency
        self.size = size
        self.sent: dict[int, float] = {}
        """Each picture's number, and when it was sent."""
        self.drawing = True
        self.video = rtc.VideoSource(*size)
        self.audio = rtc.AudioSource(RATE, 1)

    async def run(self) -> None:
        await asyncio.gather(self._show(), self._hum())

    async def _show(self) -> None:
        number, due = 0, time.monotonic()
        while True:
            if self.drawing:
                data = i420(draw(number, *self.size))
                frame = rtc.VideoFrame(*self.size, rtc.VideoBufferType.I420, data)
                self.video.capture_frame(frame)
                self.sent[number] = time.monotonic()
                number += 1
            due += 1 / PICTURES_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _hum(self) -> None:
        start, chunk = 0, RATE // 50
        while True:
            samples = tone(self.frequency, start, chunk, RATE)
            await self.audio.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, chunk))
            start += chunk


class Receiver:
    """What one participant has seen and heard of another's tracks, and heard tell of them."""

    def __init__(self, room: rtc.Room) -> None:
        self.seen: dict[int, float] = {}
        self.pictures = 0
        self.size = (0, 0)
        self.heard: list[Samples] = []
        self.events: list[str] = []
        self.packets: list[rtc.DataPacket] = []
        self._tasks: list[asyncio.Task[None]] = []
        room.on("track_subscribed", self._subscribed)
        room.on("data_received", self.packets.append)
        for event in ("track_muted", "track_unmuted"):
            room.on(event, lambda _who, publication, event=event: self._note(event, publication))
        for event in ("track_published", "track_unpublished"):
            room.on(event, lambda publication, _who, event=event: self._note(event, publication))
        room.on("participant_disconnected", lambda who: self.events.append(f"left {who.identity}"))

    def _note(self, event: str, publication: rtc.TrackPublication) -> None:
        self.events.append(f"{event} {publication.name}")

    def _subscribed(
        self, track: rtc.Track, publication: rtc.TrackPublication, _who: rtc.RemoteParticipant
    ) -> None:
        self._note("track_subscribed", publication)
        follow = self._watch if track.kind == rtc.TrackKind.KIND_VIDEO else self._listen
        self._tasks.append(asyncio.ensure_future(follow(track)))

    async def _watch(self, track: rtc.Track) -> None:
        async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
            self.pictures += 1
            frame = event.frame
            self.size = (frame.width, frame.height)
            number = read(_luma(frame))
            if number is not None:
                self.seen.setdefault(number, time.monotonic())

    async def _listen(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            self.heard.append(np.frombuffer(event.frame.data, np.int16).copy())

    def pitch(self) -> float:
        """Of the last half second heard."""
        return loudest(np.concatenate(self.heard[-50:])) if len(self.heard) >= 50 else 0.0


def _luma(frame: rtc.VideoFrame) -> Luma:
    plane = np.frombuffer(frame.data, np.uint8, frame.width * frame.height)
    return plane.reshape(frame.height, frame.width)


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether *condition* came true in time."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


class Party:
    """One participant: a room, what it sends and what it has received."""

    def __init__(self, identity: str, frequency: float, size: tuple[int, int]) -> None:
        self.identity = identity
        self.room = rtc.Room()
        self.received = Receiver(self.room)
        self.sender = Sender(frequency, size)
        self.publications: dict[str, rtc.LocalTrackPublication] = {}
        self._sending = asyncio.ensure_future(self.sender.run())

    async def publish(self, name: str, **options: Any) -> None:
        if name == "camera":
            track: Any = rtc.LocalVideoTrack.create_video_track(name, self.sender.video)
        else:
            track = rtc.LocalAudioTrack.create_audio_track(name, self.sender.audio)
        chosen = rtc.TrackPublishOptions(source=SOURCES[name], **options)
        publication = await self.room.local_participant.publish_track(track, chosen)
        self.publications[name] = publication

    def remote(self, name: str) -> rtc.RemoteTrackPublication:
        """What alice publishes under that name, as this participant knows it."""
        other = self.room.remote_participants["alice"]
        return next(one for one in other.track_publications.values() if one.name == name)

    async def close(self) -> None:
        self._sending.cancel()
        await self.room.disconnect()


def room_options(key: bytes | None) -> rtc.RoomOptions:
    if key is None:
        return rtc.RoomOptions()
    provider = rtc.KeyProviderOptions(shared_key=key)
    return rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=provider))


async def call(options: Any, url: str, verdict: Verdict) -> None:
    room = f"python-{secrets.token_hex(4)}"
    key = b"a key that both ends share" if options.e2ee else None
    size = (960, 540) if options.simulcast else (640, 360)
    alice, bob = Party("alice", 600, size), Party("bob", 1000, size)
    video: dict[str, Any] = {}
    if options.codec is not None:
        video["video_codec"] = getattr(rtc.VideoCodec, options.codec.upper())
    if not options.simulcast and options.codec is not None:
        video["simulcast"] = False
    for one in (alice, bob):
        bob_comes = time.monotonic()
        await one.room.connect(url, token(options, room, one.identity), room_options(key))
        verdict.figure("connect_seconds", time.monotonic() - bob_comes)
        await one.publish("microphone")
        await one.publish("camera", **video)

    if await until(lambda: bool(bob.received.seen)):
        waited = min(bob.received.seen.values()) - bob_comes
        verdict.figure("first_picture_seconds", waited)
        verdict.check(
            "a first picture soon after connecting", waited < FIRST_PICTURE, f"{waited:.2f} s"
        )
    if await pictures_and_sound(options, alice, bob, verdict):
        if options.codec is not None:
            mime = bob.remote("camera").mime_type.lower()
            verdict.check("the codec asked for", mime == f"video/{options.codec}", mime)
        if options.simulcast:
            await layers(bob, verdict)
        if options.e2ee:
            await eavesdropper(options, url, room, verdict)
        await data(alice, bob, verdict)
        await data(bob, alice, verdict)
        await texts_and_calls(alice, bob, verdict)
        await mute_and_republish(alice, bob, video, verdict)
    await alice.close()
    verdict.check("leave is seen", await until(lambda: "left alice" in bob.received.events))
    await bob.close()


async def pictures_and_sound(options: Any, alice: Party, bob: Party, verdict: Verdict) -> bool:
    started = time.monotonic()
    both = ((alice, bob), (bob, alice))
    arrived = await until(lambda: all(one.received.seen for one in (alice, bob)))
    verdict.check("pictures arrive", arrived, f"{time.monotonic() - started:.2f} s")
    if not arrived:
        return False
    # In its first seconds an encoder leaves out pictures by itself, while the estimate of the
    # bandwidth grows: what counts is sent after that.
    await asyncio.sleep(SETTLE)
    for one, other in both:
        verdict.figure(
            f"pictures_at_first_{one.identity}", share_seen(one.sender.sent, other.received.seen)
        )
    await asyncio.sleep(0.2)
    for one in (alice, bob):
        one.sender.sent.clear()
    await asyncio.sleep(options.seconds)
    for one in (alice, bob):
        one.sender.drawing = False
    await asyncio.sleep(0.7)
    for one, other in both:
        share = share_seen(one.sender.sent, other.received.seen)
        way = f"{one.identity} to {other.identity}"
        verdict.figure(f"pictures_{one.identity}", share)
        verdict.check(f"numbered pictures, {way}", share >= ENOUGH, f"{share:.1%}")
        delays = sorted(
            when - one.sender.sent[number]
            for number, when in other.received.seen.items()
            if number in one.sender.sent
        )
        verdict.figure(f"delay_p50_{one.identity}", delays[len(delays) // 2])
        verdict.figure(f"delay_p99_{one.identity}", delays[len(delays) * 99 // 100])
        pitch = other.received.pitch()
        verdict.check(f"a tone, {way}", abs(pitch - one.sender.frequency) < 10, f"{pitch:.0f} Hz")
        one.sender.drawing = True
    return True


async def layers(watcher: Party, verdict: Verdict) -> None:
    """The subscriber asks for the small layer, then for the large one, and gets them."""
    camera = watcher.remote("camera")
    verdict.check("simulcast is announced", camera.simulcasted)
    sizes = watcher.received
    for quality, wanted in (
        (rtc.VideoQuality.VIDEO_QUALITY_HIGH, lambda: sizes.size[0] >= 960),
        (rtc.VideoQuality.VIDEO_QUALITY_LOW, lambda: 0 < sizes.size[0] <= 480),
        (rtc.VideoQuality.VIDEO_QUALITY_HIGH, lambda: sizes.size[0] >= 960),
    ):
        started = time.monotonic()
        camera.set_video_quality(quality)
        came = await until(wanted, LAYER_PATIENCE)
        name = rtc.VideoQuality.Name(quality).removeprefix("VIDEO_QUALITY_").lower()
        found = f"{sizes.size[0]}x{sizes.size[1]} after {time.monotonic() - started:.2f} s"
        verdict.check(f"layer {name}", came, found)
        before = sizes.pictures
        verdict.check(f"layer {name} moves", await until(lambda n=before: sizes.pictures > n + 5))
    verdict.figure("layer_switch_seconds", time.monotonic() - started)


async def eavesdropper(options: Any, url: str, room: str, verdict: Verdict) -> None:
    """Somebody in the room with another key must not be able to read a picture."""
    eve = Party("eve", 300, (320, 240))
    await eve.room.connect(url, token(options, room, "eve"), room_options(b"another key"))
    subscribed = await until(lambda: "track_subscribed camera" in eve.received.events)
    await asyncio.sleep(2)
    seen = len(eve.received.seen)
    verdict.check("who has another key sees nothing", subscribed and seen == 0, f"{seen} pictures")
    await eve.close()


async def data(sender: Party, receiver: Party, verdict: Verdict) -> None:
    packets = receiver.received.packets
    packets.clear()
    for at in range(MESSAGES):
        for kind in ("reliable", "lossy"):
            await sender.room.local_participant.publish_data(
                f"{kind} {at}", reliable=kind == "reliable", topic=f"topic/{kind}"
            )
        await asyncio.sleep(0.005)

    def texts(kind: str) -> Sequence[str]:
        return [packet.data.decode() for packet in packets if packet.topic == f"topic/{kind}"]

    way = f"{sender.identity} to {receiver.identity}"
    expected = [f"reliable {at}" for at in range(MESSAGES)]
    await until(lambda: len(texts("reliable")) >= MESSAGES, 5)
    await until(lambda: len(texts("lossy")) >= MESSAGES, 1)
    verdict.check(f"reliable data in order, {way}", texts("reliable") == expected)
    lossy = len(set(texts("lossy")))
    verdict.check(f"lossy data, {way}", lossy >= MESSAGES * 0.9, f"{lossy} of {MESSAGES}")
    senders = {packet.participant.identity for packet in packets if packet.participant}
    verdict.check(f"data names its sender, {way}", senders == {sender.identity}, senders)


async def texts_and_calls(alice: Party, bob: Party, verdict: Verdict) -> None:
    """A text in several pieces, and a remote procedure call."""
    told: list[str] = []
    readers: list[asyncio.Task[None]] = []

    async def take(reader: rtc.TextStreamReader) -> None:
        told.append(await reader.read_all())

    bob.room.register_text_stream_handler(
        "long", lambda reader, _who: readers.append(asyncio.ensure_future(take(reader)))
    )
    text = "".join(f"line {at} ü\n" for at in range(6000))
    await alice.room.local_participant.send_text(text, topic="long")
    await until(lambda: bool(told), 5)
    verdict.check("a long text", told == [text], f"{len(text.encode())} bytes")

    async def double(invocation: rtc.RpcInvocationData) -> str:
        return invocation.payload * 2

    bob.room.local_participant.register_rpc_method("double", double)
    answer = await alice.room.local_participant.perform_rpc(
        destination_identity="bob", method="double", payload="ha"
    )
    verdict.check("a remote procedure call", answer == "haha", answer)


async def mute_and_republish(
    alice: Party, bob: Party, video: dict[str, Any], verdict: Verdict
) -> None:
    events, received = bob.received.events, bob.received
    for name in ("camera", "microphone"):
        alice.publications[name].track.mute()
        seen = await until(lambda n=name: f"track_muted {n}" in events)
        verdict.check(f"mute is seen, {name}", seen and bob.remote(name).muted)
        alice.publications[name].track.unmute()
        seen = await until(lambda n=name: f"track_unmuted {n}" in events)
        verdict.check(f"unmute is seen, {name}", seen and not bob.remote(name).muted)
    count = received.pictures
    verdict.check("pictures after unmute", await until(lambda: received.pictures > count + 5))

    await alice.room.local_participant.unpublish_track(alice.publications["camera"].sid)
    verdict.check("unpublish is seen", await until(lambda: "track_unpublished camera" in events))
    events.clear()
    await alice.publish("camera", **video)
    verdict.check("republish is seen", await until(lambda: "track_subscribed camera" in events))
    first = len(alice.sender.sent)
    seen = await until(lambda: any(number >= first for number in list(received.seen)))
    verdict.check("pictures after republish", seen)


def main() -> int:
    parser = arguments("Two livekit (Python) participants hold a call.")
    parser.add_argument("--codec", choices=["vp8", "h264", "vp9", "av1"])
    parser.add_argument(
        "--simulcast", action="store_true", help="three layers, switched by request"
    )
    parser.add_argument("--e2ee", action="store_true", help="end-to-end encryption")
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict("python_call")
    with server(options) as url:
        asyncio.run(call(options, url, verdict))
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
