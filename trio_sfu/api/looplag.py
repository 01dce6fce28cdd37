"""How late this process is, and what stopped it: the one gauge that says "full".

Everything here runs in one thread, one turn after another. A processor's load says
little about it: one core of sixteen that is busy is six percent. What a caller notices is
how late things happen, and that can be measured as it is: ask to be woken at a time,
look at the clock when woken.

One late turn is no overload: a collection of garbage does that, or a neighbour on the
machine. So what counts is the average over the last seconds, each look with the time
that it stands for: a turn of a second is a second of being late, though only one look.
Python's collector is watched beside it, because it stops everything while it looks.
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
WINDOW: Final = 2.0
"""Seconds that the average is over."""
STALE_SECONDS: Final = 4.0
"""Without a look for so long, nobody can say that we are well; LiveKit's figure."""


class LoopLag:
    """Measures while `run` runs. *observe* is told each lag, in seconds."""

    def __init__(self, observe: Callable[[float], object] = lambda lag: None) -> None:
        self._observe = observe
        self._lags: deque[tuple[float, float]] = deque()
        """When somebody looked, and how late."""
        self._looked = trio.current_time()

    @property
    def lag(self) -> float:
        """Seconds by which what is due comes late, on average of the last `WINDOW`."""
        late = sum(lag * (lag + TICK) for _, lag in self._lags)
        return late / max(WINDOW, sum(lag + TICK for _, lag in self._lags))

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
            lag = self._looked - due
            self._lags.append((self._looked, lag))
            while self._lags[0][0] < self._looked - WINDOW:
                self._lags.popleft()
            self._observe(lag)


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
