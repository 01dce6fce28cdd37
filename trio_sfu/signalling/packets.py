"""Data packets: what a client may send over a data channel, and to whom it goes.

A client says whom a packet is for, but not who it is from: that is stamped here,
or anybody could speak in anybody's name. What is inside (a message, a piece of a
stream, an RPC call, something encrypted) is the clients' business and passes.
"""

import attrs
from google.protobuf.message import DecodeError
from livekit.protocol import models

from trio_sfu.room.data import LOSSY, RELIABLE
from trio_sfu.room.participant import Participant

_KINDS = {
    RELIABLE: models.DataPacket.Kind.RELIABLE,
    LOSSY: models.DataPacket.Kind.LOSSY,
}

_SWALLOWED = frozenset({"metrics", "speaker"})
"""Not for other clients: metrics are the server's, speakers are said by the server."""


@attrs.frozen
class Delivery:
    """A packet, stamped, and whom it is for: nobody named means everybody."""

    data: bytes
    sids: frozenset[str]
    identities: frozenset[str]


def stamp(sender: Participant, label: str, data: bytes) -> Delivery | None:
    """What to deliver of *data*, which *sender* wrote on the channel *label*.

    None for what may not pass: no packet at all, or one that is not for others.
    """
    kind = _KINDS.get(label)
    if kind is None or not sender.who.grants.can_publish_data:
        return None
    try:
        packet = models.DataPacket.FromString(data)
    except DecodeError:
        return None
    value = packet.WhichOneof("value")
    if value is None or value in _SWALLOWED:
        return None
    sids: frozenset[str] = frozenset()
    identities = tuple(packet.destination_identities)
    packet.kind = kind
    sid, identity = ("", "") if sender.hidden else (sender.sid, sender.identity)
    packet.participant_sid, packet.participant_identity = sid, identity
    if value == "user":
        user = packet.user
        user.participant_sid, user.participant_identity = sid, identity
        sids = frozenset(user.destination_sids)
        identities = identities or tuple(user.destination_identities)
        del user.destination_identities[:]
        user.destination_identities.extend(identities)
        del packet.destination_identities[:]
        packet.destination_identities.extend(identities)
    elif value == "transcription" and sender.who.kind.name != "AGENT":
        return None
    return Delivery(packet.SerializeToString(), sids, frozenset(identities))
