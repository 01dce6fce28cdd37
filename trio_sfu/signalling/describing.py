"""What a client says of itself and of its tracks, when it wants to say something else.

Whoever waits for a change to be done waits in one of two ways: JavaScript until an
update about itself brings it, the Rust core until a RequestResponse carries the number
of its request. So both are sent, in this order.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs
from google.protobuf.message import Message
from livekit.protocol import models, rtc

from trio_sfu.room import changes
from trio_sfu.room.info import TrackInfo, TrackKind
from trio_sfu.signalling import translate

if TYPE_CHECKING:
    from trio_sfu.signalling.session import Session

_Reason = rtc.RequestResponse.Reason

_TOO_LONG: Final = {
    changes.NAME: "exceeds name length limit",
    changes.METADATA: "exceeds metadata size limit",
    changes.ATTRIBUTES: "exceeds attributes size limit",
}
"""LiveKit's words: clients show them."""


def update_metadata(session: "Session", message: rtc.UpdateParticipantMetadata) -> None:
    """The client wants to have another name, metadata or attributes."""
    attributes = dict(message.attributes)
    limits = session.node.config.limits
    exceeded = changes.exceeded(limits, message.name, message.metadata, attributes)
    number = message.request_id
    if not session.participant.who.grants.can_update_own_metadata:
        text = "does not have permission to update own metadata"
        session.refuse(_Reason.NOT_ALLOWED, text, number, update_metadata=message)
    elif exceeded:
        text = _TOO_LONG[exceeded]
        session.refuse(_Reason.LIMIT_EXCEEDED, text, number, update_metadata=message)
    else:
        change = changes.Change(name=message.name, metadata=message.metadata, attributes=attributes)
        changes.describe(session.room, session.participant, change)
        session.confirm(number, update_metadata=message)


def update_audio_track(session: "Session", message: rtc.UpdateLocalAudioTrack) -> None:
    """A track of sound has other features."""
    features = tuple(dict.fromkeys(message.features[: translate.MAX_LIST]))

    def change(info: TrackInfo) -> TrackInfo:
        return attrs.evolve(
            info,
            audio_features=features,
            stereo=models.AudioTrackFeature.TF_STEREO in features,
            disable_dtx=models.AudioTrackFeature.TF_NO_DTX in features,
        )

    _retouch(session, message, TrackKind.AUDIO, change, update_audio_track=message)


def update_video_track(session: "Session", message: rtc.UpdateLocalVideoTrack) -> None:
    """A track of pictures has another size."""

    def change(info: TrackInfo) -> TrackInfo:
        return attrs.evolve(info, width=message.width, height=message.height)

    _retouch(session, message, TrackKind.VIDEO, change, update_video_track=message)


def _retouch(
    session: "Session",
    message: Any,  # either of the two
    kind: TrackKind,
    change: Callable[[TrackInfo], TrackInfo],
    **echo: Message,
) -> None:
    """Of another kind of track a client may say what it likes: it does nothing, as with LiveKit."""

    def change_if_apt(info: TrackInfo) -> TrackInfo:
        return change(info) if info.kind is kind else info

    track = session.participant.tracks.get(message.track_sid)
    if track is not None:
        session.room.retouch(track, change_if_apt(track.info))
    elif session.publishing.announcements.change(message.track_sid, change_if_apt) is None:
        session.refuse(_Reason.NOT_FOUND, "", 0, **echo)
