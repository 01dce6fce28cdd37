"""From an announcement and an m= section to a published track.

A client announces a track (AddTrack, with a client id of its own), hears its SID,
and offers a section that carries it; in either order, for it need not wait. The
two are joined by the section's msid track id: Chromium's and libwebrtc's is the
announced cid, Firefox's is not, and then the first announcement of that kind that
waits is meant (wire guide: "Matching media to AddTrack").
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

import attrs
from livekit.protocol import models, rtc

from trio_sfu.core import Entropy
from trio_sfu.room import ids
from trio_sfu.room.grants import Source
from trio_sfu.room.info import TrackInfo, TrackKind
from trio_sfu.signalling import translate

MAX_PENDING: Final = 20
"""Announcements of one client that wait for media; LiveKit's number."""

MAX_NAMED: Final = 3
"""Announcements by one name that wait at a time; LiveKit's number."""

MAX_TRACKS: Final = 128
"""Tracks of one client, announced or published. Everybody is told of each of them."""

MAX_TEXT: Final = 1_024
"""Characters of a name that a client gives to something; everybody is told it."""

_SOURCE_LETTER: Final = {
    Source.UNKNOWN: "",
    Source.CAMERA: "C",
    Source.MICROPHONE: "M",
    Source.SCREEN_SHARE: "S",
    Source.SCREEN_SHARE_AUDIO: "s",
}
_STREAMS: Final = {
    Source.UNKNOWN: "unknown",
    Source.CAMERA: "camera",
    Source.MICROPHONE: "camera",
    Source.SCREEN_SHARE: "screen",
    Source.SCREEN_SHARE_AUDIO: "screen",
}

_MULTIPLE_LAYERS: Final = 2
"""LiveKit's VideoLayer.Mode MULTIPLE_SPATIAL_LAYERS_PER_STREAM: SVC."""


@attrs.frozen
class Section:
    """An m= section in which a client sends, as far as it tells which track it carries."""

    mid: str
    kind: TrackKind
    track_id: str
    """Of its msid; "" where it has none."""


@attrs.frozen
class Pending:
    """An announced track whose media has not come yet."""

    cid: str
    info: TrackInfo

    @property
    def cids(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.cid, *(codec.cid for codec in self.info.codecs))))


class Announcements:
    """The tracks that one client has announced, in the order in which it did."""

    def __init__(self) -> None:
        self._pending: list[Pending] = []
        self._queued: list[Pending] = []
        """Announced by a name that another has yet."""

    def __len__(self) -> int:
        return len(self._pending) + len(self._queued)

    def add(self, cid: str, info: TrackInfo, *, published: bool) -> bool:
        """*info* is announced as *cid*; whether it is its turn.

        It is not while another is announced, or *published*, by the same name: then it
        is answered when that one has ended. The caller has looked at limits and rights.
        """
        pending = Pending(cid, info)
        if published or self.find(cid) is not None:
            self._queued.append(pending)
            return False
        self._pending.append(pending)
        return True

    def named(self, cid: str) -> int:
        """How many of that name wait, for media or for their turn."""
        waiting = sum(cid in each.cids for each in self._pending)
        return waiting + sum(each.cid == cid for each in self._queued)

    def advance(self, published: Collection[str]) -> list[Pending]:
        """Those whose turn it is now: nothing *published* has their name any more."""
        turned: list[Pending] = []
        for each in list(self._queued):
            if each.cid not in published and self.find(each.cid) is None:
                self._queued.remove(each)
                self._pending.append(each)
                turned.append(each)
        return turned

    @property
    def sids(self) -> list[str]:
        return [each.info.sid for each in self._pending]

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._pending)

    def find(self, cid: str) -> TrackInfo | None:
        return next((each.info for each in self._pending if cid in each.cids), None)

    def change(self, sid: str, change: Callable[[TrackInfo], TrackInfo]) -> TrackInfo | None:
        """What the waiting track of that SID says of itself after *change*; None if none waits."""
        for index, each in enumerate(self._pending):
            if each.info.sid == sid:
                info = change(each.info)
                self._pending[index] = attrs.evolve(each, info=info)
                return info
        return None

    def mute(self, sid: str, *, muted: bool) -> TrackInfo | None:
        """As `change`: the track will begin muted, or not."""
        return self.change(sid, lambda info: attrs.evolve(info, muted=muted))

    def assign(self, sections: Iterable[Section]) -> dict[str, TrackInfo]:
        """Which announced track each of *sections* carries, by mid.

        Who names its track gets that one; the others get what is left of their kind, in
        order. A section that is left over carries nothing that we know of, yet.
        """
        sections = list(sections)
        left = list(self._pending)
        found: dict[str, TrackInfo] = {}
        for named in (True, False):
            for section in sections:
                if section.mid in found:
                    continue
                for each in left:
                    if each.info.kind is section.kind and (
                        not named or section.track_id in each.cids
                    ):
                        found[section.mid] = each.info
                        left.remove(each)
                        break
        return found

    def take(self, sid: str) -> None:
        """The media of *sid* came: it is pending no more."""
        self._pending = [each for each in self._pending if each.info.sid != sid]


def too_long(request: rtc.AddTrackRequest) -> bool:
    """Whether it gives something a name that nobody wants to be told."""
    texts = [request.cid, request.name, request.stream]
    for each in request.simulcast_codecs:
        texts += each.codec, each.cid
    return any(len(text) > MAX_TEXT for text in texts)


def make_info(
    request: rtc.AddTrackRequest, kind: TrackKind, enabled: Sequence[str], entropy: Entropy
) -> TrackInfo:
    """What others will see of the announced track, as far as it is known before its media.

    It gets its SID here. *enabled* are the codecs in which it may be published.
    """
    source = translate.source(request.source)
    codecs = tuple(
        attrs.evolve(codec, layer_mode=codec.layer_mode or _layer_mode(codec.mime))
        for codec in translate.codecs(request, kind, enabled)
    )
    layers = translate.layers(request.layers) or codecs[0].layers
    letter = "A" if kind is TrackKind.AUDIO else "V"
    return TrackInfo(
        sid=ids.make_sid(ids.TRACK + letter + _SOURCE_LETTER[source], entropy),
        kind=kind,
        source=source,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        simulcast=len(layers) > 1 and codecs[0].layer_mode != _MULTIPLE_LAYERS,
        layers=layers,
        codecs=codecs,
        stream=request.stream or _STREAMS[source],
        encryption=request.encryption,
        disable_dtx=request.disable_dtx,
        stereo=request.stereo,
        disable_red=request.disable_red,
        audio_features=_audio_features(request) if kind is TrackKind.AUDIO else (),
        backup_codec_policy=request.backup_codec_policy,
    )


def _audio_features(request: rtc.AddTrackRequest) -> tuple[int, ...]:
    """Those that are listed, and those that older clients say otherwise."""
    said = dict.fromkeys(request.audio_features[: translate.MAX_LIST])
    if request.stereo:
        said[models.AudioTrackFeature.TF_STEREO] = None
    if request.disable_dtx:
        said[models.AudioTrackFeature.TF_NO_DTX] = None
    return tuple(said)


def _layer_mode(mime: str) -> int:
    """VP9 and AV1 are sent as SVC unless the client says otherwise."""
    return _MULTIPLE_LAYERS if mime.lower() in ("video/vp9", "video/av1") else 1
