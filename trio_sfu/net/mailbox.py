"""The one thing a transport's task waits on.

Such a task has two reasons to wake besides its core's deadline, for which its driver
sets an alarm: datagrams arrived, or somebody else wants something of it. Both come
through one mailbox, so that there is one place to sleep and nothing can be missed.

Waking a task is what a lone packet of sound costs most, and a mailbox has one owner.
So there is no parking lot here, but the owner itself, asleep or not.
"""

from typing import Final, Generic, TypeVar

import trio

from trio_sfu.core import Datagram

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
        self._limit = limit
        self._datagrams: list[Datagram] = []
        self._wishes: list[W] = []
        self._rung = False
        self._asleep: trio.lowlevel.Task | None = None

    def put(self, datagrams: list[Datagram]) -> None:
        """Hand *datagrams* over; the list itself stays the caller's."""
        self._datagrams += datagrams
        if (excess := len(self._datagrams) - self._limit) > 0:
            del self._datagrams[:excess]
            self.dropped += excess
        self.ring()

    def wish(self, wish: W) -> None:
        """Leave *wish* for the owner: nobody else may touch what it owns."""
        self._wishes.append(wish)
        self.ring()

    def ring(self) -> None:
        """Wake the owner, who will look at everything it owns."""
        if not self._rung:
            self._rung = True
            if self._asleep is not None:
                trio.lowlevel.reschedule(self._asleep)
                self._asleep = None

    async def wait(self) -> None:
        """Return when there is something. A wait that is cancelled loses nothing."""
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

    def take_datagrams(self) -> list[Datagram]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_wishes(self) -> list[W]:
        taken, self._wishes = self._wishes, []
        return taken
