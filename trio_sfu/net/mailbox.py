"""The one thing a transport's task waits on.

Such a task has three reasons to wake: datagrams arrived, somebody else wants
something of it, or its core has a deadline. All three come through one mailbox,
so that there is one place to sleep and nothing can be missed.
"""

import math
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
        self._owner = trio.lowlevel.ParkingLot()

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
            self._owner.unpark()

    async def wait(self, deadline: float = math.inf) -> None:
        """Return when there is something, or at *deadline*, whichever is first.

        What came is taken afterwards, outside the deadline's scope: inside it, a
        core that is always due would always time out and never hear anything.
        """
        if self._rung:
            await trio.lowlevel.checkpoint()
        elif deadline == math.inf:
            await self._owner.park()
        else:
            with trio.move_on_at(deadline):
                await self._owner.park()
        self._rung = False

    def take_datagrams(self) -> list[Datagram]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_wishes(self) -> list[W]:
        taken, self._wishes = self._wishes, []
        return taken
