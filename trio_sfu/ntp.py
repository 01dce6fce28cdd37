"""Times of day as RTCP writes them, and the round trip that follows from two reports.

An NTP timestamp is 64 bits: seconds since 1900 and their fraction. Reports echo
its *middle* 32 bits only, that is, 16 bits of each, which wrap every 18 hours:

    our report leaves at A      the peer hears it,       its report, heard at B,
    and says: it is A           waits D                  says: LSR = A, DLSR = D

                        round trip = B - A - D

All three by our clock, so the peer's may be as wrong as it likes (RFC 3550
section 6.4.1). Cores count monotone seconds; whoever makes reports is given the
*wall* offset to add for the time of day.
"""

from typing import Final

FROM_1900_TO_1970: Final = 2_208_988_800
"""Seconds between the two epochs: 70 years with 17 leap days."""

LONGEST_ROUND_TRIP: Final = 60.0
"""A longer one is no measurement but a peer that echoes nonsense. In seconds."""

_WRAP: Final = 1 << 32


def from_unix(seconds: float) -> int:
    """An NTP timestamp, 64 bits, for seconds since 1970."""
    return round((seconds + FROM_1900_TO_1970) * _WRAP) & 0xFFFF_FFFF_FFFF_FFFF


def to_unix(timestamp: int) -> float:
    """Seconds since 1970, until 2036, when the first era of NTP ends."""
    return timestamp / _WRAP - FROM_1900_TO_1970


def middle(timestamp: int) -> int:
    """The 32 bits that reports echo, in units of 1/65536 s."""
    return timestamp >> 16 & 0xFFFF_FFFF


def round_trip(now: int, last_report: int, delay: int) -> float | None:
    """Seconds, from three numbers in units of 1/65536 s, 32 bits each.

    None if *last_report* is 0, which says that there was none yet, or if the
    numbers do not fit together. A clock of the peer that runs fast may make the
    difference a little negative: that is a round trip of nothing.
    """
    if not last_report:
        return None
    units = (now - last_report - delay + _WRAP // 2) % _WRAP - _WRAP // 2
    if not -65536 < units < LONGEST_ROUND_TRIP * 65536:
        return None
    return max(0.0, units / 65536)
