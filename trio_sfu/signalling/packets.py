"""Data packets: what a client may send over a data channel, and to whom it goes.

A client says whom a packet is for, but not who it is from: that is stamped here,
or anybody could speak in anybody's name. What is inside (a message, a piece of a
stream, an RPC call, something encrypted) is the clients' business and passes, kinds
that are newer than this server, too.

A client that numbers its reliable packets counts up; after a reconnection it may say
again what it is not sure of, so what is not above its last number is passed over.
"""

from collections.abc import Callable, Mapping
from typing import Final

from google.protobuf.message import DecodeError
from livekit.protocol import models

from trio_sfu.peer.events import SendData
from trio_sfu.room.data import DATA_TRACK, LOSSY, PATIENCE, RELIABLE, Message, deliver, hold_back
from trio_sfu.room.grants import Kind
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.room.rpc import RpcError

KINDS: Final = {
    RELIABLE: models.DataPacket.Kind.RELIABLE,
    LOSSY: models.DataPacket.Kind.LOSSY,
}


def hear(room: Room, sender: Participant, label: str, data: bytes, now: float) -> None:
    """*sender*'s client wrote *data* on the channel *label*: pass it on, if it may pass."""
    if not sender.who.grants.can_publish_data:
        return
    if label == DATA_TRACK:
        sender.data_tracks.hear(data)
        return
    message = plain(sender, data) if label not in KINDS else stamp(room, sender, label, data)
    if message is not None:
        deliver(room, message, now)
        if message.reliable:
            hold_back(room, sender, message)


def plain(sender: Participant, data: bytes) -> Message:
    """What came over a channel that is none of LiveKit's: the others get it as a user packet."""
    packet = models.DataPacket(
        participant_identity=identity_of(sender), user=models.UserPacket(payload=data)
    )
    return Message(wish=SendData(RELIABLE, packet.SerializeToString()), sender=sender.sid)


def stamp(room: Room, sender: Participant, label: str, data: bytes) -> Message | None:
    """What to deliver of *data*, a packet of *sender*'s client.

    None for what may not pass, has passed before, or was for the server.
    """
    kind = KINDS[label]
    try:
        packet = models.DataPacket.FromString(data)
    except DecodeError:
        return None
    if kind == models.DataPacket.RELIABLE and packet.sequence:
        if packet.sequence <= sender.last_sequence:
            return None
        sender.last_sequence = packet.sequence
    value = packet.WhichOneof("value")
    if not _RULES.get(value or "", _pass)(sender, packet):
        return None
    packet.kind = kind
    sid = "" if sender.hidden else sender.sid
    packet.participant_sid = sid
    if not _speaks_for_another(sender, packet):
        packet.participant_identity = identity_of(sender)
    if value == "user":
        user = packet.user
        user.participant_sid, user.participant_identity = sid, identity_of(sender)
        if not room.nonces.is_new(user.nonce):
            return None
    return addressed(packet, label, sender.sid)


def addressed(packet: models.DataPacket, label: str, sender: str = "") -> Message:
    """*packet*, serialised, with whom it is for; *sender* is a SID."""
    sids: frozenset[str] = frozenset()
    if packet.WhichOneof("value") == "user":
        # Older clients read the one place, newer ones the other.
        user = packet.user
        identities = list(packet.destination_identities or user.destination_identities)
        for field in (packet.destination_identities, user.destination_identities):
            del field[:]
            field.extend(identities)
        sids = frozenset(user.destination_sids)
    return Message(
        wish=SendData(label, packet.SerializeToString(), PATIENCE[label]),
        sender=sender,
        sids=sids,
        identities=frozenset(packet.destination_identities),
        numbered=packet.sequence > 0,
    )


def identity_of(sender: Participant) -> str:
    """In whose name *sender* speaks: the hidden in none."""
    return "" if sender.hidden else sender.identity


def _is_agent(sender: Participant) -> bool:
    return sender.who.kind is Kind.AGENT or sender.who.grants.agent


def _speaks_for_another(sender: Participant, packet: models.DataPacket) -> bool:
    """Agents write down what others say: text of theirs may be in another's name.

    It is marked as generated, so that nobody takes it for that person's own.
    """
    name = packet.participant_identity
    if name in ("", sender.identity) or not _is_agent(sender):
        return False
    match packet.WhichOneof("value"):
        case "chat_message":
            packet.chat_message.generated = True
            return True
        case "stream_header" if packet.stream_header.HasField("text_header"):
            packet.stream_header.text_header.generated = True
            return True
    return False


# --- what is done with a kind of packet before it passes; False where it does not


def _pass(sender: Participant, packet: models.DataPacket) -> bool:
    return True


def _swallow(sender: Participant, packet: models.DataPacket) -> bool:
    """Metrics are the server's, and who speaks is for the server to say."""
    return False


def _transcription(sender: Participant, packet: models.DataPacket) -> bool:
    return _is_agent(sender)


def _rpc_ack(sender: Participant, packet: models.DataPacket) -> bool:
    """Of a call of ours it ends here; of another client's it passes."""
    return not sender.calls.acknowledge(packet.rpc_ack.request_id)


def _rpc_response(sender: Participant, packet: models.DataPacket) -> bool:
    response = packet.rpc_response
    outcome: str | RpcError
    match response.WhichOneof("value"):
        case "payload":
            outcome = response.payload
        case "error":
            error = response.error
            outcome = RpcError(error.code, error.message, error.data)
        case _:
            return True
    return not sender.calls.respond(response.request_id, outcome)


_RULES: Final[Mapping[str, Callable[[Participant, models.DataPacket], bool]]] = {
    "speaker": _swallow,
    "metrics": _swallow,
    "transcription": _transcription,
    "rpc_ack": _rpc_ack,
    "rpc_response": _rpc_response,
}
