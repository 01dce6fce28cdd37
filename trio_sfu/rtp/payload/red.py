"""Redundant audio (RFC 2198): each packet repeats what went in those before it.

Headers come first, oldest block first, then the blocks in the same order:

     0                   1                    2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |1|   block PT  |  timestamp offset         |   block length    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

and of the newest, the primary one, only a byte: ``|0| block PT |``.
"""

from collections.abc import Iterable
from typing import Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.rtp.payload.frame import Frame
from trio_sfu.wire import Reader

OFFSET_LIMIT: Final = 0x3FFF
"""Timestamp units that a block can lie back: 341 ms of 48 kHz."""
LENGTH_LIMIT: Final = 0x3FF
"""Bytes of a redundant block."""
BLOCK_LIMIT: Final = 32
"""Redundant blocks in a packet; libwebrtc sends one or two and reads 32."""


@attrs.frozen
class Block:
    """One encoding of a moment."""

    payload_type: int
    timestamp_offset: int
    """How far before the packet's own timestamp; 0 for the primary block."""
    data: bytes


@attrs.define(eq=False)
class RedFrame(Frame):
    """What a packet of redundant audio repeats, and where its own sound begins.

    Immutable by rule, like `Frame`.
    """

    blocks: tuple[Block, ...] = ()
    primary_at: int = 0
    """Bytes before the primary block, which is the last."""


def describe(payload: bytes) -> RedFrame:
    """The blocks of *payload*; with any of them one may begin."""
    blocks = decode(payload)
    return RedFrame(
        key_frame=True, start=True, blocks=blocks, primary_at=len(payload) - len(blocks[-1].data)
    )


def decode(payload: bytes) -> tuple[Block, ...]:
    """The blocks, oldest first; the last one is the primary."""
    reader = Reader(payload)
    headers: list[tuple[int, int, int]] = []
    while (first := reader.u8()) & 0x80:
        if len(headers) == BLOCK_LIMIT:
            raise WireError("too many RED blocks")
        packed = reader.u24()
        headers.append((first & 0x7F, packed >> 10, packed & LENGTH_LIMIT))
    blocks = [
        Block(payload_type, offset, reader.take(length)) for payload_type, offset, length in headers
    ]
    return (*blocks, Block(first, 0, reader.rest()))


def encode(redundant: Iterable[Block], primary: Block) -> bytes:
    """A payload; of *redundant*, oldest first, those that fit no header are left out."""
    fitting = [
        block
        for block in redundant
        if block.timestamp_offset <= OFFSET_LIMIT and len(block.data) <= LENGTH_LIMIT
    ]
    headers = b"".join(
        (
            (0x80 | block.payload_type) << 24 | block.timestamp_offset << 10 | len(block.data)
        ).to_bytes(4, "big")
        for block in fitting
    )
    return b"".join(
        (headers, bytes((primary.payload_type,)), *(block.data for block in fitting), primary.data)
    )
