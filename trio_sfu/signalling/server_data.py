"""What the server itself says on data channels: data and calls that come through the API.

No participant is behind these, so they carry no sender. `trio_sfu.api` calls the two
functions here; which room and participant are meant, and who may ask, is its business.
"""

import uuid
from collections.abc import Collection
from typing import Final

import trio
from livekit.protocol import models

from trio_sfu.core import Entropy
from trio_sfu.peer.events import SendData
from trio_sfu.room import data as room_data
from trio_sfu.room.data import LOSSY, RELIABLE
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.room.rpc import MAX_PAYLOAD, RESPOND_WITHIN, RpcCode, RpcError
from trio_sfu.signalling import packets

RPC_VERSION: Final = 1
"""Of calls whose payload is in the packet. (Version 2's are data streams.)"""


def send_data(
    room: Room,
    data: bytes,
    *,
    reliable: bool,
    topic: str = "",
    sids: Collection[str] = (),
    identities: Collection[str] = (),
    nonce: bytes = b"",
) -> int:
    """RoomService.SendData: *data* as a user packet to those that are named, or to all.

    Returns how many it was sent to, or 0 for a *nonce* (16 bytes; none is b"") that has
    been here before. Whose reliable channel is not open yet gets it later.
    """
    if not room.nonces.is_new(nonce):
        return 0
    label = RELIABLE if reliable else LOSSY
    packet = models.DataPacket(
        kind=packets.KINDS[label],
        destination_identities=identities,
        user=models.UserPacket(
            payload=data,
            destination_sids=sids,
            destination_identities=identities,
            topic=topic or None,
            nonce=nonce,
        ),
    )
    return room_data.deliver(room, packets.addressed(packet, label), trio.current_time())


async def perform_rpc(
    participant: Participant,
    method: str,
    payload: str,
    *,
    entropy: Entropy,
    respond_within: float = RESPOND_WITHIN,
) -> str:
    """RoomService.PerformRpc: call *method* of *participant*'s client; what it answers.

    *respond_within* is in seconds. Raises `RpcError` with a `RpcCode` or a code of the
    application's own: nothing acknowledged in 2 s, no answer in time, or they are gone.
    """
    if len(payload.encode()) > MAX_PAYLOAD:
        raise RpcError.of(RpcCode.REQUEST_PAYLOAD_TOO_LARGE)
    number = str(uuid.UUID(bytes=entropy(16), version=4))
    call = participant.calls.begin(number, trio.current_time(), respond_within)
    if call.outcome is None:
        # The answer goes to the identity that asked: one that nobody else has.
        packet = models.DataPacket(
            kind=models.DataPacket.RELIABLE,
            participant_identity=number,
            rpc_request=models.RpcRequest(
                id=number,
                method=method,
                payload=payload,
                response_timeout_ms=_their_share(participant, respond_within),
                version=RPC_VERSION,
            ),
        )
        room_data.tell(participant, SendData(RELIABLE, packet.SerializeToString()))
    settled = trio.Event()
    call.settled = settled.set
    try:
        while call.outcome is None:
            with trio.move_on_at(call.deadline):
                await settled.wait()
            call.expire(trio.current_time())
    finally:
        participant.calls.forget(number)
    if isinstance(call.outcome, RpcError):
        raise call.outcome
    return call.outcome


def _their_share(participant: Participant, respond_within: float) -> int:
    """Milliseconds that the client may take: what the way there and back leaves of it."""
    return max(0, round(1000 * (respond_within - participant.downlink.peer.round_trip)))
