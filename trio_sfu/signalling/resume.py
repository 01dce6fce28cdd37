"""A client comes back on another socket, and goes on where it was.

Media never stopped: only the signalling was gone. What was said meanwhile, and what
was on its way, the client has not heard, so it is told again all that matters, in this
order (wire guide, "Resume"):

    reconnect        first of all; and how far its reliable packets have come
    update           who left in the last minute, then everybody as they are now, itself too
    room_update      the room
    track_published  of what it announced and has not sent yet
    speakers_changed of everybody whom it hears
    offer            on `/rtc`, with ICE begun again; on `/rtc/v1` the client offers

Then it says itself what it believes (`sync_state`). Where it believes to publish what
we do not know, the two cannot go on together, and it must begin anew.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import structlog
from livekit.protocol import rtc

from trio_sfu.room import reconcile
from trio_sfu.room.info import LeaveReason
from trio_sfu.signalling import translate
from trio_sfu.signalling.join import JoinRequest
from trio_sfu.signalling.updates import Updates

if TYPE_CHECKING:
    from trio_sfu.signalling.session import Session

log = structlog.get_logger(__name__)

MAX_SIDS: Final = 1_000
"""Tracks of one list in `sync_state` that are looked at."""

STALE: Final = frozenset(
    {
        "join",
        "reconnect",
        "update",
        "room_update",
        "speakers_changed",
        "offer",
        "answer",
        "trickle",
        "media_sections_requirement",
        "refresh_token",
        "connection_quality",
        "leave",
        "pong",
        "pong_resp",
    }
)
"""What is not kept for a client that is away: it is told anew when it comes back, or means
nothing by then."""


def worth_keeping(responses: Iterable[rtc.SignalResponse]) -> list[rtc.SignalResponse]:
    """What of *responses* a client must hear even if it does so late."""
    return [each for each in responses if each.WhichOneof("message") not in STALE]


def may_resume(session: "Session", join: JoinRequest) -> bool:
    """Whether *join* is for this very session. Its token named the room and the identity; a
    SID that is another's belongs to somebody who has been taken over since."""
    participant = session.participant
    return not participant.scope.cancel_called and join.participant_sid in ("", participant.sid)


def greet(session: "Session", updates: Updates, now: float) -> list[rtc.SignalResponse]:
    """All that a client is told that is back, up to the offer, which follows by itself."""
    participant = session.participant
    reconnect = rtc.ReconnectResponse(
        server_info=translate.server_info(session.node.sid),
        last_message_seq=participant.last_sequence,
        ice_servers=session.ice_servers(),
    )
    return [
        rtc.SignalResponse(reconnect=reconnect),
        *updates.catch_up(
            (
                each
                for each in session.room.participants.values()
                if each is participant or not each.hidden
            ),
            now,
        ),
        rtc.SignalResponse(room_update=rtc.RoomUpdate(room=session.room_info())),
        *session.publishing.announced(),
        *_speakers(session),
    ]


def _speakers(session: "Session") -> list[rtc.SignalResponse]:
    """Who was heard to begin or to stop while the client was away is unknown: so all are told."""
    subscriptions = session.participant.subscriptions.values()
    sids = {each.track.publisher.sid: None for each in subscriptions}
    speakers = [session.room.speakers.speaking(sid) for sid in sids]
    return [translate.speakers_changed(speakers)] if speakers else []


def sync_state(session: "Session", message: rtc.SyncState) -> None:
    """The client says what it believes to publish and to hear."""
    ours = {*session.participant.tracks, *session.publishing.announcements.sids}
    for each in message.publish_tracks[:MAX_SIDS]:
        if each.track.sid not in ours:
            log.info("a track that we do not know", track=each.track.sid[:64], **session.names)
            session.participant.leave(LeaveReason.STATE_MISMATCH, rejoin=True)
            return
    for sid in message.track_sids_disabled[:MAX_SIDS]:
        reconcile.disable(session.participant, sid)
    if message.HasField("subscription"):
        session.receive(rtc.SignalRequest(subscription=message.subscription))
