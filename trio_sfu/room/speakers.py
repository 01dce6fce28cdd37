"""Who is speaking, from the levels that packets carry (RFC 6464).

A sender says of every packet how loud it is, so nobody decodes anything. One loud
packet is a cough, and speech has pauses; so levels are looked at in windows of
400 ms: if a good part of a window was loud, its level counts for as much as there
was of it and is smoothed over windows, else the track falls silent at once. The
numbers are LiveKit's, because clients draw with them.
"""

import math
from collections.abc import Hashable
from typing import Final

import attrs

from trio_sfu.rtp.extensions import SILENCE
from trio_sfu.sequence import distance, newer

INTERVAL: Final = 0.4
"""Seconds: of sound in a window, and between two looks at who speaks."""
ACTIVE_LEVEL: Final = 35
"""-dBov: a packet as loud as this, or louder, is heard."""
MIN_ACTIVE: Final = 0.4
"""The part of a window that must be heard to be speech."""
SMOOTHING: Final = 2 / (2 + 1)
"""The weight of a new window: an exponential mean over two of them."""
STALE: Final = 2 * INTERVAL
"""Seconds without any packet after which a track is silent: nothing came to say so."""
THRESHOLD: Final = 10 ** (-ACTIVE_LEVEL / 20)
"""The smoothed level, linear, from which on somebody speaks."""
STEPS: Final = 8
"""Levels are told in eighths, rounded up, else every look would tell everybody something."""


@attrs.frozen
class Speaker:
    """What is told of one participant."""

    sid: str
    level: float
    """From 0 to 1, linear; 0 for one who stopped."""
    active: bool


class SpokenLevel:
    """How loud one track is. Sound is measured in units of its timestamps."""

    __slots__ = ("_active", "_last", "_loudest", "_observed", "_smoothed", "_timestamp", "_window")

    def __init__(self, clock_rate: int) -> None:
        self._window = round(INTERVAL * clock_rate)
        self._smoothed = 0.0
        self._last = -math.inf
        self._timestamp: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._observed = 0
        self._active = 0
        self._loudest = SILENCE

    def observe(self, level: int, timestamp: int, now: float) -> None:
        """A packet came with *level*; it lasts for as long as RTP time passed since the last."""
        if self._timestamp is None:
            self._timestamp = timestamp
            self._last = now
            return
        if not newer(timestamp, self._timestamp, 32):
            return  # late, or twice: its time was counted already
        # After a pause (DTX) a packet stands for a window at most, or one loud packet
        # would count for all the silence before it.
        duration = min(distance(timestamp, self._timestamp, 32), self._window)
        self._timestamp = timestamp
        self._last = now
        self._observed += duration
        if level <= ACTIVE_LEVEL:
            self._active += duration
            self._loudest = min(self._loudest, level)
        if self._observed >= self._window:
            self._close_window()

    def level(self, now: float) -> float:
        """The smoothed level, linear; below `THRESHOLD` it is silence."""
        if now - self._last > STALE:
            self._smoothed = 0.0
            self._clear()
        return self._smoothed

    def _close_window(self) -> None:
        if self._active >= round(MIN_ACTIVE * self._window):
            adjusted = self._loudest - 20 * math.log10(self._active / self._window)
            self._smoothed += (10 ** (-adjusted / 20) - self._smoothed) * SMOOTHING
        else:
            self._smoothed = 0.0
        self._clear()


class Speakers:
    """Who speaks in a room: fed with every packet of sound, asked every `INTERVAL`."""

    def __init__(self) -> None:
        self._tracks: dict[Hashable, tuple[str, SpokenLevel]] = {}
        self._told: dict[str, float] = {}

    def observe(
        self,
        sid: str,
        track: Hashable,
        level: int,
        timestamp: int,
        now: float,
        clock_rate: int = 48000,
    ) -> None:
        """A packet of the *track* of participant *sid* says how loud it is (0 loud, 127 silent)."""
        entry = self._tracks.get(track)
        if entry is None:
            entry = self._tracks[track] = sid, SpokenLevel(clock_rate)
        entry[1].observe(level, timestamp, now)

    def forget(self, track: Hashable) -> None:
        """A track ended or was muted; who spoke on it stops with the next `update`."""
        self._tracks.pop(track, None)

    def speaking(self, sid: str) -> Speaker:
        """What was told last of one participant, for somebody who now begins to hear it."""
        level = self._told.get(sid, 0.0)
        return Speaker(sid, level, sid in self._told)

    def update(self, now: float) -> list[Speaker]:
        """What is another than it was at the last call, loudest first, silent ones last."""
        levels: dict[str, float] = {}
        for sid, spoken in self._tracks.values():
            level = spoken.level(now)
            if level >= THRESHOLD:
                levels[sid] = max(levels.get(sid, 0.0), _quantised(level))
        changed = [
            Speaker(sid, level, True)
            for sid, level in levels.items()
            if self._told.get(sid) != level
        ]
        stopped = [Speaker(sid, 0.0, False) for sid in self._told if sid not in levels]
        self._told = levels
        return sorted(changed, key=lambda speaker: -speaker.level) + stopped


def _quantised(level: float) -> float:
    return min(1.0, math.ceil(level * STEPS) / STEPS)
