"""RTCP feedback messages (RFC 4585, RFC 5104) and REMB, without their RTCP header.

In each, the first SSRC is that of who speaks and the second that of the stream
spoken about. `trio_sfu.rtp.rtcp` puts the header before them and takes it off.
"""

import struct
from typing import ClassVar, Final, Self

import attrs

from trio_sfu.errors import WireError
from trio_sfu.sequence import distance
from trio_sfu.wire import Reader

TRANSPORT_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206

_SSRCS: Final = struct.Struct("!LL")
_PID_BLP: Final = struct.Struct("!HH")
_FIR_ENTRY: Final = struct.Struct("!LB3x")


@attrs.frozen
class Nack:
    """Asks the sender of a stream to send some packets again (RFC 4585 section 6.2.1).

    After the two SSRCs come requests. Each is a packet ID and a bit mask (BLP)
    for the sixteen packets after it, so that 17 losses in a row cost four bytes:

         0                   1                   2                   3
         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |            PID                |             BLP               |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    """

    PACKET_TYPE: ClassVar = TRANSPORT_FEEDBACK
    FORMAT: ClassVar = 1

    sender_ssrc: int
    media_ssrc: int
    lost: tuple[int, ...]
    """Sequence numbers, oldest first."""

    def encode(self) -> bytes:
        requests: list[list[int]] = []
        for sequence in self.lost:
            if requests and 1 <= (ahead := distance(sequence, requests[-1][0])) <= 16:
                requests[-1][1] |= 1 << (ahead - 1)
            else:
                requests.append([sequence, 0])
        body = b"".join(_PID_BLP.pack(pid, blp) for pid, blp in requests)
        return _SSRCS.pack(self.sender_ssrc, self.media_ssrc) + body

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        sender_ssrc, media_ssrc = reader.u32(), reader.u32()
        lost: list[int] = []
        while reader:
            pid, blp = reader.u16(), reader.u16()
            lost.append(pid)
            lost.extend((pid + bit + 1) & 0xFFFF for bit in range(16) if blp >> bit & 1)
        return cls(sender_ssrc, media_ssrc, tuple(lost))


@attrs.frozen
class Pli:
    """Picture loss indication: "I cannot go on without a key frame" (RFC 4585 section 6.3.1)."""

    PACKET_TYPE: ClassVar = PAYLOAD_FEEDBACK
    FORMAT: ClassVar = 1

    sender_ssrc: int
    media_ssrc: int

    def encode(self) -> bytes:
        return _SSRCS.pack(self.sender_ssrc, self.media_ssrc)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.u32(), reader.u32())


@attrs.frozen
class Fir:
    """Full intra request: a key frame, demanded (RFC 5104 section 4.3.1).

    Unlike a PLI it may ask of several streams at once, so the SSRC in the usual
    place stays zero, and each request has a number by which a repeat is known:

         0                   1                   2                   3
         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |                              SSRC                             |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        | Seq nr.       |    Reserved                                   |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    """

    PACKET_TYPE: ClassVar = PAYLOAD_FEEDBACK
    FORMAT: ClassVar = 4

    sender_ssrc: int
    requests: tuple[tuple[int, int], ...]
    """Of each stream asked: its SSRC, and the request's number (8 bits)."""

    def encode(self) -> bytes:
        entries = b"".join(_FIR_ENTRY.pack(ssrc, number) for ssrc, number in self.requests)
        return _SSRCS.pack(self.sender_ssrc, 0) + entries

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        sender_ssrc = reader.u32()
        reader.u32()
        requests: list[tuple[int, int]] = []
        while reader:
            ssrc, number = reader.u32(), reader.u8()
            reader.take(3)
            requests.append((ssrc, number))
        return cls(sender_ssrc, tuple(requests))


@attrs.frozen
class Remb:
    """Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 section 2.2).

    What the receiver believes the path to it takes, all named streams together:

         0                   1                   2                   3
         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |  Unique identifier 'R' 'E' 'M' 'B'                            |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |  Num SSRC     | BR Exp    |  BR Mantissa                      |
        +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
        |   SSRC feedback                                               |
    """

    PACKET_TYPE: ClassVar = PAYLOAD_FEEDBACK
    FORMAT: ClassVar = 15
    IDENTIFIER: ClassVar = b"REMB"
    """Format 15 belongs to applications, this is how it is told from others'."""

    sender_ssrc: int
    bitrate: int
    """Rounded down to 18 significant bits when sent."""
    ssrcs: tuple[int, ...]

    def encode(self) -> bytes:
        exponent = max(0, self.bitrate.bit_length() - 18)
        packed = len(self.ssrcs) << 24 | exponent << 18 | self.bitrate >> exponent
        return b"".join(
            (
                _SSRCS.pack(self.sender_ssrc, 0),
                self.IDENTIFIER,
                packed.to_bytes(4, "big"),
                *(ssrc.to_bytes(4, "big") for ssrc in self.ssrcs),
            )
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        sender_ssrc = reader.u32()
        reader.u32()
        if reader.take(4) != cls.IDENTIFIER:
            raise WireError("application feedback that is not REMB")
        count, rest = reader.u8(), reader.u24()
        bitrate = (rest & 0x3FFFF) << (rest >> 18)
        return cls(sender_ssrc, bitrate, tuple(reader.u32() for _ in range(count)))
