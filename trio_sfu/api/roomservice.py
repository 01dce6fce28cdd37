"""LiveKit's RoomService: who is in which room, and what an application may do about it.

Each method says who may call it, finds the room and the participant that are meant, and
calls the room. Codes and texts of errors are those of LiveKit's server: clients show
them, and scripts look for them.
"""

from collections.abc import Mapping
from typing import Final

import attrs
import trio
from google.protobuf.message import Message
from livekit.protocol import models
from livekit.protocol import room as rooms

from trio_sfu.api import protojson
from trio_sfu.api.permissions import (
    ensure_admin,
    grants_of,
    may_administer,
    may_create,
    may_list,
)
from trio_sfu.api.twirp import (
    Call,
    Code,
    Method,
    Rendered,
    TwirpError,
    denied,
    from_within,
)
from trio_sfu.config import LimitConfig
from trio_sfu.room import changes, reconcile
from trio_sfu.room.changes import Change, exceeded, too_long
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.node import Node, TooManyRooms
from trio_sfu.room.options import preset
from trio_sfu.room.participant import Participant
from trio_sfu.room.quality import MAX_QUALITY, quality_of
from trio_sfu.room.room import Room
from trio_sfu.room.rpc import RESPOND_WITHIN, RpcCode, RpcError
from trio_sfu.signalling import translate
from trio_sfu.signalling.infos import Info, info_of
from trio_sfu.signalling.requests import MAX_SIDS
from trio_sfu.signalling.server_data import perform_rpc, send_data

SERVICE: Final = "livekit.RoomService"

NO_SUCH_ROOM: Final = "requested room does not exist"
NO_SUCH_PARTICIPANT: Final = "participant does not exist"
NONCE_LENGTH: Final = 16
RESPOND_AT_MOST: Final = 300.0
"""Seconds that a call to a participant may take, whatever its caller says."""
LISTED_AT_ONCE: Final = 50
"""Participants that are written in one turn of the loop: media goes on between two turns."""

_TOO_LONG: Final = {
    changes.NAME: "name length exceeds limits",
    changes.METADATA: "metadata size exceeds limits",
    changes.ATTRIBUTES: "attribute size exceeds limits",
}
_RPC_CODES: Final[Mapping[int, Code]] = {
    RpcCode.UNSUPPORTED_METHOD: Code.INVALID_ARGUMENT,
    RpcCode.RECIPIENT_NOT_FOUND: Code.NOT_FOUND,
    RpcCode.REQUEST_PAYLOAD_TOO_LARGE: Code.INVALID_ARGUMENT,
    RpcCode.UNSUPPORTED_SERVER: Code.UNIMPLEMENTED,
    RpcCode.UNSUPPORTED_VERSION: Code.UNIMPLEMENTED,
    RpcCode.CONNECTION_TIMEOUT: Code.CANCELED,
    RpcCode.RESPONSE_TIMEOUT: Code.CANCELED,
    RpcCode.RECIPIENT_DISCONNECTED: Code.UNAVAILABLE,
}
"""All others, the application's own and too long an answer among them, are internal."""


@attrs.frozen
class RoomService:
    """The methods, over the rooms of one node."""

    node: Node

    def methods(self) -> Mapping[str, Method]:
        """For the table of services."""
        return {
            "CreateRoom": Method(rooms.CreateRoomRequest, may_create, self.create_room),
            "ListRooms": Method(rooms.ListRoomsRequest, may_list, self.list_rooms),
            "DeleteRoom": Method(rooms.DeleteRoomRequest, may_create, self.delete_room),
            **{
                name: Method(takes, may_administer, answer)
                for name, takes, answer in (
                    ("ListParticipants", rooms.ListParticipantsRequest, self.list_participants),
                    ("GetParticipant", rooms.RoomParticipantIdentity, self.get_participant),
                    ("RemoveParticipant", rooms.RoomParticipantIdentity, self.remove_participant),
                    ("MutePublishedTrack", rooms.MuteRoomTrackRequest, self.mute_published_track),
                    ("UpdateParticipant", rooms.UpdateParticipantRequest, self.update_participant),
                    (
                        "UpdateSubscriptions",
                        rooms.UpdateSubscriptionsRequest,
                        self.update_subscriptions,
                    ),
                    ("SendData", rooms.SendDataRequest, self.send_data),
                    (
                        "UpdateRoomMetadata",
                        rooms.UpdateRoomMetadataRequest,
                        self.update_room_metadata,
                    ),
                    ("ForwardParticipant", rooms.ForwardParticipantRequest, self.forward_or_move),
                    ("MoveParticipant", rooms.MoveParticipantRequest, self.forward_or_move),
                    ("PerformRpc", rooms.PerformRpcRequest, self.perform_rpc),
                )
            },
        }

    @property
    def _limits(self) -> LimitConfig:
        return self.node.config.limits

    # --- rooms

    async def create_room(self, call: Call, request: rooms.CreateRoomRequest) -> Message:
        """A room that is there already is told what is different from now on."""
        limits = self._limits
        if too_long(request.name, limits.max_room_name_length):
            raise from_within(
                Code.INVALID_ARGUMENT,
                f"room name length exceeds limits: max length {limits.max_room_name_length}",
            )
        _check(limits, metadata=request.metadata)
        for each in request.agents:
            _check(limits, metadata=each.metadata, attributes=each.attributes)
        if (word := request.tags.get(MAX_QUALITY)) and quality_of(word) is None:
            words = f"tag {MAX_QUALITY} must be low, medium or high"
            raise from_within(Code.INVALID_ARGUMENT, words)
        if request.HasField("egress"):
            raise from_within(Code.INTERNAL, "egress not connected (redis required)")
        presets = self.node.config.room.room_configurations
        if (chosen := preset(presets, request.room_preset)) is None:
            words = "unknown room configuration in create room request"
            raise from_within(Code.INVALID_ARGUMENT, words)
        try:
            options = translate.room_options(request).over(chosen)
            room = await self.node.open(request.name, options=options)
        except TooManyRooms:
            words = "this server has as many rooms as it can"
            raise from_within(Code.RESOURCE_EXHAUSTED, words) from None
        return translate.room_info(room)

    async def list_rooms(self, call: Call, request: rooms.ListRoomsRequest) -> Message:
        names = frozenset(request.names)
        found = [
            room for room in self.node.rooms.values() if not room.closed and _named(room, names)
        ]
        answer = rooms.ListRoomsResponse()
        for number, room in enumerate(found):
            if number % LISTED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            answer.rooms.append(translate.room_info(room))
        return answer

    async def delete_room(self, call: Call, request: rooms.DeleteRoomRequest) -> Message:
        self._room(request.room).close(LeaveReason.ROOM_DELETED)
        return rooms.DeleteRoomResponse()

    async def update_room_metadata(
        self, call: Call, request: rooms.UpdateRoomMetadataRequest
    ) -> Message:
        _check(self._limits, metadata=request.metadata)
        ensure_admin(call, request.room)
        room = self._room(request.room)
        changes.set_room_metadata(room, request.metadata)
        return translate.room_info(room)

    # --- participants

    async def list_participants(
        self, call: Call, request: rooms.ListParticipantsRequest
    ) -> Rendered:
        """Hidden ones, too. Of a room that is not there nobody."""
        ensure_admin(call, request.room)
        room = self.node.rooms.get(request.room)
        infos: list[Info] = []
        for participant in [] if room is None else list(room.participants.values()):
            if len(infos) % LISTED_AT_ONCE == LISTED_AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            infos.append(info_of(participant))
        return Rendered(
            protobuf=lambda: b"".join(each.element for each in infos),
            json=lambda: f'{{"participants":[{",".join(map(_json_of, infos))}]}}',
        )

    async def get_participant(self, call: Call, request: rooms.RoomParticipantIdentity) -> Message:
        _, participant = self._participant(call, request.room, request.identity)
        return info_of(participant).message

    async def remove_participant(
        self, call: Call, request: rooms.RoomParticipantIdentity
    ) -> Message:
        """With *revoke_token_ts*, no token from before then lets them in any more."""
        _, participant = self._participant(call, request.room, request.identity)
        if request.revoke_token_ts > 0:
            self.node.revoked.revoke(
                request.room,
                request.identity,
                before=request.revoke_token_ts,
                now=self.node.wall_time(),
                expires=participant.who.token_expires,
            )
        changes.remove(participant)
        return rooms.RemoveParticipantResponse()

    async def mute_published_track(
        self, call: Call, request: rooms.MuteRoomTrackRequest
    ) -> Message:
        room, participant = self._participant(call, request.room, request.identity)
        if not request.muted and not room.config.enable_remote_unmute:
            raise from_within(Code.FAILED_PRECONDITION, "remote unmute not enabled")
        info = changes.mute(room, participant, request.track_sid, muted=request.muted)
        track = None if info is None else translate.track_info(info)
        return rooms.MuteRoomTrackResponse(track=track)

    async def update_participant(
        self, call: Call, request: rooms.UpdateParticipantRequest
    ) -> Message:
        change = Change(
            name=request.name, metadata=request.metadata, attributes=dict(request.attributes)
        )
        _check(self._limits, change.name, change.metadata, change.attributes)
        if (word := change.attributes.get(MAX_QUALITY)) and quality_of(word) is None:
            words = f"attribute {MAX_QUALITY} must be low, medium or high"
            raise from_within(Code.INVALID_ARGUMENT, words)
        room, participant = self._participant(call, request.room, request.identity)
        changes.describe(room, participant, change)
        if request.HasField("permission"):
            grants = translate.permitted(request.permission, participant.who.grants)
            changes.permit(room, participant, grants)
        if (word := request.attributes.get(MAX_QUALITY)) is not None:
            quality = quality_of(word or "high")
            assert quality is not None, "looked at above"
            grants = attrs.evolve(participant.who.grants, max_quality=quality)
            changes.permit(room, participant, grants)
        return info_of(participant).message

    async def update_subscriptions(
        self, call: Call, request: rooms.UpdateSubscriptionsRequest
    ) -> Message:
        room, participant = self._participant(call, request.room, request.identity)
        sids = list(request.track_sids)
        for each in request.participant_tracks:
            sids += each.track_sids
        act = reconcile.ask if request.subscribe else reconcile.decline
        act(room, participant, sids[:MAX_SIDS])
        return rooms.UpdateSubscriptionsResponse()

    async def forward_or_move(
        self,
        call: Call,
        request: rooms.ForwardParticipantRequest | rooms.MoveParticipantRequest,
    ) -> Message:
        """LiveKit's open server cannot do it either."""
        ensure_admin(call, request.room)
        if request.destination_room != grants_of(call.claims).destination_room:
            raise denied()
        if request.room == request.destination_room:
            words = "destination room cannot be the same as source room"
            raise TwirpError(Code.INVALID_ARGUMENT, f"{words} ", {"argument": words})
        self._participant(call, request.room, request.identity)
        raise from_within(Code.UNKNOWN, "not implemented")

    # --- data

    async def send_data(self, call: Call, request: rooms.SendDataRequest) -> Message:
        ensure_admin(call, request.room)
        if len(request.nonce) not in (0, NONCE_LENGTH):
            raise TwirpError(
                Code.INVALID_ARGUMENT,
                f"nonce should be 16-bytes or not present, got: {len(request.nonce)} bytes",
            )
        send_data(
            self._room(request.room),
            request.data,
            reliable=request.kind != models.DataPacket.Kind.LOSSY,
            topic=request.topic,
            sids=request.destination_sids,
            identities=request.destination_identities,
            nonce=request.nonce,
        )
        return rooms.SendDataResponse()

    async def perform_rpc(self, call: Call, request: rooms.PerformRpcRequest) -> Message:
        ensure_admin(call, request.room)
        if not request.destination_identity:
            raise from_within(Code.INVALID_ARGUMENT, "destination identity is required")
        _, participant = self._participant(call, request.room, request.destination_identity)
        within = request.response_timeout_ms / 1000 or RESPOND_WITHIN
        try:
            payload = await perform_rpc(
                participant,
                request.method,
                request.payload,
                entropy=self.node.config.entropy,
                respond_within=min(within, RESPOND_AT_MOST),
            )
        except RpcError as error:
            raise _rpc_error(error) from None
        return rooms.PerformRpcResponse(payload=payload)

    # --- whom a request means

    def _room(self, name: str) -> Room:
        room = self.node.rooms.get(name)
        if room is None or room.closed:
            raise from_within(Code.NOT_FOUND, NO_SUCH_ROOM)
        return room

    def _participant(self, call: Call, room: str, identity: str) -> tuple[Room, Participant]:
        """Raises what LiveKit says where they are not there, or *call* is about another room."""
        ensure_admin(call, room)
        found = self.node.rooms.get(room)
        participant = None if found is None else found.participants.get(identity)
        if found is None or participant is None:
            raise from_within(Code.NOT_FOUND, NO_SUCH_PARTICIPANT)
        return found, participant


def _named(room: Room, names: frozenset[str]) -> bool:
    return not names or room.name in names


def _check(
    limits: LimitConfig,
    name: str = "",
    metadata: str = "",
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Raises what LiveKit says of a text that is too long."""
    if what := exceeded(limits, name, metadata, attributes):
        limit = {
            changes.NAME: limits.max_participant_name_length,
            changes.METADATA: limits.max_metadata_size,
            changes.ATTRIBUTES: limits.max_attributes_size,
        }[what]
        words = _TOO_LONG[what]
        raise TwirpError(Code.INVALID_ARGUMENT, f"{words} {limit}", {"argument": words})


def _json_of(info: Info) -> str:
    return info.text_of(protojson.encode)


def _rpc_error(error: RpcError) -> TwirpError:
    return from_within(_RPC_CODES.get(error.code, Code.INTERNAL), str(error))
