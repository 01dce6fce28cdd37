"""The record layer's bytes: what a DTLS datagram is made of (RFC 6347 section 4.1).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    | content type  |            version            |     epoch     :
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    :   (16 bits)   |            sequence number (48 bits)          :
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    :                               |            length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                            payload                            :

Each record says its epoch (which keys protect it; 0 is none) and a number within
the epoch, because a datagram may come late, twice or never.
"""

import enum
import struct
from typing import Final, Self

import attrs

from trio_sfu.wire import Reader, WireError

_HEADER: Final = struct.Struct("!BHQH")
HEADER_SIZE: Final = 13

DTLS_1_0: Final = 0xFEFF
"""In the header of a first ClientHello and of a HelloVerifyRequest (RFC 6347
section 4.2.1): whoever speaks an older version only can read that far."""
DTLS_1_2: Final = 0xFEFD
_MAJOR: Final = 0xFE

MAX_PLAINTEXT: Final = 1 << 14
"""RFC 5246 section 6.2.1."""
MAX_CIPHERTEXT: Final = MAX_PLAINTEXT + 2048
"""RFC 5246 section 6.2.3."""
MAX_SEQUENCE: Final = (1 << 48) - 1


class ContentType(enum.IntEnum):
    """What a record carries (RFC 5246 section 6.2.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


@attrs.frozen
class Record:
    """One record; the payload of epoch 1 and up is still encrypted."""

    content_type: ContentType
    epoch: int
    sequence: int
    payload: bytes
    version: int = DTLS_1_2

    @property
    def number(self) -> int:
        """Epoch and sequence as the one 64-bit number that goes into nonces."""
        return self.epoch << 48 | self.sequence

    def encode(self) -> bytes:
        return (
            _HEADER.pack(self.content_type, self.version, self.number, len(self.payload))
            + self.payload
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """The next record of a datagram; `WireError` ends the whole datagram."""
        try:
            content_type = ContentType(reader.u8())
        except ValueError:
            raise WireError("unknown content type") from None
        version = reader.u16()
        if version >> 8 != _MAJOR:
            raise WireError(f"record version {version:#06x}")
        epoch, sequence = reader.u16(), reader.u48()
        length = reader.u16()
        if length > MAX_CIPHERTEXT:
            raise WireError(f"record of {length} bytes")
        return cls(content_type, epoch, sequence, reader.take(length), version)
