"""RTCP: reports, and the packets in which they and all feedback travel (RFC 3550 section 6).

One datagram is a *compound* of packets, each with the same header of four bytes:

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|  count  |      type     |       length in words - 1     |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

What *count* counts is each type's own affair; in feedback it is the format. The
classes here and in `feedback` and `twcc` are what follows the header: `PACKET_TYPE`
and `count` (or `FORMAT`) say what stands in it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import ClassVar, Final, Self

import attrs

from trio_sfu.errors import WireError
from trio_sfu.rtp.feedback import (
    PAYLOAD_FEEDBACK,
    TRANSPORT_FEEDBACK,
    Fir,
    Nack,
    Pli,
    Remb,
)
from trio_sfu.rtp.twcc import TransportFeedback
from trio_sfu.wire import Reader

VERSION: Final = 2
COUNT_LIMIT: Final = 31
"""Five bits: so many report blocks, chunks or sources fit one packet."""

CNAME: Final = 1
"""The SDES item that names an endpoint, one name for all its streams (section 6.5.1)."""
MID: Final = 15
"""The SDES item with a stream's mid (RFC 9143 section 15.1), as LiveKit sends it."""

_REFERENCE_TIME: Final = 4
_LAST_REFERENCE: Final = 5


@attrs.frozen
class ReportBlock:
    """What a receiver says of one stream (RFC 3550 section 6.4.1).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                             SSRC                              |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    | fraction lost |       cumulative number of packets lost       |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           extended highest sequence number received           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                      interarrival jitter                      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                         last SR (LSR)                         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                   delay since last SR (DLSR)                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    """

    ssrc: int
    fraction_lost: int
    """Since the last report, in 1/256."""
    lost: int
    """Since ever; negative if more copies came than packets were lost."""
    highest_sequence: int
    """32 bits: how often it wrapped, then the number itself."""
    jitter: int
    """In units of the stream's timestamps."""
    last_report: int
    """The middle 32 bits of the NTP time of the last sender report, 0 if there was none."""
    delay: int
    """Since that report, in 1/65536 s."""

    def encode(self) -> bytes:
        return b"".join(
            (
                self.ssrc.to_bytes(4, "big"),
                self.fraction_lost.to_bytes(1, "big"),
                self.lost.to_bytes(3, "big", signed=True),
                self.highest_sequence.to_bytes(4, "big"),
                self.jitter.to_bytes(4, "big"),
                self.last_report.to_bytes(4, "big"),
                self.delay.to_bytes(4, "big"),
            )
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(
            reader.u32(),
            reader.u8(),
            int.from_bytes(reader.take(3), "big", signed=True),
            reader.u32(),
            reader.u32(),
            reader.u32(),
            reader.u32(),
        )


def _encode_blocks(reports: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(report.encode() for report in reports)


def _decode_blocks(reader: Reader, count: int) -> tuple[ReportBlock, ...]:
    return tuple(ReportBlock.decode(reader) for _ in range(count))


@attrs.frozen
class SenderReport:
    """What a sender says of its stream, above all: this RTP timestamp is that time of day."""

    PACKET_TYPE: ClassVar = 200

    ssrc: int
    ntp: int
    """64 bits: seconds since 1900 and their fraction."""
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()

    @property
    def count(self) -> int:
        return len(self.reports)

    def encode(self) -> bytes:
        return b"".join(
            (
                self.ssrc.to_bytes(4, "big"),
                self.ntp.to_bytes(8, "big"),
                self.rtp_timestamp.to_bytes(4, "big"),
                self.packet_count.to_bytes(4, "big"),
                self.octet_count.to_bytes(4, "big"),
                _encode_blocks(self.reports),
            )
        )

    @classmethod
    def decode(cls, reader: Reader, count: int) -> Self:
        """What follows the blocks is a profile's own and is skipped (section 6.4.3)."""
        return cls(
            reader.u32(),
            reader.u64(),
            reader.u32(),
            reader.u32(),
            reader.u32(),
            _decode_blocks(reader, count),
        )


@attrs.frozen
class ReceiverReport:
    """What somebody who sends nothing says of the streams it receives."""

    PACKET_TYPE: ClassVar = 201

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()

    @property
    def count(self) -> int:
        return len(self.reports)

    def encode(self) -> bytes:
        return self.ssrc.to_bytes(4, "big") + _encode_blocks(self.reports)

    @classmethod
    def decode(cls, reader: Reader, count: int) -> Self:
        return cls(reader.u32(), _decode_blocks(reader, count))


@attrs.frozen
class SdesChunk:
    """What is said of one source: items of a type and up to 255 bytes of text."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...]

    def encode(self) -> bytes:
        items = b"".join(bytes((kind, len(text))) + text for kind, text in self.items)
        # At least one zero ends the items, and more reach the next word (section 6.5).
        return self.ssrc.to_bytes(4, "big") + items + bytes(4 - len(items) % 4)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        ssrc, size = reader.u32(), 0
        items: list[tuple[int, bytes]] = []
        while kind := reader.u8():
            text = reader.take(reader.u8())
            items.append((kind, text))
            size += 2 + len(text)
        reader.take(3 - size % 4)
        return cls(ssrc, tuple(items))


@attrs.frozen
class SourceDescription:
    """Who is who: SDES (RFC 3550 section 6.5)."""

    PACKET_TYPE: ClassVar = 202

    chunks: tuple[SdesChunk, ...]

    @property
    def count(self) -> int:
        return len(self.chunks)

    def encode(self) -> bytes:
        return b"".join(chunk.encode() for chunk in self.chunks)

    @classmethod
    def decode(cls, reader: Reader, count: int) -> Self:
        return cls(tuple(SdesChunk.decode(reader) for _ in range(count)))


@attrs.frozen
class Bye:
    """These sources end (RFC 3550 section 6.6)."""

    PACKET_TYPE: ClassVar = 203

    ssrcs: tuple[int, ...]
    reason: bytes = b""

    @property
    def count(self) -> int:
        return len(self.ssrcs)

    def encode(self) -> bytes:
        ssrcs = b"".join(ssrc.to_bytes(4, "big") for ssrc in self.ssrcs)
        if not self.reason:
            return ssrcs
        text = bytes((len(self.reason),)) + self.reason
        return ssrcs + text + bytes(-len(text) % 4)

    @classmethod
    def decode(cls, reader: Reader, count: int) -> Self:
        ssrcs = tuple(reader.u32() for _ in range(count))
        return cls(ssrcs, reader.take(reader.u8()) if reader else b"")


@attrs.frozen
class LastReference:
    """Of one receiver: the last reference time heard of it, and how long ago (DLRR)."""

    ssrc: int
    last_reference: int
    """The middle 32 bits of the NTP time that it gave."""
    delay: int
    """In 1/65536 s."""


@attrs.frozen
class ExtendedReport:
    """RTT for those who send nothing (RFC 3611 sections 4.4 and 4.5).

    A receiver gives its clock (RRTR), the sender gives it back with the delay in
    between (DLRR), as sender and receiver reports do the other way round. Of the
    other blocks of RFC 3611 none is used in WebRTC; they are skipped.
    """

    PACKET_TYPE: ClassVar = 207
    count: ClassVar = 0

    ssrc: int
    reference_time: int | None = None
    """64 bits of NTP time."""
    last_references: tuple[LastReference, ...] = ()

    def encode(self) -> bytes:
        encoded = self.ssrc.to_bytes(4, "big")
        if self.reference_time is not None:
            encoded += bytes((_REFERENCE_TIME, 0, 0, 2)) + self.reference_time.to_bytes(8, "big")
        if self.last_references:
            encoded += bytes((_LAST_REFERENCE, 0))
            encoded += (3 * len(self.last_references)).to_bytes(2, "big")
            for last in self.last_references:
                encoded += last.ssrc.to_bytes(4, "big")
                encoded += last.last_reference.to_bytes(4, "big")
                encoded += last.delay.to_bytes(4, "big")
        return encoded

    @classmethod
    def decode(cls, reader: Reader, count: int) -> Self:
        ssrc = reader.u32()
        reference_time: int | None = None
        last_references: list[LastReference] = []
        while reader:
            kind, _ = reader.u8(), reader.u8()
            block = reader.block(4 * reader.u16())
            if kind == _REFERENCE_TIME:
                reference_time = block.u64()
            elif kind == _LAST_REFERENCE:
                while block:
                    last_references.append(LastReference(block.u32(), block.u32(), block.u32()))
        return cls(ssrc, reference_time, tuple(last_references))


@attrs.frozen
class Unknown:
    """A packet of a kind that we have no use for, as it came."""

    PACKET_TYPE: int
    count: int
    body: bytes

    def encode(self) -> bytes:
        return self.body


Report = SenderReport | ReceiverReport | SourceDescription | Bye | ExtendedReport
Feedback = Nack | Pli | Fir | Remb | TransportFeedback
RtcpPacket = Report | Feedback | Unknown

_REPORTS: Final[Mapping[int, Callable[[Reader, int], RtcpPacket]]] = {
    SenderReport.PACKET_TYPE: SenderReport.decode,
    ReceiverReport.PACKET_TYPE: ReceiverReport.decode,
    SourceDescription.PACKET_TYPE: SourceDescription.decode,
    Bye.PACKET_TYPE: Bye.decode,
    ExtendedReport.PACKET_TYPE: ExtendedReport.decode,
}

_FEEDBACK: Final[Mapping[tuple[int, int], Callable[[Reader], RtcpPacket]]] = {
    (TRANSPORT_FEEDBACK, Nack.FORMAT): Nack.decode,
    (TRANSPORT_FEEDBACK, TransportFeedback.FORMAT): TransportFeedback.decode,
    (PAYLOAD_FEEDBACK, Pli.FORMAT): Pli.decode,
    (PAYLOAD_FEEDBACK, Fir.FORMAT): Fir.decode,
    (PAYLOAD_FEEDBACK, Remb.FORMAT): Remb.decode,
}


def decode_compound(data: bytes, unread: Collection[tuple[int, int]] = ()) -> list[RtcpPacket]:
    """What one (decrypted) datagram says; `WireError` if any of it is malformed.

    Reduced size is allowed, that is, any packets in any order (RFC 5506). Those whose
    type and format are in *unread* are left as they are, `Unknown`.
    """
    reader = Reader(data)
    packets: list[RtcpPacket] = []
    while reader:
        first, packet_type, words = reader.u8(), reader.u8(), reader.u16()
        if first >> 6 != VERSION:
            raise WireError(f"RTCP version {first >> 6}")
        body = reader.take(4 * words)
        if first & 0x20:
            body = _without_padding(body)
        count = first & 0x1F
        if (packet_type, count) in unread:
            packets.append(Unknown(packet_type, count, body))
        else:
            packets.append(_decode(packet_type, count, body))
    return packets


def _without_padding(body: bytes) -> bytes:
    """RFC 3550 allows it in the last packet only; libwebrtc pads wherever it needs to."""
    if not body or not 0 < body[-1] <= len(body):
        raise WireError("RTCP padding that cannot be")
    return body[: -body[-1]]


def _decode(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    if report := _REPORTS.get(packet_type):
        return report(Reader(body), count)
    feedback = _FEEDBACK.get((packet_type, count))
    if feedback is None or _is_foreign(packet_type, count, body):
        return Unknown(packet_type, count, body)
    return feedback(Reader(body))


def _is_foreign(packet_type: int, count: int, body: bytes) -> bool:
    """Whether this is application feedback of another application than REMB."""
    is_application = packet_type == PAYLOAD_FEEDBACK and count == Remb.FORMAT
    return is_application and body[8:12] != Remb.IDENTIFIER


def encode_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """One datagram; the caller sees to its size and to `COUNT_LIMIT`."""
    return b"".join(map(_encode, packets))


def _encode(packet: RtcpPacket) -> bytes:
    body = packet.encode()
    count = packet.FORMAT if isinstance(packet, Feedback) else packet.count
    if count > COUNT_LIMIT:
        raise ValueError(f"{count} do not fit one RTCP packet")
    padding = -len(body) % 4  # only transport feedback is not made of whole words
    if padding:
        body += bytes(padding - 1) + bytes((padding,))
    first = VERSION << 6 | (0x20 if padding else 0) | count
    return bytes((first, packet.PACKET_TYPE)) + (len(body) // 4).to_bytes(2, "big") + body
