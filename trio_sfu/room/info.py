"""What participants and tracks say about themselves: frozen values, told to everybody.

The numbers of some fields (encryption, audio features, backup policy, mode) mean
something to clients only: they are LiveKit's, and pass through as they came.
"""

import enum

import attrs

from trio_sfu.room.grants import Source
from trio_sfu.room.quality import Quality as Quality


class TrackKind(enum.Enum):
    """The two kinds of media; the values are SDP's words."""

    AUDIO = "audio"
    VIDEO = "video"


@attrs.frozen(kw_only=True)
class Layer:
    """One size in which a video is published."""

    quality: Quality
    width: int = 0
    height: int = 0
    bitrate: int = 0
    ssrc: int = 0
    spatial: int = 0
    rid: str = ""


@attrs.frozen(kw_only=True)
class CodecInfo:
    """One codec in which a track is, or will be, published."""

    mime: str
    cid: str = ""
    mid: str = ""
    layers: tuple[Layer, ...] = ()
    layer_mode: int = 0


@attrs.frozen(kw_only=True)
class TrackInfo:
    """A track as everybody sees it. A change makes a new value with a higher version."""

    sid: str
    kind: TrackKind
    source: Source = Source.UNKNOWN
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    simulcast: bool = False
    layers: tuple[Layer, ...] = ()
    codecs: tuple[CodecInfo, ...] = ()
    mime: str = ""
    mid: str = ""
    stream: str = ""
    encryption: int = 0
    disable_dtx: bool = False
    stereo: bool = False
    disable_red: bool = False
    audio_features: tuple[int, ...] = ()
    backup_codec_policy: int = 0
    version: int = 0


class ParticipantState(enum.IntEnum):
    """How far a participant is; it only moves forward."""

    JOINING = 0
    JOINED = 1
    ACTIVE = 2
    DISCONNECTED = 3


class LeaveReason(enum.Enum):
    """Why a participant is gone; the names are LiveKit's DisconnectReason."""

    UNKNOWN_REASON = 0
    CLIENT_INITIATED = 1
    DUPLICATE_IDENTITY = 2
    SERVER_SHUTDOWN = 3
    PARTICIPANT_REMOVED = 4
    ROOM_DELETED = 5
    STATE_MISMATCH = 6
    JOIN_FAILURE = 7
    MIGRATION = 8
    SIGNAL_CLOSE = 9
    ROOM_CLOSED = 10
    USER_UNAVAILABLE = 11
    USER_REJECTED = 12
    SIP_TRUNK_FAILURE = 13
    CONNECTION_TIMEOUT = 14
    MEDIA_FAILURE = 15
    AGENT_ERROR = 16


@attrs.frozen(kw_only=True)
class TrackSettings:
    """What a subscriber asks of one track: a layer by quality, or by the size it shows."""

    disabled: bool = False
    quality: Quality = Quality.HIGH
    width: int = 0
    height: int = 0
    fps: int = 0
    priority: int = 0
