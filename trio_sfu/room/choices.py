"""In which layer a subscriber wants each track: what it said, and what counts by now.

A client changes its mind with every move of a window, so what it says counts after
a tenth of a second, in which it may say something else. Only that a picture is to
be seen again counts at once. All is kept by the track's SID: a choice may come before
its track, and outlives it.
"""

import math
from typing import Final

import attrs

from trio_sfu.room.info import Quality, TrackKind, TrackSettings

DEBOUNCE: Final = 0.100
"""Seconds (LiveKit's)."""

MAX_CHOICES: Final = 1_000
"""Tracks of which one client's choice is remembered: the latest."""


class Choices:
    """What one participant chose, by track SID."""

    def __init__(self, *, adaptive: bool = False) -> None:
        """*adaptive*: the client says by itself how large it shows each track, once it
        does; so a picture begins small, and is never left switched off when it comes anew."""
        self.deadline = math.inf
        """When `take_due` has something."""
        self._adaptive = adaptive
        self._chosen: dict[str, TrackSettings] = {}
        self._due: dict[str, float] = {}

    def choose(self, sid: str, settings: TrackSettings, now: float) -> bool:
        """The client wants *sid* with *settings*; whether that counts at once."""
        before = self._chosen.pop(sid, None)
        self._chosen[sid] = settings
        if len(self._chosen) > MAX_CHOICES:
            oldest = next(iter(self._chosen))
            del self._chosen[oldest]
            self._due.pop(oldest, None)
        if settings == before:
            return False
        if before is not None and before.disabled and not settings.disabled:
            self._due.pop(sid, None)
            self._reckon()
            return True
        self._due.setdefault(sid, now + DEBOUNCE)
        self._reckon()
        return False

    def chosen(self, sid: str) -> TrackSettings | None:
        """What the client said last of *sid*, whether or not that counts already."""
        return self._chosen.get(sid)

    def take_due(self, now: float) -> dict[str, TrackSettings]:
        """The choices that count from now on."""
        due = [sid for sid, when in self._due.items() if now >= when]
        for sid in due:
            del self._due[sid]
        self._reckon()
        return {sid: self._chosen[sid] for sid in due}

    def start(self, sid: str, kind: TrackKind) -> TrackSettings:
        """With what the track begins to be sent, for the first time or anew."""
        adaptive = self._adaptive and kind is TrackKind.VIDEO
        settings = self._chosen.get(sid)
        if settings is None:
            return TrackSettings(quality=Quality.LOW if adaptive else Quality.HIGH)
        if settings.disabled and adaptive:
            settings = self._chosen[sid] = attrs.evolve(settings, disabled=False)
        return settings

    def _reckon(self) -> None:
        self.deadline = min(self._due.values(), default=math.inf)
