"""Packets on their way out, filled as late as possible.

What is to be said gathers until packets are taken, so that ten messages sent in one step
share a packet, and a batch of packets heard is answered by one SACK. The rule: control
chunks go before DATA, in the order in which they were said, and no packet is longer than
`MTU` unless one chunk alone is.
"""

from typing import Final

from trio_sfu.core import INSIDE, Datagram
from trio_sfu.sctp.chunks import Chunk
from trio_sfu.sctp.outbound import Outbound
from trio_sfu.sctp.packet import HEADER, MTU, assemble
from trio_sfu.sctp.states import Timer
from trio_sfu.timers import Timers

MAX_BURST: Final = 64
BURST_INTERVAL: Final = 0.001
"""At most so many packets of data leave at once, and the next ones so many seconds later.
A window of a megabyte that opens all of a sudden would else hold up, for as long as it
takes to encrypt it, the sound and pictures of everybody here. It allows 75 MB/s."""


class Packing:
    """What waits for the next packets; *ports* are ours and the peer's."""

    def __init__(self, ports: tuple[int, int], timers: Timers[Timer]) -> None:
        self.peer_tag = 0
        """What packets carry; 0 before the peer has told its own."""
        self.sent = 0
        self._ports = ports
        self._timers = timers
        self._control: list[bytes] = []
        self._datagrams: list[Datagram] = []

    def emit(self, tag: int, chunks: list[bytes]) -> None:
        """A packet of its own, before all that waits."""
        self.sent += 1
        self._datagrams.append(Datagram(assemble(*self._ports, tag, chunks), INSIDE, INSIDE))

    def say(self, chunk: Chunk) -> None:
        """Put a control chunk into the next packet."""
        self._control.append(chunk.encode())

    def say_first(self, chunk: Chunk) -> None:
        """The same, before what was said until now."""
        self._control.insert(0, chunk.encode())

    def forget(self) -> None:
        """Say nothing of what still waits."""
        self._control.clear()

    def fill(self, outbound: Outbound | None, now: float) -> None:
        """Fill packets with all that may leave now; with *outbound*, its data too."""
        chunks: list[bytes] = []
        room = MTU - HEADER
        if outbound is not None:
            forward = outbound.take_forward()
            if forward is not None:
                self.say(forward)
        for chunk in self._control:
            if chunks and len(chunk) > room:
                self.emit(self.peer_tag, chunks)
                chunks, room = [], MTU - HEADER
            chunks.append(chunk)
            room -= len(chunk)
        self._control.clear()
        burst = 0
        while outbound is not None:
            if burst == MAX_BURST:
                self._timers.arm(Timer.BURST, now + BURST_INTERVAL)
                break
            data = outbound.take_chunks(room, now)
            burst += bool(data)
            if data or chunks:  # what finds no room beside a SACK has a packet of its own
                self.emit(self.peer_tag, chunks + data)
                chunks, room = [], MTU - HEADER
                continue
            forward = outbound.take_forward()  # of what was found too old just now
            if forward is None:
                break
            chunks.append(forward.encode())
            room -= len(chunks[0])
        if chunks:
            self.emit(self.peer_tag, chunks)

    def take(self) -> list[Datagram]:
        """What has been packed, in order."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams
