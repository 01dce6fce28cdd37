"""The sending half: what waits, what is under way, what is given up (RFC 9260 section 6, RFC 3758).

A message waits whole, in the queue of its stream. When the window lets it, it is cut
into DATA chunks, and only then does it get its TSNs and its SSN: what is given up
before that leaves no trace. Streams take turns message by message, so a large file
on one does not keep a short word on another waiting; within a message there is no
turn to take, because its TSNs must be consecutive.

A chunk under way stands in `_outstanding`, in order of TSN, encoded once, until the
peer's cumulative TSN has passed it. Meanwhile it is one of these:

    in flight   sent, counted in `flight`, the window's measure
    acked       a gap block says it is there; kept, since that can be taken back
    lost        reported missing three times, or T3 expired; waits in `_lost`
    abandoned   its message may not be sent again (retransmissions or lifetime used up)

Abandoned chunks at the front of the line are what FORWARD TSN tells the peer to wait
for no longer. T3 runs while anything is outstanding, abandoned or not.

The buffer is what waits and what is under way, in payload bytes: bounded for a
stream and in all. `queue` says no when it is full, and changes nothing.
"""

import math
from collections import Counter, deque
from typing import Final

import attrs

from trio_sfu.sctp.chunks import DATA_HEADER, Data, ForwardTsn, Sack
from trio_sfu.sctp.congestion import CongestionWindow, RetransmissionTimeout
from trio_sfu.sctp.gaps import Block, outside, reported
from trio_sfu.sctp.packet import HEADER, MTU
from trio_sfu.sctp.states import Ignored, Timer
from trio_sfu.sequence import distance
from trio_sfu.timers import Timers

SEND_BUFFER: Final = 12 << 20
"""Payload bytes of all streams together."""
STREAM_BUFFER: Final = 8 << 20
"""Payload bytes of one stream, so that no channel can starve the others of buffer.

A file of some megabytes comes from a fast link at once and leaves on a slow one by and by.
What waits is only kept once, however many wait for it."""
MAX_PAYLOAD: Final = MTU - HEADER - DATA_HEADER
"""Payload of a full DATA chunk."""
MAX_OUTSTANDING: Final = 8192
"""Chunks under way. Keeps a SACK's cost bounded, below the `MAX_AHEAD` of our receiver."""
REPORTS: Final = 3
"""Times a chunk is reported missing before it counts as lost (section 7.2.4)."""
MAX_SKIPPED: Final = 200
"""Streams in one FORWARD TSN: 800 bytes, so that it fits into a packet."""

_MASK: Final = 0xFFFFFFFF


@attrs.define(eq=False)
class Outgoing:
    """One message to be sent. Mutable: it remembers how far it is."""

    stream: int
    ppid: int
    data: bytes
    ordered: bool = True
    max_retransmits: float = math.inf
    expires: float = math.inf
    """When to give up; ``math.inf`` for never."""
    position: int = 0
    """How many bytes have been cut into chunks."""
    ssn: int = 0
    first_tsn: int = -1
    abandoned: bool = False


@attrs.define(eq=False)
class _Sent:
    """One DATA chunk under way."""

    tsn: int
    message: Outgoing
    encoded: bytes
    size: int
    sent_at: float
    transmissions: int = 1
    missing: int = 0
    acked: bool = False
    lost: bool = False
    abandoned: bool = False


class Outbound:
    """Everything that one association has to send and has not been told of yet."""

    def __init__(self, first_tsn: int, timers: Timers[Timer], ignored: Counter[Ignored]) -> None:
        self.rto = RetransmissionTimeout()
        self.congestion = CongestionWindow()
        self.flight = 0
        """Payload bytes in flight."""
        self.peer_window = 0
        """The last a_rwnd."""
        self.partial_reliability = False
        """Whether the peer understands FORWARD TSN; without it everything is reliable."""
        self.retransmissions = 0
        self.abandoned_messages = 0
        self.buffered: dict[int, int] = {}
        """Payload bytes by stream; a stream without any is not here."""
        self.buffered_total = 0
        self.last_tsns: dict[int, int] = {}
        """The last TSN of each stream since it was reset."""
        self.last_sent = -math.inf
        self._timers = timers
        self._ignored = ignored
        self._next_tsn = first_tsn
        self._acked = first_tsn - 1
        self._outstanding: deque[_Sent] = deque()
        """Their TSNs follow each other, so that a TSN is also an index."""
        self._reported: list[Block] = []
        """The gap blocks of the last SACK: what they say is marked."""
        self._lost: deque[_Sent] = deque()
        self._queues: dict[int, deque[Outgoing]] = {}
        self._turns: deque[int] = deque()
        self._ssns: dict[int, int] = {}
        self._timed: _Sent | None = None
        self._forward_due = False
        self._rush = 0

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._outstanding and not self._turns

    def delay(self, stream: int) -> float:
        """Seconds until what is buffered of *stream* is acknowledged, roughly.

        A congestion window is what the path carries in a round trip. Streams that wait share
        it; while nothing at all comes back, a round trip is the timeout that we are at.
        """
        trip = self.rto.current if self.rto.backed_off else self.rto.smoothed
        sharing = max(1, len(self._turns))
        return self.buffered.get(stream, 0) * sharing * trip / self.congestion.window

    # --- what comes from above --------------------------------------------------

    def queue(self, message: Outgoing, now: float) -> bool:
        """Take a message; False if there is no room for it."""
        size = len(message.data)
        stream = message.stream
        if not self._room(stream, size):
            self._expire(stream, now)
            if not self._room(stream, size):
                return False
        self.buffered[stream] = self.buffered.get(stream, 0) + size
        self.buffered_total += size
        queue = self._queues.get(stream)
        if queue is None:
            queue = self._queues[stream] = deque()
            self._turns.append(stream)
        queue.append(message)
        return True

    def reset(self, stream: int) -> None:
        """Begin again at SSN 0, after the peer has agreed to."""
        self._ssns.pop(stream, None)
        self.last_tsns.pop(stream, None)

    def _room(self, stream: int, size: int) -> bool:
        return (
            self.buffered.get(stream, 0) + size <= STREAM_BUFFER
            and self.buffered_total + size <= SEND_BUFFER
        )

    def _release(self, stream: int, size: int) -> None:
        self.buffered_total -= size
        left = self.buffered[stream] - size
        if left:
            self.buffered[stream] = left
        else:
            del self.buffered[stream]

    def _expire(self, stream: int, now: float) -> None:
        """Forget what waits beyond its lifetime and has not begun to be sent."""
        queue = self._queues.get(stream)
        while queue and queue[0].position == 0 and queue[0].expires <= now:
            self._release(stream, len(queue.popleft().data))
            self.abandoned_messages += 1
        if queue is not None and not queue:
            del self._queues[stream]
            self._turns.remove(stream)

    def _expired(self, message: Outgoing, now: float) -> bool:
        # What has begun can only be given up with a word that the peer understands.
        return message.expires <= now and (self.partial_reliability or not message.position)

    # --- what goes out ----------------------------------------------------------

    def take_forward(self) -> ForwardTsn | None:
        """FORWARD TSN, if the peer has to be told (RFC 3758 section 3.5)."""
        if not self._forward_due:
            return None
        self._forward_due = False
        point, skipped = self._acked, dict[int, int]()
        for sent in self._outstanding:
            if not sent.abandoned or len(skipped) >= MAX_SKIPPED:
                break
            point = sent.tsn
            if sent.message.ordered:
                skipped[sent.message.stream] = sent.message.ssn
        if point == self._acked:
            return None
        return ForwardTsn(point & _MASK, tuple(skipped.items()))

    def take_chunks(self, room: int, now: float) -> list[bytes]:
        """DATA chunks of at most *room* bytes together that may leave now."""
        chunks: list[bytes] = []
        if not self._outstanding and self._turns and now - self.last_sent > self.rto.current:
            self.congestion.idle()
        while self._lost:
            sent = self._lost[0]
            if not sent.lost:
                self._lost.popleft()
                continue
            if self._expired(sent.message, now):
                self._abandon(sent.message)
                continue
            if len(sent.encoded) > room or not self._may_repeat(sent.size):
                return chunks
            self._lost.popleft()
            sent.lost = False
            sent.sent_at, sent.missing = now, 0
            sent.transmissions += 1
            self.retransmissions += 1
            self.flight += sent.size
            if self._timed is sent:
                self._timed = None  # Karn: whose answer would it be?
            chunks.append(sent.encoded)
            room -= len(sent.encoded)
        while self._turns and self._may_send():
            chunk = self._cut(room, now)
            if chunk is None:
                break
            chunks.append(chunk)
            room -= len(chunk)
        if chunks:
            self.last_sent = now
        if self._outstanding and not self._timers.armed(Timer.T3):
            self._timers.arm(Timer.T3, now + self.rto.current)
        return chunks

    def _may_repeat(self, size: int) -> bool:
        if self._rush > 0:  # the first packet of fast recovery ignores the window (7.2.4)
            self._rush -= size
            return True
        return self.flight == 0 or self.flight + size <= self.congestion.window

    def _may_send(self) -> bool:
        if self.flight == 0:
            # One chunk may always be under way: it finds out when a window opens (6.1 A).
            return len(self._outstanding) < MAX_OUTSTANDING
        return (
            self.flight < self.congestion.window
            and self.flight < self.peer_window
            and len(self._outstanding) < MAX_OUTSTANDING
        )

    def _cut(self, room: int, now: float) -> bytes | None:
        """The next new chunk; None if it does not fit or nothing is left to send."""
        while True:
            if not self._turns:
                return None
            stream = self._turns[0]
            queue = self._queues[stream]
            message = queue[0]
            if not self._expired(message, now):
                break
            if message.position:
                self._abandon(message)
            else:
                self._expire(stream, now)
        position = message.position
        size = min(len(message.data) - position, MAX_PAYLOAD)
        if DATA_HEADER + size > room or (self.flight and self.flight + size > self.peer_window):
            return None
        flags = 0 if message.ordered else Data.UNORDERED
        if position == 0:
            flags |= Data.BEGIN
            message.first_tsn = self._next_tsn
            if message.ordered:
                message.ssn = self._ssns.get(stream, 0)
                self._ssns[stream] = message.ssn + 1 & 0xFFFF
        message.position = position + size
        if message.position == len(message.data):
            flags |= Data.END
            self._done_waiting()
        tsn = self.last_tsns[stream] = self._next_tsn
        self._next_tsn += 1
        chunk = Data(
            tsn & _MASK,
            stream,
            message.ssn,
            message.ppid,
            message.data[position : position + size],
            flags,
        )
        sent = _Sent(tsn, message, chunk.encode(), size, now)
        self._outstanding.append(sent)
        self.flight += size
        if self._timed is None:
            self._timed = sent
        return sent.encoded

    def _done_waiting(self) -> None:
        """The message at the front is cut up: the next stream has its turn."""
        stream = self._turns.popleft()
        queue = self._queues[stream]
        queue.popleft()
        if queue:
            self._turns.append(stream)
        else:
            del self._queues[stream]

    # --- what comes back --------------------------------------------------------

    def acknowledge(self, sack: Sack, now: float) -> None:
        """Believe a SACK (section 6.2.1), or count why not."""
        ahead = distance(sack.cumulative, self._acked & _MASK, 32)
        if ahead >= 1 << 31:
            self._ignored[Ignored.OLD_SACK] += 1
            return
        cumulative = self._acked + ahead
        if cumulative >= self._next_tsn:
            self._ignored[Ignored.IMPOSSIBLE_SACK] += 1
            return
        was_full = self.flight + MTU > self.congestion.window
        newly = self._pass(cumulative, now)
        self._acked = cumulative
        self.peer_window = sack.window
        highest = 0
        blocks = reported(sack.gaps, self._acked, self._next_tsn - 1)
        if blocks:
            highest, in_gaps = self._apply_gaps(blocks, now)
            newly += in_gaps
        self._reported = blocks
        if ahead:
            # Inside of recovery a moving front may unveil more that is missing (7.2.4).
            if self.congestion.recovery_exit is not None and blocks:
                highest = max(highest, blocks[-1][1])
            self.congestion.acknowledged(cumulative, newly, was_full)
        if newly:
            self.rto.relax()
        if highest:
            self._report_missing(highest, blocks)
        if ahead:
            if self._outstanding:
                self._timers.arm(Timer.T3, now + self.rto.current)
            else:
                self._timers.cancel(Timer.T3)
        if self._outstanding and self._outstanding[0].abandoned:
            self._forward_due = True

    def _pass(self, cumulative: int, now: float) -> int:
        """Let go of what lies at or below *cumulative*; how many bytes of it are news."""
        newly = 0
        outstanding = self._outstanding
        while outstanding and outstanding[0].tsn <= cumulative:
            sent = outstanding.popleft()
            if not sent.acked and not sent.abandoned:
                newly += sent.size
                if sent.lost:
                    sent.lost = False  # not lost after all; `_lost` skips it
                else:
                    self.flight -= sent.size
            if not sent.abandoned:
                self._release(sent.message.stream, sent.size)
            if self._timed is not None and sent.tsn >= self._timed.tsn:
                if sent is self._timed and not sent.abandoned:
                    self.rto.sample(now - sent.sent_at)
                self._timed = None
        return newly

    def _apply_gaps(self, blocks: list[Block], now: float) -> tuple[int, int]:
        """Mark what gap blocks report; the highest TSN that is new among it, and how many bytes.

        Every SACK says again what those before it said, so only the difference is looked at:
        else a loss early in a large window would cost a look at all of the window, each time.
        """
        highest = newly = 0
        first = self._outstanding[0].tsn
        for tsn in outside(blocks, self._reported):
            sent = self._outstanding[tsn - first]
            if not sent.acked:
                sent.acked = True
                if not sent.abandoned:
                    newly += sent.size
                    highest = sent.tsn
                    if sent is self._timed:
                        self.rto.sample(now - sent.sent_at)
                        self._timed = None
                    if sent.lost:
                        sent.lost = False
                    else:
                        self.flight -= sent.size
        return highest, newly

    def _report_missing(self, highest: int, blocks: list[Block]) -> None:
        """Count a report for each hole below *highest*; three make a loss (section 7.2.4)."""
        found = False
        first = self._outstanding[0].tsn
        for tsn in outside([(first, highest - 1)], blocks):
            sent = self._outstanding[tsn - first]
            if sent.acked or sent.lost or sent.abandoned:
                continue
            sent.missing += 1
            if sent.missing == REPORTS and sent.transmissions == 1:
                found = True
                self._lose(sent)
        if found and self.congestion.lost(self._next_tsn - 1):
            self._rush = MAX_PAYLOAD

    def expire(self, now: float) -> None:
        """T3: nothing came back in time (section 6.3.3)."""
        outstanding = self._outstanding
        if not outstanding:
            return
        self.congestion.timed_out(again=self.rto.backed_off)
        self.rto.double()
        self._rush = 0
        self._timed = None
        if outstanding[0].acked and not outstanding[0].abandoned:
            # The first cannot have been acknowledged and still be the first, unless
            # the peer has thrown it away again, as it may (section 6.2.1).
            self._reported = []
            for sent in outstanding:
                if sent.acked and not sent.abandoned:
                    sent.acked = False
                    self.flight += sent.size
        self._lost.clear()
        for sent in tuple(outstanding):
            if sent.lost:
                self._lost.append(sent)
            elif not sent.acked and not sent.abandoned:
                if self._expired(sent.message, now):
                    self._abandon(sent.message)
                else:
                    self._lose(sent)
        if outstanding[0].abandoned:
            self._forward_due = True
        self._timers.arm(Timer.T3, now + self.rto.current)

    def _lose(self, sent: _Sent) -> None:
        if sent.transmissions > sent.message.max_retransmits and self.partial_reliability:
            self._abandon(sent.message)
            return
        sent.lost = True
        self.flight -= sent.size
        self._lost.append(sent)

    def _abandon(self, message: Outgoing) -> None:
        """Give a message up: what is under way, and what still waits of it."""
        if message.abandoned:
            return
        message.abandoned = True
        self.abandoned_messages += 1
        cut = -(-message.position // MAX_PAYLOAD)
        start = message.first_tsn - self._outstanding[0].tsn if self._outstanding else 0
        for index in range(max(start, 0), min(start + cut, len(self._outstanding))):
            sent = self._outstanding[index]
            sent.abandoned = True
            if not sent.acked and not sent.lost:
                self.flight -= sent.size
            sent.lost = False
            sent.encoded = b""
            self._release(message.stream, sent.size)
        waiting = len(message.data) - message.position
        if waiting:
            self._release(message.stream, waiting)
            self._done_waiting()
            # A TSN that never travels stands for the rest. Without it, a message whose
            # sent pieces are all acknowledged would leave nothing to skip, and its
            # stream would wait for its end for ever.
            self._outstanding.append(_Sent(self._next_tsn, message, b"", 0, 0.0, abandoned=True))
            self.last_tsns[message.stream] = self._next_tsn
            self._next_tsn += 1
        self._forward_due = True
