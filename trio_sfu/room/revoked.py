"""Whose tokens no longer let them in, though they are signed and have not ended.

A token cannot be taken back: whoever holds one may join until it ends, and so may
somebody who was removed a second ago. So the server remembers who was removed, from
which room, and that tokens from before are not to be believed any more. A token from
later is: whoever removed them can let them in again by giving them a new one.

What is remembered ends with the token that they had. It is forgotten with the process,
too; who needs more than that gives out tokens that end soon, which is the better remedy
anyhow.
"""

import heapq
from typing import Final

import attrs

KEEP: Final = 24 * 3600.0
"""Seconds for which somebody is kept out at least. They may have had more tokens than the
one we saw, and of those we do not know the end; LiveKit's SDKs give six hours."""
LIMIT: Final = 10_000
"""Entries, of some hundred bytes; above it the one that ends first makes room."""


@attrs.frozen(order=True)
class _Entry:
    ends: float
    room: str
    identity: str
    before: float


class Revoked:
    """Who was removed for good. All times are in seconds since 1970."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.dropped = 0
        """Entries that made room for others before they ended."""
        self._limit = limit
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._queue: list[_Entry] = []
        """By their end; an entry that was replaced is still in it."""

    def __len__(self) -> int:
        return len(self._entries)

    def revoke(
        self, room: str, identity: str, *, before: float, now: float, expires: float = 0
    ) -> None:
        """Believe no token for *identity* in *room* that was made *before* then.

        *expires* is when the token ends that they came with, if that is known.
        """
        self._forget(now)
        ends = max(expires, now + KEEP)
        if (old := self._entries.get((room, identity))) is not None:
            before, ends = max(before, old.before), max(ends, old.ends)
        entry = _Entry(ends, room, identity, before)
        self._entries[room, identity] = entry
        heapq.heappush(self._queue, entry)
        self._forget(now)

    def keeps_out(self, room: str, identity: str, *, made: float, now: float) -> bool:
        """Whether a token that was *made* then lets *identity* into *room* no more.

        A token that does not say when it was made counts as older than all.
        """
        entry = self._entries.get((room, identity))
        return entry is not None and now < entry.ends and made < entry.before

    def _forget(self, now: float) -> None:
        while self._queue:
            entry = self._queue[0]
            current = self._entries.get((entry.room, entry.identity)) is entry
            full = len(self._entries) > self._limit
            if current and entry.ends > now and not full:
                return
            heapq.heappop(self._queue)
            if current:
                del self._entries[entry.room, entry.identity]
                self.dropped += entry.ends > now
