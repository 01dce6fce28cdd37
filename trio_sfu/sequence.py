"""Serial-number arithmetic (RFC 1982) for numbers that wrap: RTP's 16 bits, SCTP's 32.

The only place in the tree where such numbers are compared.
"""

from typing import Final

BITS: Final = 16


def distance(a: int, b: int, bits: int = BITS) -> int:
    """How many steps lead forward from *b* to *a*, modulo 2**bits."""
    return (a - b) & ((1 << bits) - 1)


def newer(a: int, b: int, bits: int = BITS) -> bool:
    """Whether *a* comes after *b*: less than half the circle ahead of it."""
    return 0 < distance(a, b, bits) < 1 << (bits - 1)


class Unwrapper:
    """Turns numbers that wrap into integers that never do.

    A number from before the first one seen may become negative.
    """

    __slots__ = ("_half", "_highest", "_mask")

    def __init__(self, bits: int = BITS) -> None:
        self._mask = (1 << bits) - 1
        self._half = 1 << (bits - 1)
        self._highest: int | None = None

    @property
    def highest(self) -> int | None:
        """The furthest number seen, unwrapped; None before the first."""
        return self._highest

    def unwrap(self, number: int) -> int:
        highest = self._highest
        if highest is None:
            self._highest = number
            return number
        ahead = (number - highest) & self._mask
        if ahead < self._half:
            self._highest = highest + ahead
            return highest + ahead
        return highest + ahead - self._mask - 1
