"""What is known of one stream that arrives: its order, its losses, its clock.

One `ReceiveStream` an SSRC. It gives each packet the number that never wraps,
tells a late packet from one that came twice, and keeps the sums from which report
blocks are made (RFC 3550 sections 6.4.1, A.3 and A.8).

Which numbers came is not remembered, only which did *not*: of a healthy stream
nothing, and a packet in order costs one comparison. A number is new if it is
beyond the highest, or missing. All others came before, or are too old for
anybody to want; both are left out alike.

Retransmissions on another SSRC (RTX) fill holes, but they do not count as received
in reports: the report tells the sender what its link loses, and a repaired loss was
one. What nobody could repair is `lost - recovered` in the statistics.
"""

from typing import Final

import attrs

from trio_sfu import ntp
from trio_sfu.rtp.nack import NackGenerator
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.rtcp import ReportBlock, SenderReport
from trio_sfu.sequence import Unwrapper

WINDOW: Final = 1024
"""How far behind the highest number a missing packet is still waited for, as in
`srtp_transform.RTP_WINDOW`: an older one would not get through the replay check."""

BEFORE_FIRST: Final = 32
"""Packets that may have been overtaken by the first that arrives. They are taken,
if they come, but neither asked for nor counted as lost: perhaps they never were."""

_WRAP: Final = 1 << 32
_WINDOW_MASK: Final = (1 << WINDOW + 1) - 1
_LONG_AGO: Final = -(1 << 62)
_LOST_LIMITS: Final = (-(1 << 23), (1 << 23) - 1)
"""24 bits in a report block; the count stays there rather than wrap (appendix A.3)."""


@attrs.frozen
class SenderClock:
    """From a sender report: which RTP timestamp belongs to which time of day.

    By two of these, timestamps of two streams of one peer can be compared: sound
    with its picture, and a simulcast layer with another.
    """

    ntp: float
    """By the sender's clock, in seconds since 1970."""
    timestamp: int
    arrival: float
    """When the report came, in seconds on our clock."""
    clock_rate: int

    def time_at(self, timestamp: int) -> float:
        """The sender's time of day for *timestamp*."""
        ahead = (timestamp - self.timestamp + _WRAP // 2) % _WRAP - _WRAP // 2
        return self.ntp + ahead / self.clock_rate

    def timestamp_at(self, time: float) -> int:
        """The timestamp, 32 bits, for the sender's time of day."""
        return (self.timestamp + round((time - self.ntp) * self.clock_rate)) % _WRAP


@attrs.frozen
class ReceiveStatistics:
    """Of one stream, since its first packet."""

    ssrc: int
    packets: int
    """Without duplicates and without what was recovered."""
    octets: int
    """Of payload, recovered ones included."""
    lost: int
    """By the network: what did not come of itself."""
    recovered: int
    """By retransmission on an SSRC of its own."""
    duplicates: int
    """Left out: they had come before, or came too late to be told from those."""
    out_of_order: int
    """That came of themselves, after later ones."""
    jitter: float
    """In seconds."""
    nacks: int
    """Requests for a packet that was missing, repeats included."""


class ReceiveStream:
    """One SSRC that a peer sends."""

    def __init__(self, ssrc: int, clock_rate: int, nack: NackGenerator | None = None) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.nack = nack
        """Told of every gap, and of what fills it; None if the peer repeats nothing."""
        self.clock: SenderClock | None = None
        """Of the newest sender report."""
        self.highest = _LONG_AGO
        self.recovered = 0
        self.duplicates = 0
        self.out_of_order = 0
        self._unwrap = Unwrapper().unwrap
        self._missing = 0
        """Bit n stands for the n-th packet before the highest: zero of a healthy stream."""
        self._first = 0
        self._received = 0
        self._octets = 0
        self._last_report = 0
        self._reported_expected = 0
        self._reported_received = 0
        self.timestamp = -1
        """Of the newest packet that came of itself; -1 before the first."""
        self._transit = 0.0
        self._jitter = 0.0

    def receive(self, packet: RtpPacket, now: float, recovered: bool = False) -> bool:
        """Take note of a packet, and fill in its *index* and *arrival*; False for a duplicate."""
        index = self._unwrap(packet.sequence)
        ahead = index - self.highest
        if ahead == 1:
            self.highest = index
            if self._missing:
                self._missing = self._missing << 1 & _WINDOW_MASK
        elif ahead > 1:
            self._jump(index, now)
        elif not self._fill(index):
            self.duplicates += 1
            return False
        elif not recovered:
            self.out_of_order += 1
        packet.index = index
        packet.arrival = now
        self._octets += len(packet.payload)
        if recovered:
            self.recovered += 1
        else:
            self._received += 1
            # Of a picture's many packets only the first says something about the
            # network's delay; the others waited in the sender's pacer. (As libwebrtc.)
            if ahead > 0 and packet.timestamp != self.timestamp:
                self._measure(packet.timestamp, now)
        return True

    def forgo(self, index: int) -> bool:
        """Wait for *index* no more: should it come, it is a duplicate. False if it is here."""
        return self._fill(index)

    def _jump(self, index: int, now: float) -> None:
        """A packet further ahead than the next: the first, or what follows a gap."""
        if self.highest == _LONG_AGO:
            self._first = index
            missing = BEFORE_FIRST
        else:
            missing = min(index - self.highest - 1, WINDOW)
            if self.nack:
                self.nack.missed(range(self.highest + 1, index), now)
        self.highest = index
        # Those before move up; of those between, each bit from 1 on is set.
        self._missing = (self._missing << missing + 1 | (1 << missing + 1) - 2) & _WINDOW_MASK

    def _fill(self, index: int) -> bool:
        """Whether *index* was missing; it is no longer."""
        bit = 1 << min(self.highest - index, WINDOW + 1)
        if not self._missing & bit:
            return False
        self._missing ^= bit
        if self.nack:
            self.nack.arrived(index)
        self._first = min(self._first, index)
        return True

    def _measure(self, timestamp: int, now: float) -> None:
        """Interarrival jitter (RFC 3550 section A.8)."""
        transit = now * self.clock_rate - timestamp
        if self.timestamp >= 0:
            away = (transit - self._transit + _WRAP // 2) % _WRAP - _WRAP // 2
            self._jitter += (abs(away) - self._jitter) / 16
        self._transit, self.timestamp = transit, timestamp

    def hear(self, report: SenderReport, now: float) -> None:
        """Remember what the sender says of this stream's clock."""
        self._last_report = ntp.middle(report.ntp)
        self.clock = SenderClock(
            ntp.to_unix(report.ntp), report.rtp_timestamp, now, self.clock_rate
        )

    @property
    def _expected(self) -> int:
        return self.highest - self._first + 1 if self._received or self.recovered else 0

    def report(self, now: float) -> ReportBlock:
        """A report block, whose fraction covers the time since the last one."""
        expected, received = self._expected, self._received
        least, most = _LOST_LIMITS
        expected_since = expected - self._reported_expected
        lost_since = expected_since - (received - self._reported_received)
        self._reported_expected, self._reported_received = expected, received
        fraction = 0
        if lost_since > 0 and expected_since > 0:
            fraction = min(255, (lost_since << 8) // expected_since)
        delay = round((now - self.clock.arrival) * 65536) if self.clock else 0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            lost=min(max(least, expected - received), most),
            highest_sequence=self.highest % _WRAP,
            jitter=min(int(self._jitter), _WRAP - 1),
            last_report=self._last_report,
            delay=min(delay, _WRAP - 1),
        )

    @property
    def unreported(self) -> bool:
        """Whether packets came since the last report."""
        return self._received != self._reported_received

    def statistics(self) -> ReceiveStatistics:
        return ReceiveStatistics(
            ssrc=self.ssrc,
            packets=self._received,
            octets=self._octets,
            lost=self._expected - self._received,
            recovered=self.recovered,
            duplicates=self.duplicates,
            out_of_order=self.out_of_order,
            jitter=self._jitter / self.clock_rate,
            nacks=self.nack.sent if self.nack else 0,
        )
