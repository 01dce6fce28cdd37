"""H.264 in RTP (RFC 6184): enough of its NAL units to find key frames.

     0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+
    |F|NRI|  Type   |
    +-+-+-+-+-+-+-+-+

A packet holds one NAL unit (types 1-23), several (STAP-A, type 24: each after 16
bits of length) or a part of one (FU-A, type 28: a second byte has the start bit
and the true type). Encoders put the parameter sets before the picture that needs
them, often in packets of their own, and a decoder that comes anew needs them: so
the place to begin is the SPS, or the IDR picture where there is none.
"""

from typing import Final

from trio_sfu.errors import WireError
from trio_sfu.rtp.payload.frame import Frame
from trio_sfu.wire import Reader

SLICE: Final = 1
IDR: Final = 5
SPS: Final = 7
PPS: Final = 8
STAP_A: Final = 24
FU_A: Final = 28

FU_START: Final = 0x80
KEY: Final = frozenset((IDR, SPS))


def describe(payload: bytes) -> Frame:
    """What *payload* tells of its picture.

    H.264 does not say which packet is a picture's first; *start* is true where a
    NAL unit starts, which is the same unless an encoder cuts pictures in slices.
    """
    if not payload:
        raise WireError("an H.264 packet without a byte")
    kind = payload[0] & 0x1F
    if kind == FU_A:
        if len(payload) < 2:
            raise WireError("an FU-A without its header")
        start = payload[1] >= FU_START
        return Frame(start and payload[1] & 0x1F in KEY, start)
    if kind == STAP_A:
        return Frame(_holds_key(payload), True)
    return Frame(kind in KEY, True)


def _holds_key(payload: bytes) -> bool:
    reader = Reader(payload)
    reader.u8()
    found = False
    while reader:
        unit = reader.block(reader.u16())
        found |= bool(unit) and unit.u8() & 0x1F in KEY
    return found
