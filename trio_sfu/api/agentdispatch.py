"""LiveKit's AgentDispatchService: which agents a room asks for.

No agents can register here yet. Like LiveKit's server while no worker is connected, we
remember what was asked for, and nobody comes.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import attrs
from google.protobuf.message import Message
from livekit.protocol import agent_dispatch as agents

from trio_sfu.api.permissions import ensure_admin, may_administer
from trio_sfu.api.twirp import Call, Code, Method, from_within
from trio_sfu.room import changes, ids
from trio_sfu.room.changes import exceeded
from trio_sfu.room.dispatches import Dispatch, TooManyDispatches
from trio_sfu.room.node import Node, NoSuchRoom, TooManyRooms
from trio_sfu.room.room import Room
from trio_sfu.signalling import translate

SERVICE: Final = "livekit.AgentDispatchService"
NO_SUCH_ROOM: Final = "requested room does not exist"


@attrs.frozen
class AgentDispatchService:
    """The methods, over the rooms of one node."""

    node: Node

    def methods(self) -> Mapping[str, Method]:
        """For the table of services."""
        return {
            "CreateDispatch": Method(
                agents.CreateAgentDispatchRequest, may_administer, self.create_dispatch
            ),
            "DeleteDispatch": Method(
                agents.DeleteAgentDispatchRequest, may_administer, self.delete_dispatch
            ),
            "ListDispatch": Method(
                agents.ListAgentDispatchRequest, may_administer, self.list_dispatch
            ),
        }

    async def create_dispatch(
        self, call: Call, request: agents.CreateAgentDispatchRequest
    ) -> Message:
        """The room begins to exist if it may by itself. Who repeats a request by its id gets
        the same dispatch again."""
        ensure_admin(call, request.room)
        limits, attributes = self.node.config.limits, dict(request.attributes)
        match exceeded(limits, metadata=request.metadata, attributes=attributes):
            case changes.METADATA:
                raise from_within(Code.INVALID_ARGUMENT, "metadata size exceeds limits")
            case changes.ATTRIBUTES:
                raise from_within(Code.INVALID_ARGUMENT, "attribute size exceeds limits")
        try:
            auto_create = self.node.config.room.auto_create
            room = await self.node.open(request.room, may_create=auto_create)
            dispatch = room.dispatches.add(
                translate.agent_order(request),
                self._number(request.room, call.request_id),
                self.node.wall_time(),
            )
        except NoSuchRoom:
            raise from_within(Code.NOT_FOUND, NO_SUCH_ROOM) from None
        except TooManyRooms:
            words = "this server has as many rooms as it can"
            raise from_within(Code.RESOURCE_EXHAUSTED, words) from None
        except TooManyDispatches:
            words = "this room has as many dispatches as it can"
            raise from_within(Code.RESOURCE_EXHAUSTED, words) from None
        return _info(room, dispatch)

    async def delete_dispatch(
        self, call: Call, request: agents.DeleteAgentDispatchRequest
    ) -> Message:
        room = self._room(call, request.room)
        dispatch = room.dispatches.remove(request.dispatch_id)
        if dispatch is None:
            raise from_within(Code.NOT_FOUND, "dispatch ID not found")
        return _info(room, dispatch)

    async def list_dispatch(self, call: Call, request: agents.ListAgentDispatchRequest) -> Message:
        room = self._room(call, request.room)
        found = room.dispatches.find(request.dispatch_id)
        return agents.ListAgentDispatchResponse(
            agent_dispatches=[_info(room, each) for each in found]
        )

    def _room(self, call: Call, name: str) -> Room:
        ensure_admin(call, name)
        room = self.node.rooms.get(name)
        if room is None or room.closed:
            raise from_within(Code.NOT_FOUND, NO_SUCH_ROOM)
        return room

    def _number(self, room: str, request_id: str) -> str:
        if not request_id:
            return ids.make_sid(ids.DISPATCH, self.node.config.entropy)
        digest = hashlib.sha256(f"{len(room)} {room} {request_id}".encode()).digest()
        return ids.make_sid(ids.DISPATCH, lambda length: digest[:length])


def _info(room: Room, dispatch: Dispatch) -> agents.AgentDispatch:
    order = dispatch.order
    return agents.AgentDispatch(
        id=dispatch.number,
        agent_name=order.agent_name,
        room=room.name,
        metadata=order.metadata,
        state=agents.AgentDispatchState(created_at=int(dispatch.created_at * 1e9)),
        restart_policy=order.restart_policy,  # type: ignore[arg-type]  # a number of LiveKit's
        deployment=order.deployment,
        attributes=order.attributes,
    )
