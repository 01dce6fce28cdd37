"""What the header extensions of a packet mean.

`trio_sfu.rtp.packet` takes them apart (RFC 8285) without knowing any; here is
what those say that an SFU reads or writes. A URI names each in the SDP, a number
between 1 and 255 on the wire, which offer and answer agree on.
"""

from collections.abc import Callable, Mapping
from typing import Final, Self

import attrs

from trio_sfu.errors import WireError
from trio_sfu.wire import Reader

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID: Final = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
ABS_CAPTURE_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
PLAYOUT_DELAY: Final = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
TRANSPORT_SEQUENCE: Final = (
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)
DEPENDENCY_DESCRIPTOR: Final = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)

IDENTIFIER_LIMIT: Final = 32
"""Bytes in a mid or rid. RFC 8852 section 3.3 advises one or two and a one-byte
element cannot hold more than 16; the limit is for tables that are keyed by them."""

SILENCE: Final = 127
"""The quietest audio level there is; 0 is the loudest (RFC 6464 section 3)."""


@attrs.frozen
class AudioLevel:
    """How loud a packet is, so that nobody has to decode it to find the speaker (RFC 6464).

     0                   1
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  ID   | len=0 |V| level       |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    """

    level: int
    """In -dBov: 0 is as loud as can be, 127 is silence."""
    voice: bool
    """Whether the sender thinks that it is speech; only meaningful with ``vad=on``."""

    def encode(self) -> bytes:
        return bytes((self.voice << 7 | self.level,))

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        # A two-byte header may carry a second, padding byte (RFC 6464 section 3).
        byte = reader.u8()
        return cls(byte & 0x7F, byte > 0x7F)


@attrs.frozen
class AbsCaptureTime:
    """When the first sample of this packet was recorded, by the clock of who recorded it."""

    captured: int
    """An NTP timestamp: 32 bits of seconds since 1900, 32 of fraction."""
    clock_offset: int | None = None
    """What to add for the sender's own clock, in units of 2**-32 s, signed; often left out."""

    def encode(self) -> bytes:
        encoded = self.captured.to_bytes(8, "big")
        if self.clock_offset is not None:
            encoded += self.clock_offset.to_bytes(8, "big", signed=True)
        return encoded

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        captured = reader.u64()
        if not reader:
            return cls(captured)
        return cls(captured, int.from_bytes(reader.take(8), "big", signed=True))


@attrs.frozen
class PlayoutDelay:
    """Between which delays a receiver may choose, each in steps of 10 ms, 12 bits."""

    minimum: int
    maximum: int

    def encode(self) -> bytes:
        return (self.minimum << 12 | self.maximum).to_bytes(3, "big")

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        both = reader.u24()
        return cls(both >> 12, both & 0xFFF)


def encode_abs_send_time(now: float) -> bytes:
    """When a packet leaves, in 24 bits of 2**-18 s, so that it wraps every 64 s."""
    return (int(now * 262144) & 0xFFFFFF).to_bytes(3, "big")


def decode_abs_send_time(reader: Reader) -> float:
    """In seconds, modulo 64."""
    return reader.u24() / 262144


def encode_transport_sequence(sequence: int) -> bytes:
    """The number of a packet among all that leave over one transport, 16 bits of it."""
    return (sequence & 0xFFFF).to_bytes(2, "big")


def decode_transport_sequence(reader: Reader) -> int:
    """16 bits."""
    return reader.u16()


def encode_identifier(identifier: str) -> bytes:
    """A mid or a rid."""
    return identifier.encode()


def decode_identifier(reader: Reader) -> str:
    """A mid (RFC 9143) or a rid (RFC 8852): a short ASCII token."""
    if not 0 < len(reader) <= IDENTIFIER_LIMIT:
        raise WireError(f"an identifier of {len(reader)} bytes")
    text = reader.text(len(reader))
    if not (text.isascii() and text.isprintable()):
        raise WireError("an identifier that is no token")
    return text


DECODERS: Final[Mapping[str, Callable[[Reader], object]]] = {
    MID: decode_identifier,
    RID: decode_identifier,
    REPAIRED_RID: decode_identifier,
    AUDIO_LEVEL: AudioLevel.decode,
    ABS_SEND_TIME: decode_abs_send_time,
    ABS_CAPTURE_TIME: AbsCaptureTime.decode,
    PLAYOUT_DELAY: PlayoutDelay.decode,
    TRANSPORT_SEQUENCE: decode_transport_sequence,
}
"""Every extension that is understood by itself. The dependency descriptor is not
among them: it means nothing without the structure that came with the last key
frame, see `trio_sfu.rtp.dependency`."""
