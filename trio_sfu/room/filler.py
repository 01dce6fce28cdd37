"""Media of our own, where a publisher's ends: a black picture, and silence.

A browser that gets no more pictures shows the last one for ever, and one that gets
no more sound makes some up out of the last it had. So a track whose pictures end
for a subscriber ends with a few black ones, and a microphone that is muted with a
second of silence. They are key frames and silent packets as small as they can be,
each complete in itself, so any of them may be lost.

Clients that encrypt from end to end take what nobody encrypted for noise, unless it
ends with the *trailer* that they were told when they joined.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import attrs

SILENCE_SECONDS: Final = 1.0
BLACK_SECONDS: Final = 0.2
SILENCE_INTERVAL: Final = 0.020
BLACK_INTERVAL: Final = 1 / 30
"""How long, and how many seconds from one frame to the next (LiveKit's figures)."""

VP8_BLACK: Final = bytes.fromhex("1002009d012a080008000047088585888584880202000c0d6000feffab5080")
"""A VP8 key frame (RFC 6386) of 8 by 8 black points."""

_PARAMETERS: Final = (
    bytes.fromhex("6742c00addf8888c0440000003004000000f03c489e0"),
    bytes.fromhex("68ce039c80"),
)
_PICTURE: Final = bytes.fromhex("6588843a2628000818e0")
_STAP_A: Final = 0x78
"""RFC 6184 section 5.7.1: several NAL units in a packet."""

H264_BLACK: Final = bytes((_STAP_A,)) + b"".join(
    len(unit).to_bytes(2, "big") + unit for unit in (*_PARAMETERS, _PICTURE)
)
"""An H264 key frame, Constrained Baseline, of 2 by 2 black points."""

OPUS_SILENCE: Final = bytes.fromhex("f8fffe")
"""20 ms of it, as encoders write it (RFC 6716: CELT, full band, one frame)."""

FRAMES: Final[Mapping[str, bytes]] = {
    "audio/opus": OPUS_SILENCE,
    "audio/pcmu": b"\xff" * 160,
    "audio/pcma": b"\xd5" * 160,
    "video/vp8": VP8_BLACK,
    "video/h264": H264_BLACK,
}
"""What says nothing, by MIME type in lower case; of other codecs there is nothing to send."""


@attrs.define(eq=False)
class Filler:
    """So many frames, one after another."""

    payload: bytes
    remaining: int
    interval: float
    deadline: float
    """When the next is due; ``math.inf`` after the last."""
    over: Callable[[], None] = lambda: None
    """Called after the last."""

    def take_due(self, now: float) -> int:
        """How many frames are due by *now*: more than one where somebody was late."""
        due = 0
        while self.remaining and now >= self.deadline:
            due += 1
            self.remaining -= 1
            self.deadline += self.interval
        if not self.remaining:
            self.deadline = math.inf
        return due


def silence(mime: str, trailer: bytes, now: float) -> Filler | None:
    """A second of it, from *now* on; None for a codec of which we have none."""
    return _filler(mime, trailer, SILENCE_SECONDS, SILENCE_INTERVAL, now)


def black(mime: str, trailer: bytes, now: float) -> Filler | None:
    """A fifth of a second of it, from *now* on; None for a codec of which we have none."""
    return _filler(mime, trailer, BLACK_SECONDS, BLACK_INTERVAL, now)


def _filler(
    mime: str, trailer: bytes, seconds: float, interval: float, now: float
) -> Filler | None:
    frame = FRAMES.get(mime.lower())
    if frame is None:
        return None
    return Filler(frame + trailer, round(seconds / interval), interval, now)
