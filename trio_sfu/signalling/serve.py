"""Runs signalling sessions on Trio: the far end of the front end's two channels.

A session lives in its room's nursery, not in the task that holds the WebSocket:
so a room that ends, a kick and a bug all reach it by cancellation, and later a
client may come back on another socket.
"""

import math
from typing import Final

import structlog
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse

from trio_sfu.room.changes import exceeded
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.node import Node, NoSuchRoom, TooManyRooms
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room, RoomFull
from trio_sfu.signalling import translate
from trio_sfu.signalling.join import JoinRequest, Refused
from trio_sfu.signalling.requests import OWN_REASONS
from trio_sfu.signalling.session import Session

log = structlog.get_logger(__name__)

NO_SUCH_ROOM: Final = "requested room does not exist"
"""LiveKit's words: clients look for them in a 404."""
REVOKED: Final = "the token was revoked: this participant was removed, and needs a new one"


class Signalling:
    """Starts the session of everybody who joins a node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def node(self) -> Node:
        return self._node

    def check(self, join: JoinRequest) -> None:
        """Raise `Refused` if it is known already that *join* will not do."""
        node = self.node
        if node.revoked.keeps_out(
            join.room, join.identity, made=join.token_made, now=node.wall_time()
        ):
            raise Refused(401, REVOKED)
        if join.room not in node.rooms and not self._may_create(join):
            raise Refused(404, NO_SUCH_ROOM)

    def _may_create(self, join: JoinRequest) -> bool:
        return self._node.config.room.auto_create or join.grants.room_create

    async def connect(
        self,
        join: JoinRequest,
        requests: trio.MemoryReceiveChannel[SignalRequest],
        responses: trio.MemorySendChannel[SignalResponse],
    ) -> None:
        """Return once the session runs; see `trio_sfu.signalling.join`.

        Raises `Refused`.
        """
        self.check(join)
        limits = self._node.config.limits
        if too_long := exceeded(limits, metadata=join.metadata, attributes=join.attributes):
            # LiveKit answers with this status to all that its media node finds wrong.
            raise Refused(500, f"the participant's {too_long} exceeds limits")
        if join.reconnect:
            # There is no resume yet: the client shall join anew.
            responses.send_nowait(translate.leave(LeaveReason.STATE_MISMATCH, rejoin=True))
            responses.close()
            requests.close()
            return
        session: Session | None = None

        def make(room: Room) -> Participant:
            nonlocal session
            session = Session(self._node, room, join, trio.current_time)
            return session.participant

        async def life(participant: Participant) -> None:
            assert session is not None, "made before its participant was let in"
            await run_session(session, requests, responses)

        try:
            await self._node.join(join.room, make, life, may_create=self._may_create(join))
        except NoSuchRoom:
            raise Refused(404, NO_SUCH_ROOM) from None
        except RoomFull:
            raise Refused(500, "the room has as many participants as it may have") from None
        except TooManyRooms:
            raise Refused(503, "this server has as many rooms as it can") from None


async def run_session(
    session: Session,
    requests: trio.MemoryReceiveChannel[SignalRequest],
    responses: trio.MemorySendChannel[SignalResponse],
) -> None:
    """Be one client's session until it leaves, or is cancelled; the client hears why."""
    participant = session.participant
    bell = Bell()
    session.ring = bell.ring
    try:
        async with trio.open_nursery() as nursery:
            session.begin()
            nursery.start_soon(_speak, session, bell, responses)
            async with requests:
                async for request in requests:
                    session.receive(request)
            participant.leave(LeaveReason.SIGNAL_CLOSE)
    finally:
        if participant.leave_reason is LeaveReason.UNKNOWN_REASON:
            participant.leave_reason = LeaveReason.SERVER_SHUTDOWN
        _say_goodbye(participant, responses)


async def _speak(
    session: Session, bell: "Bell", responses: trio.MemorySendChannel[SignalResponse]
) -> None:
    """Tell the client what there is to tell, when it is due.

    A client that does not listen holds up this task, and nobody else: meanwhile the
    session keeps what there is to say, as far as `session.MAX_RESPONSES`.
    """
    while True:
        now = trio.current_time()
        if now >= session.deadline:
            session.handle_timeout(now)
        for response in session.take_responses():
            try:
                await responses.send(response)
            except trio.BrokenResourceError:  # the front end is gone
                session.participant.leave(LeaveReason.SIGNAL_CLOSE)
        await bell.wait(session.deadline)


def _say_goodbye(
    participant: Participant, responses: trio.MemorySendChannel[SignalResponse]
) -> None:
    """A Leave, if there is room for it; nothing may wait here."""
    if participant.leave_reason not in (*OWN_REASONS, LeaveReason.SIGNAL_CLOSE):
        try:
            responses.send_nowait(
                translate.leave(participant.leave_reason, rejoin=participant.rejoin)
            )
        except (trio.WouldBlock, trio.BrokenResourceError):
            log.info("a goodbye did not fit", participant=participant.identity)
    responses.close()


class Bell:
    """Wakes one waiter; rung before it waits, it does not wait."""

    def __init__(self) -> None:
        self._rung = False
        self._waiter = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        self._rung = True
        self._waiter.unpark()

    async def wait(self, deadline: float = math.inf) -> None:
        if self._rung:
            await trio.lowlevel.checkpoint()
        else:
            with trio.move_on_at(deadline):
                await self._waiter.park()
        self._rung = False
