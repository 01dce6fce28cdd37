"""The two ways in which a client's connections are negotiated: `/rtc` and `/rtc/v1`.

    /rtc       two connections    the client offers what it publishes on one,
                                  we offer what it hears on the other
    /rtc/v1    one connection     the client makes every offer; what it hears goes into the
                                  recvonly sections that it offers, and when there are too
                                  few it is told how many more (media_sections_requirement)

Everything below is the same for both: an offer is read by `Publishing`, what is sent
comes from `Subscribing`, what was agreed goes to the peer as wishes. A path only says
who offers when, and on which connection. Nothing above a session knows of paths.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from livekit.protocol import rtc

from trio_sfu.ice import credentials
from trio_sfu.peer.events import OpenChannel
from trio_sfu.room.connection import PeerConnection, Target
from trio_sfu.room.data import DATA_TRACK, LOSSY, RELIABLE
from trio_sfu.room.info import LeaveReason, ParticipantState
from trio_sfu.room.node import NodeConfig
from trio_sfu.sdp.agreement import Agreement, SectionPlan
from trio_sfu.sdp.attributes import Fingerprint
from trio_sfu.sdp.session import MediaSection, Transport
from trio_sfu.signalling.negotiation import Answerer, Downlink, configure, set_remote
from trio_sfu.signalling.receivers import Receivers

if TYPE_CHECKING:
    from trio_sfu.signalling.session import Session

log = structlog.get_logger(__name__)


class Path(Protocol):
    """How one client and we come to terms. No call waits."""

    @property
    def deadline(self) -> float:
        """When `handle_timeout` has something to do."""

    def begin(self, now: float) -> None:
        """The client has been let in, and told so."""

    def restart(self, now: float) -> None:
        """The client is back on another socket: begin ICE again where that is ours to do."""

    def want(self, now: float) -> None:
        """What is to be sent to the client changed."""

    def offer(self, sdp: str, number: int, now: float) -> None:
        """The client offers; `WireError` if there is no answering it."""

    def answer(self, sdp: str, number: int, now: float) -> None:
        """The client answers; `WireError` if it does not fit our offer."""

    def handle_timeout(self, now: float) -> None:
        """Do what is due by *now*."""


class TwoConnections:
    """`/rtc`: each side offers what it sends."""

    TARGETS: Final = (Target.PUBLISHER, Target.SUBSCRIBER)

    def __init__(self, session: "Session") -> None:
        self._session = session
        config = session.node.config
        connections = session.participant.connections
        self._uplink, self._subscriber = (connections[target] for target in self.TARGETS)
        self._answerer = Answerer(
            our_end(self._uplink, config), partial(restart, self._uplink, config), config.entropy
        )
        self._offers = Downlink(
            our_end(self._subscriber, config),
            partial(restart, self._subscriber, config),
            config.entropy,
        )

    @property
    def deadline(self) -> float:
        return self._offers.deadline

    def begin(self, now: float) -> None:
        participant = self._session.participant
        if participant.subscriber_primary:
            channels = [(RELIABLE, True), (LOSSY, False)]
            if participant.data_tracks.enabled:
                channels.append((DATA_TRACK, False))
            for label, ordered in channels:
                wish = OpenChannel(label, ordered, None if ordered else 0)
                participant.downlink.mailbox.wish(wish)
            # Even with nothing to send: the client hears data on this connection.
            self._offers.want(now, at_once=True)

    def restart(self, now: float) -> None:
        self._offers.restart(now)  # on the other connection the client does so

    def want(self, now: float) -> None:
        self._offers.want(now)

    def offer(self, sdp: str, number: int, now: float) -> None:
        agreement = self._answerer.answer(sdp, self._session.publishing.plan)
        settle(self._uplink, agreement)
        self._session.respond(answer_response(agreement, number, {}))
        self._session.publishing.settle(agreement.sections)

    def answer(self, sdp: str, number: int, now: float) -> None:
        session, carried = self._session, self._offers.offered
        agreement = self._offers.accept(sdp, number, now)
        if agreement is None:
            log.info("an answer that nobody waits for", number=number, **session.names)
            return
        settle(self._subscriber, agreement)
        session.subscribing.settle(self._subscriber, agreement.sections, carried, now)

    def handle_timeout(self, now: float) -> None:
        session, offers = self._session, self._offers
        if offers.timed_out(now):
            if session.participant.state is ParticipantState.ACTIVE:
                session.participant.leave(LeaveReason.STATE_MISMATCH, rejoin=True)
            offers.wait_on(now)  # a client that still joins has its own deadline
        if offers.offer_due(now):
            # Whose tracks an offer carries must be known to the client before it.
            session.inform()
            sdp, number, mids = offers.offer(session.subscribing.sendings(), now)
            offer = rtc.SessionDescription(
                type="offer", sdp=sdp, id=number, mid_to_track_id=dict(mids)
            )
            session.respond(rtc.SignalResponse(offer=offer))


class OneConnection:
    """`/rtc/v1`: the client offers, also what it wants to hear."""

    TARGETS: Final = (Target.PUBLISHER,)

    def __init__(self, session: "Session") -> None:
        self._session = session
        config = session.node.config
        self._connection = session.participant.uplink
        self._answerer = Answerer(
            our_end(self._connection, config),
            partial(restart, self._connection, config),
            config.entropy,
        )
        self._receivers = Receivers()

    @property
    def deadline(self) -> float:
        return self._receivers.deadline

    def begin(self, now: float) -> None:
        """The client begins; what it is to hear goes into the answer to its first offer."""

    def restart(self, now: float) -> None:
        """The client does so, with its next offer."""

    def want(self, now: float) -> None:
        self._receivers.want(now)

    def offer(self, sdp: str, number: int, now: float) -> None:
        session = self._session
        agreement = self._answerer.answer(sdp, self._plan)
        settle(self._connection, agreement)
        carried = {
            each.mid: each.sending.track_id
            for each in agreement.sections
            if each.sending is not None
        }
        # Whose tracks an answer carries must be known to the client before it.
        session.inform()
        session.respond(answer_response(agreement, number, carried))
        session.publishing.settle(agreement.sections)
        assigned = {mid: each.track_id for mid, each in self._receivers.carried.items()}
        session.subscribing.settle(self._connection, agreement.sections, assigned, now)
        self._receivers.answered(session.subscribing.sendings(), now)

    def _plan(self, sections: Sequence[MediaSection]) -> Mapping[str, SectionPlan]:
        session = self._session
        fitted = self._receivers.fit(sections, session.subscribing.sendings())
        sending = {mid: SectionPlan(send=each) for mid, each in fitted.items()}
        return sending | session.publishing.plan(sections)

    def answer(self, sdp: str, number: int, now: float) -> None:
        log.info("an answer that nobody waits for", number=number, **self._session.names)

    def handle_timeout(self, now: float) -> None:
        if now < self._receivers.deadline:
            return
        missing = self._receivers.ask(self._session.subscribing.sendings(), now)
        if missing is not None:
            requirement = rtc.MediaSectionsRequirement(
                num_audios=missing.audios, num_videos=missing.videos
            )
            response = rtc.SignalResponse(media_sections_requirement=requirement)
            self._session.respond(response)


def settle(connection: PeerConnection, agreement: Agreement) -> None:
    """Hand what was agreed to the connection's task; `WireError` for what is no credential."""
    remote = set_remote(agreement)
    connection.mailbox.wish(remote)
    connection.mailbox.wish(configure(agreement))


def answer_response(
    agreement: Agreement, number: int, track_ids: Mapping[str, str]
) -> rtc.SignalResponse:
    """The answer to the offer *number*; *track_ids* say by mid what we send."""
    answer = rtc.SessionDescription(
        type="answer",
        sdp=str(agreement.description),
        id=number,
        mid_to_track_id=dict(track_ids),
    )
    return rtc.SignalResponse(answer=answer)


def restart(connection: PeerConnection, config: NodeConfig) -> Transport:
    """Begin ICE again on *connection*: our end of it with new credentials."""
    connection.restart(credentials.make(config.entropy, config.tag))
    return our_end(connection, config)


def our_end(connection: PeerConnection, config: NodeConfig) -> Transport:
    """Our end of a connection, as its descriptions tell it."""
    ours = connection.local
    return Transport(
        ufrag=ours.ufrag,
        password=ours.password,
        fingerprints=(Fingerprint.parse(str(config.certificate.fingerprint)),),
        lite=config.ice_lite,
        candidates=config.candidates,
        complete=True,
    )
