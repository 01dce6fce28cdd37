"""What payloads say about themselves: key frames, layers, pictures.

An SFU decodes nothing, but it must know where a picture can be begun with, and
which layer a packet is of. Each codec has a small header for that before its data;
a module here reads one. The receive stream asks `describer` once which of them is
for it, then each packet is described once, for all subscribers: `RtpPacket.frame`.
"""

from collections.abc import Callable, Mapping
from typing import Final

from trio_sfu.rtp.payload import av1, h264, red, vp8, vp9
from trio_sfu.rtp.payload.frame import Frame
from trio_sfu.rtp.payload.vp8 import Vp8Descriptor

__all__ = ["DESCRIBERS", "Describer", "Frame", "Vp8Descriptor", "describer"]

Describer = Callable[[bytes], Frame]
"""Takes a payload (not an empty one), gives what it says, or raises `WireError`."""


def _describe_vp8(payload: bytes) -> Frame:
    found = vp8.parse(payload)
    return Frame(
        vp8.is_key_frame(payload, found),
        found.start,
        0,
        found.temporal or 0,
        found.layer_sync,
        found,
    )


DESCRIBERS: Final[Mapping[str, Describer]] = {
    "audio/red": red.describe,
    "video/vp8": _describe_vp8,
    "video/vp9": vp9.describe,
    "video/h264": h264.describe,
    "video/av1": av1.describe,
}
"""By MIME type in lower case. Other sound needs no description: any packet can be begun with."""


def describer(mime: str) -> Describer | None:
    """The function for a codec, to be asked for once a stream; None if there is none."""
    return DESCRIBERS.get(mime.lower())
