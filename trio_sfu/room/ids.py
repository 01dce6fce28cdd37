"""SIDs: LiveKit's names for things, a prefix that tells the kind and twelve random letters.

Clients look at the prefixes: the Rust core refuses a participant whose SID does
not begin with "PA_", and tells tracks from participants by "TR_".
"""

from typing import Final

from trio_sfu.core import Entropy

ROOM: Final = "RM_"
PARTICIPANT: Final = "PA_"
TRACK: Final = "TR_"
DATA_TRACK: Final = "DTR_"
NODE: Final = "ND_"
DISPATCH: Final = "AD_"
EVENT: Final = "EV_"

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
"""Without the letters that people mistake for each other: l, 0 and 1."""

_LENGTH: Final = 12


def make_sid(prefix: str, entropy: Entropy) -> str:
    """A new SID: 70 bits, so that two never meet."""
    number = int.from_bytes(entropy(2 * _LENGTH), "big")
    letters = []
    for _ in range(_LENGTH):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return prefix + "".join(letters)
