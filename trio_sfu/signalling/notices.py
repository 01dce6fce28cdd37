"""What happens in rooms, in the words of LiveKit's webhooks.

What LiveKit's server sends was looked at, event by event: somebody has *joined* when
their media can flow, and until then may only have *aborted*; an event about a track
names its room and its publisher by SID and name, and leaves the rest out.
"""

from typing import Final

from livekit.protocol import models
from livekit.protocol.webhook import WebhookEvent

from trio_sfu.room.observe import (
    Happening,
    ParticipantJoined,
    ParticipantLeft,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from trio_sfu.room.room import Room
from trio_sfu.room.track import PublishedTrack
from trio_sfu.signalling import translate

ROOM_STARTED: Final = "room_started"
ROOM_FINISHED: Final = "room_finished"
PARTICIPANT_JOINED: Final = "participant_joined"
PARTICIPANT_LEFT: Final = "participant_left"
PARTICIPANT_CONNECTION_ABORTED: Final = "participant_connection_aborted"
TRACK_PUBLISHED: Final = "track_published"
TRACK_UNPUBLISHED: Final = "track_unpublished"


def webhook_event(happening: Happening, *, full_room: bool) -> WebhookEvent | None:
    """What is sent of it, without an id and a time; None if nothing is.

    *full_room*: all of the room, in events about tracks, too.
    """
    match happening:
        case RoomStarted(room):
            return WebhookEvent(event=ROOM_STARTED, room=translate.room_info(room))
        case RoomFinished(room):
            return WebhookEvent(event=ROOM_FINISHED, room=translate.room_info(room))
        case ParticipantJoined(room, participant):
            return WebhookEvent(
                event=PARTICIPANT_JOINED,
                room=translate.room_info(room),
                participant=translate.participant_info(participant),
            )
        case ParticipantLeft(room, participant, aborted):
            return WebhookEvent(
                event=PARTICIPANT_CONNECTION_ABORTED if aborted else PARTICIPANT_LEFT,
                room=translate.room_info(room),
                participant=translate.participant_info(participant),
            )
        case TrackPublished(room, track):
            return _of_track(TRACK_PUBLISHED, room, track, full_room)
        case TrackUnpublished(room, track):
            return _of_track(TRACK_UNPUBLISHED, room, track, full_room)
    return None


def _of_track(event: str, room: Room, track: PublishedTrack, full_room: bool) -> WebhookEvent:
    publisher = track.publisher
    return WebhookEvent(
        event=event,
        room=(
            translate.room_info(room) if full_room else models.Room(sid=room.sid, name=room.name)
        ),
        participant=models.ParticipantInfo(sid=publisher.sid, identity=publisher.identity),
        track=translate.track_info(track.info),
    )
