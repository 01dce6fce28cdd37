"""What a client may ask about data tracks and data blobs; `requests` has the table.

Each wrong request has a reason of its own in LiveKit, and its words, which the SDKs show.
"""

from typing import TYPE_CHECKING, Final

from livekit.protocol import models, rtc

from trio_sfu.room import datatracks, ids
from trio_sfu.room.datatracks import MAX_PUBLISHED, DataTrack
from trio_sfu.signalling import translate

if TYPE_CHECKING:
    from trio_sfu.signalling.session import Session

Reason = rtc.RequestResponse.Reason

_BAD_ENCODING: Final = "encoding identifier is empty or exceeds the maximum length"

MAX_HANDLE: Final = 0xFFFF
MAX_NAME: Final = 256
"""Bytes of a data track's name; LiveKit's."""
MAX_SID: Final = 64
"""Characters of a SID that is looked at; ours have sixteen."""
MAX_UPDATES: Final = 1_000
"""Tracks that one request may name."""


def publish(session: "Session", message: rtc.PublishDataTrackRequest) -> None:
    """The client has a data track for the others."""
    participant, config = session.participant, session.node.config
    published = participant.data_tracks.published
    longest = config.limits.max_data_track_custom_encoding_length
    wrong: tuple[Reason, str]
    if not (participant.who.grants.can_publish_data and participant.data_tracks.enabled):
        wrong = (Reason.NOT_ALLOWED, "does not have permission to publish data")
    elif not 0 < message.pub_handle <= MAX_HANDLE:
        wrong = (Reason.INVALID_HANDLE, "handle should be > 0 AND < 65536")
    elif not 0 < len(message.name.encode()) <= MAX_NAME:
        wrong = (
            Reason.INVALID_NAME,
            "name should not be empty and should not exceed 256 characters",
        )
    elif not (
        _may_be_named(message.frame_encoding, longest)
        and _may_be_named(message.schema.encoding, longest)
    ):
        wrong = (Reason.INVALID_REQUEST, _BAD_ENCODING)
    elif message.pub_handle in published:
        wrong = (Reason.DUPLICATE_HANDLE, "a data track with same handle already exists")
    elif any(each.info.name == message.name for each in published.values()):
        wrong = (Reason.DUPLICATE_NAME, "a data track with same name already exists")
    elif len(published) >= MAX_PUBLISHED:
        wrong = (Reason.LIMIT_EXCEEDED, "too many data tracks")
    else:
        info = translate.data_track(message, ids.make_sid(ids.DATA_TRACK, config.entropy))
        published_info = rtc.PublishDataTrackResponse(info=translate.data_track_info(info))
        session.respond(rtc.SignalResponse(publish_data_track_response=published_info))
        datatracks.publish(session.room, DataTrack(info, participant))
        return
    session.refuse(*wrong, publish_data_track=message)


def unpublish(session: "Session", message: rtc.UnpublishDataTrackRequest) -> None:
    """The client ends a data track."""
    track = session.participant.data_tracks.published.get(message.pub_handle)
    if track is None:
        session.refuse(Reason.NOT_FOUND, "", unpublish_data_track=message)
    else:
        datatracks.unpublish(session.room, track)
        gone = rtc.UnpublishDataTrackResponse(info=translate.data_track_info(track.info))
        session.respond(rtc.SignalResponse(unpublish_data_track_response=gone))


def subscribe(session: "Session", message: rtc.UpdateDataSubscription) -> None:
    """The client wants some data tracks, or no longer."""
    updates = [each for each in message.updates[:MAX_UPDATES] if len(each.track_sid) <= MAX_SID]
    choices = {each.track_sid: each.subscribe for each in updates}
    datatracks.choose(session.room, session.participant, choices)


def store_blob(session: "Session", message: rtc.StoreDataBlobRequest) -> None:
    """The client leaves something for the others."""
    config, blob = session.node.config, message.blob
    key, limits = translate.blob_key(blob.key), config.limits
    wrong: tuple[Reason, str]
    if not config.data_blobs:
        wrong = (Reason.NOT_ALLOWED, "data blob not enabled")
    elif not key or not _fits(len(key), limits.max_data_blob_key_length):
        wrong = (Reason.INVALID_REQUEST, "data blob is invalid")
    elif not _may_be_named(
        blob.key.schema_id.encoding, limits.max_data_track_custom_encoding_length
    ):
        wrong = (Reason.INVALID_REQUEST, _BAD_ENCODING)
    elif not blob.contents:
        wrong = (Reason.INVALID_REQUEST, "data blob is empty")
    elif not session.participant.blobs.store(key, blob.contents, limits.max_data_blob_size):
        wrong = (Reason.LIMIT_EXCEEDED, "async attribute definition exceeds limit")
    else:
        stored = rtc.StoreDataBlobResponse(request_id=message.request_id, key=blob.key)
        session.respond(rtc.SignalResponse(store_data_blob_response=stored))
        return
    session.refuse(*wrong, request_id=message.request_id)


def get_blob(session: "Session", message: rtc.GetDataBlobRequest) -> None:
    """The client fetches what another one left."""
    owner = session.room.participants.get(message.participant_identity)
    wrong: tuple[Reason, str]
    if not message.HasField("key"):
        wrong = (Reason.INVALID_REQUEST, "data blob key is required")
    elif owner is None:
        wrong = (Reason.NOT_FOUND, "participant not found")
    elif (contents := owner.blobs.get(translate.blob_key(message.key))) is None:
        wrong = (Reason.NOT_FOUND, "data blob not found")
    else:
        found = rtc.GetDataBlobResponse(
            request_id=message.request_id,
            blob=models.DataBlob(key=message.key, contents=contents),
        )
        session.respond(rtc.SignalResponse(get_data_blob_response=found))
        return
    session.refuse(*wrong, request_id=message.request_id)


def _fits(size: int, limit: int) -> bool:
    """0 is no limit."""
    return not limit or size <= limit


def _may_be_named(
    encoding: models.DataTrackFrameEncoding | models.DataTrackSchemaEncoding, limit: int
) -> bool:
    """Whether an encoding that LiveKit has no number for has a fitting name."""
    if encoding.WhichOneof("value") != "custom":
        return True
    return encoding.custom != "" and _fits(len(encoding.custom.encode()), limit)
