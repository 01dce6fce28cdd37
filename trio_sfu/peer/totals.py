"""What has passed in one direction of one peer, all its streams together, since it began.

Made when somebody asks: streams count for themselves anyway, so this costs a packet
nothing. Nothing in it ever becomes less, whatever streams come and go.
"""

import attrs


@attrs.define
class MediaTotals:
    """Of streams that we receive, or of streams that we send."""

    packets: int = 0
    """Without repeats and duplicates."""
    octets: int = 0
    """Of payload."""
    lost: int = 0
    """On the network, as far as the receiver has said."""
    repeats: int = 0
    """Packets that came, or were sent, again because somebody asked."""
    duplicates: int = 0
    """That came twice unasked, or too late to tell; what we send has none."""
    out_of_order: int = 0
    """That came of themselves, after later ones; of what we send nobody says."""
    nacks: int = 0
    """Packets that were asked for again, by whoever receives."""
    plis: int = 0
    firs: int = 0
    """Key frames that were asked for, by whoever receives."""

    def add(self, other: "MediaTotals") -> None:
        self.packets += other.packets
        self.octets += other.octets
        self.lost += other.lost
        self.repeats += other.repeats
        self.duplicates += other.duplicates
        self.out_of_order += other.out_of_order
        self.nacks += other.nacks
        self.plis += other.plis
        self.firs += other.firs
