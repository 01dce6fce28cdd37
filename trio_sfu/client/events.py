"""What happens to a participant of one's own, as it comes out of `Participant.events`.

The rule: an event is a fact of the past, with all that is needed to understand it; what
is LiveKit's own message is handed on as it came.
"""

import attrs
from livekit.protocol import models, rtc

from trio_sfu.client.tracks import RemoteTrack


@attrs.frozen
class TrackSubscribed:
    """Somebody's track is heard from now on."""

    track: RemoteTrack


@attrs.frozen
class TrackEnded:
    """A track that was heard is no more."""

    track: RemoteTrack


@attrs.frozen
class DataPacketReceived:
    """Somebody sent data; *packet* is LiveKit's DataPacket."""

    packet: models.DataPacket


@attrs.frozen
class FrameReceived:
    """A frame of a data track came, as `trio_sfu.room.frames` reads it."""

    data: bytes


@attrs.frozen
class DataHandles:
    """Which data tracks we hear from now on: their SIDs by the handles of their frames."""

    tracks: dict[int, str]


@attrs.frozen
class ParticipantsChanged:
    """Others joined, left, or say something else of themselves; LiveKit's ParticipantInfos."""

    participants: tuple[models.ParticipantInfo, ...]


@attrs.frozen
class Left:
    """The server says that it is over; LiveKit's LeaveRequest."""

    leave: rtc.LeaveRequest


ClientEvent = (
    TrackSubscribed
    | TrackEnded
    | DataPacketReceived
    | FrameReceived
    | DataHandles
    | ParticipantsChanged
    | Left
)
