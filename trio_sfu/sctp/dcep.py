"""The words in which a data channel is opened (RFC 8832), and the marks of its messages.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|  3, for OPEN  | channel type  |            priority           |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|     retransmissions, or a lifetime in milliseconds            |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|         label length          |        protocol length        |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                    label, then protocol, UTF-8                |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

import enum
import struct
from typing import ClassVar, Final, Self

import attrs

from trio_sfu.wire import Reader, WireError

_OPEN: Final = struct.Struct("!BBHLHH")


class Ppid(enum.IntEnum):
    """Payload protocol identifiers of WebRTC (RFC 8831 section 8)."""

    DCEP = 50
    STRING = 51
    BINARY = 53
    EMPTY_STRING = 56
    """SCTP has no empty messages: one byte goes, and is thrown away."""
    EMPTY_BINARY = 57


class Reliability(enum.IntEnum):
    """The channel type without its high bit (RFC 8832 section 5.1)."""

    FULL = 0
    RETRANSMISSIONS = 1
    LIFETIME = 2


UNORDERED: Final = 0x80
"""The channel type's high bit."""


@attrs.frozen
class Open:
    """DATA_CHANNEL_OPEN (RFC 8832 section 5.1)."""

    TYPE: ClassVar[int] = 3
    label: str
    protocol: str = ""
    ordered: bool = True
    reliability: Reliability = Reliability.FULL
    limit: int = 0
    """Retransmissions, or milliseconds of lifetime; nothing on a reliable channel."""
    priority: int = 256
    """"Normal" of RFC 8831 section 6.4; carried, not acted upon."""

    def encode(self) -> bytes:
        label, protocol = self.label.encode(), self.protocol.encode()
        kind = self.reliability | (0 if self.ordered else UNORDERED)
        return (
            _OPEN.pack(self.TYPE, kind, self.priority, self.limit, len(label), len(protocol))
            + label
            + protocol
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        fields = reader.take(_OPEN.size)
        message, kind, priority, limit, label_length, protocol_length = _OPEN.unpack(fields)
        if message != cls.TYPE:
            raise WireError(f"DCEP message type {message}")
        try:
            reliability = Reliability(kind & ~UNORDERED)
        except ValueError:
            raise WireError(f"data channel type {kind:#x}") from None
        label, protocol = reader.text(label_length), reader.text(protocol_length)
        reader.end()
        return cls(label, protocol, not kind & UNORDERED, reliability, limit, priority)


@attrs.frozen
class Ack:
    """DATA_CHANNEL_ACK (RFC 8832 section 5.2): one byte, to which pion adds three zeros."""

    TYPE: ClassVar[int] = 2

    def encode(self) -> bytes:
        return bytes((self.TYPE,))

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        if reader.u8() != cls.TYPE:
            raise WireError("no DATA_CHANNEL_ACK")
        return cls()


def decode_dcep(data: bytes) -> Open | Ack:
    """Whichever of the two it is."""
    kind = Ack if data[:1] == bytes((Ack.TYPE,)) else Open
    return kind.decode(Reader(data))
