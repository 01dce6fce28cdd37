"""What happens in rooms that somebody outside of them wants to know.

Webhooks, metrics and the like hear of it as values, in the order in which it happens,
from the room that it happens in. They are told in the middle of a change, so an
observer may look, and must neither wait nor change anything. What a value refers to
goes on living: look at once, or copy.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from trio_sfu.room.connection import PeerConnection
    from trio_sfu.room.info import TrackInfo
    from trio_sfu.room.participant import Participant
    from trio_sfu.room.room import Room
    from trio_sfu.room.subscription import Subscription
    from trio_sfu.room.track import PublishedTrack


@attrs.frozen
class RoomStarted:
    """The first thing that is heard of a room."""

    room: "Room"


@attrs.frozen
class RoomFinished:
    """The last thing that is heard of a room: everybody has left before."""

    room: "Room"


@attrs.frozen
class ParticipantSeated:
    """Somebody is in the room's tables; their media cannot flow yet."""

    room: "Room"
    participant: "Participant"


@attrs.frozen
class ParticipantGreeted:
    """Somebody's client was told that it is in (LiveKit's state JOINED)."""

    room: "Room"
    participant: "Participant"
    seconds: float
    """Since it asked to join."""


@attrs.frozen
class ConnectionChanged:
    """A connection of somebody's is in another state than before."""

    room: "Room"
    connection: "PeerConnection"


@attrs.frozen
class ParticipantJoined:
    """Somebody's media can flow (LiveKit's state ACTIVE); once for each of them."""

    room: "Room"
    participant: "Participant"


@attrs.frozen
class ParticipantLeft:
    """Somebody is gone, and all that they published before them."""

    room: "Room"
    participant: "Participant"
    aborted: bool
    """They never were joined."""


@attrs.frozen
class TrackAnnounced:
    """Somebody is about to publish a track: its media has yet to come."""

    room: "Room"
    participant: "Participant"
    info: "TrackInfo"


@attrs.frozen
class TrackPublished:
    """Others may hear it from now on."""

    room: "Room"
    track: "PublishedTrack"


@attrs.frozen
class TrackUnpublished:
    """Nobody hears it any more."""

    room: "Room"
    track: "PublishedTrack"


@attrs.frozen
class SubscriptionBegun:
    """A subscriber is to get a track; their client has yet to take it."""

    room: "Room"
    subscription: "Subscription"


@attrs.frozen
class TrackSubscribed:
    """A subscriber's client takes the track, for the first time in this subscription."""

    room: "Room"
    subscription: "Subscription"


Happening = (
    RoomStarted
    | RoomFinished
    | ParticipantSeated
    | ParticipantGreeted
    | ConnectionChanged
    | ParticipantJoined
    | ParticipantLeft
    | TrackAnnounced
    | TrackPublished
    | TrackUnpublished
    | SubscriptionBegun
    | TrackSubscribed
)

Observer = Callable[[Happening], None]


def ignore(happening: Happening) -> None:
    """The observer of a room in which nobody outside takes an interest."""


def tell_all(observers: Iterable[Observer]) -> Observer:
    """One observer for many."""
    listening = tuple(observers)

    def tell(happening: Happening) -> None:
        for observer in listening:
            observer(happening)

    return tell
