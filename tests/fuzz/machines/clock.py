"""What all machines have in common: time, dice that can be copied, and what cores promise.

A machine is a whole core, which an input leads where it likes: a script (`Script`) of
datagrams, time and wishes. What arrives bears the right checksums, tags and keys where
the script says so: it comes from somebody who was let in and means harm. A core raises
nothing, ever; on the way the promises of `trio_sfu.core.Core` are looked at too.
"""

import hashlib
from typing import Final

from trio_sfu.core import INSIDE, Address, Core, Datagram

START: Final = 100.0
ANSWER_LIMIT: Final = 1 << 20
"""Bytes that one step may make a core send: a full congestion window is a part of it."""


class Dice:
    """Random bytes that can be copied: a copy goes on as the original does."""

    def __init__(self, seed: int) -> None:
        self._seed, self._thrown = seed, 0

    def __call__(self, count: int) -> bytes:
        self._thrown += 1
        return hashlib.shake_128(b"%d %d" % (self._seed, self._thrown)).digest(count)


class Clock:
    """Drives one core through time, and sees that it keeps its promises."""

    def __init__(self, core: Core, now: float = START) -> None:
        self.core, self.now = core, now

    def receive(self, data: bytes, remote: Address = INSIDE, local: Address = INSIDE) -> None:
        self.core.receive([Datagram(data, remote, local)], self.now)

    def take(self) -> list[bytes]:
        taken = [datagram.data for datagram in self.core.take_datagrams()]
        assert not self.core.take_datagrams(), "taken, and still there"
        assert sum(map(len, taken)) <= ANSWER_LIMIT, "too much at once"
        return taken

    def wait(self, seconds: float) -> list[bytes]:
        """What the core says while time passes."""
        until, said = self.now + seconds, list[bytes]()
        for _ in range(200):
            due = self.core.deadline
            if due > until:
                break
            self.now = max(self.now, due)
            self.core.handle_timeout(self.now)
            assert self.core.deadline > self.now, "due again at once"
            said += self.take()
        self.now = max(self.now, until)
        return said


def of(module: str, *names: str, modules: tuple[str, ...] = ()) -> tuple[str, ...]:
    """For `Decoder.reads`: functions of one module, and whole *modules*."""
    return (*modules, *(f"{module}:{name}" for name in names))
