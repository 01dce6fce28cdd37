"""Which paths have proved themselves, and when each was last heard.

An address is believed only after something sealed with our password came from
there. How many are remembered is bounded; only somebody who knows the password can
fill the memory, and then only with paths of their own.
"""

import math
from typing import Final

from trio_sfu.core import Address
from trio_sfu.ice.states import Path

MAX_PATHS: Final = 32
"""Interfaces times address families times a few rebindings of a NAT."""


class Paths:
    """The most recently heard `MAX_PATHS` paths."""

    def __init__(self) -> None:
        self._heard: dict[Path, float] = {}
        self._addresses: frozenset[Address] = frozenset()

    def __len__(self) -> int:
        return len(self._heard)

    def proved(self, remote: Address) -> bool:
        return remote in self._addresses

    def last_heard(self, path: Path) -> float:
        """When something authentic came by *path*; ``-math.inf`` if it is not remembered."""
        return self._heard.get(path, -math.inf)

    def hear(self, path: Path, now: float, keep: Path | None) -> bool:
        """Something authentic came by *path*; whether that is news. *keep* is never forgotten."""
        new = self._heard.pop(path, None) is None
        self._heard[path] = now  # at the end: the dict is in order of last use
        if new:
            if len(self._heard) > MAX_PATHS:
                del self._heard[next(old for old in self._heard if old != keep)]
            self._addresses = frozenset(known.remote for known in self._heard)
        return new

    def clear(self) -> None:
        self._heard.clear()
        self._addresses = frozenset()
