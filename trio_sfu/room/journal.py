"""One line in the log for each thing in a room that an operator cares about.

Whoever looks for a call's story filters by `room`, `participant` or `track`; the SIDs
beside the names tell two calls in one room apart, and are what a client's own log
and a webhook have. Nothing that somebody wrote for others to read (metadata, names,
attributes) is in a line, and nothing that opens a door.
"""

import structlog

from trio_sfu.room.observe import (
    Happening,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantSeated,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackSubscribed,
    TrackUnpublished,
)
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room

log = structlog.get_logger(__name__)


def names(room: Room, participant: Participant | None = None) -> dict[str, str]:
    """Which room, and who in it, for a log line."""
    found = {"room": room.name, "room_sid": room.sid}
    if participant is not None:
        found |= {"participant": participant.identity, "participant_sid": participant.sid}
    return found


def record(happening: Happening) -> None:
    """An `Observer`: writes *happening* down."""
    match happening:
        case RoomStarted(room):
            log.info("room started", **names(room))
        case RoomFinished(room):
            log.info("room ended", **names(room))
        case ParticipantSeated(room, participant):
            kind = participant.who.kind.value
            log.info("joined", kind=kind, count=room.occupants, **names(room, participant))
        case ParticipantJoined(room, participant):
            log.info("active", **names(room, participant))
        case ParticipantLeft(room, participant, aborted):
            log.info(
                "left",
                reason=participant.leave_reason.name,
                was_active=not aborted,
                **names(room, participant),
            )
        case TrackPublished(room, track):
            log.info(
                "track published",
                track=track.sid,
                source=track.info.source.value,
                mime=track.info.mime,
                **names(room, track.publisher),
            )
        case TrackUnpublished(room, track):
            log.info("track unpublished", track=track.sid, **names(room, track.publisher))
        case TrackSubscribed(room, subscription):
            log.debug(
                "track subscribed",
                track=subscription.track.sid,
                **names(room, subscription.subscriber),
            )
