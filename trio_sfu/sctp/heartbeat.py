"""Heartbeats: how long an idle path takes there and back (RFC 9260 section 8.3).

The rule: they measure, and judge nobody; an answer that never comes has no consequence.
Each carries a number that only its own answer can know, so nobody makes a round trip up.
"""

from collections import Counter
from typing import Final

from trio_sfu.core import Entropy
from trio_sfu.sctp.chunks import Heartbeat, HeartbeatAck
from trio_sfu.sctp.packing import Packing
from trio_sfu.sctp.parameters import Parameter
from trio_sfu.sctp.states import Ignored, Timer
from trio_sfu.timers import Timers

HEARTBEAT_INTERVAL: Final = 30.0
"""HB.interval (section 16)."""


class Heartbeats:
    """Those that we send, and their answers."""

    def __init__(
        self,
        entropy: Entropy,
        packing: Packing,
        timers: Timers[Timer],
        ignored: Counter[Ignored],
    ) -> None:
        self._entropy = entropy
        self._packing = packing
        self._timers = timers
        self._ignored = ignored
        self._sent: tuple[bytes, float] | None = None

    def begin(self, now: float) -> None:
        """The first one comes after an interval."""
        self._timers.arm(Timer.HEARTBEAT, now + HEARTBEAT_INTERVAL)

    def beat(self, last_sent: float, now: float) -> None:
        """An interval is over; *last_sent* is when data left last, which measures as well."""
        self._timers.arm(Timer.HEARTBEAT, now + HEARTBEAT_INTERVAL)
        if now - last_sent >= HEARTBEAT_INTERVAL:
            self._sent = self._entropy(8), now
            # Type 1 is Heartbeat Info, the one parameter that a HEARTBEAT has (3.3.5).
            self._packing.say(Heartbeat(Parameter(1, self._sent[0]).encode()))

    def hear(self, chunk: HeartbeatAck, now: float) -> float | None:
        """The round trip in seconds; None if this answers nothing."""
        sent = self._sent
        if sent is None or chunk.value != Parameter(1, sent[0]).encode():
            self._ignored[Ignored.BAD_HEARTBEAT] += 1
            return None
        self._sent = None
        return now - sent[1]

    def forget(self) -> None:
        """Wait for no answer any more."""
        self._sent = None
