"""VP8 in RTP (RFC 7741): its payload descriptor, read and renumbered.

     0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+
    |X|R|N|S|R| PID | first byte, always
    +-+-+-+-+-+-+-+-+
    |I|L|T|K| RSV   | if X
    +-+-+-+-+-+-+-+-+
    |M| PictureID   | if I
    +-+-+-+-+-+-+-+-+
    |   PictureID   | if I and M
    +-+-+-+-+-+-+-+-+
    |   TL0PICIDX   | if L
    +-+-+-+-+-+-+-+-+
    |TID|Y| KEYIDX  | if T or K
    +-+-+-+-+-+-+-+-+

Three counters live here that a decoder expects to be unbroken: the PictureID
counts pictures, TL0PICIDX counts those of the lowest temporal layer, KEYIDX key
frames. A subscriber that is moved from one encoding to another would see all three
jump, so an SFU adds an offset to each, chosen at the switch. RTP needs no more
than that for other codecs, and VP8 needs it because its descriptor is the only
one that numbers pictures *and* is sent in three independent encodings.
"""

from typing import Final

import attrs

from trio_sfu.errors import WireError

X: Final = 0x80
S: Final = 0x10
PID: Final = 0x07
I: Final = 0x80  # noqa: E741  the RFC's name
L: Final = 0x40
T: Final = 0x20
K: Final = 0x10
M: Final = 0x80
Y: Final = 0x20

PICTURE_ID_BITS: Final = 15
INTER: Final = 0x01
"""In the first byte of the VP8 frame itself: not a key frame (RFC 6386 section 9.1)."""


@attrs.define(eq=False)
class Vp8Descriptor:
    """The descriptor of one packet. None means that the field is not there.

    Immutable by rule, like `Frame`.
    """

    size: int
    """Bytes, so where the VP8 data begins."""
    start: bool
    """S bit, first partition: the picture begins here."""
    picture_id: int | None
    long: bool
    """Whether the picture id has 15 bits, not 7."""
    tl0_picture_index: int | None
    temporal: int | None
    layer_sync: bool
    key_index: int | None


_BARE: Final = {
    True: Vp8Descriptor(1, True, None, False, None, None, False, None),
    False: Vp8Descriptor(1, False, None, False, None, None, False, None),
}


def parse(payload: bytes) -> Vp8Descriptor:
    """The descriptor at the start of *payload*; `WireError` if it is cut short."""
    try:
        return _parse(payload)
    except IndexError:
        raise WireError(f"a VP8 descriptor in {len(payload)} bytes") from None


def _parse(payload: bytes) -> Vp8Descriptor:
    first = payload[0]
    start = first & (S | PID) == S
    if not first & X:
        return _BARE[start]
    flags, size = payload[1], 2
    picture_id: int | None = None
    tl0: int | None = None
    temporal: int | None = None
    key_index: int | None = None
    long = layer_sync = False
    if flags & I:
        picture_id = payload[2]
        size = 3
        if picture_id & M:
            picture_id = (picture_id & 0x7F) << 8 | payload[3]
            long, size = True, 4
    if flags & L:
        tl0 = payload[size]
        size += 1
    if flags & (T | K):
        byte = payload[size]
        size += 1
        if flags & T:
            temporal, layer_sync = byte >> 6, bool(byte & Y)
        if flags & K:
            key_index = byte & 0x1F
    return Vp8Descriptor(size, start, picture_id, long, tl0, temporal, layer_sync, key_index)


def is_key_frame(payload: bytes, descriptor: Vp8Descriptor) -> bool:
    """Whether the first packet of a key frame is before us."""
    if len(payload) <= descriptor.size:
        raise WireError("a VP8 descriptor with nothing after it")
    return descriptor.start and not payload[descriptor.size] & INTER


def renumber(
    payload: bytes, descriptor: Vp8Descriptor, picture_id: int, tl0_picture_index: int, key: int
) -> bytes:
    """The same descriptor with other numbers where it has any; they may be too long.

    The picture id is always written with 15 bits, whatever it had. A receiver must
    cope with either (RFC 7741 section 4.2), but few have ever seen the width change,
    as it would where one encoding uses 7 bits and the next one 15.
    """
    first = payload[0]
    if not first & X:
        return payload[:1]
    flags = payload[1]
    encoded = bytearray((first, flags))
    if flags & I:
        encoded += (M << 8 | picture_id & 0x7FFF).to_bytes(2, "big")
    if flags & L:
        encoded.append(tl0_picture_index & 0xFF)
    if flags & (T | K):
        byte = payload[descriptor.size - 1]
        encoded.append(byte & 0xE0 | key & 0x1F if flags & K else byte)
    return bytes(encoded)
