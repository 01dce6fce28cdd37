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

from trio_sfu.config import AudioConfig
from trio_sfu.rtp.extensions import SILENCE
from trio_sfu.sequence import distance, newer

USUAL: Final = AudioConfig()
"""LiveKit's figures."""
STALE: Final = 2
"""Windows without any packet after which a track is silent: nothing came to say so."""
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

    __slots__ = (
        "_active",
        "_active_level",
        "_last",
        "_least",
        "_loudest",
        "_observed",
        "_smoothed",
        "_stale",
        "_timestamp",
        "_weight",
        "_window",
    )

    def __init__(self, clock_rate: int, config: AudioConfig = USUAL) -> None:
        self._window = config.update_interval * clock_rate // 1000
        self._least = round(self._window * config.min_percentile / 100)
        self._active_level = config.active_level
        self._stale = STALE * config.update_interval / 1000
        # The weight of a new window: an exponential mean over so many of them.
        self._weight = 2 / (max(config.smooth_intervals, 1) + 1)
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
        if level <= self._active_level:
            self._active += duration
            self._loudest = min(self._loudest, level)
        if self._observed >= self._window:
            self._close_window()

    def level(self, now: float) -> float:
        """The smoothed level, linear; below `Speakers.threshold` it is silence."""
        if now - self._last > self._stale:
            self._smoothed = 0.0
            self._clear()
        return self._smoothed

    def _close_window(self) -> None:
        if self._active and self._active >= self._least:
            adjusted = self._loudest - 20 * math.log10(self._active / self._window)
            self._smoothed += (10 ** (-adjusted / 20) - self._smoothed) * self._weight
        else:
            self._smoothed = 0.0
        self._clear()


class Speakers:
    """Who speaks in a room: fed with every packet of sound, asked every `interval`."""

    def __init__(self, config: AudioConfig = USUAL) -> None:
        self.interval = config.update_interval / 1000
        """Seconds: of sound in a window, and between two looks at who speaks."""
        self.threshold = 10 ** (-config.active_level / 20)
        """The smoothed level, linear, from which on somebody speaks."""
        self._config = config
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
            entry = self._tracks[track] = sid, SpokenLevel(clock_rate, self._config)
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
            if level >= self.threshold:
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
