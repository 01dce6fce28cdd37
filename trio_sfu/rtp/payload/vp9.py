"""VP9 in RTP (RFC 9628): which layer a packet is of, and where a key frame begins.

     0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+
    |I|P|L|F|B|E|V|Z| always
    +-+-+-+-+-+-+-+-+
    |M| PICTURE ID  | if I; a second byte if M
    +-+-+-+-+-+-+-+-+
    | TID |U| SID |D| if L
    +-+-+-+-+-+-+-+-+
    |   TL0PICIDX   | if L, not F
    +-+-+-+-+-+-+-+-+
    |  P_DIFF     |N| if P and F, up to three while N
    +-+-+-+-+-+-+-+-+
    | scalability   | if V
    +-+-+-+-+-+-+-+-+

One stream carries all spatial layers (SVC), so to choose a layer is to leave out
packets of this one, not to change to another stream.
"""

from typing import Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.rtp.payload.frame import Frame
from trio_sfu.wire import Reader

I: Final = 0x80  # noqa: E741  the RFC's name
P: Final = 0x40
L: Final = 0x20
F: Final = 0x10
B: Final = 0x08
E: Final = 0x04
V: Final = 0x02

Y: Final = 0x10
G: Final = 0x08

REFERENCE_LIMIT: Final = 3
"""Reference indices of one picture in flexible mode (RFC 9628 section 4.2)."""


@attrs.frozen
class Vp9Descriptor:
    """The descriptor of one packet, as far as a forwarder asks."""

    inter_predicted: bool
    """P: the picture needs an earlier one."""
    begins: bool
    """B: the first packet of a layer's frame."""
    ends: bool
    """E: the last packet of it."""
    picture_id: int | None
    temporal: int
    switching_up: bool
    """U: from here on one may take the temporal layers above too."""
    spatial: int
    depends: bool
    """D: the frame needs the layer below of the same picture."""


def parse(reader: Reader) -> Vp9Descriptor:
    """The descriptor; *reader* stands at the VP9 data afterwards."""
    flags = reader.u8()
    picture_id: int | None = None
    if flags & I:
        picture_id = reader.u8()
        if picture_id & 0x80:
            picture_id = (picture_id & 0x7F) << 8 | reader.u8()
    layers = 0
    if flags & L:
        layers = reader.u8()
        if not flags & F:
            reader.u8()
    if flags & F and flags & P:
        for _ in range(REFERENCE_LIMIT):
            if not reader.u8() & 1:
                break
        else:
            raise WireError("a VP9 picture with more than three references")
    if flags & V:
        _skip_scalability(reader)
    return Vp9Descriptor(
        inter_predicted=bool(flags & P),
        begins=bool(flags & B),
        ends=bool(flags & E),
        picture_id=picture_id,
        temporal=layers >> 5,
        switching_up=bool(layers & 0x10),
        spatial=layers >> 1 & 7,
        depends=bool(layers & 1),
    )


def _skip_scalability(reader: Reader) -> None:
    """Sizes of the layers and a pattern of pictures: what may come, not what this is."""
    flags = reader.u8()
    if flags & Y:
        reader.take(4 * ((flags >> 5) + 1))
    if flags & G:
        for _ in range(reader.u8()):
            reader.take(reader.u8() >> 2 & 3)


def describe(payload: bytes) -> Frame:
    """What *payload* tells of its picture; a key frame begins with the lowest spatial layer.

    A higher layer's frame with P unset only depends on the layer below it.
    """
    reader = Reader(payload)
    found = parse(reader)
    begins_anew = found.begins and not found.inter_predicted and found.spatial == 0
    key_frame = begins_anew and not _is_inter(reader.u8())
    return Frame(key_frame, found.begins, found.spatial, found.temporal, found.switching_up)


def _is_inter(first: int) -> bool:
    """Whether the frame's own first byte says that it is no key frame (VP9 specification 7.2).

    P should be enough. But frames that are intra-coded without beginning anew have
    it unset too, and ffmpeg sets it never. What does not look like the start of a
    frame is encrypted, and P must do.
    """
    if first >> 6 != 2:
        return False
    is_profile_3 = first >> 4 & 3 == 3  # has a bit more before these two
    shows_existing, inter = (4, 2) if is_profile_3 else (8, 4)
    return bool(first & (shows_existing | inter))
