"""The receiving half: which TSNs have come, and what messages they make (RFC 9260 section 6).

Two questions are kept apart. *What has arrived* is one number and a few ranges: all
TSNs up to `cumulative`, and `_gaps` beyond it. That is all a SACK needs. *What it
means* is a matter of pieces: a message's pieces have consecutive TSNs, so pieces
that touch are kept together as a `_Run`, found by its first and by its last TSN; a
new piece joins the run that ends before it and the run that begins after it. A run
that begins with a beginning and ends with an end is a message. No step looks at
more than its two neighbours, however large the message and in whatever order.

Bounded memory: what lies here (pieces, and ordered messages that wait for earlier
ones) is counted with a surcharge for each, and a new TSN beyond the highest is taken
only while that is below the window; one that fills a gap while it is below twice
that. A peer that honours our a_rwnd never meets either limit.

After a FORWARD TSN some pieces can never be completed. A run is *dead* when it lacks
its beginning and everything before it is accounted for, or when the peer has
declared its beginning forgotten; it is thrown away at the moment it becomes so.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable
from typing import Final

import attrs

from trio_sfu.sctp.chunks import Data, ForwardTsn, Sack
from trio_sfu.sctp.states import Ignored
from trio_sfu.sequence import distance

RECEIVE_WINDOW: Final = 1 << 20
"""Bytes that may lie here unfinished; what pion and usrsctp advertise, within a factor of two."""
OVERHEAD: Final = 96
"""Bytes that a piece or a waiting message costs besides its payload, roughly, in Python."""
MAX_MESSAGE_RECEIVED: Final = 256 * 1024
"""The largest message taken: Chromium's own max-message-size, 262144."""
MAX_AHEAD: Final = 16_384
"""How far beyond the cumulative TSN one may lie: more pieces than any window of ours holds."""
MAX_STREAMS: Final = 1024
"""Streams in each direction: libwebrtc uses no higher ids. 65535 would be state for nothing."""
MAX_GAPS: Final = 200
"""Gap blocks in one SACK: 800 bytes, so that it always fits into a packet."""
MAX_DUPLICATES: Final = 20
"""Duplicate TSNs in one SACK; they inform, nobody depends on them."""

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 1 << 31


@attrs.define(eq=False)
class Message:
    """A whole message, ready for its stream. Immutable by rule: one is made for every message."""

    stream: int
    ppid: int
    data: bytes


@attrs.define(eq=False)
class _Run:
    """Pieces of one message with consecutive TSNs."""

    first: int
    last: int
    piece: Data
    """Any of them, for stream, SSN and PPID."""
    payloads: list[bytes]
    size: int
    """Of all payloads, also when they were thrown away for being too many."""
    held: int
    begins: bool
    ends: bool


@attrs.define(eq=False)
class _Stream:
    """An ordered stream: which message is next, and those that came too early."""

    next_ssn: int = 0
    waiting: dict[int, Message | None] = attrs.Factory(dict)
    """By SSN; None stands for one that was too large, whose turn passes in silence."""


class Inbound:
    """Everything that one association has received and not yet delivered."""

    def __init__(
        self,
        first_tsn: int,
        deliver: Callable[[Message], None],
        ignored: Counter[Ignored],
        window: int = RECEIVE_WINDOW,
    ) -> None:
        self.cumulative = first_tsn - 1
        """The last TSN before the first hole, as an integer that never wraps."""
        self.sack_wanted = False
        """Whether something happened that the peer should hear of at once."""
        self.held_back = False
        """Whether the peer is told that there is no room, whatever there is."""
        self._tell = deliver
        self._ignored = ignored
        self._window = window
        self._held = 0
        self._gaps: list[list[int]] = []
        self._duplicates: list[int] = []
        self._streams: dict[int, _Stream] = {}
        self._by_first: dict[int, _Run] = {}
        self._by_last: dict[int, _Run] = {}
        self._firsts: list[int] = []

    @property
    def held(self) -> int:
        """Bytes of memory that unfinished business takes, by our own reckoning."""
        return self._held

    @property
    def window(self) -> int:
        """The a_rwnd to advertise. Less than a packet is none (section 6.2.1)."""
        if self.held_back:
            return 0
        room = self._window - self._held
        return room if room >= 1500 else 0

    def sack(self) -> Sack:
        """What has arrived; the duplicates are then told."""
        base = self.cumulative
        gaps = tuple((first - base, last - base) for first, last in self._gaps[:MAX_GAPS])
        duplicates, self._duplicates = self._duplicates, []
        self.sack_wanted = False
        return Sack(base & _MASK, self.window, gaps, tuple(duplicates))

    def data(self, chunk: Data) -> bool:
        """Take a piece; False if it was a duplicate or had to be refused."""
        ahead = distance(chunk.tsn, self.cumulative & _MASK, 32)
        tsn = self.cumulative + ahead
        if ahead == 0 or ahead >= _HALF or (self._gaps and self._received(tsn)):
            self._ignored[Ignored.DUPLICATE] += 1
            self.sack_wanted = True
            if len(self._duplicates) < MAX_DUPLICATES:
                self._duplicates.append(chunk.tsn)
            return False
        highest = self._gaps[-1][1] if self._gaps else self.cumulative
        limit = self._window if tsn > highest else 2 * self._window
        if ahead > MAX_AHEAD or self._held + len(chunk.payload) + OVERHEAD > limit:
            self._ignored[Ignored.BEYOND_WINDOW] += 1
            self.sack_wanted = True
            return False
        had_gaps = bool(self._gaps)
        self._mark(tsn)
        # Out of order, or the end of a hole: the sender is waiting to hear (section 6.7).
        if had_gaps or self._gaps or chunk.flags & Data.IMMEDIATE:
            self.sack_wanted = True
        if chunk.stream >= MAX_STREAMS:
            self._ignored[Ignored.WRONG_STREAM] += 1
        elif chunk.flags & 3 == Data.BEGIN | Data.END:
            if self._by_first and tsn + 1 in self._by_first:
                self._check_successor(tsn + 1)
            self._complete(chunk, chunk.payload)
        else:
            self._piece(tsn, chunk)
        return True

    def forward(self, chunk: ForwardTsn) -> None:
        """Give up what the peer has given up (RFC 3758 section 3.6)."""
        self.sack_wanted = True
        ahead = distance(chunk.cumulative, self.cumulative & _MASK, 32)
        if ahead == 0 or ahead >= _HALF:
            self._ignored[Ignored.OLD_FORWARD_TSN] += 1
            return
        point = self.cumulative + ahead
        # The one run that may reach across the old cumulative TSN is given up, too:
        # it ends exactly there, or it would go on.
        self.cumulative = point
        gaps = self._gaps
        del gaps[: bisect_right(gaps, point, key=_last_of)]
        if gaps and gaps[0][0] <= point + 1:
            self.cumulative = gaps.pop(0)[1]
        for first in self._firsts[: bisect_right(self._firsts, self.cumulative)]:
            run = self._by_first[first]
            if first <= point or not run.begins:
                self._drop(run)
        for stream, ssn in chunk.skipped:
            if stream < MAX_STREAMS:
                self._skip(self._stream(stream), ssn)

    def reset(self, streams: tuple[int, ...]) -> None:
        """Let streams begin again at SSN 0; all of them if none is named."""
        for number in streams or tuple(self._streams):
            stream = self._streams.pop(number, None)
            for message in stream.waiting.values() if stream else ():
                self._release(message)

    # --- what has arrived -------------------------------------------------------

    def _received(self, tsn: int) -> bool:
        index = bisect_right(self._gaps, tsn, key=_first_of) - 1
        return index >= 0 and tsn <= self._gaps[index][1]

    def _mark(self, tsn: int) -> None:
        """Note a TSN that is new."""
        gaps = self._gaps
        if tsn == self.cumulative + 1:
            self.cumulative = tsn
            if gaps and gaps[0][0] == tsn + 1:
                self.cumulative = gaps.pop(0)[1]
            return
        index = bisect_right(gaps, tsn, key=_first_of)
        joins_left = index > 0 and gaps[index - 1][1] == tsn - 1
        joins_right = index < len(gaps) and gaps[index][0] == tsn + 1
        if joins_left and joins_right:
            gaps[index - 1][1] = gaps.pop(index)[1]
        elif joins_left:
            gaps[index - 1][1] = tsn
        elif joins_right:
            gaps[index][0] = tsn
        else:
            gaps.insert(index, [tsn, tsn])

    # --- what it means ----------------------------------------------------------

    def _piece(self, tsn: int, chunk: Data) -> None:
        flags, size = chunk.flags, len(chunk.payload)
        run = _Run(
            tsn,
            tsn,
            chunk,
            [chunk.payload],
            size,
            size + OVERHEAD,
            bool(flags & Data.BEGIN),
            bool(flags & Data.END),
        )
        self._held += run.held
        before, after = self._by_last.get(tsn - 1), self._by_first.get(tsn + 1)
        if before is not None and not run.begins and _fit(before, run):
            self._unlist(before)
            run = self._join(before, run)
        if after is not None:
            if run.ends or after.begins:
                self._check_successor(tsn + 1)
            elif _fit(run, after):
                self._unlist(after)
                run = self._join(run, after)
        if run.begins and run.ends:
            self._held -= run.held
            if run.size > MAX_MESSAGE_RECEIVED:
                self._ignored[Ignored.OVERSIZED] += 1
                self._complete(run.piece, None)
            else:
                self._complete(run.piece, b"".join(run.payloads))
            return
        self._by_first[run.first] = self._by_last[run.last] = run
        insort(self._firsts, run.first)
        if not run.begins and run.first <= self.cumulative:
            self._drop(run)

    def _join(self, left: _Run, right: _Run) -> _Run:
        """*left* with *right* after it; an oversized one keeps only its size."""
        left.last, left.ends = right.last, right.ends
        left.size += right.size
        left.held += right.held
        if left.size > MAX_MESSAGE_RECEIVED:
            self._held -= left.held
            left.held = 0
            left.payloads.clear()
        else:
            left.payloads += right.payloads
        return left

    def _check_successor(self, first: int) -> None:
        """A message ended before *first*: what lies there must begin one, or it is dead."""
        run = self._by_first[first]
        if not run.begins:
            self._drop(run)

    def _unlist(self, run: _Run) -> None:
        del self._by_first[run.first]
        del self._by_last[run.last]
        index = bisect_right(self._firsts, run.first) - 1
        del self._firsts[index]

    def _drop(self, run: _Run) -> None:
        self._unlist(run)
        self._held -= run.held
        self._ignored[Ignored.TORN_MESSAGE] += 1

    # --- in which order it is told ----------------------------------------------

    def _stream(self, number: int) -> _Stream:
        stream = self._streams.get(number)
        if stream is None:
            stream = self._streams[number] = _Stream()
        return stream

    def _complete(self, piece: Data, data: bytes | None) -> None:
        """A whole message; None if it was too large to keep."""
        message = None if data is None else Message(piece.stream, piece.ppid, data)
        if piece.flags & Data.UNORDERED:
            if message is not None:
                self._tell(message)
            return
        stream = self._stream(piece.stream)
        if piece.ssn == stream.next_ssn:
            if message is not None:
                self._tell(message)
            stream.next_ssn = piece.ssn + 1 & 0xFFFF
            if stream.waiting:
                self._drain(stream)
        elif distance(piece.ssn, stream.next_ssn) < 0x8000 and piece.ssn not in stream.waiting:
            stream.waiting[piece.ssn] = message
            self._held += OVERHEAD + (len(message.data) if message else 0)
        else:
            self._ignored[Ignored.WRONG_SSN] += 1

    def _release(self, message: Message | None) -> None:
        self._held -= OVERHEAD + (len(message.data) if message else 0)

    def _deliver(self, stream: _Stream, ssn: int) -> None:
        message = stream.waiting.pop(ssn)
        self._release(message)
        if message is not None:
            self._tell(message)

    def _drain(self, stream: _Stream) -> None:
        while stream.next_ssn in stream.waiting:
            self._deliver(stream, stream.next_ssn)
            stream.next_ssn = stream.next_ssn + 1 & 0xFFFF

    def _skip(self, stream: _Stream, ssn: int) -> None:
        """Everything up to *ssn* is told or given up; what waited behind it may go."""
        start = stream.next_ssn
        steps = distance(ssn + 1 & 0xFFFF, start)
        if not 0 < steps < 0x8000:
            return
        # Whichever is the shorter walk: a peer may skip far, or hold many back.
        if steps <= len(stream.waiting):
            passed = [start + step & 0xFFFF for step in range(steps)]
        else:
            passed = sorted(stream.waiting, key=lambda waiting: distance(waiting, start))
        for number in passed:
            if number in stream.waiting and distance(number, start) < steps:
                self._deliver(stream, number)
        stream.next_ssn = ssn + 1 & 0xFFFF
        self._drain(stream)


def _first_of(gap: list[int]) -> int:
    return gap[0]


def _last_of(gap: list[int]) -> int:
    return gap[1]


def _fit(left: _Run, right: _Run) -> bool:
    """Whether two neighbours can be of one message."""
    one, other = left.piece, right.piece
    return (
        not left.ends
        and not right.begins
        and one.stream == other.stream
        and (one.flags ^ other.flags) & Data.UNORDERED == 0
        and (one.ssn == other.ssn or bool(one.flags & Data.UNORDERED))
    )
