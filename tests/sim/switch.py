"""UDP for a whole server in one process: sockets in memory, on Trio's (mock) clock.

`Switch.open` has the signature of `UdpSocket`, so it stands wherever sockets are made.
Datagrams arrive after *delay* seconds, in order, unless a dice or a cut loses them.
"""

import heapq
import itertools
import math
import random
from collections import Counter

import trio

from trio_sfu.core import Address, Datagram


class MemorySocket:
    """What `UdpSocket` is to an endpoint."""

    def __init__(self, switch: "Switch", address: Address) -> None:
        self.address = address
        self.refused = self.overflowed = 0
        self._switch = switch
        self._inbox: list[Datagram] = []
        self._reader = trio.lowlevel.ParkingLot()

    def __enter__(self) -> "MemorySocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._switch.sockets.pop(self.address, None)

    def send(self, datagrams: list[Datagram]) -> None:
        for datagram in datagrams:
            self._switch.carry(self.address, datagram)

    async def receive(self) -> list[Datagram]:
        while not self._inbox:
            await self._reader.park()
        taken, self._inbox = self._inbox, []
        return taken

    def put(self, datagram: Datagram) -> None:
        self._inbox.append(datagram)
        self._reader.unpark()


class Switch:
    """Every socket of a test, and the way between them."""

    def __init__(self, *, delay: float = 0.01, loss: float = 0.0, seed: int = 0) -> None:
        self.delay, self.loss = delay, loss
        self.sockets: dict[Address, MemorySocket] = {}
        self.cut: set[Address] = set()
        """From and to these nothing passes: a cable that was pulled."""
        self.counters: Counter[str] = Counter()
        self._rates: dict[str, tuple[float, float]] = {}
        self._free: dict[str, float] = {}
        self._dice = random.Random(f"switch {seed}")
        self._order = itertools.count()
        self._flying: list[tuple[float, int, Address, Datagram]] = []
        self._bell = trio.Event()

    def open(self, host: str, port: int) -> MemorySocket:
        while not port or (host, port) in self.sockets:
            port = max(port, 40_000) + 1
        sock = self.sockets[host, port] = MemorySocket(self, (host, port))
        return sock

    def throttle(self, host: str, rate: float, *, buffer: float = 0.25) -> None:
        """Let only *rate* bits a second pass to *host*; who would wait *buffer* s is dropped."""
        self._rates[host] = rate, buffer

    def _queued(self, datagram: Datagram) -> float | None:
        """How long a datagram waits for its turn; None if it is dropped."""
        host, now = datagram.remote[0], trio.current_time()
        if host not in self._rates:
            return 0.0
        rate, buffer = self._rates[host]
        start = max(now, self._free.get(host, 0.0))
        if start - now > buffer:
            return None
        self._free[host] = start + 8 * len(datagram.data) / rate
        return self._free[host] - now

    def carry(self, sender: Address, datagram: Datagram) -> None:
        self.counters["sent"] += 1
        if self._dice.random() < self.loss or self.cut & {sender, datagram.remote}:
            self.counters["lost"] += 1
            return
        wait = self._queued(datagram)
        if wait is None:
            self.counters["overflowed"] += 1
            return
        seen = Datagram(datagram.data, remote=sender, local=datagram.remote)
        arrival = trio.current_time() + self.delay + wait
        heapq.heappush(self._flying, (arrival, next(self._order), datagram.remote, seen))
        self._bell.set()

    async def run(self) -> None:
        """Deliver, until cancelled."""
        while True:
            self._bell = trio.Event()
            with trio.move_on_at(self._flying[0][0] if self._flying else math.inf):
                await self._bell.wait()
            while self._flying and self._flying[0][0] <= trio.current_time():
                _, _, address, datagram = heapq.heappop(self._flying)
                if (sock := self.sockets.get(address)) is None or address in self.cut:
                    self.counters["nobody there"] += 1
                else:
                    sock.put(datagram)
