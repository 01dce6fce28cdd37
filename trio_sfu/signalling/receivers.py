"""The sections in which a client hears on `/rtc/v1`, and how many more it is asked for.

The client makes every offer, so it offers sections for what it does not know yet: a few
with its first offer, and as many more as we ask for. Which of them carries what is ours
to say, in the answer:

                   offered recvonly                    its track ends
      (nothing) --------------------> free            +-------------> ended
                                       |  ^           |                 | told so in
                          an answer    |  |           |                 | an answer:
                          carries it   +--|------> carrying             | inactive
                                          |                             |
                                          +-----------------------------+

A section whose track has ended is free only once an answer has said so: a browser tells
its page of a track when a section begins to flow, and would say nothing of one that took
the place of another within one answer.

For tracks without a free section the client is asked (*media_sections_requirement*), at
most for what it was not asked for since our last answer. It is asked for none, too, when
something else changed: its next offer is our only chance to say so.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from trio_sfu.sdp.agreement import KINDS, Sending
from trio_sfu.sdp.attributes import Direction
from trio_sfu.sdp.formats import AUDIO, VIDEO
from trio_sfu.sdp.session import MediaSection
from trio_sfu.signalling.negotiation import DEBOUNCE_BUSY, DEBOUNCE_CALM, QUIET

FIRST_OFFER: Final = 0.5
"""Seconds to wait for a client's first offer, which comes by itself and mostly has sections
enough. One that waits to be asked is late by as much."""


@attrs.frozen
class Missing:
    """How many sections a client is asked for."""

    audios: int
    videos: int

    def __bool__(self) -> bool:
        return bool(self.audios or self.videos)


class Receivers:
    """One client's sections for what it hears."""

    def __init__(self) -> None:
        self.deadline = math.inf
        """When `ask` has something to say."""
        self.carried: Mapping[str, Sending] = {}
        """By mid, what the sections carry by our last answer."""
        self._free: Counter[str] = Counter()
        """By kind, sections that another track can have in the next answer."""
        self._asked: Counter[str] = Counter()
        """By kind, sections asked for since our last answer."""
        self._changed = False
        """Whether the last answer is out of date."""
        self._began = False
        """Whether the client has made an offer."""
        self._asked_at = -math.inf

    def want(self, now: float) -> None:
        """What is to be sent changed."""
        self._changed = True
        self._arm(now, DEBOUNCE_CALM if self._began else FIRST_OFFER)

    def _arm(self, now: float, calm: float) -> None:
        if self.deadline == math.inf:
            quiet = now - self._asked_at > QUIET
            self.deadline = now + (calm if quiet else DEBOUNCE_BUSY)

    def ask(self, sendings: Iterable[Sending], now: float) -> Missing | None:
        """What to ask the client for now, so that *sendings* can go; None for nothing."""
        self.deadline = math.inf
        unmatched = self._unmatched(sendings) - self._asked
        if not unmatched and not self._changed:
            return None
        self._asked += unmatched
        self._changed = False
        self._asked_at = now
        return Missing(unmatched[AUDIO], unmatched[VIDEO])

    def fit(
        self, offered: Sequence[MediaSection], sendings: Iterable[Sending]
    ) -> Mapping[str, Sending]:
        """By mid, which of *sendings* the client's *offered* sections carry from now on."""
        waiting = {each.track_id: each for each in sendings}
        carried: dict[str, Sending] = {}
        free: dict[str, list[str]] = {kind: [] for kind in KINDS}
        ended: Counter[str] = Counter()
        for section in offered:
            if section.kind not in KINDS or not section.mid or not _receives(section):
                continue
            before = self.carried.get(section.mid)
            if before is None:
                free[section.kind].append(section.mid)
            elif (same := waiting.get(before.track_id)) is not None and _same(same, before):
                carried[section.mid] = waiting.pop(before.track_id)
            else:
                ended[section.kind] += 1
        for sending in waiting.values():
            if mids := free[sending.kind]:
                carried[mids.pop(0)] = sending
        self._free = ended + Counter({kind: len(mids) for kind, mids in free.items()})
        self.carried = carried
        self._asked.clear()
        self._changed, self._began = False, True
        self.deadline = math.inf
        return carried

    def answered(self, sendings: Iterable[Sending], now: float) -> None:
        """The answer is on its way: ask for what it had no section for."""
        if self._unmatched(sendings):
            self._arm(now, 0.0)

    def _unmatched(self, sendings: Iterable[Sending]) -> Counter[str]:
        """By kind, how many of *sendings* there is no section for."""
        flowing = {(each.track_id, each.ssrc) for each in self.carried.values()}
        waiting = Counter(
            each.kind for each in sendings if (each.track_id, each.ssrc) not in flowing
        )
        return waiting - self._free


def _receives(section: MediaSection) -> bool:
    """Whether the client only hears in *section*: in what it sends in, it must not."""
    return section.direction is Direction.RECVONLY and not section.rejected


def _same(one: Sending, other: Sending) -> bool:
    """Whether it is the same subscription, not one that was ended and made anew."""
    return one.track_id == other.track_id and one.ssrc == other.ssrc
