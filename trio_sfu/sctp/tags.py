"""Verification tags: whose packet is this (RFC 9260 sections 5.3.1 and 8.5).

Each end draws a number, and the other puts it into every packet, so that nobody who
has not heard it can say a word. The rule: a packet is believed or dropped as a whole,
by its tag and its first chunk, before any chunk is looked at.
"""

from trio_sfu.core import Entropy
from trio_sfu.sctp.chunks import (
    Abort,
    CookieEcho,
    Init,
    InitAck,
    ShutdownAck,
    ShutdownComplete,
)
from trio_sfu.sctp.packet import Packet
from trio_sfu.sctp.states import OPENING, State


def new_tag(entropy: Entropy) -> int:
    """A tag for ourselves."""
    return int.from_bytes(entropy(4), "big") or 1  # 0 is INIT's


def believed(packet: Packet, tag: int, peer_tag: int, state: State) -> bool:
    """Whether *packet* is of the association of *tag*, ours, and *peer_tag*, 0 if not known."""
    first = packet.chunks[0]
    match first:
        case CookieEcho():
            return True  # its cookie says which tag it must be
        case InitAck():
            return packet.tag == tag and len(packet.chunks) == 1
        case Init():
            return packet.tag == 0 and len(packet.chunks) == 1
        case Abort(reflected=True) | ShutdownComplete(reflected=True):
            return packet.tag == peer_tag != 0
        case ShutdownAck() if state in OPENING or state is State.ENDED:
            return True  # of an association that we forgot (8.4)
    return packet.tag == tag
