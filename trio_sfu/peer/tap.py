"""Where somebody who looks for a fault sees what a peer carries, before it is encrypted."""

from typing import Protocol

from trio_sfu.core import Address


class Tap(Protocol):
    """Shown all RTP and RTCP of a peer. Neither waits nor raises."""

    def take(self, data: bytes, source: Address, destination: Address, now: float) -> None:
        """One packet of RTP, or one compound of RTCP."""
