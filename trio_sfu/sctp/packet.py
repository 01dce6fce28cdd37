"""An SCTP packet: a common header and the chunks that travel together (RFC 9260 section 3).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |          source port          |       destination port        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                       verification tag                        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |             CRC32c, the only field in little-endian            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

A packet is read whole or not at all: one chunk that cannot be read spoils the rest.
"""

import struct
from collections.abc import Sequence
from typing import Final, Self

import attrs

from trio_sfu.sctp.chunks import Chunk, decode_chunk
from trio_sfu.sctp.crc32c import crc32c
from trio_sfu.wire import Reader, WireError

_HEADER: Final = struct.Struct("!HHL")
_CHECKSUM: Final = struct.Struct("<L")
_NO_CHECKSUM: Final = bytes(4)

HEADER: Final = 12
"""Bytes of the common header."""

MTU: Final = 1188
"""The largest packet that we send. IPv6 promises 1280 bytes (RFC 8200 section 5), of which
go 40 to IPv6, 8 to UDP, 37 to a DTLS 1.2 record with AES-GCM and 4 to a TURN channel:
1191, and chunks end at multiples of four. Path MTU discovery would have to be agreed with
ICE and DTLS; libwebrtc does without it too, with the same sum."""

MAX_PACKET: Final = 16_384
"""The largest packet that we read: the plaintext of one DTLS record (RFC 6347)."""
MAX_CHUNKS: Final = 512
"""Chunks in one packet; a full one of ours can hold some 60 messages of a byte."""


def assemble(source: int, destination: int, tag: int, chunks: Sequence[bytes]) -> bytes:
    """A packet from chunks that are encoded already."""
    head, body = _HEADER.pack(source, destination, tag), b"".join(chunks)
    checksum = crc32c(b"".join((head, _NO_CHECKSUM, body)))
    return b"".join((head, _CHECKSUM.pack(checksum), body))


@attrs.frozen
class Packet:
    """A packet as it came."""

    source: int
    destination: int
    tag: int
    chunks: tuple[Chunk, ...]

    def encode(self) -> bytes:
        return assemble(
            self.source, self.destination, self.tag, [chunk.encode() for chunk in self.chunks]
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        data = reader.rest()
        if not HEADER + 4 <= len(data) <= MAX_PACKET:
            raise WireError(f"an SCTP packet of {len(data)} bytes")
        source, destination, tag = _HEADER.unpack_from(data)
        if crc32c(data[:8] + _NO_CHECKSUM + data[12:]) != _CHECKSUM.unpack_from(data, 8)[0]:
            raise WireError("wrong SCTP checksum")
        body = Reader(data[HEADER:])
        chunks: list[Chunk] = []
        while body:
            if len(chunks) == MAX_CHUNKS:
                raise WireError("too many chunks in one packet")
            chunks.append(decode_chunk(body))
        return cls(source, destination, tag, tuple(chunks))
