"""Reliable data for those whose channels are not open yet, and what must not come twice.

Somebody who joins is in the room before their data channels are. What the others say
reliably in between would be lost for them: so the room keeps the last of it (`Recent`),
and each participant has an `Inbox` that knows from where on to catch up.

Only numbered packets go into the room's memory: a client that numbers them expects
that nothing is lost. What has no number (the server's own words, above all) waits in
the inbox itself. Both are bounded, since they are kept for people who may never come.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import attrs

M = TypeVar("M")

KEPT_FOR: Final = 2.0
"""Seconds that the room remembers a reliable packet; LiveKit's."""
KEPT_BYTES: Final = 100_000
"""Of all that a room remembers, and of what one inbox holds; LiveKit's."""
NONCES: Final = 100
"""User packets of a room whose nonces are remembered; LiveKit's."""
NONCE: Final = 16
"""Bytes of a nonce, a UUID; anything else is none."""


@attrs.frozen
class _Kept(Generic[M]):
    position: int
    at: float
    size: int
    message: M


class Recent(Generic[M]):
    """The numbered reliable packets of a room's last moments, in order."""

    def __init__(self) -> None:
        self.position = 0
        """How many there have been, ever."""
        self.size = 0
        """Bytes kept."""
        self._kept: deque[_Kept[M]] = deque()

    def add(self, message: M, size: int, now: float) -> None:
        """Remember *message*, of *size* bytes, and forget what is too old or too much."""
        self._kept.append(_Kept(self.position, now, size, message))
        self.position += 1
        self.size += size
        self._forget(now)

    def since(self, position: int, now: float) -> Iterator[M]:
        """What came from *position* on, and is still remembered."""
        self._forget(now)
        return (kept.message for kept in self._kept if kept.position >= position)

    def _forget(self, now: float) -> None:
        kept = self._kept
        while kept and (kept[0].at <= now - KEPT_FOR or self.size > KEPT_BYTES):
            self.size -= kept.popleft().size


class Inbox(Generic[M]):
    """Whether one participant can be told anything yet, and what waits until then."""

    def __init__(self) -> None:
        self.open = False
        """Whether reliable data reach the participant's client."""
        self.dropped = 0
        """Messages that there was no room for."""
        self._position = 0
        self._held: list[M] = []
        self._size = 0

    def enter(self, recent: Recent[M]) -> None:
        """The participant is in the room: what is said from now on is for them."""
        self._position = recent.position

    def hold(self, message: M, size: int) -> None:
        """Keep an unnumbered *message* until the channel is open."""
        if self._size + size > KEPT_BYTES:
            self.dropped += 1
        else:
            self._held.append(message)
            self._size += size

    def catch_up(self, recent: Recent[M], now: float) -> list[M]:
        """The channel is open: all that was missed, each once."""
        missed = [] if self.open else [*recent.since(self._position, now), *self._held]
        self.open = True
        self._held, self._size = [], 0
        return missed


class Nonces:
    """The last nonces of user packets: a sender that tries again is heard once."""

    def __init__(self) -> None:
        self._seen: dict[bytes, None] = {}

    def is_new(self, nonce: bytes) -> bool:
        """Whether a packet of this *nonce* should pass."""
        if len(nonce) != NONCE:
            return True
        if nonce in self._seen:
            return False
        self._seen[nonce] = None
        if len(self._seen) > NONCES:
            del self._seen[next(iter(self._seen))]
        return True
