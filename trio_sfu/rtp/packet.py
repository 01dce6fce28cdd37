"""RTP packets: one received, read once; and one to be sent, as a decision.

Everything that a packet says is read when it arrives, by the task of the peer
that sent it, and never changes again: the *same* `RtpPacket` then waits in the
queue of every subscriber. What a subscriber needs otherwise (another number,
another SSRC, other extensions) is an `Outgoing`: a value without bytes, that
`render` turns into bytes as the very last step. So a packet can be remembered
for a retransmission at the price of a few integers, and rendered again.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                           timestamp                           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           synchronization source (SSRC) identifier            |
    +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    |            contributing source (CSRC) identifiers             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

import struct
from typing import Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.rtp.payload.frame import Frame

HEADER: Final = struct.Struct("!BBHLL")
_EXTENSION: Final = struct.Struct("!HH")

VERSION_2: Final = 0x80
PADDING: Final = 0x20
EXTENSION: Final = 0x10

ONE_BYTE: Final = 0xBEDE
"""The profile of one-byte header extensions (RFC 8285 section 4.2)."""
TWO_BYTE: Final = 0x1000
"""The profile of two-byte ones; its low four bits may be anything (section 4.3)."""

Extensions = dict[int, bytes]
"""Header extensions by their negotiated id."""

_NONE: Final[Extensions] = {}


@attrs.define(eq=False)
class RtpPacket:
    """One packet as it arrived, decrypted (RFC 3550 section 5.1).

    Immutable by rule, not by `attrs.frozen`: one is made for every packet. Only
    the receive stream that owns it fills in *index*, *arrival* and *frame*, once,
    before anybody else sees it.
    """

    payload_type: int
    marker: bool
    sequence: int
    """16 bits, as it stood on the wire."""
    timestamp: int
    ssrc: int
    extensions: Extensions
    payload: bytes
    """Without header, extensions and padding; empty in a packet of padding only."""
    index: int = 0
    """The sequence number that never wraps, counted by the receive stream."""
    arrival: float = 0.0
    """When it came, in seconds on our clock."""
    frame: Frame | None = None
    """What the payload's own header says, see `trio_sfu.rtp.payload`; None for plain audio."""


def parse(data: bytes) -> RtpPacket:
    """One packet from its (decrypted) bytes; `WireError` if they are none."""
    if len(data) < 12:
        raise WireError(f"an RTP packet of {len(data)} bytes")
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first & 0xC0 != VERSION_2:
        raise WireError(f"RTP version {first >> 6}")
    start, end = 12 + 4 * (first & 0x0F), len(data)
    extensions = _NONE
    if first & EXTENSION:
        if start + 4 > end:
            raise WireError("RTP header cut short")
        profile, words = _EXTENSION.unpack_from(data, start)
        start += 4
        if start + 4 * words > end:
            raise WireError("RTP header extension cut short")
        if words:
            extensions = _parse_extensions(data, start, start + 4 * words, profile)
            start += 4 * words
    if first & PADDING and end > start:
        # The last byte counts itself, so zero is as wrong as more than there is.
        padding = data[-1]
        if not 0 < padding <= end - start:
            raise WireError(f"{padding} bytes of padding in {end - start}")
        end -= padding
    if start > end:
        raise WireError("RTP header cut short")
    return RtpPacket(
        second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, extensions, data[start:end]
    )


def _parse_extensions(data: bytes, position: int, end: int, profile: int) -> Extensions:
    """Elements of RFC 8285; those of another profile are skipped, as RFC 3550 asks."""
    found: Extensions = {}
    if profile == ONE_BYTE:
        while position < end:
            byte = data[position]
            position += 1
            if byte == 0:  # padding between elements
                continue
            number, length = byte >> 4, (byte & 0x0F) + 1
            if number == 15:  # reserved: stop (section 4.2)
                break
            if position + length > end:
                raise WireError("header extension element cut short")
            found[number] = data[position : position + length]
            position += length
    elif profile & 0xFFF0 == TWO_BYTE:
        while position < end:
            number = data[position]
            position += 1
            if number == 0:
                continue
            if position >= end:
                raise WireError("header extension element cut short")
            length = data[position]
            position += 1
            if position + length > end:
                raise WireError("header extension element cut short")
            found[number] = data[position : position + length]
            position += length
    return found


def encode_extensions(extensions: Extensions) -> bytes:
    """A whole extension block, padded to 32 bits; nothing for no extensions.

    One-byte elements where all ids (1-14) and sizes (1-16) allow it, else two-byte.
    """
    if not extensions:
        return b""
    if all(0 < number < 15 and 0 < len(value) <= 16 for number, value in extensions.items()):
        profile = ONE_BYTE
        body = b"".join(
            bytes((number << 4 | len(value) - 1,)) + value for number, value in extensions.items()
        )
    else:
        profile = TWO_BYTE
        body = b"".join(bytes((number, len(value))) + value for number, value in extensions.items())
    words = (len(body) + 3) // 4
    return _EXTENSION.pack(profile, words) + body.ljust(4 * words, b"\0")


@attrs.define(eq=False)
class Outgoing:
    """How one subscriber gets a packet: a decision, not bytes.

    Immutable by rule, like `RtpPacket`. *cut* bytes at the start of the payload
    are replaced by *patch*: a VP8 descriptor renumbered, an RTX header put in front.
    Only the sender fills in *block*, once: see `trio_sfu.peer.retransmit`.
    """

    packet: RtpPacket
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    cut: int = 0
    patch: bytes = b""
    block: bytes | None = None
    """The extension block that it left with, if it must leave with the same again."""


def render(outgoing: Outgoing, extensions: bytes = b"") -> bytes:
    """The bytes of a packet; *extensions* is a whole block, as `encode_extensions` makes."""
    header = HEADER.pack(
        VERSION_2 | EXTENSION if extensions else VERSION_2,
        outgoing.payload_type | 0x80 if outgoing.marker else outgoing.payload_type,
        outgoing.sequence,
        outgoing.timestamp,
        outgoing.ssrc,
    )
    payload = outgoing.packet.payload
    if outgoing.cut:
        payload = payload[outgoing.cut :]
    return header + extensions + outgoing.patch + payload
