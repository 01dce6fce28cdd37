"""Renumbers one subscriber's copy of a stream.

A subscriber must see one unbroken run of sequence numbers, although we leave
out packets (an overflow, a mute, mere padding) and switch between sources (the
layers of a simulcast, each with numbers of its own). The rule is:

    output = input - shift

and the shift only changes at points that we remember: it grows by what we leave
out, and jumps where another source begins. So a late packet gets the number it
would have had in time. What the publisher lost stays a hole, because the shift
does not change for it, and so the subscriber asks for it again.

Numbers here never wrap. Those that come in are counted by the receive stream
(`RtpPacket.index`); of those that go out, 16 bits are sent.
"""

import enum
from bisect import bisect_right
from typing import Final

REMEMBERED_POINTS: Final = 128
"""Points at which the shift changed. LiveKit remembers 100; packets from before
the oldest come too late for any jitter buffer."""


class Drop(enum.Enum):
    """Why a packet was not forwarded. Counted, never logged, on the media path."""

    TOO_OLD = enum.auto()
    """From before all that we remember, or from before its source was taken."""
    LEFT_OUT = enum.auto()
    """Its number was given to another when it was missing: an overflow came over it."""
    OVERFLOW = enum.auto()
    """The subscriber's queue was full."""
    OTHER_LAYER = enum.auto()
    """Of a layer that this subscriber does not get now."""
    NO_KEY_FRAME = enum.auto()
    """Video that cannot be decoded before the key frame comes that we wait for."""
    MUTED = enum.auto()
    PADDING = enum.auto()
    """It carried nothing."""


class Rewriter:
    """Maps incoming sequence numbers (unwrapped) to one subscriber's outgoing ones."""

    __slots__ = ("_from", "_shift", "_shifts", "next")

    def __init__(self, first: int) -> None:
        """*first*: the number of the first packet that goes out."""
        self.next = 0
        """The incoming number after the newest that we dealt with, of the current source."""
        self._shift = -first
        self._from: list[int] = []
        self._shifts: list[int] = []

    def begin(self, index: int) -> None:
        """A source begins, the first or another: its *index* continues the numbers sent.

        Nothing that is older than *index* will have a number any more.
        """
        self._shift += index - self.next
        self.next = index
        self._from, self._shifts = [index], [self._shift]

    @property
    def next_number(self) -> int:
        """What goes out next, if it follows what went out last."""
        return self.next - self._shift

    def advance(self, index: int) -> int:
        """The outgoing number for an incoming one that is not older than `next`."""
        self.next = index + 1
        return index - self._shift

    def insert(self) -> int:
        """The outgoing number of a packet of our own, between the last and the next."""
        number = self.next - self._shift
        self._point(self.next, -1)
        return number

    def forward(self, index: int) -> int | Drop:
        """The outgoing number for any incoming one."""
        return self.advance(index) if index >= self.next else self._late(index)

    def leave_out(self, index: int) -> bool:
        """Close the hole that dropping *index* would leave.

        Only possible for the newest packet: numbers already sent cannot move.
        """
        if index < self.next:
            return False
        self.next = index + 1
        self._point(index + 1, 1)
        return True

    def skip_to(self, index: int) -> None:
        """Close the gap before *index*, which comes next: we made it, it is no loss."""
        if index > self.next:
            skipped = index - self.next
            self.next = index
            self._point(index, skipped)

    def _point(self, start: int, left_out: int) -> None:
        self._shift += left_out
        if self._from and self._from[-1] in (start, start - left_out):
            # Nothing was sent since the last point: a run of drops is one point.
            # Those before it still find the number of the one after taken.
            self._from[-1], self._shifts[-1] = start, self._shift
            return
        self._from.append(start)
        self._shifts.append(self._shift)
        if len(self._from) > REMEMBERED_POINTS:
            del self._from[0], self._shifts[0]

    def _late(self, index: int) -> int | Drop:
        place = bisect_right(self._from, index)
        if place == 0:
            return Drop.TOO_OLD
        number = index - self._shifts[place - 1]
        if place < len(self._from) and number >= self._from[place] - self._shifts[place]:
            return Drop.LEFT_OUT  # its number went to the next that we kept
        return number
