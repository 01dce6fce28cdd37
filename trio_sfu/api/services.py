"""The server API, all of it: which services there are."""

from trio_sfu.api import agentdispatch, roomservice
from trio_sfu.api.absent import absent_services
from trio_sfu.api.agentdispatch import AgentDispatchService
from trio_sfu.api.roomservice import RoomService
from trio_sfu.api.twirp import Services
from trio_sfu.room.node import Node


def services(node: Node) -> Services:
    """Over the rooms of *node*."""
    return {
        roomservice.SERVICE: RoomService(node).methods(),
        agentdispatch.SERVICE: AgentDispatchService(node).methods(),
        **absent_services(),
    }
