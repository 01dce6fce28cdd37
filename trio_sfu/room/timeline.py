"""Keeps one subscriber's timestamps going on evenly while the source changes.

Timestamps of different encodings begin anywhere. At a switch the first one of the
new source must be as much later than the last one sent as its picture was *taken*
later, or sound and picture part, and pictures judder.

The naive answer is the time between the arrivals of both packets. It is wrong by
what the network and the encoders did to each. The right one is in the sender
reports: each pairs a timestamp of its stream with the publisher's time of day, so
two reports put two streams on one clock. Where no report came yet, or where they
say what cannot be, the arrivals must do.

A timestamp never goes backwards: to a receiver that would be an older picture.
"""

from typing import Final

from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.sequence import distance

PLAUSIBLE: Final = 2.0
"""Seconds by which reports and arrivals may differ at a switch; then arrivals count.
LiveKit's threshold: more than this is a clock that was set, not a late packet."""

_BITS: Final = 32
_HALF: Final = 1 << 31


class Timeline:
    """The offset between a source's timestamps and the subscriber's."""

    __slots__ = ("_clock_rate", "_reports", "offset")

    def __init__(self, clock_rate: int) -> None:
        self.offset = 0
        """What to add to a timestamp, modulo 2**32; the first source keeps its own."""
        self._clock_rate = clock_rate
        self._reports: dict[int, tuple[float, int]] = {}

    def report(self, layer: int, ntp: int, rtp_timestamp: int) -> None:
        """A sender report of *layer* came; *ntp* has 64 bits."""
        self._reports[layer] = ntp / 2**32, rtp_timestamp

    def forget(self, layer: int) -> None:
        """The layer has another source now, of which no report came yet."""
        self._reports.pop(layer, None)

    def switch(self, before: tuple[int, RtpPacket], after: tuple[int, RtpPacket]) -> None:
        """Go on with another source: the last packet sent, and the next, by layer."""
        (_, last), (_, first) = before, after
        arrived = first.arrival - last.arrival
        taken = self._time_of(*after)
        since = self._time_of(*before)
        elapsed = arrived
        if taken is not None and since is not None and abs(taken - since - arrived) < PLAUSIBLE:
            elapsed = taken - since
        steps = max(1, round(elapsed * self._clock_rate))
        self.offset = distance(last.timestamp + self.offset + steps, first.timestamp, _BITS)

    def follow(self, own: int, packet: RtpPacket, *, first: bool) -> None:
        """*packet* goes on after a timestamp of our own: it must be later than that.

        *first*: nothing was forwarded before, so it need not be later by how much time passed.
        """
        if first or not 0 < distance(packet.timestamp + self.offset, own, _BITS) < _HALF:
            self.offset = distance(own + 1, packet.timestamp, _BITS)

    def _time_of(self, layer: int, packet: RtpPacket) -> float | None:
        """When a packet was taken, in the publisher's time; None without a report."""
        report = self._reports.get(layer)
        if report is None:
            return None
        seconds, timestamp = report
        ahead = distance(packet.timestamp, timestamp, _BITS)
        if ahead >= _HALF:
            ahead -= 2 * _HALF
        return seconds + ahead / self._clock_rate
