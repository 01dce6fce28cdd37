"""AV1 in RTP (RTP payload format for AV1, v1.0, section 4): its aggregation header.

     0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+
    |Z|Y| W |N|-|-|-|
    +-+-+-+-+-+-+-+-+

Z: the first OBU element goes on from the packet before. N: a new coded video
sequence begins, so this is the first packet of a key frame. What layer it is of
stands in the dependency descriptor (`trio_sfu.rtp.dependency`) where there is one,
else in the OBU's own extension, which is read here.
"""

from typing import Final

from trio_sfu.errors import WireError
from trio_sfu.rtp.payload.frame import Frame
from trio_sfu.wire import Reader

Z: Final = 0x80
N: Final = 0x08

HAS_EXTENSION: Final = 0x04
SEQUENCE_HEADER: Final = 1
TEMPORAL_DELIMITER: Final = 2

LEB128_LIMIT: Final = 8
"""Bytes of a leb128 number (AV1 specification section 4.10.5)."""


def describe(payload: bytes) -> Frame:
    """What *payload* tells of its picture.

    A picture's first packet is not marked; *start* is true where an OBU starts.
    """
    reader = Reader(payload)
    aggregation = reader.u8()
    if aggregation & Z:
        if aggregation & N:
            raise WireError("an AV1 sequence that begins in the middle of an OBU")
        if not reader:
            raise WireError("an AV1 packet without an element")
        return Frame(False, False)
    if aggregation >> 4 & 3 != 1:  # W of 1: the only element has no length
        _leb128(reader)
    header = reader.u8()
    extension = reader.u8() if header & HAS_EXTENSION else 0
    # Encoders that set no N still begin each key frame with a sequence header.
    key_frame = bool(aggregation & N) or header >> 3 & 0x0F == SEQUENCE_HEADER
    return Frame(key_frame, True, extension >> 3 & 3, extension >> 5)


def _leb128(reader: Reader) -> int:
    """Seven bits a byte, lowest first; the top bit says that there are more."""
    number = 0
    for place in range(LEB128_LIMIT):
        byte = reader.u8()
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number
    raise WireError("an AV1 length of more than eight bytes")
