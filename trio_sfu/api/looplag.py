"""How late this process is, and what stopped it: the one gauge that says "full".

Everything here runs in one thread, one turn after another. A processor's load says
little about it: one core of sixteen that is busy is six percent. What a caller notices is
how late things happen, and that can be measured as it is: ask to be woken at a time,
look at the clock when woken.

One late turn is no overload: a collection of garbage does that, or a neighbour on the
machine. So what counts is the second worst of the last second. Python's collector is
watched beside it, because it stops everything while it looks.
"""

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

TICK: Final = 0.1
"""Seconds between two looks."""
LOOKS: Final = 10
"""Of which the second worst counts: a second's worth."""
STALE_SECONDS: Final = 4.0
"""Without a look for so long, nobody can say that we are well; LiveKit's figure."""


class LoopLag:
    """Measures while `run` runs. *observe* is told each lag, in seconds."""

    def __init__(self, observe: Callable[[float], object] = lambda lag: None) -> None:
        self._observe = observe
        self._lags: deque[float] = deque([0.0] * LOOKS, LOOKS)
        self._looked = trio.current_time()

    @property
    def lag(self) -> float:
        """Seconds by which what is due comes late, of the last second."""
        return sorted(self._lags)[-2]

    @property
    def age(self) -> float:
        """Seconds since the last look: what nobody looked at may be anything."""
        return trio.current_time() - self._looked

    async def run(self) -> None:
        """Look, until cancelled."""
        due = trio.current_time()
        while True:
            due = max(due, trio.current_time()) + TICK
            await trio.sleep_until(due)
            self._looked = trio.current_time()
            self._lags.append(self._looked - due)
            self._observe(self._looked - due)


@contextmanager
def collections_watched(observe: Callable[[int, float], object]) -> Iterator[None]:
    """*observe* is told of each collection of garbage: its generation, and its seconds."""
    started = 0.0

    def hear(phase: str, info: dict[str, int]) -> None:
        nonlocal started
        if phase == "start":
            started = time.perf_counter()
        else:
            observe(info["generation"], time.perf_counter() - started)

    gc.callbacks.append(hear)
    try:
        yield
    finally:
        gc.callbacks.remove(hear)
