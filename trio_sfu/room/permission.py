"""Whom a publisher lets hear its tracks: values, without any I/O.

Unless a publisher says something, everybody may. What it says then replaces all
that it said before: everybody, or only those it lists, and of these each all of
its tracks or some. People are listed by identity, so that a listed one stays
listed when it leaves and comes back.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

MAX_LISTED: Final = 5_000
"""People whom one publisher lists; who is beyond that is not listed."""


@attrs.frozen(kw_only=True)
class Permitted:
    """What one subscriber may hear of a publisher."""

    identity: str = ""
    sid: str = ""
    """Who it is, for clients that do not know the identity."""
    all_tracks: bool = False
    tracks: frozenset[str] = frozenset()

    def covers(self, track: str) -> bool:
        return self.all_tracks or track in self.tracks


@attrs.frozen
class Permissions:
    """Who may hear a publisher, and what; nobody else may."""

    _listed: Mapping[str, Permitted]
    """By identity."""

    def allow(self, identity: str, track: str) -> bool:
        """Whether *identity* may hear the track with that SID."""
        permitted = self._listed.get(identity)
        return permitted is not None and permitted.covers(track)


def only(listed: Iterable[Permitted], find: Callable[[str], str | None]) -> Permissions | None:
    """Those *listed* and nobody else; None if somebody is listed without any name.

    *find* gives the identity of a participant's SID. Who is listed by a SID that
    nobody has is passed over: it may never come again.
    """
    found: dict[str, Permitted] = {}
    for each in listed:
        if not each.identity and not each.sid:
            return None
        identity = each.identity or find(each.sid)
        if identity and (identity in found or len(found) < MAX_LISTED):
            found[identity] = each
    return Permissions(found)
