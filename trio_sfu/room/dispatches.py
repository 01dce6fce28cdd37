"""Which agents a room asks for.

Every room asks for one at least: any that has no name, unless it was told which. Nobody
comes yet, since no agents register here; what was asked for is remembered, and told to
whoever asks.
"""

from typing import Final

import attrs

from trio_sfu.room.options import AgentOrder

MAX_DISPATCHES: Final = 1_000
"""That one room remembers."""


class TooManyDispatches(Exception):  # noqa: N818 - no failure: an answer, and read as one
    """The room asks for `MAX_DISPATCHES` already."""


@attrs.frozen
class Dispatch:
    """One agent that is asked for."""

    number: str
    """Its id, "AD_..."."""
    order: AgentOrder
    created_at: float
    """Seconds since 1970."""


class Dispatches:
    """One room's, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._all: dict[str, Dispatch] = {}

    def add(self, order: AgentOrder, number: str, now: float) -> Dispatch:
        """Ask for an agent; twice the same *number* is a request that was repeated."""
        if number not in self._all:
            if len(self._all) >= MAX_DISPATCHES:
                raise TooManyDispatches
            self._all[number] = Dispatch(number, order, now)
        return self._all[number]

    def find(self, number: str = "") -> list[Dispatch]:
        """That one, if it is there; all if none is named."""
        return [each for each in self._all.values() if number in ("", each.number)]

    def remove(self, number: str) -> Dispatch | None:
        """Ask for that one no more; None if it was not asked for."""
        return self._all.pop(number, None)
