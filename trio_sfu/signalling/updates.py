"""Who changed since the client was last told: nothing is told twice, nor out of date.

A publisher's change, or one of metadata, goes out at once, since the tracks in it
must be known before the SDP that carries them. That a mere listener came or went
can wait: in a room of hundreds such news would be most of what is sent. So it is
gathered for three seconds, and what happened twice meanwhile is told once.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Final

from livekit.protocol import rtc

from trio_sfu.room.info import ParticipantState
from trio_sfu.room.participant import Participant
from trio_sfu.signalling.infos import Info, info_of, update

BATCH: Final = 3.0
"""Seconds; LiveKit's subscriberUpdateInterval."""

REMEMBERED: Final = 60.0
"""Seconds for which it is known that somebody left: longer than a client tries to resume."""
MAX_GONE: Final = 500

MAX_MESSAGE: Final = 128 << 10
"""Bytes of one update, roughly; more goes into the next."""


class Updates:
    """What one client has yet to be told of the others."""

    def __init__(self) -> None:
        self._changed: dict[str, Participant] = {}
        self._told: dict[str, int] = {}
        self._gone: list[tuple[float, Info]] = []
        """Who left, and when that was noted: a client that comes back may not have heard it."""
        self._urgent = False
        self._batch = math.inf

    @property
    def deadline(self) -> float:
        """When something must be told; ``-math.inf`` for at once."""
        return -math.inf if self._urgent else self._batch

    def note(self, participant: Participant, now: float, *, urgent: bool) -> None:
        """*participant* says something else of themselves."""
        self._changed[participant.sid] = participant
        if participant.state is ParticipantState.DISCONNECTED and participant.sid in self._told:
            self._gone = [each for each in self._gone if now - each[0] < REMEMBERED][-MAX_GONE:]
            self._gone.append((now, info_of(participant)))
        self._urgent |= urgent
        if self._batch == math.inf:
            self._batch = now + BATCH

    def told(self, participant: Participant) -> None:
        """The client knows *participant* as they are now (from the join response)."""
        self._told[participant.sid] = participant.version

    def catch_up(self, everybody: Iterable[Participant], now: float) -> list[rtc.SignalResponse]:
        """All that a client must be told that was away: who left meanwhile, and *everybody*.

        Who left and is there again, by identity, is told only as they are now.
        """
        here = list(everybody)
        identities = {each.identity for each in here}
        infos = [
            info
            for left, info in self._gone
            if now - left < REMEMBERED and info.message.identity not in identities
        ]
        infos += map(info_of, here)
        self._told = {each.sid: each.version for each in here}
        self._changed.clear()
        self._urgent, self._batch = False, math.inf
        return list(_messages(infos))

    def take(self) -> list[rtc.SignalResponse]:
        """All that there is to tell."""
        infos: list[Info] = []
        for sid, each in self._changed.items():
            gone = each.state is ParticipantState.DISCONNECTED
            told = self._told.pop(sid, None)
            # Who came and went meanwhile was never there, as far as the client is concerned.
            if (told is None and not gone) or (told is not None and told < each.version):
                infos.append(info_of(each))
            if not gone:
                self._told[sid] = each.version
        self._changed.clear()
        self._urgent, self._batch = False, math.inf
        return list(_messages(infos))


def _messages(infos: list[Info]) -> Iterator[rtc.SignalResponse]:
    """As few as there may be."""
    batch: list[Info] = []
    size = 0
    for info in infos:
        if batch and size + len(info.element) > MAX_MESSAGE:
            yield update(batch)
            batch, size = [], 0
        batch.append(info)
        size += len(info.element)
    if batch:
        yield update(batch)
