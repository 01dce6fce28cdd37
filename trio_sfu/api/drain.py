"""How a server ends: first nothing new, then nobody left, then nothing at all.

    serving --drain()--> draining --empty--> stopped
       |                     |
       +------- stop() ------+-------------> stopped: everybody is told SERVER_SHUTDOWN

While it drains, rooms that there are go on, and who belongs to one may come (back) to
it; a new room is refused with 503, and `GET /` answers 406, so that whoever spreads
clients over servers sends them elsewhere. What is waited for is said every few seconds.
"""

from collections.abc import Callable
from typing import Final

import structlog
import trio

from trio_sfu.room.node import Node

SAY_SECONDS: Final = 5.0
"""Between two lines of what is being waited for."""
LOOK_SECONDS: Final = 0.25
"""Between two looks whether anybody is left."""

log = structlog.get_logger(__name__)


class Drain:
    """Empties one node, once it is asked to."""

    def __init__(self, node: Node, stop: Callable[[], None]) -> None:
        """*stop* is called when nobody is left."""
        self._node = node
        self._stop = stop
        self._asked = trio.Event()

    def begin(self) -> None:
        """No new rooms from now on."""
        self._node.draining = True
        self._asked.set()

    async def run(self) -> None:
        """Wait to be asked, then until nobody is left."""
        await self._asked.wait()
        said = -float("inf")
        while people := sum(len(room.participants) for room in self._node.rooms.values()):
            if trio.current_time() - said >= SAY_SECONDS:
                said = trio.current_time()
                rooms = sum(bool(room.participants) for room in self._node.rooms.values())
                log.info(
                    f"draining: waiting for {_count(people, 'participant')} in "
                    f"{_count(rooms, 'room')}; another signal stops at once",
                    participants=people,
                    rooms=rooms,
                )
            await trio.sleep(LOOK_SECONDS)
        log.info("drained: nobody is left")
        self._stop()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
