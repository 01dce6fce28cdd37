"""What may be changed of somebody who is there already, and of their room.

Who asks is their own client, or an application through the API; whether it may has
been looked at by then. Here is what the change does: to the tables, to media that
flows, and whom it is told to. A change of what somebody says of themselves is told to
everybody and to themselves, since that is how a client learns that it was done.
"""

from collections.abc import Mapping
from typing import Final

import attrs
import structlog

from trio_sfu.config import LimitConfig
from trio_sfu.room import datatracks, reconcile
from trio_sfu.room.grants import Grants
from trio_sfu.room.info import LeaveReason, TrackInfo
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room

log = structlog.get_logger(__name__)

METADATA: Final = "metadata"
NAME: Final = "name"
ATTRIBUTES: Final = "attributes"


def exceeded(
    limits: LimitConfig,
    name: str = "",
    metadata: str = "",
    attributes: Mapping[str, str] | None = None,
) -> str:
    """The first of what is too long: `NAME`, `METADATA` or `ATTRIBUTES`; "" if none is."""
    if too_long(name, limits.max_participant_name_length):
        return NAME
    if too_long(metadata, limits.max_metadata_size):
        return METADATA
    size = sum(len(each.encode()) for pair in (attributes or {}).items() for each in pair)
    return ATTRIBUTES if 0 < limits.max_attributes_size < size else ""


def too_long(text: str, limit: int) -> bool:
    """Whether *text* has more than *limit* bytes; 0 is no limit."""
    return 0 < limit < len(text) or 0 < limit < len(text.encode())


@attrs.frozen(kw_only=True)
class Change:
    """What somebody shall say of themselves from now on. Empty is: as before."""

    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = attrs.Factory(dict)
    """Merged key by key; an empty value takes its key away."""


def describe(room: Room, participant: Participant, change: Change) -> None:
    """Apply *change*, which is within the limits, and tell everybody at once."""
    who = participant.who
    attributes = who.attributes
    if change.attributes:
        merged = {**attributes, **change.attributes}
        attributes = {name: value for name, value in merged.items() if value}
    who = attrs.evolve(
        who,
        name=change.name or who.name,
        metadata=change.metadata or who.metadata,
        attributes=attributes,
    )
    # LiveKit tells of attributes even where they are what they were: somebody may wait for it.
    if who != participant.who or change.attributes:
        participant.who = who
        room.tell(participant, urgent=True, themselves=True)
        participant.listener.claims_changed()


def permit(room: Room, participant: Participant, grants: Grants) -> None:
    """*participant* may do what *grants* says, and no longer what it does not."""
    before = participant.who.grants
    if grants == before:
        return
    log.info("rights changed", room=room.name, participant=participant.identity)
    participant.who = attrs.evolve(participant.who, grants=grants)
    for track in list(participant.tracks.values()):
        if not grants.may_publish(track.info.source):
            room.unpublish(track)
            participant.listener.track_unpublished(track)
    participant.is_publisher = participant.is_publisher and grants.can_publish
    if grants.max_quality != before.max_quality:
        participant.aim_again()
    reconcile.rights_changed(room, participant)
    datatracks.review(room, participant)
    room.tell(participant, urgent=True, themselves=True)
    if grants.recorder != before.recorder:
        room.changed()
    room.reckon()
    participant.listener.claims_changed()


def mute(room: Room, participant: Participant, sid: str, *, muted: bool) -> TrackInfo | None:
    """The application (un)mutes somebody's track: their client is told, and follows.

    Returns what the track says of itself; None for one that is not there.
    """
    announced = participant.listener.mute_wanted(sid, muted=muted)
    if (track := participant.tracks.get(sid)) is None:
        return announced
    if track.info.muted != muted:
        room.mute(track, muted=muted, themselves=True)
    return track.info


def remove(participant: Participant) -> None:
    """The application sends somebody away, who may come back with a token."""
    participant.leave(LeaveReason.PARTICIPANT_REMOVED)


def set_room_metadata(room: Room, metadata: str) -> None:
    """What the room says of itself; everybody is told at once."""
    if metadata != room.metadata:
        room.metadata = metadata
        room.changed()
