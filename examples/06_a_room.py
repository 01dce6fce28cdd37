"""A room is a nursery: who comes, who goes, and how it all ends.

    python examples/06_a_room.py

No sockets and no clients. Each participant is a scope in the room's nursery, with something
that it does there, its *life*. To leave is to be cancelled, and nothing is left behind.
"""

import logging
import os
import time
from functools import partial

import structlog
import trio

from trio_sfu.dtls import certificate
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.room.grants import Grants
from trio_sfu.room.info import LeaveReason, ParticipantState
from trio_sfu.room.node import Node, NodeConfig
from trio_sfu.room.participant import Identity, Participant
from trio_sfu.room.room import Room


class Diary:
    """What a session would tell a client; this one writes it down."""

    def __init__(self, name: str) -> None:
        self.name = name

    def participant_changed(self, other: Participant, *, urgent: bool) -> None:
        if other.identity != self.name:
            print(f"    {self.name} hears that {other.identity} is {other.state.name}")

    def __getattr__(self, name: str) -> object:
        return lambda *args, **kwargs: None  # all else that a room tells


async def live(participant: Participant) -> None:
    participant.advance(ParticipantState.JOINED)
    participant.on_active()  # in truth: when its connection is up
    try:
        await trio.sleep_forever()
    finally:
        print(f"  {participant.identity} goes: {participant.leave_reason.name}")


async def crash(participant: Participant) -> None:
    raise RuntimeError("a bug of ours")


def make(node: Node, name: str, room: Room) -> Participant:
    return node.participant(room, Identity(identity=name, grants=Grants()), Diary(name))


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    ours, now = certificate.generate(os.urandom, time.time()), time.time()
    config = NodeConfig(certificate=ours, candidates=(), entropy=os.urandom, wall=now)
    async with trio.open_nursery() as server:
        node = Node(config, Endpoint(()), server)
        for name in ("alice", "bob", "carol"):
            print(f"{name} joins:")
            await node.join("kitchen", partial(make, node, name), live)
        print("Alice joins again, from elsewhere:")
        await node.join("kitchen", partial(make, node, "alice"), live)
        print("Mallory makes our code crash, which ends Mallory:")
        await node.join("kitchen", partial(make, node, "mallory"), crash)
        await trio.sleep(0.05)
        room = node.rooms["kitchen"]
        print(f"In the room are {list(room.participants)}, and it is closed:")
        room.close(LeaveReason.ROOM_DELETED)
        await trio.sleep(0.05)
        print("In the room:", list(room.participants), "- rooms:", list(node.rooms))
        server.cancel_scope.cancel()


trio.run(main)
