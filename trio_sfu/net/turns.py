"""Whose turn it is: one task that lets everybody with news do what there is to do.

Problem: a packet of sound concerns everybody in the room, and each of their connections
is a task. To wake a Trio task costs about what forwarding the packet does, so half of
the time would go into waking. The naive answer, to let the publisher's task send to
everybody, gives one peer's core to another peer's task, and a bug of the one ends the other.

Here all turns are taken in one task, one after the other. A turn is a call that does not
wait, so it is as whole as if its owner's task had made it. What it raises is thrown in
the owner's task, where it belongs: the owner ends, and whoever runs it hears why. The
owner's task itself sleeps, and wakes for its deadline, its failure and its end.

What all have said in a round leaves together, after it: then the kernel's code for
sending stays in the cache, and who receives on this machine is woken once.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

import trio

ROUND: Final = 0.002
"""Seconds after which a round ends, though others wait for their turn: what was said so
far leaves, and whoever else has to do with this process gets on with it."""


class Owner(Protocol):
    """Somebody who asks for turns."""

    def take_turn(self, now: float) -> None:
        """Do what there is to do. Neither waits nor raises."""


class Bell:
    """Rung by anybody, waited for by one task. Trio's own ways to do so cost twice as much."""

    def __init__(self) -> None:
        self._rung = False
        self._asleep: trio.lowlevel.Task | None = None

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            if self._asleep is not None:
                trio.lowlevel.reschedule(self._asleep)
                self._asleep = None

    async def wait(self) -> None:
        """Return when it was rung since the last time. A wait that is cancelled loses nothing."""
        if self._rung:
            await trio.lowlevel.checkpoint()
        else:
            self._asleep = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._wake)
        self._rung = False

    def _wake(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        """Trio's, to end a wait by cancellation."""
        self._asleep = None
        return trio.lowlevel.Abort.SUCCEEDED


class Turns:
    """Everybody who waits for a turn, in the order in which they asked."""

    def __init__(self, flush: Callable[[], object]) -> None:
        """*flush* is called after each round; it must not wait."""
        self._flush = flush
        self._waiting: list[Owner] = []
        self._bell = Bell()

    def ask(self, owner: Owner) -> None:
        """Let *owner* take a turn. Who asks twice before has two."""
        if not self._waiting:
            self._bell.ring()
        self._waiting.append(owner)

    async def run(self) -> None:
        """Let everybody take turns, until cancelled."""
        try:
            while True:
                await self._bell.wait()
                self._round()
                self._flush()
        finally:
            self._flush()

    def _round(self) -> None:
        owners, self._waiting = self._waiting, []
        now, end = trio.current_time(), time.perf_counter() + ROUND
        for number, owner in enumerate(owners, 1):
            owner.take_turn(now)
            if time.perf_counter() > end and number < len(owners):
                self._waiting = owners[number:] + self._waiting
                self._bell.ring()
                return
