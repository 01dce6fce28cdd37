"""What a token allows: values without any I/O, in LiveKit's words.

A right that a token does not mention has a default, and the defaults are not all
the same: somebody who may join may publish and subscribe unless the token says
no, but may not change their own metadata unless it says yes. The defaults are
resolved where a token is read, so that a `Grants` is always a plain answer.
"""

import enum

import attrs

from trio_sfu.room.quality import Quality


class Source(enum.Enum):
    """Where a track comes from; the values are the words of a token."""

    UNKNOWN = "unknown"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


class Kind(enum.Enum):
    """What sort of participant joins; the values are the words of a token."""

    STANDARD = "standard"
    INGRESS = "ingress"
    EGRESS = "egress"
    SIP = "sip"
    AGENT = "agent"
    CONNECTOR = "connector"
    BRIDGE = "bridge"


@attrs.frozen(kw_only=True)
class Grants:
    """The rights of one token, defaults resolved."""

    room: str = ""
    """The room that `room_join`, `room_admin` and `room_record` are about."""
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    room_admin: bool = False
    destination_room: str = ""
    """Where a participant may be moved or forwarded to."""
    ingress_admin: bool = False

    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = attrs.Factory(lambda self: self.can_publish, takes_self=True)
    can_publish_sources: frozenset[Source] = frozenset()
    """Only these may be published; empty means all of them, as LiveKit reads it."""
    can_update_own_metadata: bool = False
    can_subscribe_metrics: bool = False
    can_manage_agent_session: bool = False

    hidden: bool = False
    """Others are not told of this participant."""
    recorder: bool = False
    agent: bool = False
    """May register as an agent worker; as a participant, does not keep a room open."""

    max_quality: Quality = Quality.HIGH
    """Of pictures that this participant gets; see `trio_sfu.room.quality`."""

    def may_publish(self, source: Source) -> bool:
        """A source that the client did not name passes only where none are listed."""
        if not self.can_publish:
            return False
        return not self.can_publish_sources or source in self.can_publish_sources
