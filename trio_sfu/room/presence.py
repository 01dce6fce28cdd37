"""Which layers of a simulcast really flow.

A publisher announces three layers and sends what its link and its processor allow:
often only the lowest for the first seconds, while its bandwidth estimate grows. A
subscriber that waits for a layer that nobody sends sees nothing, so the layer that
it asks for is only aimed at while it is there.

A layer is there from its first packet on. It is gone when nothing of it came for a
while in which something of another did: a publisher that sends nothing at all is
muted, or lost, and choosing another of its layers helps nobody.
"""

from typing import Final

GONE_AFTER: Final = 1.5
"""Seconds. Three of LiveKit's 500 ms cycles: a layer at 5 frames a second stays."""


class Presence:
    """The layers of one track that flow now."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[int, float] = {}

    def observe(self, layer: int, now: float) -> bool:
        """Something of *layer* came; whether that changes which layers there are."""
        changed = layer not in self._last
        self._last[layer] = now
        if len(self._last) > 1:
            for other, last in list(self._last.items()):
                if now - last > GONE_AFTER:
                    del self._last[other]
                    changed = True
        return changed

    def best(self, wanted: int) -> int:
        """*wanted* if it flows, else the next below that does, else the next above.

        Where nothing flows yet it is *wanted*: whatever comes first will correct it.
        """
        below = [layer for layer in self._last if layer <= wanted]
        return max(below) if below else min(self._last, default=wanted)
