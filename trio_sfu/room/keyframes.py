"""Who asks a publisher for key frames, and how often.

Each subscriber that joins, changes layers or loses too much needs a key frame; it
costs the publisher a burst of many times a usual picture. So all who wait for the
same layer wait for the same key frame, it is asked for at most every so often,
and again while it does not come, because the request, or the key frame, may be lost.
"""

import math
from typing import Final

import attrs

INTERVALS: Final = (0.5, 1.0)
"""Seconds between two requests: for the lowest layer, whose key frames are small and
which everybody falls back on, and for any other. LiveKit has the same."""

PATIENCE: Final = 30.0
"""Seconds after which a layer that sends no key frame is given up; whoever still
wants it says so again. LiveKit asks for as long."""


@attrs.define(eq=False)
class _Request:
    """What we know of the requests for one layer."""

    wanted_since: float = math.inf
    last_asked: float = -math.inf


class KeyFrames:
    """The key frames that are wanted of one track, by layer."""

    def __init__(self) -> None:
        self._requests: dict[int, _Request] = {}
        self._deadline = math.inf

    @property
    def waiting(self) -> bool:
        """Whether a key frame is wanted of any layer."""
        return self._deadline < math.inf

    @property
    def deadline(self) -> float:
        """When `take_due` has something next; ``math.inf`` while nothing is wanted."""
        return self._deadline

    def want(self, layer: int, now: float) -> None:
        """Somebody cannot go on without a key frame of *layer*."""
        request = self._requests.setdefault(layer, _Request())
        if request.wanted_since == math.inf:
            request.wanted_since = now
            self._reckon()

    def served(self, layer: int) -> None:
        """A key frame of *layer* is here, for all who wanted it."""
        request = self._requests.get(layer)
        if request is not None:
            request.wanted_since = math.inf
            self._reckon()

    def take_due(self, now: float) -> list[int]:
        """The layers to ask for now; each is due again after its interval."""
        if now < self._deadline:
            return []
        due: list[int] = []
        for layer, request in self._requests.items():
            if now - request.wanted_since > PATIENCE:
                request.wanted_since = math.inf
            elif _due(layer, request) <= now:
                request.last_asked = now
                due.append(layer)
        self._reckon()
        return due

    def _reckon(self) -> None:
        self._deadline = min(
            (_due(layer, request) for layer, request in self._requests.items()), default=math.inf
        )


def _due(layer: int, request: _Request) -> float:
    return max(request.wanted_since, request.last_asked + INTERVALS[min(layer, 1)])
