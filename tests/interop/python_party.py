"""A party of PyPI `livekit`, which is libwebrtc inside. Its event loop runs in a thread."""

import asyncio
import threading
import time
from collections import defaultdict
from typing import Any, Final

import numpy as np
from conversation import View
from livekit import rtc
from pictures import Luma, Samples, draw, i420, loudest, read, tone
from python_words import PythonWords

RATE: Final = 48000
ANSWER_SECONDS: Final = 20.0
SOURCES: Final = {
    "camera": rtc.TrackSource.SOURCE_CAMERA,
    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
}
QUALITIES: Final = {
    "low": rtc.VideoQuality.VIDEO_QUALITY_LOW,
    "high": rtc.VideoQuality.VIDEO_QUALITY_HIGH,
}


class Remote:
    """What has come of one other participant."""

    def __init__(self) -> None:
        self.seen: dict[int, float] = {}
        self.pictures = 0
        self.size = (0, 0)
        self.heard: list[Samples] = []


class PythonParty(PythonWords):
    """Answers the words of `conversation.py`: each is a method below."""

    cannot: frozenset[str] = frozenset()
    layered_size = (960, 540)

    def __init__(self, identity: str, frequency: float) -> None:
        self.identity = identity
        self.frequency = frequency
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._run(self._begin())

    def ask(self, word: str, **arguments: Any) -> Any:
        return self._run(getattr(self, word)(**arguments))

    def close(self) -> None:
        self._run(self._end())

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(ANSWER_SECONDS)

    async def _begin(self) -> None:
        self.begin_words()
        self.video: rtc.VideoSource | None = None
        self.size, self.rate = (0, 0), 1
        self.audio = rtc.AudioSource(RATE, 1)
        self.drawing = True
        self._number = 0
        self._sent: dict[int, float] = {}
        self._events: list[str] = []
        self._remotes: defaultdict[str, Remote] = defaultdict(Remote)
        self._publications: dict[str, rtc.LocalTrackPublication] = {}
        self._tasks += [asyncio.ensure_future(self._show()), asyncio.ensure_future(self._hum())]
        self.room = rtc.Room()

    # --- the words ---

    async def connect(self, url: str, token: str, key: str | None, path: str | None = None) -> None:
        self.room = rtc.Room()
        self._listen_to_room()
        options = rtc.RoomOptions()
        if path == "/rtc":
            options.single_peer_connection = False
        if key is not None:
            provider = rtc.KeyProviderOptions(shared_key=key.encode())
            options.encryption = rtc.E2EEOptions(key_provider_options=provider)
        await self.room.connect(url, token, options)
        self.answer_calls()

    async def publish(
        self,
        name: str,
        codec: str | None,
        simulcast: bool | None,
        size: list[int],
        rate: int,
    ) -> None:
        options = rtc.TrackPublishOptions(source=SOURCES[name])
        if name == "microphone":
            track: Any = rtc.LocalAudioTrack.create_audio_track(name, self.audio)
        else:
            self.size, self.rate = (size[0], size[1]), rate
            self.video = rtc.VideoSource(*self.size)
            track = rtc.LocalVideoTrack.create_video_track(name, self.video)
            if codec is not None:
                options.video_codec = getattr(rtc.VideoCodec, codec.upper())
            if simulcast is not None:
                options.simulcast = simulcast
        publication = await self.room.local_participant.publish_track(track, options)
        self._publications[name] = publication

    async def unpublish(self, name: str) -> None:
        sid = self._publications.pop(name).sid
        await self.room.local_participant.unpublish_track(sid)

    async def mute(self, name: str, muted: bool) -> None:
        track: Any = self._publications[name].track
        if muted:
            track.mute()
        else:
            track.unmute()

    async def leave(self) -> None:
        await self.room.disconnect()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    async def draw(self, on: bool) -> None:
        self.drawing = on

    async def count(self) -> None:
        self._sent.clear()

    async def sent(self) -> list[tuple[int, float]]:
        return list(self._sent.items())

    async def seen(self, identity: str) -> list[tuple[int, float]]:
        return list(self._remotes[identity].seen.items())

    async def view(self, identity: str) -> View:
        remote = self._remotes[identity]
        participant = self.room.remote_participants.get(identity)
        tracks = list(participant.track_publications.values()) if participant else []
        camera = next((track for track in tracks if track.name == "camera"), None)
        heard = np.concatenate(remote.heard[-50:]) if len(remote.heard) >= 50 else np.zeros(1)
        return {
            "pictures": remote.pictures,
            "width": remote.size[0],
            "height": remote.size[1],
            "full": camera.width if camera else 0,
            "pitch": loudest(heard),
            "muted": [track.name for track in tracks if track.muted],
            "published": [track.name for track in tracks],
            "mime": camera.mime_type if camera else "",
            "simulcast": bool(camera and camera.simulcasted),
        }

    async def events(self) -> list[str]:
        return self._events

    async def quality(self, identity: str, layer: str) -> None:
        tracks = self.room.remote_participants[identity].track_publications.values()
        next(one for one in tracks if one.name == "camera").set_video_quality(QUALITIES[layer])

    # --- what comes in ---

    def _listen_to_room(self) -> None:
        room = self.room
        room.on("track_subscribed", self._subscribed)
        room.on("track_unsubscribed", self._unsubscribed)
        room.on("participant_disconnected", lambda who: self._events.append(f"left {who.identity}"))
        for event in ("track_muted", "track_unmuted"):
            room.on(event, lambda who, track, event=event: self._note(event, who, track))
        for event in ("track_published", "track_unpublished"):
            room.on(event, lambda track, who, event=event: self._note(event, who, track))
        self.listen_for_words()

    def _note(self, event: str, who: rtc.Participant, track: rtc.TrackPublication) -> None:
        self._events.append(f"{event} {who.identity} {track.name}")

    def _subscribed(
        self, track: rtc.Track, publication: rtc.TrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        self._note("track_subscribed", who, publication)
        follow = self._watch if track.kind == rtc.TrackKind.KIND_VIDEO else self._listen
        self._tasks.append(asyncio.ensure_future(follow(track, self._remotes[who.identity])))

    def _unsubscribed(
        self, track: rtc.Track, publication: rtc.TrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        self._note("track_unsubscribed", who, publication)

    async def _watch(self, track: rtc.Track, remote: Remote) -> None:
        async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
            width, height = remote.size = (event.frame.width, event.frame.height)
            remote.pictures += 1
            luma = np.frombuffer(event.frame.data, np.uint8, width * height)
            number = read(luma.reshape(height, width))
            if number is not None:
                remote.seen.setdefault(number, time.time() * 1000)

    async def _listen(self, track: rtc.Track, remote: Remote) -> None:
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            remote.heard.append(np.frombuffer(event.frame.data, np.int16).copy())
            del remote.heard[:-100]

    # --- what goes out ---

    def picture(self) -> Luma:
        """The next one."""
        return draw(self._number, *self.size)

    async def _show(self) -> None:
        due = time.monotonic()
        while True:
            if self.drawing and self.video is not None:
                data = i420(self.picture())
                frame = rtc.VideoFrame(*self.size, rtc.VideoBufferType.I420, data)
                self.video.capture_frame(frame)
                self._sent[self._number] = time.time() * 1000
                self._number += 1
            due += 1 / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _hum(self) -> None:
        start, chunk = 0, RATE // 50
        while True:
            samples = tone(self.frequency, start, chunk, RATE)
            await self.audio.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, chunk))
            start += chunk
