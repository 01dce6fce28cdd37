"""Which layer of a track one subscriber gets.

A publisher sends a camera in up to three independent encodings (simulcast), the
lowest is layer 0. A subscriber gets one at a time, and can be moved to another
only where that one begins anew, with a key frame. So there is a *target*, which
is what we want it to have, and a *current* one, which it has; between the two
lies a key frame that somebody must ask for.

SVC codecs send all their layers in one stream, so to this module they are one
layer. So is sound, which has no key frames: any packet will do to begin with.
"""

from collections.abc import Collection, Sequence
from typing import Final

from trio_sfu.room.info import Quality, TrackInfo, TrackSettings
from trio_sfu.rtp.payload import Frame

SIZE_TOLERANCE: Final = 0.9
"""A layer is large enough if it has this part of the height that is shown: nobody
sees the difference, and the next layer costs three times as much. As LiveKit."""

RID_ORDERS: Final = (("q", "h", "f"), ("2", "1", "0"))
"""Names that LiveKit's clients give to encodings, lowest first."""

USUAL_HEIGHTS: Final = (180, 360)
"""Of the lower layers, where a publisher does not say: what clients usually do."""


def in_spatial_order(rids: Sequence[str]) -> tuple[str, ...]:
    """The *rids* of an offer, lowest layer first.

    Those that we know the meaning of are sorted by it; others are taken to be in
    order already. A ``~`` before one says that it is paused, which signalling
    tells us anyway.
    """
    names = tuple(rid.removeprefix("~") for rid in rids)
    for order in RID_ORDERS:
        if set(names) <= set(order):
            return tuple(rid for rid in order if rid in names)
    return names


def layer_for(settings: TrackSettings, info: TrackInfo, ceiling: Quality = Quality.HIGH) -> int:
    """The layer of a track that a subscriber with these settings is to have.

    None above *ceiling*, unless all are.
    """
    if not info.simulcast:
        return 0
    quality = settings.quality
    if settings.width > 0:
        quality = quality_for_size(settings.width, settings.height, info)
    present = {layer.quality for layer in info.layers}
    allowed = sum(each <= ceiling for each in present) or 1
    return min(spatial_of_quality(quality, present), allowed - 1 if present else ceiling)


def spatial_of_quality(quality: Quality, present: Collection[Quality]) -> int:
    """The layer for a quality where those *present* are published.

    The layers published are counted from below, whatever quality they are. A
    quality that is not among them gets the next above it, else the highest.
    """
    ordered = sorted(set(present))
    for layer, each in enumerate(ordered):
        if each >= quality:
            return layer
    return max(0, len(ordered) - 1)


def quality_for_size(width: int, height: int, info: TrackInfo) -> Quality:
    """The lowest quality that fills *width* and *height*, as shown on a screen.

    Heights are compared; where the publisher announced no layers, and usual ones
    are assumed, a portrait is measured by its width instead.
    """
    heights = sorted(layer.height for layer in info.layers if layer.height)
    shown = height
    if not heights:
        portrait = info.width < info.height
        heights = [*USUAL_HEIGHTS, info.width if portrait else info.height]
        shown = width if portrait else height
    last = len(heights) - 1
    for index, each in enumerate(heights[:last]):
        # Of two layers of one size the second has more frames or a better picture.
        if each >= shown * SIZE_TOLERANCE and each != heights[index + 1]:
            return Quality(min(index, Quality.HIGH))
    return Quality(min(last, Quality.HIGH))


class LayerSelector:
    """The target, the current layer, and whether that one must be begun anew."""

    __slots__ = ("_broken", "_key_frames", "current", "target")

    def __init__(self, *, key_frames: bool) -> None:
        """*key_frames*: whether a layer can be begun at a key frame only."""
        self.target: int | None = None
        self.current: int | None = None
        self._key_frames = key_frames
        self._broken = False

    @property
    def wants_key_frame(self) -> int | None:
        """The layer whose key frame is waited for; None when there is nothing to wait for."""
        if self._key_frames and (self._broken or self.current != self.target):
            return self.target
        return None

    def set_target(self, layer: int | None, *, at_once: bool = False) -> None:
        """Aim at *layer*, or at nothing. *at_once*: do not keep the current one until then.

        That is for a link that can carry the current layer no longer: better a
        picture that stands still for a moment than everything late.
        """
        self.target = layer
        if layer is None or (at_once and layer != self.current):
            self.current = None

    def interrupt(self) -> None:
        """Something of the current layer was left out: it must be begun anew."""
        self._broken = True

    def hears(self, layer: int) -> bool:
        """Whether packets of *layer* may be of use."""
        return layer in (self.current, self.target)

    def passes(self, layer: int) -> bool:
        """Whether packets of *layer* go on being forwarded."""
        return layer == self.current and not self._broken

    def may_begin(self, layer: int, frame: Frame | None) -> bool:
        """Whether *layer* can be begun with a packet of this *frame*.

        While the current layer waits to be begun anew, whichever of the two has
        its key frame first is taken.
        """
        if self.target is None or not self.hears(layer):
            return False
        if not self._key_frames:
            return layer == self.target
        return frame is not None and frame.key_frame and frame.start

    def begin(self, layer: int) -> None:
        """*layer* is the current one from now on."""
        self.current = layer
        self._broken = False
