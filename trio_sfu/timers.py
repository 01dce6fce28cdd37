"""Deadlines that know their reason.

A core names its timers with an enum, so that a log, a test and the core itself
can say *why* it woke. ``math.inf`` stands for "not armed": it joins with `min`
and is what `trio.move_on_at` takes.
"""

import enum
import math
from typing import Generic, TypeVar

T = TypeVar("T", bound=enum.Enum)


class Timers(Generic[T]):
    """At most one deadline for each member of an enum."""

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        self._deadlines: dict[T, float] = {}

    def arm(self, timer: T, deadline: float) -> None:
        """Set *timer*, or move it."""
        self._deadlines[timer] = deadline

    def cancel(self, timer: T) -> None:
        self._deadlines.pop(timer, None)

    def armed(self, timer: T) -> bool:
        return timer in self._deadlines

    def next(self) -> float:
        """The soonest deadline; ``math.inf`` when none is armed."""
        return min(self._deadlines.values(), default=math.inf)

    def take_due(self, now: float) -> list[T]:
        """Those whose time has come, soonest first; they are disarmed."""
        due = sorted(
            (deadline, timer.name, timer)
            for timer, deadline in self._deadlines.items()
            if deadline <= now
        )
        for _, _, timer in due:
            del self._deadlines[timer]
        return [timer for _, _, timer in due]
