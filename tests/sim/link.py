"""One link between two cores, with everything that networks do to datagrams.

The link owns the clock (`now`), what is on its way, and the dice. Each direction
has dice of its own, so that one datagram more in one direction does not change
what happens in the other. What happens to a datagram, in this order: a middlebox may
change or refuse it (`through`), it may be too large (`mtu`), lost (`loss`), find
the buffer full (`rate`, `buffer`), be late (`delay`, `jitter`, `reorder`) and
arrive twice (`duplicate`).
"""

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

import attrs

from trio_sfu.core import Core, Datagram, Entropy

A: Final = 0
"""The side of the first core given to `run`; what it sends is direction 0."""
B: Final = 1

LATE: Final = 0.02
"""How late a reordered datagram may be at least, where the link has no delay, in seconds."""

Middlebox = Callable[[Datagram], Datagram | None]


def entropy(seed: int) -> Entropy:
    """Random bytes that a seed repeats, for the constructor of a core."""
    return random.Random(f"entropy {seed}").randbytes


class Link:
    """Both directions of a path between two cores.

    *delay* and *jitter* are seconds one way; jitter keeps the order, as a queue
    does. *loss*, *reorder* and *duplicate* are chances between 0 and 1. A datagram
    larger than *mtu* bytes is dropped. *rate* is bits a second, and a datagram that
    would have to wait longer than *buffer* seconds for its turn is dropped.

    *through* (one for each side, may be set at any time) is what stands in the way
    of what that side sends: it returns the datagram, a changed one (NAT), or None.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        jitter: float = 0.0,
        loss: float = 0.0,
        reorder: float = 0.0,
        duplicate: float = 0.0,
        mtu: float = math.inf,
        rate: float = math.inf,
        buffer: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.delay, self.jitter, self.loss = delay, jitter, loss
        self.reorder, self.duplicate = reorder, duplicate
        self.mtu, self.rate, self.buffer, self.seed = mtu, rate, buffer, seed
        self.now = 0.0
        self.through: dict[int, Middlebox] = {}
        self.counters: Counter[str] = Counter()
        """Datagrams "sent", "delivered", and what became of the others."""
        self.bytes_sent = [0, 0]
        """By direction, before any loss."""
        self._dice = [random.Random(f"link {seed} {side}") for side in (A, B)]
        self._free = [0.0, 0.0]
        self._newest = [0.0, 0.0]
        self._order = itertools.count()
        self._flying: list[tuple[float, int, int, Datagram]] = []

    def __repr__(self) -> str:
        names = ("delay", "jitter", "loss", "reorder", "duplicate", "mtu", "rate", "seed")
        settings = ", ".join(f"{name}={getattr(self, name)}" for name in names)
        return f"Link({settings}) at {self.now:.3f} s, {dict(self.counters)}"

    @property
    def deadline(self) -> float:
        """When the next datagram arrives; ``math.inf`` when none is on its way."""
        return self._flying[0][0] if self._flying else math.inf

    def send(self, side: int, datagrams: list[Datagram]) -> None:
        """Put on the way what *side* sends now."""
        for datagram in datagrams:
            self.counters["sent"] += 1
            self.bytes_sent[side] += len(datagram.data)
            self._send(side, datagram)

    def _send(self, side: int, datagram: Datagram) -> None:
        dice = self._dice[side]
        passed = self.through.get(side, _pass)(datagram)
        if passed is None:
            self.counters["refused"] += 1
            return
        if len(passed.data) > self.mtu:
            self.counters["too large"] += 1
            return
        if dice.random() < self.loss:
            self.counters["lost"] += 1
            return
        start = max(self.now, self._free[side])
        if start - self.now > self.buffer:
            self.counters["overflowed"] += 1
            return
        self._free[side] = start + 8 * len(passed.data) / self.rate
        copies = 2 if dice.random() < self.duplicate else 1
        self.counters["duplicated"] += copies - 1
        for _ in range(copies):
            arrival = self._free[side] + self.delay + dice.random() * self.jitter
            arrival = self._newest[side] = max(arrival, self._newest[side])
            if dice.random() < self.reorder:
                self.counters["reordered"] += 1
                arrival += dice.uniform(0, max(LATE, 2 * (self.delay + self.jitter)))
            heapq.heappush(self._flying, (arrival, next(self._order), 1 - side, passed))

    def arrived(self, side: int) -> list[Datagram]:
        """What has reached *side* by now, seen from there: the addresses are swapped."""
        taken = [item for item in self._flying if item[0] <= self.now and item[2] == side]
        if not taken:
            return []
        self._flying = [item for item in self._flying if item[0] > self.now or item[2] != side]
        heapq.heapify(self._flying)
        self.counters["delivered"] += len(taken)
        return [
            Datagram(datagram.data, remote=datagram.local, local=datagram.remote)
            for _, _, _, datagram in sorted(taken, key=lambda item: item[:2])
        ]


def _pass(datagram: Datagram) -> Datagram:
    return datagram


@attrs.define
class Nat:
    """A middlebox for `Link.through`: address translation, one inner address to one outer.

    Give `outward` to the side behind it and `inward` to the other.
    """

    inner: tuple[str, int]
    outer: tuple[str, int]
    former: set[tuple[str, int]] = attrs.Factory(set)
    """Outer addresses of before, by which nobody is reached any more."""

    def rebind(self, outer: tuple[str, int]) -> None:
        """Change the outer address, as routers do in the middle of a call."""
        self.former.add(self.outer)
        self.former.discard(outer)
        self.outer = outer

    def outward(self, datagram: Datagram) -> Datagram | None:
        if datagram.local != self.inner:
            return datagram
        return Datagram(datagram.data, datagram.remote, self.outer)

    def inward(self, datagram: Datagram) -> Datagram | None:
        if datagram.remote == self.inner or datagram.remote in self.former:
            return None  # a private address is reached by nobody outside
        if datagram.remote != self.outer:
            return datagram
        return Datagram(datagram.data, self.inner, datagram.local)


def run(
    a: Core,
    link: Link,
    b: Core,
    until: float | Callable[[], bool],
    limit: float = 120.0,
) -> float:
    """Let two cores talk over *link*; returns the time (`link.now`) at the end.

    *until* is a moment of the link's clock, or a condition, asked after every step;
    one that has not come true within *limit* seconds of virtual time is an
    AssertionError, whose text repeats the link's settings and seed. It may be called
    again and goes on where it stopped: what was on its way still arrives.
    """
    end = until if isinstance(until, float | int) else link.now + limit
    sides: tuple[tuple[int, Core], ...] = ((A, a), (B, b))
    while True:
        for side, core in sides:
            link.send(side, core.take_datagrams())
        if callable(until) and until():
            return link.now
        soonest = min(link.deadline, a.deadline, b.deadline)
        if soonest > end:
            link.now = max(link.now, end)
            assert not callable(until), f"not within {limit} s of virtual time: {link}"
            return link.now
        link.now = max(link.now, soonest)
        for side, core in sides:
            arrived = link.arrived(side)
            if arrived:
                core.receive(arrived, link.now)
            if core.deadline <= link.now:
                core.handle_timeout(link.now)
                assert core.deadline > link.now, f"{core} is due again at once: {link}"
