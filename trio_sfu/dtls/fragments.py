"""Handshake messages in pieces: cut to fit a datagram, and joined again.

Problem: a handshake message may be longer than a datagram (a ClientHello with a
post-quantum key share is), datagrams are lost, doubled and reordered, and a peer
that retransmits may cut the same message elsewhere the second time, because it
has meanwhile lowered its idea of the MTU. Firefox does so after two timeouts.

Naive answer: a buffer of the size that the first fragment announces, and a count
of bytes received. It fails twice: overlaps are counted double, so a message is
"complete" with a hole in it; and twelve bytes from a stranger cost us 16 KiB.

Ours: the pieces themselves, sorted, never overlapping; touching ones are joined.
Memory grows with what was received and not with what was announced, the number of
pieces is bounded, and a message is whole when there is one piece of full length.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     type      |          length of the whole message          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |      message sequence         |        fragment offset        :
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    :   (24 bits)   |                fragment length                |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

import enum
from typing import Final, Self

import attrs

from trio_sfu.dtls.flights import Message
from trio_sfu.wire import Reader, WireError

HEADER_SIZE: Final = 12

MAX_MESSAGE: Final = 16_384
"""Of one message. The longest seen is a ClientHello of 1461 bytes; certificates of
RSA with a chain go to some 5 KiB; OpenSSL's own limit for certificates is 100 KiB."""
MAX_AHEAD: Final = 8
"""How many messages beyond the expected one are kept. The longest flight has six."""
MAX_PIECES: Final = 32
"""Of one message, with holes between them. 16 KiB at an MTU of 300 are 60 pieces, and
the worst order leaves every second one out."""


@attrs.frozen
class Fragment:
    """A handshake message or a part of it (RFC 6347 section 4.2.2)."""

    message: Message
    sequence: int
    length: int
    """Of the whole message."""
    offset: int
    body: bytes

    def encode(self) -> bytes:
        return b"".join(
            (
                bytes((self.message,)),
                self.length.to_bytes(3, "big"),
                self.sequence.to_bytes(2, "big"),
                self.offset.to_bytes(3, "big"),
                len(self.body).to_bytes(3, "big"),
                self.body,
            )
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        kind, length, sequence = reader.u8(), reader.u24(), reader.u16()
        offset, size = reader.u24(), reader.u24()
        body = reader.take(size)
        if offset + size > length:
            raise WireError("fragment beyond the end of its message")
        try:
            message = Message(kind)
        except ValueError:
            raise WireError(f"unknown handshake message {kind}") from None
        return cls(message, sequence, length, offset, body)

    def cut(self, room: int) -> tuple["Fragment", "Fragment | None"]:
        """A front part with at most *room* bytes of body, and what is left."""
        if len(self.body) <= room:
            return self, None
        return (
            attrs.evolve(self, body=self.body[:room]),
            attrs.evolve(self, offset=self.offset + room, body=self.body[room:]),
        )


@attrs.define
class _Pieces:
    """One message in the making."""

    message: Message
    length: int
    parts: list[tuple[int, bytes]] = attrs.field(factory=list)

    def add(self, offset: int, body: bytes) -> bool:
        """Join a part with those that it touches; False if there are too many holes."""
        start, end = offset, offset + len(body)
        before = [part for part in self.parts if part[0] + len(part[1]) < start]
        after = [part for part in self.parts if part[0] > end]
        for at, part in self.parts[len(before) : len(self.parts) - len(after)]:
            # What came first stays: an overlap never changes bytes that we have.
            if at < start:
                body = part[: start - at] + body
                start = at
            body = body[: at - start] + part + body[at - start + len(part) :]
        parts = [*before, (start, body), *after]
        if len(parts) > MAX_PIECES:
            return False
        self.parts = parts
        return True

    def whole(self) -> bytes | None:
        if len(self.parts) == 1 and len(self.parts[0][1]) == self.length:
            return self.parts[0][1]
        return None


class Arrival(enum.Enum):
    """What became of a fragment."""

    KEPT = enum.auto()
    STALE = enum.auto()
    """Of a message that was handled already: the peer repeats itself."""
    TOO_FAR = enum.auto()
    TOO_LONG = enum.auto()
    CONTRADICTION = enum.auto()
    """Another type or length than the first fragment of this message said."""
    TOO_MANY_PIECES = enum.auto()


class Reassembly:
    """Gives the peer's messages whole and in order, however they come."""

    def __init__(self) -> None:
        self._expected = 0
        self._pending: dict[int, _Pieces] = {}

    @property
    def expected(self) -> int:
        """The number of the message that is to be handled next."""
        return self._expected

    def add(self, fragment: Fragment) -> Arrival:
        sequence = fragment.sequence
        if sequence < self._expected:
            return Arrival.STALE
        if sequence > self._expected + MAX_AHEAD:
            return Arrival.TOO_FAR
        if fragment.length > MAX_MESSAGE:
            return Arrival.TOO_LONG
        pieces = self._pending.get(sequence)
        if pieces is None:
            pieces = self._pending[sequence] = _Pieces(fragment.message, fragment.length)
        elif (pieces.message, pieces.length) != (fragment.message, fragment.length):
            return Arrival.CONTRADICTION
        if not pieces.add(fragment.offset, fragment.body):
            return Arrival.TOO_MANY_PIECES
        return Arrival.KEPT

    def peek(self) -> Fragment | None:
        """The next message if it is whole; it stays."""
        pieces = self._pending.get(self._expected)
        body = None if pieces is None else pieces.whole()
        if pieces is None or body is None:
            return None
        return Fragment(pieces.message, self._expected, pieces.length, 0, body)

    def drop_next(self) -> None:
        """The message that `peek` showed was handled."""
        del self._pending[self._expected]
        self._expected += 1
