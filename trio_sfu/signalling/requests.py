"""What a client may ask, and what happens then: one table, one function a kind.

A request that this server does not know, or not yet, is ignored, as LiveKit's
does. One that may not be is answered with a RequestResponse which names a reason
and, for those that carry a number, which request it was.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from livekit.protocol import models, rtc

from trio_sfu.errors import WireError
from trio_sfu.peer.events import AddCandidate
from trio_sfu.room import reconcile
from trio_sfu.room.connection import Target
from trio_sfu.room.info import LeaveReason, TrackKind
from trio_sfu.signalling import data_requests, describing, translate
from trio_sfu.signalling.announcements import MAX_NAMED, MAX_PENDING, MAX_TRACKS, too_long
from trio_sfu.signalling.resume import sync_state
from trio_sfu.signalling.scenarios import simulate

if TYPE_CHECKING:
    from trio_sfu.signalling.session import Session

log = structlog.get_logger(__name__)

Reason = rtc.RequestResponse.Reason

MAX_LOGGED: Final = 200
"""Characters of what is wrong with a description: it may repeat some of it."""
MAX_SIDS: Final = 1_000
"""Tracks that one request may name."""

_KINDS: Final = {
    models.TrackType.AUDIO: TrackKind.AUDIO,
    models.TrackType.VIDEO: TrackKind.VIDEO,
}
_TARGETS: Final = {target.value: target for target in Target}

OWN_REASONS: Final = frozenset(
    {
        LeaveReason.CLIENT_INITIATED,
        LeaveReason.USER_UNAVAILABLE,
        LeaveReason.USER_REJECTED,
        LeaveReason.AGENT_ERROR,
    }
)
"""That a client may give for going; of anything else the server is the judge."""


def offer(session: "Session", message: rtc.SessionDescription) -> None:
    """The client wants to publish something else than so far."""
    try:
        session.offer(message.sdp, message.id)
    except WireError as error:
        log.info("an offer that cannot be answered", error=str(error)[:MAX_LOGGED], **session.names)
        session.participant.leave(LeaveReason.STATE_MISMATCH, rejoin=True)


def answer(session: "Session", message: rtc.SessionDescription) -> None:
    """The client has looked at our offer."""
    try:
        session.answer(message.sdp, message.id)
    except WireError as error:
        log.info(
            "an answer that does not fit the offer", error=str(error)[:MAX_LOGGED], **session.names
        )
        session.participant.leave(LeaveReason.STATE_MISMATCH, rejoin=True)


def trickle(session: "Session", message: rtc.TrickleRequest) -> None:
    """The client may be reached at another address, too."""
    line = translate.candidate_line(message.candidateInit)
    target = _TARGETS.get(message.target)
    connection = None if target is None else session.participant.connections.get(target)
    if connection is None or (line is None and not message.final):
        session.refuse(Reason.UNCLASSIFIED_ERROR, "not a candidate", trickle=message)
    elif line is not None:
        connection.mailbox.wish(AddCandidate(line))


def add_track(session: "Session", message: rtc.AddTrackRequest) -> None:
    """The client is about to publish a track."""
    kind = _KINDS.get(message.type)
    grants = session.participant.who.grants
    waiting = len(session.publishing.announcements)
    if not grants.may_publish(translate.source(message.source)):
        session.refuse(Reason.NOT_ALLOWED, "does not have permission to publish", add_track=message)
    elif kind is None:
        session.refuse(Reason.UNSUPPORTED_TYPE, "unsupported track type", add_track=message)
    elif message.sid:  # a second codec for a track, which is not taken yet
        if message.sid not in session.participant.tracks:
            session.refuse(Reason.NOT_FOUND, "", add_track=message)
    elif waiting >= MAX_PENDING:
        session.refuse(
            Reason.LIMIT_EXCEEDED,
            f"too many pending tracks, rejecting new track, numPendingTracks: {waiting}",
            add_track=message,
        )
    elif (named := session.publishing.announcements.named(message.cid)) >= MAX_NAMED:
        session.refuse(
            Reason.LIMIT_EXCEEDED,
            f"too many pending queued tracks, rejecting new track, numPendingTracksQueued: {named}",
            add_track=message,
        )
    elif waiting + len(session.participant.tracks) >= MAX_TRACKS:
        session.refuse(Reason.LIMIT_EXCEEDED, "too many tracks", add_track=message)
    elif too_long(message):
        session.refuse(Reason.LIMIT_EXCEEDED, "a name is too long", add_track=message)
    elif not session.publishing.announce(message, kind):
        session.refuse(Reason.QUEUED, "", add_track=message)


def mute(session: "Session", message: rtc.MuteTrackRequest) -> None:
    """The client falls silent, or does no longer."""
    track = session.participant.tracks.get(message.sid)
    if track is not None:
        if track.info.muted != message.muted:
            session.room.mute(track, muted=message.muted)
    elif session.publishing.announcements.mute(message.sid, muted=message.muted) is None:
        session.refuse(Reason.NOT_FOUND, "track not found", mute=message)


def subscription(session: "Session", message: rtc.UpdateSubscription) -> None:
    """The client wants to hear some tracks, or no longer."""
    sids = list(message.track_sids)
    for each in message.participant_tracks:
        sids += each.track_sids
    act = reconcile.ask if message.subscribe else reconcile.decline
    act(session.room, session.participant, sids[:MAX_SIDS])


def track_setting(session: "Session", message: rtc.UpdateTrackSettings) -> None:
    """The client shows some tracks in another size, or not at all."""
    settings = translate.track_settings(message)
    for sid in message.track_sids[:MAX_SIDS]:
        reconcile.choose(session.participant, sid, settings)


def subscription_permission(session: "Session", message: rtc.SubscriptionPermission) -> None:
    """The client says who may hear what it publishes."""
    listed = translate.listeners(message)
    if not reconcile.permit(session.room, session.participant, listed):
        log.info("a permission for nobody", **session.names)


def leave(session: "Session", message: rtc.LeaveRequest) -> None:
    """The client goes, and does not wait for an answer."""
    given = (each for each in OWN_REASONS if each.value == message.reason)
    session.participant.leave(next(given, LeaveReason.CLIENT_INITIATED))


REQUESTS: Final[Mapping[str, Callable[["Session", Any], None]]] = {
    "offer": offer,
    "answer": answer,
    "trickle": trickle,
    "add_track": add_track,
    "mute": mute,
    "subscription": subscription,
    "track_setting": track_setting,
    "subscription_permission": subscription_permission,
    "leave": leave,
    "sync_state": sync_state,
    "simulate": simulate,
    "update_metadata": describing.update_metadata,
    "update_audio_track": describing.update_audio_track,
    "update_video_track": describing.update_video_track,
    "publish_data_track_request": data_requests.publish,
    "unpublish_data_track_request": data_requests.unpublish,
    "update_data_subscription": data_requests.subscribe,
    "store_data_blob_request": data_requests.store_blob,
    "get_data_blob_request": data_requests.get_blob,
}
"""By the name of the field in SignalRequest. Pings never come here: the socket answers them."""
