"""The one thing that brings a connection its news.

A connection has two reasons for a turn besides its core's deadline: datagrams arrived,
or somebody else wants something of it. Both come through one mailbox, so that there is
one place to look and nothing can be missed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, NoReturn, TypeVar

import trio
from outcome import Error

from trio_sfu.core import Datagram
from trio_sfu.net.turns import Turns

W = TypeVar("W")

# About a second of 5 Mbit/s in packets of 1200 bytes.
MAILBOX_LIMIT: Final = 512


class Mailbox(Generic[W]):
    """Filled by anybody without waiting, emptied by its one owner all at once.

    Datagrams come from the network, so they have a limit: the oldest make room
    and are counted, because late is worth less than fresh. Wishes come from
    our own tasks; none is dropped, and a flood from outside cannot push one out.
    """

    def __init__(self, limit: int = MAILBOX_LIMIT) -> None:
        self.dropped = 0
        self.datagrams: list[Datagram] = []
        self.wishes: list[W] = []
        self._limit = limit
        self._rung = False
        self._turns: Turns | None = None
        self._turn: Callable[[float], object] = _nothing
        self._asleep: trio.lowlevel.Task | None = None
        self._error: Exception | None = None

    # --- anybody

    def put(self, datagrams: list[Datagram]) -> None:
        """Hand *datagrams* over; the list itself stays the caller's."""
        self.datagrams += datagrams
        if (excess := len(self.datagrams) - self._limit) > 0:
            del self.datagrams[:excess]
            self.dropped += excess
        self.ring()

    def wish(self, wish: W) -> None:
        """Leave *wish* for the owner: nobody else may touch what it owns."""
        self.wishes.append(wish)
        self.ring()

    def ring(self) -> None:
        """Let the owner have a turn, in which it looks at everything it owns."""
        if not self._rung:
            self._rung = True
            if self._turns is not None:
                self._turns.ask(self)

    # --- the owner

    @contextmanager
    def owned(self, turns: Turns, turn: Callable[[float], object]) -> Iterator[None]:
        """From now on *turns* call *turn* with the time, the first one at once."""
        self._turns, self._turn, self._rung = turns, turn, False
        self.ring()
        try:
            yield
        finally:
            self._turns, self._turn, self._rung = None, _nothing, False

    async def sleep(self) -> NoReturn:
        """The owner's task sleeps here, until a turn fails: then that is raised."""
        while self._error is None:
            self._asleep = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._wake)
        raise self._error

    def take_datagrams(self) -> list[Datagram]:
        taken, self.datagrams = self.datagrams, []
        return taken

    def take_wishes(self) -> list[W]:
        taken, self.wishes = self.wishes, []
        return taken

    # --- whoever gives turns

    def take_turn(self, now: float) -> None:
        self._rung = False
        try:
            self._turn(now)
        except Exception as error:  # it is the owner's, and raised in the owner's task
            self._turn = _nothing
            self._error = error
            if self._asleep is not None:
                trio.lowlevel.reschedule(self._asleep, Error(error))
                self._asleep = None

    def _wake(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        """Trio's, to end a sleep by cancellation."""
        self._asleep = None
        return trio.lowlevel.Abort.SUCCEEDED


def _nothing(_: float) -> None:
    """The turn of somebody who is gone, or not there yet."""
