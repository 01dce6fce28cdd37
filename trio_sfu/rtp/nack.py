"""What to ask for again, when, and when to give up.

A gap in the sequence numbers is a loss or a packet that was overtaken; at first
nobody can tell. Asking at once would ask for many that are on their way already,
asking late costs the picture. So a missing packet is first asked for after a
pause, then again each time the answer should have come and did not (a round trip,
longer each time, since what made the answer late may be that the link is full),
and a few times only: by then a receiver has gone on without it, or asked for
a key frame. The figures are LiveKit's.
"""

import math
from itertools import islice
from typing import Final

import attrs

SETTLE: Final = 0.020
"""Seconds that an overtaken packet has to turn up before it is asked for."""

MOST: Final = 100
"""Packets asked for at a time. When more are missing, the oldest are given up: whoever
lost a hundred packets wants a key frame, not a hundred more on a link that is full."""

TRIES: Final = 5
SPACING: Final = (0.020, 0.400)
"""Least and most seconds between two requests for one packet."""
BACKOFF: Final = 1.25
"""How much longer than the last pause the next one is, in round trips."""

DEFAULT_RTT: Final = 0.070
"""Seconds; until a round trip has been measured."""


@attrs.define
class _Request:
    due: float
    tries: int = 0


class NackGenerator:
    """The requests of one stream, by sequence numbers that never wrap."""

    def __init__(self) -> None:
        self._requests: dict[int, _Request] = {}
        """Ascending, as gaps are found in that order."""
        self.deadline = math.inf
        """When `take` has something; may be too early, never too late."""
        self.given_up = 0
        self.sent = 0
        """Requests made, repeats included."""
        self._unanswered: list[int] = []

    @property
    def missing(self) -> int:
        """How many packets have not come and are not given up."""
        return len(self._requests)

    def missed(self, indices: range, now: float) -> None:
        """These were jumped over; they are newer than all that were missed before."""
        if not indices:
            return
        self.given_up += max(0, len(indices) - MOST)
        due = now + SETTLE
        for index in indices[-MOST:]:
            self._requests[index] = _Request(due)
        if excess := max(0, len(self._requests) - MOST):
            self._requests = dict(islice(self._requests.items(), excess, None))
            self.given_up += excess
        self.deadline = min(self.deadline, due)

    def arrived(self, index: int) -> None:
        """It is here, late or repeated; nobody need ask for it (any more)."""
        if self._requests.pop(index, None) and not self._requests:
            self.deadline = math.inf

    def take(self, now: float, rtt: float = DEFAULT_RTT) -> list[int]:
        """Those to be asked for now, oldest first."""
        if now < self.deadline:
            return []
        asked = []
        for index, request in list(self._requests.items()):
            if request.due > now:
                continue
            if request.tries == TRIES:
                del self._requests[index]
                self.given_up += 1
                self._unanswered.append(index)
                continue
            least, most = SPACING
            request.due = now + min(max(least, rtt * BACKOFF**request.tries), most)
            request.tries += 1
            asked.append(index)
        self.sent += len(asked)
        self.deadline = min((request.due for request in self._requests.values()), default=math.inf)
        del self._unanswered[:-MOST]
        return asked

    def take_unanswered(self) -> list[int]:
        """Those given up because no request for them was answered, however often made."""
        unanswered, self._unanswered = self._unanswered, []
        return unanswered
