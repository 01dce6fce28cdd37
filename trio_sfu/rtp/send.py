"""What is known of one stream that we send: how much, its clock, what the peer says of it."""

from typing import Final

import attrs

from trio_sfu import ntp
from trio_sfu.rtp.rtcp import ReportBlock, SenderReport
from trio_sfu.sequence import newer

_WRAP: Final = 1 << 32


@attrs.frozen
class SendStatistics:
    """Of one stream, since its first packet; the lower half by the peer's last report."""

    ssrc: int
    packets: int
    octets: int
    """Of payload, as sender reports count it."""
    fraction_lost: float
    """Of what was sent between the peer's last two reports, from 0 to 1."""
    lost: int
    jitter: float
    """In seconds."""
    rtt: float | None
    """In seconds; None until a report of the peer has answered one of ours."""


class SendStream:
    """One SSRC that we send.

    *wall* is what to add to our clock for seconds since 1970.
    """

    def __init__(self, ssrc: int, clock_rate: int, wall: float) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.rtt: float | None = None
        self.last_block: ReportBlock | None = None
        """The newest that the peer has said of this stream."""
        self._wall = wall
        self._packets = 0
        self._octets = 0
        self._reported = 0
        self._timestamp = 0
        self._sampled = 0.0
        """When `_timestamp` was current."""
        self._aligned = False

    @property
    def started(self) -> bool:
        return self._packets > 0

    @property
    def unreported(self) -> bool:
        """Whether packets left since the last report."""
        return self._packets != self._reported

    def sent(self, packets: int, octets: int, timestamp: int, now: float) -> bool:
        """Count what has just left; *timestamp* is that of the last of these packets.

        Whether they are the first.
        """
        first = not self._packets
        # One that comes late, since it was lost before it reached us, says nothing of now.
        if not self._aligned and (first or newer(timestamp, self._timestamp, 32)):
            self._timestamp, self._sampled = timestamp, now
        self._packets += packets
        self._octets += octets
        return first

    def align(self, timestamp: int, at: float) -> None:
        """Say that *timestamp* was current at the time *at* on our clock.

        Without it, the moment of sending stands for that of recording. That is right
        for one stream alone; for lips and voice to fit, whoever knows the sources'
        sender reports says it here.
        """
        self._timestamp, self._sampled, self._aligned = timestamp, at, True

    def report(self, now: float) -> SenderReport:
        """A sender report (RFC 3550 section 6.4.1), true at *now*."""
        self._reported = self._packets
        elapsed = round((now - self._sampled) * self.clock_rate)
        return SenderReport(
            ssrc=self.ssrc,
            ntp=ntp.from_unix(now + self._wall),
            rtp_timestamp=(self._timestamp + elapsed) % _WRAP,
            packet_count=self._packets % _WRAP,
            octet_count=self._octets % _WRAP,
        )

    def hear(self, block: ReportBlock, now: float) -> None:
        """Take note of what the peer says of this stream."""
        self.last_block = block
        middle = ntp.middle(ntp.from_unix(now + self._wall))
        rtt = ntp.round_trip(middle, block.last_report, block.delay)
        if rtt is not None:
            self.rtt = rtt

    def statistics(self) -> SendStatistics:
        block = self.last_block
        return SendStatistics(
            ssrc=self.ssrc,
            packets=self._packets,
            octets=self._octets,
            fraction_lost=block.fraction_lost / 256 if block else 0.0,
            lost=block.lost if block else 0,
            jitter=block.jitter / self.clock_rate if block else 0.0,
            rtt=self.rtt,
        )
