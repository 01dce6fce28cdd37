"""Somebody in a room: what they may do, what they publish, what they hear.

A participant belongs to one room, and its tasks live in the room's nursery. It
is told what happens through a `Listener`, which is the signalling session of its
client; the room does not know what language that speaks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import attrs
import trio

from trio_sfu.peer.events import (
    ChannelOpened,
    CloseChannel,
    DataReceived,
    Event,
    PeerState,
    StateChanged,
)
from trio_sfu.room.blobs import Blobs
from trio_sfu.room.choices import Choices
from trio_sfu.room.connection import PeerConnection, Target
from trio_sfu.room.data import DATA_TRACK, RELIABLE, Message
from trio_sfu.room.datatracks import Tracks
from trio_sfu.room.grants import Grants, Kind
from trio_sfu.room.info import LeaveReason, ParticipantState, TrackInfo
from trio_sfu.room.latecomers import Inbox
from trio_sfu.room.permission import Permissions
from trio_sfu.room.quality import Quality
from trio_sfu.room.rpc import Calls
from trio_sfu.room.speakers import Speaker
from trio_sfu.room.subscription import Subscription
from trio_sfu.room.track import PublishedTrack
from trio_sfu.room.wanted import UNLIMITED, Failure, Limits, Wanted


class Listener(Protocol):
    """What a participant's signalling session hears of the room. No call waits."""

    def participant_changed(self, participant: "Participant", *, urgent: bool) -> None:
        """Somebody joined, left, or says something else of themselves. Of oneself a
        participant hears only what the application changed, or it itself by request. What is
        urgent is to be told once the room says `deadline_moved`, at most a few turns later."""

    def room_changed(self) -> None:
        """The room's metadata or numbers changed."""

    def claims_changed(self) -> None:
        """What a new token of this participant's would say changed: rights, name, metadata."""

    def mute_wanted(self, sid: str, *, muted: bool) -> TrackInfo | None:
        """The application (un)mutes this participant's track *sid*. Returns what it says of
        itself if it was announced, but has no media yet."""

    def track_unpublished(self, track: PublishedTrack) -> None:
        """*track*, which this participant publishes, was taken away by the server."""

    def speakers_changed(self, speakers: Sequence[Speaker]) -> None:
        """Who speaks, and who stopped; only those whom this participant hears."""

    def subscriptions_changed(self) -> None:
        """What is to be sent to this participant changed: negotiate."""

    def subscription_failed(self, sid: str, failure: Failure) -> None:
        """This participant does not get the track *sid*, that it wanted."""

    def subscription_allowed(self, track: PublishedTrack, *, allowed: bool) -> None:
        """*track*'s publisher lets this participant hear it, or does not (any more)."""

    def deadline_moved(self) -> None:
        """`Participant.deadline` is perhaps another than it was."""

    def track_subscribed(self, track: PublishedTrack) -> None:
        """Somebody hears *track*, which this participant publishes, for the first time."""

    def data_tracks_changed(self) -> None:
        """This participant hears other data tracks than before, or by other handles."""

    def data_received(self, connection: PeerConnection, label: str, data: bytes) -> None:
        """This participant's client sent *data* on a data channel."""

    def connection_changed(
        self, connection: PeerConnection, reason: str, *, final: bool = False
    ) -> None:
        """One of this participant's connections is in another state; *reason* of a failure,
        which is *final* if no restart of ICE will mend it. How long a participant stays
        whose connection has failed is for the listener to say."""


@attrs.frozen(kw_only=True)
class Identity:
    """Who somebody is, as their token and their client say."""

    identity: str
    grants: Grants
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = attrs.Factory(dict)
    kind: Kind = Kind.STANDARD
    kind_details: tuple[str, ...] = ()
    protocol: int = 0
    """Of its client's signalling."""
    sdk: str = "UNKNOWN"
    """Which client it is, as LiveKit calls it."""
    client_protocol: int = 0
    capabilities: frozenset[str] = frozenset()
    auto_subscribe: bool = True
    adaptive_stream: bool = False
    """The client says by itself how large it shows each picture."""
    token_expires: float = 0
    """Seconds since 1970."""
    auto_subscribe_data_tracks: bool = False

    @property
    def dependent(self) -> bool:
        """Agents and recorders serve the others: they do not keep a room open."""
        return self.kind in (Kind.AGENT, Kind.EGRESS) or self.grants.agent or self.grants.recorder


class Participant:
    """Made by a signalling session, admitted by `Room.join`."""

    def __init__(
        self,
        sid: str,
        who: Identity,
        listener: Listener,
        connect: Callable[[Target, Callable[[PeerConnection, Event], None]], PeerConnection],
        targets: Iterable[Target] = tuple(Target),
        *,
        joined_at: float,
        limits: Limits = UNLIMITED,
    ) -> None:
        """*connect* makes a connection, one for each of *targets*; *joined_at* is in seconds
        since 1970."""
        self.sid = sid
        self.who = who
        self.listener = listener
        self.joined_at = joined_at
        self.version = 0
        self.state = ParticipantState.JOINING
        self.was_connected = False
        """Whether media could flow at some time, on one connection at least."""
        self.is_publisher = False
        self.tracks: dict[str, PublishedTrack] = {}
        """What this one publishes, by SID."""
        self.subscriptions: dict[str, Subscription] = {}
        """What this one hears, by the track's SID."""
        self.fading: dict[str, Subscription] = {}
        """What it hears no more, but for its last, black pictures."""
        self.connections = {target: connect(target, self.hear) for target in targets}
        self.subscriber_primary = who.grants.can_subscribe and Target.SUBSCRIBER in self.connections
        """Which connection decides that the participant is there: who hears, must hear.
        That is settled when they join; a right that comes later does not change it."""
        self.scope = trio.CancelScope()
        self.gone = trio.Event()
        self.leave_reason = LeaveReason.UNKNOWN_REASON
        self.rejoin = False
        """Whether the client shall come back by itself (LiveKit's leave action RECONNECT)."""
        self.wanted = Wanted(limits)
        """What this one wants to hear; see `trio_sfu.room.reconcile`."""
        self.choices = Choices(adaptive=who.adaptive_stream)
        self.permissions: Permissions | None = None
        """Whom this one lets hear what it publishes; None for everybody."""
        self.on_active: Callable[[], None] = lambda: None
        """The room's: it subscribes the participant to what there is."""
        self.on_listening: Callable[[], None] = lambda: None
        """The room's: it sends the participant what was said since it came."""
        self.inbox: Inbox[Message] = Inbox()
        self.data_tracks = Tracks()
        self.blobs = Blobs()
        self.calls = Calls()
        """The server's calls to this one's client."""
        self.room_quality = Quality.HIGH
        """The best that anybody gets in the room."""
        self.last_sequence = 0
        """The number of the last reliable packet that this one's client sent, 0 for none."""

    @property
    def identity(self) -> str:
        return self.who.identity

    @property
    def max_quality(self) -> Quality:
        """Of pictures that are sent to this one."""
        return min(self.who.grants.max_quality, self.room_quality)

    def aim_again(self) -> None:
        """`max_quality` is perhaps another than it was."""
        for subscription in self.subscriptions.values():
            subscription.retarget(trio.current_time())

    @property
    def hidden(self) -> bool:
        return self.who.grants.hidden

    @property
    def uplink(self) -> PeerConnection:
        """The connection on which this one publishes."""
        return self.connections[Target.PUBLISHER]

    @property
    def downlink(self) -> PeerConnection:
        """The connection on which this one hears; the data from others comes here too."""
        return self.connections[Target.SUBSCRIBER] if self.subscriber_primary else self.uplink

    @property
    def hearing(self) -> PeerConnection:
        """The connection that carries what this one hears: never the one that they publish on,
        if they have two, even if they did not hear anybody when they joined."""
        return self.connections.get(Target.SUBSCRIBER, self.uplink)

    def advance(self, state: ParticipantState) -> bool:
        """Whether *state* is further than so far; there is no way back."""
        further = state > self.state
        if further:
            self.state = state
        return further

    @property
    def deadline(self) -> float:
        """When `reconcile.handle_timeout` has something to do."""
        return min(self.wanted.deadline, self.choices.deadline)

    def hears(self, other: "Participant") -> bool:
        """Whether this one is subscribed to anything of *other*'s."""
        return any(each.track.publisher is other for each in self.subscriptions.values())

    def lets(self, other: "Participant", sid: str) -> bool:
        """Whether this one lets *other* hear the track *sid*. Recorders hear everything."""
        return (
            self.permissions is None
            or other.who.grants.recorder
            or self.permissions.allow(other.identity, sid)
        )

    def leave(self, reason: LeaveReason, *, rejoin: bool = False) -> None:
        """End all that this participant is. The first reason counts."""
        if not self.scope.cancel_called:
            self.leave_reason, self.rejoin = reason, rejoin
            self.scope.cancel()

    def hear(self, connection: PeerConnection, event: Event) -> None:
        """In a turn of one of its connections: what its peer says, media apart."""
        match event:
            case DataReceived(label, data):
                self.listener.data_received(connection, label, data)
            case ChannelOpened(label):
                if label == RELIABLE and connection is self.downlink:
                    self.on_listening()
                elif label == DATA_TRACK and not self.data_tracks.enabled:
                    connection.mailbox.wish(CloseChannel(label))
            case StateChanged(state, reason, final):
                self.was_connected = self.was_connected or state is PeerState.CONNECTED
                self.listener.connection_changed(connection, reason, final=final)
                if state is PeerState.CONNECTED and connection is self.downlink:
                    self.on_active()
            case _:
                pass
