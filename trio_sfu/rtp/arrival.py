"""When each packet of a transport arrived, told to its sender (transport-wide feedback).

The sender numbers all packets that leave over one transport, whatever their
stream, in a header extension (draft-holmer-rmcat-transport-wide-cc-extensions-01).
Here the arrival of each number is written down, and now and then sent back; what
follows from it, how much the path carries, the sender works out alone.

How often? Each message costs bandwidth and a wake-up, each delay makes the sender
slower to notice that a queue grows. We follow LiveKit (a message of some weight
every 100 ms, sooner when a picture ends, at once when very much has come), with a
bound that it lacks: what little there is leaves after 250 ms, the longest interval
of libwebrtc, or a peer that sends sound only would hear nothing for seconds.
"""

import math
from bisect import bisect_left
from typing import Final

import attrs

from trio_sfu.rtp.twcc import TransportFeedback, feedback
from trio_sfu.sequence import Unwrapper

INTERVAL: Final = 0.100
AFTER_PICTURE: Final = 0.050
IDLE_INTERVAL: Final = 0.250
WORTH_SENDING: Final = 20
"""Fewer arrivals than this wait for `IDLE_INTERVAL`."""
PRESSING: Final = 100
"""With more arrivals than this nothing is waited for."""

IN_ONE_MESSAGE: Final = 300
"""Arrivals; at most 2 bytes each and a little, so that a message stays below 1200 bytes."""

LATE_TOLD: Final = 8
"""Packets told of that a former message called lost. Each takes a message of its own, so
that nothing is said again of those around it."""

LONGEST_GAP: Final = 8192
"""Numbers that may be missing between two messages and are told as lost. What jumps
further is a sender that began anew."""


class ArrivalRecorder:
    """Takes notes for one transport and hands out feedback.

    *sender_ssrc* is ours, and goes into every message. *longest* is how long the first
    arrival may wait, if less than what is said above.
    """

    def __init__(self, sender_ssrc: int, longest: float = IDLE_INTERVAL) -> None:
        self._sender_ssrc = sender_ssrc
        self._longest = longest
        self._unwrap = Unwrapper().unwrap
        self._arrivals: dict[int, float] = {}
        self._since = math.inf
        """When the oldest of them arrived, by our notes."""
        self._next: int | None = None
        """The first number that no message has spoken of."""
        self._messages = 0
        self._media_ssrc = 0
        self.deadline = math.inf
        """When there is feedback to be taken."""

    def record(self, sequence: int, ssrc: int, marker: bool, now: float) -> None:
        """A packet came, numbered *sequence* (16 bits); *marker* if it ends a picture."""
        arrivals = self._arrivals
        arrivals.setdefault(self._unwrap(sequence), now)
        held = len(arrivals)
        if held == 1:
            self._since, self._media_ssrc = now, ssrc
            self.deadline = now + self._longest
        elif held > PRESSING:
            self.deadline = now
        elif held > WORTH_SENDING:
            if marker:
                self.deadline = min(self.deadline, self._since + AFTER_PICTURE)
            elif held == WORTH_SENDING + 1:
                self.deadline = min(self.deadline, self._since + INTERVAL)

    def take(self, now: float) -> list[TransportFeedback]:
        """The messages that are due: mostly none or one."""
        if now < self.deadline:
            return []
        arrivals = sorted(self._arrivals.items())
        self._arrivals, self.deadline = {}, math.inf
        messages: list[TransportFeedback] = []
        new = 0 if self._next is None else bisect_left(arrivals, (self._next,))
        for late in arrivals[max(0, new - LATE_TOLD) : new]:
            messages += self._messages_for([late])
        for start in range(new, len(arrivals), IN_ONE_MESSAGE):
            part = arrivals[start : start + IN_ONE_MESSAGE]
            first, *others = self._messages_for(part)
            messages += [self._with_gap(first, part[0][0]), *others]
            self._next = part[-1][0] + 1
        return messages

    def _messages_for(self, arrivals: list[tuple[int, float]]) -> list[TransportFeedback]:
        made = feedback(self._sender_ssrc, self._media_ssrc, self._messages & 0xFF, arrivals)
        self._messages += len(made)
        return made

    def _with_gap(self, message: TransportFeedback, first: int) -> TransportFeedback:
        """Begin where the last message ended: what is missing in between was lost."""
        gap = 0 if self._next is None else first - self._next
        if not 0 < gap <= LONGEST_GAP:
            return message
        base = (message.base - gap) & 0xFFFF
        return attrs.evolve(message, base=base, count=message.count + gap)
