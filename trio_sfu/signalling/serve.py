"""Runs signalling sessions on Trio: the far end of the front end's two channels.

A session lives in its room's nursery, not in the task that holds the WebSocket:
so a room that ends, a kick and a bug all reach it by cancellation, and a client
that lost its socket comes back on another (`lines`).
"""

from collections import Counter
from typing import Final

import structlog
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse

from trio_sfu.room.changes import exceeded
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.node import Node, NodeDraining, NoSuchRoom, TooManyRooms
from trio_sfu.room.observe import ParticipantGreeted
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room, RoomFull
from trio_sfu.signalling import translate
from trio_sfu.signalling.join import JoinRequest, Refused
from trio_sfu.signalling.lines import Bell, Line, Switchboard
from trio_sfu.signalling.resume import may_resume
from trio_sfu.signalling.session import Session
from trio_sfu.signalling.translate import Action

log = structlog.get_logger(__name__)

NO_SUCH_ROOM: Final = "requested room does not exist"
"""LiveKit's words: clients look for them in a 404."""
REVOKED: Final = "the token was revoked: this participant was removed, and needs a new one"


class Signalling:
    """Starts the session of everybody who joins a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._boards: dict[str, Switchboard] = {}
        """Of those that live, by their participant's SID."""
        self.messages: Counter[tuple[str, str]] = Counter()
        """What was said so far: ("request" or "response", the message's kind)."""

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
        line, since = Line(requests, responses), trio.current_time()
        if join.reconnect:
            self._resume(join, line)
            return
        session: Session | None = None

        def make(room: Room) -> Participant:
            nonlocal session
            session = Session(self._node, room, join, trio.current_time)
            return session.participant

        async def life(participant: Participant) -> None:
            assert session is not None, "made before its participant was let in"
            await self._run(session, line, since)

        try:
            await self._node.join(
                join.room, make, life, may_create=self._may_create(join), options=join.options
            )
        except NoSuchRoom:
            raise Refused(404, NO_SUCH_ROOM) from None
        except RoomFull:
            raise Refused(500, "the room has as many participants as it may have") from None
        except NodeDraining:
            raise Refused(503, "this server is about to stop: it opens no new rooms") from None
        except TooManyRooms:
            raise Refused(503, "this server has as many rooms as it can") from None

    def _resume(self, join: JoinRequest, line: Line) -> None:
        """Give the session that *join* means another line; who has none shall join anew."""
        room = self._node.rooms.get(join.room)
        participant = None if room is None else room.participants.get(join.identity)
        board = None if participant is None else self._boards.get(participant.sid)
        if board is None or not may_resume(board.session, join):
            log.info("nothing to resume", room=join.room, participant=join.identity)
            line.requests.close()
            line.hang_up(translate.leave(LeaveReason.STATE_MISMATCH, Action.RECONNECT))
            return
        if board.session.accidents.cuts_silently(board.session.now):
            line.requests.close()
            line.hang_up()
            return
        board.plug(line)
        board.session.resume()

    async def _run(self, session: Session, line: Line, since: float) -> None:
        """Be one client's session, which it asked for at *since*, until it leaves, or is
        cancelled; the client hears why."""
        participant = session.participant
        bell = Bell()
        session.ring = bell.ring
        board: Switchboard | None = None
        try:
            async with trio.open_nursery() as nursery:
                board = self._boards[participant.sid] = Switchboard(session, nursery, self.messages)
                board.plug(line)
                session.begin()
                seconds = trio.current_time() - since
                session.room.observe(ParticipantGreeted(session.room, participant, seconds))
                await board.speak(bell)
        finally:
            self._boards.pop(participant.sid, None)
            if participant.leave_reason is LeaveReason.UNKNOWN_REASON:
                participant.leave_reason = LeaveReason.SERVER_SHUTDOWN
            current = line if board is None else board.line
            if current is not None:
                current.hang_up(*session.last_words())
