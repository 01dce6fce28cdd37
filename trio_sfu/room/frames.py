"""Frames of data tracks, as they travel on the channel `_data_track` (LiveKit's own format).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-----+-+-+-+---+---------------+-------------------------------+
    |  V  |S|F|X|   |   reserved    |            handle             |
    +-----+-+-+-+---+---------------+-------------------------------+
    |            sequence           |             frame             |
    +-------------------------------+-------------------------------+
    |                           timestamp                           |
    +-------------------------------+-------------------------------+
    | if X: words after this one    | extensions: id, length, bytes |
    +-------------------------------+-------------------------------+
    |  ... zeros up to a whole word |  payload ...                  |

A frame may be cut into several of these: S marks its first, F its last. The handle is
the publisher's name for its track; each subscriber knows the track by another, and so
two bytes are all that a server has to change. It looks at the rest only as far as to
see that there is a header.
"""

import struct
from typing import Final, Self

import attrs

from trio_sfu.errors import WireError
from trio_sfu.wire import Reader

HEADER: Final = 12
"""Bytes of a header without extensions."""
_FIELDS: Final = struct.Struct("!BxHHHL")
_START: Final = 0x10
_FINAL: Final = 0x08
_EXTENDED: Final = 0x04


def handle_of(data: bytes) -> int:
    """Which of its tracks a publisher means. Raises `WireError` if *data* has no whole header."""
    if len(data) < HEADER:
        raise WireError(f"a frame of {len(data)} bytes has no header")
    if data[0] & _EXTENDED and len(data) < _payload_at(data):
        raise WireError("a frame ends in its extensions")
    return data[2] << 8 | data[3]


def with_handle(data: bytes, handle: int) -> bytes:
    """*data* as a subscriber gets it who knows the track as *handle*."""
    return b"%b%b%b" % (data[:2], handle.to_bytes(2, "big"), data[4:])


def _payload_at(data: bytes) -> int:
    words = int.from_bytes(data[HEADER : HEADER + 2], "big")
    return HEADER + 4 * (words + 1)


@attrs.frozen(kw_only=True)
class Frame:
    """One frame, or a piece of one."""

    handle: int
    payload: bytes
    sequence: int = 0
    number: int = 0
    """Of the frame; its pieces have the same."""
    timestamp: int = 0
    start: bool = True
    final: bool = True
    extensions: tuple[tuple[int, bytes], ...] = ()
    """Ids from 1 to 255, and at most 255 bytes each."""
    version: int = 0

    def encode(self) -> bytes:
        first = self.version << 5
        first |= _START * self.start | _FINAL * self.final | _EXTENDED * bool(self.extensions)
        header = _FIELDS.pack(first, self.handle, self.sequence, self.number, self.timestamp)
        if not self.extensions:
            return header + self.payload
        body = b"".join(bytes((kind, len(data))) + data for kind, data in self.extensions)
        words = (2 + len(body) + 3) // 4
        return b"%b%b%b%b" % (
            header,
            (words - 1).to_bytes(2, "big"),
            body.ljust(4 * words - 2, b"\0"),
            self.payload,
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `WireError`."""
        handle = handle_of(data)
        first, _, sequence, number, timestamp = _FIELDS.unpack_from(data)
        start, extensions = HEADER, list[tuple[int, bytes]]()
        if first & _EXTENDED:
            start = _payload_at(data)
            reader = Reader(data[HEADER + 2 : start])
            while reader and (kind := reader.u8()):  # a zero begins the padding
                extensions.append((kind, reader.take(reader.u8())))
        return cls(
            handle=handle,
            payload=data[start:],
            sequence=sequence,
            number=number,
            timestamp=timestamp,
            start=bool(first & _START),
            final=bool(first & _FINAL),
            extensions=tuple(extensions),
            version=first >> 5,
        )
