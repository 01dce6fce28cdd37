"""When reports go out, and how RTCP packets share datagrams."""

import math
from typing import Final

from trio_sfu.rtp.rtcp import RtcpPacket, SourceDescription, encode_compound

LONGEST_COMPOUND: Final = 1200
"""Bytes before encryption: what every path carries, as for media."""

FIRST_REPORT: Final = 0.100
"""Seconds from the first packet to the first report. Early, because with it a browser
learns that we know its SSRC and stops sending mid and rid, and because lips and
voice cannot be joined before the first sender report."""

RECEIVER_INTERVAL: Final = 1.0
"""Seconds between receiver reports. RFC 3550 section 6.2 computes several seconds for a
large multicast session; for two peers libwebrtc and LiveKit send one a second."""

SENDER_INTERVAL: Final = 3.0
"""Seconds between sender reports of a stream (LiveKit's figure)."""


class ReportSchedule:
    """Soon after there is news, but at most once in *interval* seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._last = -math.inf
        self.deadline = math.inf
        """``math.inf`` while there is nothing to report."""

    def news(self, now: float) -> None:
        """There is something to report."""
        if self.deadline == math.inf:
            self.deadline = max(now + FIRST_REPORT, self._last + self._interval)

    def hurry(self, now: float) -> None:
        """There is something that should not wait for the interval: a new stream."""
        self.deadline = min(self.deadline, now + FIRST_REPORT)

    def take_due(self, now: float) -> bool:
        """Whether to report now; then there is no news until `news` says so."""
        if now < self.deadline:
            return False
        self._last, self.deadline = now, math.inf
        return True


def compounds(packets: list[RtcpPacket]) -> list[bytes]:
    """As few datagrams as possible, in order, none of several packets too long.

    A source description stays with the report before it (RFC 3550 section 6.1).
    Compounds without any report are allowed, as all WebRTC peers agree on reduced
    size (RFC 5506).
    """
    made: list[bytes] = []
    compound = b""
    for unit in _units(packets):
        if compound and len(compound) + len(unit) > LONGEST_COMPOUND:
            made.append(compound)
            compound = b""
        compound += unit
    return [*made, compound] if compound else made


def _units(packets: list[RtcpPacket]) -> list[bytes]:
    units: list[bytes] = []
    for packet in packets:
        encoded = encode_compound([packet])
        if isinstance(packet, SourceDescription) and units:
            units[-1] += encoded
        else:
            units.append(encoded)
    return units
