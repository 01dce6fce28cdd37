"""The token with which a client comes back: a new one before the old one ends.

A client joins with a token of some hours and comes back with it after them, or after its
rights have changed. So it is given another at once, every five minutes, and whenever what
a token says of it changes (wire guide, "Tokens"). It is signed as its application's are,
says what holds now, and lasts ten minutes, or as long as the first would have.
"""

import math
from collections.abc import Callable
from typing import Final

from livekit.protocol import rtc

from trio_sfu.room.participant import Identity

INTERVAL: Final = 300.0
"""Seconds between two tokens; LiveKit's."""
LIFETIME: Final = 600.0
"""Seconds that each is good for, at least: one may be lost on its way."""

Sign = Callable[[Identity, str, float], str]
"""A token that says who somebody is and what they may do in a room, for so many seconds."""


class Tickets:
    """One client's tokens."""

    def __init__(self, room: str, sign: Sign | None) -> None:
        """*sign*: None where nobody has a key, and clients keep the token that they have."""
        self.deadline = math.inf
        """When the next one is due."""
        self._room = room
        self._sign = sign

    def issue(self, who: Identity, now: float, wall: float) -> list[rtc.SignalResponse]:
        """Another token for its client; *wall* is *now* in seconds since 1970."""
        if self._sign is None:
            return []
        self.deadline = now + INTERVAL
        token = self._sign(who, self._room, max(LIFETIME, who.token_expires - wall))
        return [rtc.SignalResponse(refresh_token=token)]
