"""The state cookie: an association in the peer's pocket (RFC 9260 section 5.1.3).

An INIT costs its sender nothing, so it must cost us nothing that stays. Whatever we
would have to remember of it goes into a cookie that only we can sign; the peer keeps
it, and brings it back when it has shown that it hears us. It lives for a minute.

The *tie tags* are for an INIT that comes while an association exists: they are its
two tags at that moment, and show, when the cookie returns, whether this peer is
starting again or a late cookie belongs to a past that nobody remembers (5.2.4).
"""

import hashlib
import hmac
import struct
from typing import Final, Self

import attrs

from trio_sfu.wire import WireError

LIFETIME: Final = 60.0
"""Seconds that a cookie is good for (RFC 9260 section 16: Valid.Cookie.Life)."""
KEY_LENGTH: Final = 32
_FIELDS: Final = struct.Struct("!d7LHHB")
_SIGNATURE: Final = hashlib.sha256().digest_size


@attrs.frozen
class Cookie:
    """What an association is made of."""

    issued: float
    local_tag: int
    peer_tag: int
    local_tsn: int
    peer_tsn: int
    peer_window: int
    local_tie: int
    """Our tag of the association that existed when this was made; 0 for none."""
    peer_tie: int
    outbound: int
    """Streams that we may send on."""
    inbound: int
    extensions: int
    """Bit 0: FORWARD TSN, bit 1: RE-CONFIG."""

    @property
    def ties(self) -> tuple[int, int]:
        """(ours, the peer's) of the association that existed; (0, 0) for none."""
        return self.local_tie, self.peer_tie

    def sign(self, key: bytes) -> bytes:
        fields = _FIELDS.pack(*attrs.astuple(self))
        return fields + hmac.digest(key, fields, "sha256")

    @classmethod
    def verify(cls, value: bytes, key: bytes) -> Self:
        """The cookie, if we signed it; else `WireError`. Its age is not looked at."""
        if len(value) != _FIELDS.size + _SIGNATURE:
            raise WireError("a cookie of a strange length")
        fields, signature = value[: _FIELDS.size], value[_FIELDS.size :]
        if not hmac.compare_digest(signature, hmac.digest(key, fields, "sha256")):
            raise WireError("a cookie that we did not sign")
        return cls(*_FIELDS.unpack(fields))
