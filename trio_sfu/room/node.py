"""One server process as its rooms see it: what they share, and which there are.

"Node" is LiveKit's word. A room starts when somebody asks for it by name and
lives in the node's nursery until it closes.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import attrs
import trio

from trio_sfu.config import AudioConfig, LimitConfig, RoomConfig
from trio_sfu.core import Entropy
from trio_sfu.dtls.certificate import Certificate
from trio_sfu.ice import credentials
from trio_sfu.ice.states import Role
from trio_sfu.kinds import TurnServer
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.peer.events import Event
from trio_sfu.peer.transport import PeerTransport
from trio_sfu.room import ids, journal
from trio_sfu.room.connection import PeerConnection, Target
from trio_sfu.room.contain import contain
from trio_sfu.room.datatracks import Tracks
from trio_sfu.room.observe import Observer, RoomFinished, RoomStarted, tell_all
from trio_sfu.room.options import NOTHING, AgentOrder, RoomOptions
from trio_sfu.room.participant import Identity, Listener, Participant
from trio_sfu.room.revoked import Revoked
from trio_sfu.room.room import Life, Room, RoomClosed, run_room
from trio_sfu.room.speakers import Speakers
from trio_sfu.room.wanted import Limits

MAX_ROOMS: Final = 10_000
"""A room without anybody in it is cheap, but not free."""


class TooManyRooms(Exception):  # noqa: N818 - no failure: an answer, and read as one
    """There are `MAX_ROOMS` rooms, and this would be another."""


class NodeDraining(TooManyRooms):
    """This would be a new room, and there shall be no more: the server is about to end."""


class NoSuchRoom(Exception):  # noqa: N818 - no failure: an answer, and read as one
    """There is no room of that name, and whoever asked may not make one."""


@attrs.frozen(kw_only=True)
class NodeConfig:
    """What all rooms of a process share."""

    certificate: Certificate
    candidates: tuple[str, ...]
    """Candidate lines: where clients reach our UDP sockets, best first."""
    entropy: Entropy
    wall: float
    """Seconds since 1970 at zero of Trio's clock."""
    room: RoomConfig = attrs.Factory(RoomConfig)
    limits: LimitConfig = attrs.Factory(LimitConfig)
    audio: AudioConfig = attrs.Factory(AudioConfig)
    region: str = ""
    stun_servers: tuple[str, ...] = ()
    turn_servers: tuple[TurnServer, ...] = ()
    """Told to clients."""
    data_tracks: bool = True
    """Whether clients may publish data tracks."""
    data_blobs: bool = False
    """Whether clients may leave data blobs."""
    active_red: bool = False
    """Whether plain Opus is made redundant for those who take that."""
    sign: Callable[[Identity, str, float], str] | None = None
    """Makes the token with which somebody comes back to a room, for so many seconds."""
    tag: str = ""
    """Begins every ufrag of ours: which worker a check belongs to."""
    ice_lite: bool = True


class Node:
    """The rooms of one process."""

    def __init__(
        self,
        config: NodeConfig,
        endpoint: Endpoint,
        nursery: trio.Nursery,
        *,
        max_rooms: int = MAX_ROOMS,
        observers: Iterable[Observer] = (),
    ) -> None:
        """*observers* are told what happens in all rooms; the log is told anyway."""
        self.config = config
        self.endpoint = endpoint
        self.sid = ids.make_sid(ids.NODE, config.entropy)
        self.rooms: dict[str, Room] = {}
        self.revoked = Revoked()
        self.draining = False
        """No new rooms: those that there are shall come to their end."""
        self.observe = tell_all((journal.record, *observers))
        self._nursery = nursery
        self._max_rooms = max_rooms
        self._starting = trio.Lock()

    def reconfigure(self, room: RoomConfig, limits: LimitConfig) -> None:
        """What holds from now on: for rooms that begin, and for whoever joins or asks."""
        self.config = attrs.evolve(self.config, room=room, limits=limits)

    def wall_time(self) -> float:
        """Seconds since 1970, by the clock that everything else here goes by."""
        return self.config.wall + trio.current_time()

    @property
    def tracks(self) -> int:
        """Published and subscribed, of all rooms."""
        return sum(
            len(each.tracks) + len(each.subscriptions)
            for room in self.rooms.values()
            for each in room.participants.values()
        )

    async def join(
        self,
        room_name: str,
        make: Callable[[Room], Participant],
        life: Life,
        *,
        may_create: bool = True,
        options: RoomOptions = NOTHING,
    ) -> None:
        """Let somebody into the room of that name, which starts if there is none.

        *options* are their token's, and hold for a room that is there already, too.

        If it raises, nobody is in. Raises `TooManyRooms`, `RoomFull`; `NoSuchRoom` where the room
        is not there and may not be made.
        """
        while True:
            room = await self.open(room_name, may_create=may_create, options=options)
            try:
                await room.join(make(room), life)
            except RoomClosed:
                continue  # it ended meanwhile: the next one has the same name
            return

    async def open(
        self,
        name: str,
        *,
        may_create: bool = True,
        options: RoomOptions = NOTHING,
    ) -> Room:
        """The room of that name, started if there is none; raises as `join` does.

        It is as *options* say, whether it was there or not.
        """
        async with self._starting:
            room = self.rooms.get(name)
            if room is None or room.closed:
                if not may_create:
                    raise NoSuchRoom(name)
                if self.draining:
                    raise NodeDraining(name)
                if len(self.rooms) >= self._max_rooms:
                    raise TooManyRooms(name)
                room = await self._nursery.start(
                    contain, f"room {name}", self._run_room, name, options
                )
            else:
                room.configure(options)
            return room

    async def _run_room(
        self, name: str, options: RoomOptions, task_status: trio.TaskStatus[Room]
    ) -> None:
        room: Room | None = None

        def make(nursery: trio.Nursery) -> Room:
            nonlocal room
            sid = ids.make_sid(ids.ROOM, self.config.entropy)
            room = Room(
                sid, name, self.config.room, self.config.entropy, nursery, self.config.audio
            )
            room.created_at = self.wall_time()
            room.configure(options)
            for order in options.agents or (AgentOrder(),):
                number = ids.make_sid(ids.DISPATCH, self.config.entropy)
                room.dispatches.add(order, number, room.created_at)
            room.observe = self.observe
            self.rooms[name] = room
            self.observe(RoomStarted(room))
            return room

        try:
            await run_room(make, task_status)
        finally:
            if room is not None:
                if self.rooms.get(name) is room:
                    del self.rooms[name]
                self.observe(RoomFinished(room))

    def participant(
        self,
        room: Room,
        who: Identity,
        listener: Listener,
        targets: Iterable[Target] = tuple(Target),
    ) -> Participant:
        """Somebody who may join *room*, over as many connections as there are *targets*."""
        limits = self.config.limits
        participant = Participant(
            ids.make_sid(ids.PARTICIPANT, self.config.entropy),
            who,
            listener,
            partial(self.connect, room.speakers),
            targets,
            joined_at=self.wall_time(),
            limits=Limits(limits.subscription_limit_audio, limits.subscription_limit_video),
        )
        participant.data_tracks = Tracks(self.config.entropy(1)[0], enabled=self.config.data_tracks)
        return participant

    def connect(
        self, speakers: Speakers, target: Target, hear: Callable[[PeerConnection, Event], None]
    ) -> PeerConnection:
        """A connection to a client, on this node's sockets; its room runs it."""
        config = self.config
        peer = PeerTransport(
            ice_role=Role.LITE if config.ice_lite else Role.CONTROLLED,
            credentials=credentials.make(config.entropy, config.tag),
            certificate=config.certificate,
            entropy=config.entropy,
            wall=config.wall,
            # A subscriber whose packets are numbered tells twenty times a second when each
            # came, and no longer estimates the bandwidth itself (REMB). Who estimates ours
            # is decided by what packets carry: both are negotiated.
            numbers=False,
        )
        return PeerConnection(target, peer, self.endpoint, speakers, hear)
