"""How much may be under way, and how long to wait for an answer (RFC 9260 sections 6.3 and 7).

Numbers only: what was acknowledged goes in, a window and a timeout come out. Which
chunks these were is the business of `trio_sfu.sctp.outbound`.
"""

from typing import Final

from trio_sfu.sctp.packet import MTU

INITIAL_WINDOW: Final = 10 * MTU
"""Ten packets, as TCP (RFC 6928) and libwebrtc's dcsctp begin; RFC 9260 has 4404 bytes."""
MINIMUM_THRESHOLD: Final = 4 * MTU
"""What ssthresh never goes below (section 7.2.3)."""
MAX_WINDOW: Final = 4 << 20
"""Above every peer's receive window; only keeps the number from growing for ever."""
GROWTH: Final = 4
"""L of section 7.2.1: in slow start, packets a SACK may add. The RFC's advice is 1, for
receivers that acknowledge every second packet. Ours, like every batching one,
acknowledges what it took from the socket at once; with 1 it would never get to speed."""

RTO_INITIAL: Final = 0.5
"""RFC 9260 has 1 s; by now DTLS has made its round trips over this path. As dcsctp."""
RTO_MINIMUM: Final = 0.4
"""RFC 9260 has 1 s. Longer than any delayed SACK (200 ms) and a round trip. As dcsctp."""
RTO_MAXIMUM: Final = 10.0
"""What a *measured* round trip may stretch it to; RFC 9260 has 60 s, for a path that is down."""
BACKOFF_MAXIMUM: Final = 1.0
"""What doubling may stretch it to, unless the measured one is longer: when a link comes
back after twenty seconds, this is how long data waits for the next attempt. The price is
one packet a second into a dead path, less than ICE's own checks."""

_ALPHA: Final = 1 / 8
_BETA: Final = 1 / 4
_GRANULARITY: Final = 0.01


class RetransmissionTimeout:
    """RTO from round trips (section 6.3.1), doubled while nothing comes back."""

    def __init__(self) -> None:
        self.smoothed = 0.0
        """SRTT; 0 before the first measurement."""
        self._variance = 0.0
        self._measured = RTO_INITIAL
        self._doublings = 0

    @property
    def current(self) -> float:
        if not self._doublings:
            return self._measured
        return max(self._measured, min(self._measured * (1 << self._doublings), BACKOFF_MAXIMUM))

    def sample(self, round_trip: float) -> None:
        """A chunk that was sent once has been acknowledged."""
        if self.smoothed == 0.0:
            self.smoothed, self._variance = round_trip, round_trip / 2
        else:
            deviation = abs(self.smoothed - round_trip)
            self._variance += _BETA * (deviation - self._variance)
            self.smoothed += _ALPHA * (round_trip - self.smoothed)
        timeout = self.smoothed + max(4 * self._variance, _GRANULARITY)
        self._measured = min(max(timeout, RTO_MINIMUM), RTO_MAXIMUM)

    @property
    def backed_off(self) -> bool:
        """Whether it has been doubled and nothing has been heard since."""
        return self._doublings > 0

    def double(self) -> None:
        """Nothing came in time."""
        self._doublings = min(self._doublings + 1, 10)

    def relax(self) -> None:
        """Something new was acknowledged: the path lives."""
        self._doublings = 0


class CongestionWindow:
    """cwnd, ssthresh and fast recovery (section 7.2)."""

    def __init__(self) -> None:
        self.window = INITIAL_WINDOW
        self.threshold = MAX_WINDOW
        self.recovery_exit: int | None = None
        """The highest TSN sent when fast recovery began; None outside of it."""
        self._partial = 0

    def acknowledged(self, cumulative: int, size: int, was_full: bool) -> None:
        """*size* bytes are there and the cumulative TSN moved; *was_full*: the window was used."""
        if self.recovery_exit is not None:
            if cumulative < self.recovery_exit:
                return  # no growth inside of recovery (section 7.2.4)
            self.recovery_exit = None
        if self.window <= self.threshold:
            if was_full:
                self.window += min(size, GROWTH * MTU)
        else:
            self._partial += size
            if self._partial >= self.window:
                self._partial -= self.window
                if was_full:
                    self.window += MTU
        self.window = min(self.window, MAX_WINDOW)

    def lost(self, highest: int) -> bool:
        """A chunk was reported missing three times; False if that loss is being mended already."""
        if self.recovery_exit is not None:
            return False
        self.threshold = max(self.window // 2, MINIMUM_THRESHOLD)
        self.window = self.threshold
        self._partial = 0
        self.recovery_exit = highest
        return True

    def timed_out(self, *, again: bool) -> None:
        """T3 expired: begin again with one packet (section 7.2.3).

        *again*, without an answer since the last time, teaches nothing new about how much
        the path carries: as in TCP (RFC 5681 section 3.1), ssthresh then stays. So what an
        outage leaves of the window does not depend on how long it lasted.
        """
        if not again:
            self.threshold = max(self.window // 2, MINIMUM_THRESHOLD)
        self.window = MTU
        self._partial = 0
        self.recovery_exit = None

    def idle(self) -> None:
        """Nothing was sent for an RTO: what was known of the path grows old (section 7.2.1)."""
        self.window = max(self.window // 2, min(self.window, INITIAL_WINDOW))
