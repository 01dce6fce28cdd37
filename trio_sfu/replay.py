"""Which numbers were seen before: the anti-replay window of RFC 6347 section 4.1.2.6.

A window of bits slides along behind the highest number seen. A number to the left
of it is too old to be told apart from a repeat, so it counts as one. Asking and
noting are two calls on purpose: a record is noted only after its authentication
tag was found right, else anybody could push the window away with forged numbers.
"""

from typing import Final

WINDOW: Final = 64
"""The width that RFC 6347 section 4.1.2.6 prefers."""


class ReplayWindow:
    """Remembers the last *size* numbers of a sequence that never wraps."""

    __slots__ = ("_bits", "_highest", "_mask", "_size")

    def __init__(self, size: int = WINDOW) -> None:
        if size < 1:
            raise ValueError(f"a window of {size} numbers")
        self._size = size
        self._mask = (1 << size) - 1
        self._bits = 0
        self._highest = -1

    @property
    def highest(self) -> int:
        """The furthest number noted; -1 before the first."""
        return self._highest

    def fresh(self, number: int) -> bool:
        """Whether *number* is surely new: neither seen nor too old to tell."""
        behind = self._highest - number
        return behind < 0 or (behind < self._size and not self._bits >> behind & 1)

    def seen(self, number: int) -> bool:
        """Whether *number* was surely noted: what is too old to tell was not."""
        behind = self._highest - number
        return 0 <= behind < self._size and bool(self._bits >> behind & 1)

    def note(self, number: int) -> None:
        """*number* came, and was genuine."""
        behind = self._highest - number
        if behind < 0:
            # A leap over the whole window must not build a number of 2**48 bits.
            self._bits = (self._bits << -behind & self._mask | 1) if -behind < self._size else 1
            self._highest = number
        elif behind < self._size:
            self._bits |= 1 << behind
