"""The short-term credentials of one side of an ICE session (RFC 8445 section 5.3).

The ufrag is public and says for whom a check is; the password seals checks and
travels by signalling only, so that whoever seals one was there (RFC 8445 section 19).
"""

from typing import Final

import attrs

from trio_sfu.core import Entropy
from trio_sfu.errors import WireError

ICE_CHARS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
"""What both may consist of (RFC 8839 section 5.4); there are 64, so a character is six bits."""

UFRAG_RANDOM: Final = 8
"""48 random bits after the tag: RFC 8445 asks for 24, but ours also finds a peer among
thousands on one socket, and there two alike would be a fault."""
PASSWORD_LENGTH: Final = 24
"""144 random bits; RFC 8445 asks for 128."""
MAX_TAG: Final = 24
"""Most ufrags seen are 4 to 8 characters, 256 are allowed, and each check repeats it."""

UFRAG_LENGTHS: Final = range(4, 257)
PASSWORD_LENGTHS: Final = range(22, 257)
"""RFC 8839 section 5.4."""


@attrs.frozen
class Credentials:
    """A ufrag and its password."""

    ufrag: str
    password: str = attrs.field(repr=False)

    @property
    def key(self) -> bytes:
        """What seals STUN messages: a short-term password as it is (RFC 8489 section 9.1.1)."""
        return self.password.encode()


def make(entropy: Entropy, tag: str = "") -> Credentials:
    """New credentials; the ufrag begins with *tag*, which names the worker that owns it."""
    if len(tag) > MAX_TAG or not _ice_chars(tag):
        raise ValueError(f"a tag is up to {MAX_TAG} letters, digits, + or /, not {tag!r}")
    return Credentials(tag + _random(entropy, UFRAG_RANDOM), _random(entropy, PASSWORD_LENGTH))


def parse(ufrag: str, password: str) -> Credentials:
    """What a peer's description says; `WireError` where it breaks the grammar."""
    if len(ufrag) not in UFRAG_LENGTHS or not _ice_chars(ufrag):
        raise WireError("ice-ufrag is not 4 to 256 letters, digits, + or /")
    if len(password) not in PASSWORD_LENGTHS or not _ice_chars(password):
        raise WireError("ice-pwd is not 22 to 256 letters, digits, + or /")
    return Credentials(ufrag, password)


def _random(entropy: Entropy, length: int) -> str:
    return "".join(ICE_CHARS[byte & 0x3F] for byte in entropy(length))


def _ice_chars(text: str) -> bool:
    return all(character in ICE_CHARS for character in text)
