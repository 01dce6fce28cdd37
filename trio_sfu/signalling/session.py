"""One client's signalling, as a core: requests in, responses out, and what is due when.

It is the `Listener` of its participant: what happens in the room comes in as
calls, and leaves as LiveKit's messages in `take_responses`. Nothing here waits;
`trio_sfu.signalling.serve` runs it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog
from google.protobuf.message import Message
from livekit.protocol import models, rtc

from trio_sfu.room import journal, reconcile
from trio_sfu.room.connection import PeerConnection
from trio_sfu.room.info import LeaveReason, ParticipantState, TrackInfo
from trio_sfu.room.node import Node
from trio_sfu.room.observe import ConnectionChanged
from trio_sfu.room.participant import Identity, Participant
from trio_sfu.room.room import Room
from trio_sfu.room.speakers import Speaker
from trio_sfu.room.track import PublishedTrack
from trio_sfu.room.wanted import Failure
from trio_sfu.signalling import packets, resume, translate
from trio_sfu.signalling.devices import unpublishable
from trio_sfu.signalling.iceservers import ice_servers
from trio_sfu.signalling.infos import info_of, room_update
from trio_sfu.signalling.join import JoinRequest
from trio_sfu.signalling.paths import OneConnection, Path, TwoConnections
from trio_sfu.signalling.publishing import Publishing
from trio_sfu.signalling.recovery import Recovery
from trio_sfu.signalling.requests import OWN_REASONS, REQUESTS
from trio_sfu.signalling.scenarios import Accidents, end_speech
from trio_sfu.signalling.subscribing import Subscribing
from trio_sfu.signalling.tickets import Tickets
from trio_sfu.signalling.translate import Action
from trio_sfu.signalling.updates import Updates

log = structlog.get_logger(__name__)


MAX_RESPONSES: Final = 1_000
"""Responses that nobody has taken. A client that does not hear what it is told has
another idea of the call than we have, so it must begin anew."""
CONFIRMED_SINCE: Final = 15
"""Clients of an older protocol are told of what failed only."""
MAX_ECHO: Final = 16 << 10
"""Bytes of a refused request that its client is reminded of."""


class Session:
    """What one client and the room tell each other."""

    def __init__(
        self, node: Node, room: Room, join: JoinRequest, clock: Callable[[], float]
    ) -> None:
        """*clock* is Trio's, or a test's."""
        way = OneConnection if join.one_connection else TwoConnections
        self.node = node
        self.room = room
        self.participant = node.participant(
            room,
            Identity(
                identity=join.identity,
                grants=join.grants,
                name=join.name,
                metadata=join.metadata,
                attributes=join.attributes,
                kind=join.kind,
                kind_details=join.kind_details,
                protocol=join.protocol,
                sdk=join.client.sdk.name,
                client_protocol=join.client_protocol,
                capabilities=join.client.capabilities,
                auto_subscribe=join.auto_subscribe,
                adaptive_stream=join.adaptive_stream,
                token_expires=join.token_expires,
                auto_subscribe_data_tracks=join.auto_subscribe_data_track,
            ),
            self,
            way.TARGETS,
        )
        self.publishing = Publishing(
            room, self.participant, join.client, self.respond, node.config.entropy
        )
        self.subscribing = Subscribing(
            room,
            self.participant,
            join.client,
            self.respond,
            active_red=node.config.active_red,
        )
        self.ring: Callable[[], None] = lambda: None
        """Called when there is something to take, or `deadline` moved."""
        self._join = join
        self._clock = clock
        self._responses: list[rtc.SignalResponse] = []
        self._updates = Updates()
        self.path: Path = way(self)
        self._join_deadline = math.inf
        self.accidents = Accidents()
        self._tickets = Tickets(room.name, node.config.sign)
        self._recovery = Recovery(self.participant)
        self.hangs_up = False
        """The client's socket shall be closed, once what there is to take has been said."""

    @property
    def names(self) -> dict[str, str]:
        """For a log line."""
        return journal.names(self.room, self.participant)

    @property
    def now(self) -> float:
        return self._clock()

    # --- core

    def begin(self) -> None:
        """The participant is in: say so to it, then to the others, and offer it what there is."""
        participant = self.participant
        self._join_deadline = self._clock() + self.room.config.join_timeout
        self.respond(rtc.SignalResponse(join=self._join_response()))
        participant.advance(ParticipantState.JOINED)
        self.room.tell(participant, urgent=False)
        reconcile.offer(self.room, participant, self.room.tracks.values())
        self.path.begin(self._clock())
        self.issue_ticket()
        for request in self._join.requests:
            self.receive(request)
        self.ring()

    def receive(self, request: rtc.SignalRequest) -> None:
        """Do what the client asks."""
        kind = request.WhichOneof("message")
        if kind is not None and (act := REQUESTS.get(kind)) is not None:
            act(self, getattr(request, kind))

    @property
    def deadline(self) -> float:
        deadline = min(
            self._join_deadline,
            self._recovery.deadline,
            self.participant.deadline,
            self.accidents.deadline,
        )
        if self._recovery.away:
            return deadline
        return min(deadline, self._updates.deadline, self.path.deadline, self._tickets.deadline)

    def handle_timeout(self, now: float) -> None:
        """Do what is due by *now*."""
        self._recovery.handle_timeout(now)
        if now >= self._join_deadline:
            self._join_deadline = math.inf
            if self.participant.state is not ParticipantState.ACTIVE:
                self.participant.leave(LeaveReason.JOIN_FAILURE)
        if now >= self.participant.deadline:
            reconcile.handle_timeout(self.room, self.participant, now)
        if now >= self.accidents.deadline:
            end_speech(self)
        if self._recovery.away:
            return
        if now >= self._updates.deadline:
            self.inform()
        if now >= self.path.deadline:
            self.path.handle_timeout(now)
        if now >= self._tickets.deadline:
            self.issue_ticket()

    def take_responses(self) -> list[rtc.SignalResponse]:
        taken, self._responses = self._responses, []
        return taken

    def respond(self, response: rtc.SignalResponse) -> None:
        if self._recovery.away:
            self.keep([response])
        elif len(self._responses) < MAX_RESPONSES:
            self._responses.append(response)
            self.ring()
        else:
            self.participant.leave(LeaveReason.STATE_MISMATCH, rejoin=True)

    def confirm(self, request_id: int, **request: Message) -> None:
        """Tell the client that what it asked for is done, after what came of it."""
        if self._join.protocol >= CONFIRMED_SINCE:
            self._responses += self._updates.take()
            self.refuse(rtc.RequestResponse.Reason.OK, "", request_id, **request)

    def refuse(
        self,
        reason: "rtc.RequestResponse.Reason",
        message: str,
        request_id: int = 0,
        **request: Message,
    ) -> None:
        """Tell the client that what it asked for is not done."""
        if any(each.ByteSize() > MAX_ECHO for each in request.values()):
            request = {}
        response = rtc.RequestResponse(
            request_id=request_id,
            reason=reason,
            message=message,
            **request,  # type: ignore[arg-type]  # one of the request's oneof
        )
        self.respond(rtc.SignalResponse(request_response=response))

    def inform(self) -> None:
        """Tell the client now what it has yet to be told of the others."""
        self._responses += self._updates.take()

    def offer(self, sdp: str, number: int) -> None:
        """The client's offer; `WireError` if there is no answering it."""
        self.path.offer(sdp, number, self._clock())
        self.ring()

    def answer(self, sdp: str, number: int) -> None:
        """The client's answer to our offer; `WireError` if it does not fit."""
        self.path.answer(sdp, number, self._clock())
        self.ring()

    def issue_ticket(self) -> None:
        """Give the client another token to come back with."""
        now = self._clock()
        for response in self._tickets.issue(self.participant.who, now, self.node.config.wall + now):
            self.respond(response)

    # --- the socket goes, and comes back

    def lose_signal(self) -> None:
        """There is nobody who takes responses, until `resume`."""
        self.hangs_up = False
        self._responses = resume.worth_keeping(self._responses)
        self._recovery.signal_lost(self._clock())
        self.ring()

    def keep(self, responses: Sequence[rtc.SignalResponse]) -> None:
        """*responses* could not be said: what the client must hear is said later."""
        free = MAX_RESPONSES - len(self._responses)
        self._responses += resume.worth_keeping(responses)[:free]

    def resume(self) -> None:
        """The client is there again, on another socket: say all that it has missed."""
        now = self._clock()
        kept = resume.worth_keeping(self._responses)
        self._recovery.resumed(now)
        self._responses = [*resume.greet(self, self._updates, now), *kept]
        self.issue_ticket()
        self.path.restart(now)
        self.hangs_up = self.accidents.cuts(now)
        log.info("resumed", **self.names)
        self.ring()

    def last_words(self) -> list[rtc.SignalResponse]:
        """A Leave; nothing for a client that left by itself."""
        participant = self.participant
        quiet = participant.leave_reason in (*OWN_REASONS, LeaveReason.SIGNAL_CLOSE)
        if quiet or self.accidents.unannounced:
            return []
        action = Action.RECONNECT if participant.rejoin else Action.DISCONNECT
        return [translate.leave(participant.leave_reason, action)]

    # --- Listener: what happens in the room

    def participant_changed(self, participant: Participant, *, urgent: bool) -> None:
        if self.participant.state is not ParticipantState.JOINING:
            before = self._updates.deadline
            self._updates.note(participant, self._clock(), urgent=urgent)
            if not urgent and self._updates.deadline < before:
                self.ring()

    def room_changed(self) -> None:
        if self.participant.state is not ParticipantState.JOINING:
            self.respond(room_update(self.room))

    def claims_changed(self) -> None:
        self.issue_ticket()

    def mute_wanted(self, sid: str, *, muted: bool) -> TrackInfo | None:
        self.respond(rtc.SignalResponse(mute=rtc.MuteTrackRequest(sid=sid, muted=muted)))
        return self.publishing.announcements.mute(sid, muted=muted)

    def track_unpublished(self, track: PublishedTrack) -> None:
        self.respond(
            rtc.SignalResponse(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=track.sid))
        )

    def speakers_changed(self, speakers: Sequence[Speaker]) -> None:
        self.respond(translate.speakers_changed(speakers))

    def subscriptions_changed(self) -> None:
        if self.participant.state is not ParticipantState.JOINING:
            self.path.want(self._clock())
            self.ring()

    def subscription_failed(self, sid: str, failure: Failure) -> None:
        self.respond(translate.subscription_failed(sid, failure))

    def subscription_allowed(self, track: PublishedTrack, *, allowed: bool) -> None:
        self.respond(translate.subscription_allowed(track, allowed=allowed))

    def deadline_moved(self) -> None:
        self.ring()

    def track_subscribed(self, track: PublishedTrack) -> None:
        self.respond(rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=track.sid)))

    def data_tracks_changed(self) -> None:
        # Whose tracks these are must be known to the client before.
        self.inform()
        self.respond(translate.data_track_handles(self.participant.data_tracks.heard.values()))

    def data_received(self, connection: PeerConnection, label: str, data: bytes) -> None:
        packets.hear(self.room, self.participant, label, data, self._clock())

    def connection_changed(
        self, connection: PeerConnection, reason: str, *, final: bool = False
    ) -> None:
        log.info(
            "connection changed",
            connection=connection.target.name.lower(),
            state=connection.state.name.lower(),
            **({"reason": reason} if reason else {}),
            **self.names,
        )
        self.room.observe(ConnectionChanged(self.room, connection))
        comes_back = self._recovery.connection_changed(connection, self._clock(), final=final)
        if comes_back and not self.hangs_up:  # both connections may fail at once
            self.respond(translate.leave(LeaveReason.CONNECTION_TIMEOUT, Action.RESUME))
            self.hangs_up = True
        self.ring()

    def room_info(self) -> models.Room:
        return translate.room_info(self.room)

    def ice_servers(self) -> list[rtc.ICEServer]:
        """Those that the client may use."""
        config = self.node.config
        return ice_servers(
            config.stun_servers,
            config.turn_servers,
            self.participant.sid,
            config.wall + self._clock(),
        )

    def _join_response(self) -> rtc.JoinResponse:
        others = [
            each
            for each in self.room.participants.values()
            if each is not self.participant and not each.hidden
        ]
        for each in others:
            self._updates.told(each)
        info = translate.server_info(self.node.sid, self.node.config.region)
        return rtc.JoinResponse(
            room=self.room_info(),
            participant=info_of(self.participant).message,
            other_participants=[info_of(each).message for each in others],
            subscriber_primary=self.participant.subscriber_primary,
            ice_servers=self.ice_servers(),
            ping_interval=translate.PING_INTERVAL,
            ping_timeout=translate.PING_TIMEOUT,
            server_info=info,
            sif_trailer=self.room.sif_trailer,
            server_version=info.version,
            server_region=info.region,
            enabled_publish_codecs=_codecs(self.publishing.codecs),
            client_configuration=translate.client_configuration(unpublishable(self._join.client)),
            fast_publish=self.participant.who.grants.can_publish,
        )


def _codecs(mimes: Iterable[str]) -> list[models.Codec]:
    return [models.Codec(mime=mime) for mime in mimes]
