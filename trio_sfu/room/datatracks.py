"""Data tracks: frames of anything, late or never, to those who want them.

A publisher names each of its tracks by a number of its own choosing, the handle, and
writes it into every frame. Each subscriber knows the same track by a handle that we
give it, so that tracks of two publishers never meet; it is told the whole map of its
handles whenever that changes. A frame that comes in goes out with another handle.

What somebody wants to hear and what they do hear are two things, because rights come
and go: `Tracks.wanted` stays, and `review` makes the rest follow from it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.peer.events import SendData
from trio_sfu.room import frames
from trio_sfu.room.data import DATA_TRACK, PATIENCE

if TYPE_CHECKING:
    from trio_sfu.room.participant import Participant
    from trio_sfu.room.room import Room

MAX_PUBLISHED: Final = 128
"""Data tracks of one participant."""
MAX_WANTED: Final = 1_000
"""Tracks that one participant may want at a time, those that are not there included."""

Encoding = int | str | None
"""How something is encoded: one that LiveKit has a number for, or a name, or nothing said."""


@attrs.frozen(kw_only=True)
class DataTrackInfo:
    """What everybody is told of a data track; numbers and names pass as they came."""

    sid: str
    handle: int
    """The publisher's."""
    name: str
    encryption: int = 0
    encoding: Encoding = None
    """Of its frames."""
    schema: tuple[str, Encoding] | None = None


class DataTrack:
    """Published by one, with those who hear it."""

    def __init__(self, info: DataTrackInfo, publisher: "Participant") -> None:
        self.info = info
        self.publisher = publisher
        self.subscriptions: dict[str, DataSubscription] = {}
        """By the subscriber's SID."""

    def forward(self, data: bytes) -> None:
        """Send a frame to everybody who hears this track."""
        for each in self.subscriptions.values():
            frame = frames.with_handle(data, each.handle)
            each.subscriber.downlink.mailbox.wish(SendData(DATA_TRACK, frame, PATIENCE[DATA_TRACK]))


@attrs.frozen(eq=False)
class DataSubscription:
    """One subscriber's view of a data track."""

    track: DataTrack
    subscriber: "Participant"
    handle: int
    """By which the subscriber knows the track."""


class Tracks:
    """What one participant publishes, wants and hears."""

    def __init__(self, first_handle: int = 0, *, enabled: bool = True) -> None:
        """*first_handle*: some number, so that nobody relies on handles to be small."""
        self.enabled = enabled
        """Whether there are data tracks on this server at all."""
        self.published: dict[int, DataTrack] = {}
        """By the participant's own handle."""
        self.heard: dict[str, DataSubscription] = {}
        """By the track's SID."""
        self.wanted: dict[str, None] = {}
        """SIDs, in the order in which they were asked for."""
        self.ignored = 0
        """Frames that were none, or of no track."""
        self._next_handle = first_handle

    def hear(self, data: bytes) -> None:
        """A frame from the participant's client."""
        try:
            track = self.published.get(frames.handle_of(data))
        except WireError:
            track = None
        if track is None:
            self.ignored += 1
        else:
            track.forward(data)

    def take_handle(self) -> int:
        """A handle for another subscription: from 1 to 65535, none that is in use."""
        used = {each.handle for each in self.heard.values()}
        while True:
            self._next_handle = self._next_handle % 0xFFFF + 1
            if self._next_handle not in used:
                return self._next_handle


def publish(room: "Room", track: DataTrack) -> None:
    """Everybody may hear *track* from now on."""
    publisher = track.publisher
    publisher.data_tracks.published[track.info.handle] = track
    room.data_tracks[track.info.sid] = track
    room.begins_to_publish(publisher)
    room.tell(publisher, urgent=True)
    for other in room.participants.values():
        if other.who.auto_subscribe_data_tracks and other is not publisher:
            _want(other, track.info.sid)
        if _subscribe(other, track):
            other.listener.data_tracks_changed()


def unpublish(room: "Room", track: DataTrack) -> None:
    """Nobody hears *track* any more."""
    publisher, sid = track.publisher, track.info.sid
    if room.data_tracks.pop(sid, None) is None:
        return
    del publisher.data_tracks.published[track.info.handle]
    room.tell(publisher, urgent=True)
    for other in room.participants.values():
        other.data_tracks.wanted.pop(sid, None)
    for each in list(track.subscriptions.values()):
        _drop(each)
        each.subscriber.listener.data_tracks_changed()


def choose(room: "Room", participant: "Participant", choices: Mapping[str, bool]) -> None:
    """*participant* wants to hear some tracks, by SID, as far and as soon as it may; others not."""
    for sid, wanted in choices.items():
        if wanted:
            _want(participant, sid)
        else:
            participant.data_tracks.wanted.pop(sid, None)
    _reconcile(room, participant)


def arrive(room: "Room", participant: "Participant") -> None:
    """*participant* is connected: who hears everything hears what there is."""
    if participant.who.auto_subscribe_data_tracks:
        choose(room, participant, dict.fromkeys(room.data_tracks, True))


def review(room: "Room", participant: "Participant") -> None:
    """*participant* has other rights, or gives others to those who hear it."""
    published = participant.data_tracks.published
    if not participant.who.grants.can_publish_data:
        for track in list(published.values()):
            unpublish(room, track)
    _reconcile(room, participant)
    sids = {each.info.sid for each in published.values()}
    for other in room.participants.values():
        if not sids.isdisjoint(other.data_tracks.wanted):
            _reconcile(room, other)


def depart(room: "Room", participant: "Participant") -> None:
    """*participant* is gone, with all that it published and heard. It need not be told so."""
    for track in list(participant.data_tracks.published.values()):
        unpublish(room, track)
    for subscription in list(participant.data_tracks.heard.values()):
        _drop(subscription)


def may_hear(participant: "Participant", track: DataTrack) -> bool:
    """Whether *participant* has the right to hear *track*, and it is another's."""
    publisher = track.publisher
    return (
        publisher is not participant
        and participant.who.grants.can_subscribe
        and publisher.lets(participant, track.info.sid)
    )


def _want(participant: "Participant", sid: str) -> None:
    wanted = participant.data_tracks.wanted
    if len(wanted) < MAX_WANTED:
        wanted.setdefault(sid)


def _reconcile(room: "Room", participant: "Participant") -> None:
    """Let *participant* hear what it wants and may, and nothing else; tell it of changes."""
    tracks, changed = participant.data_tracks, False
    for sid, subscription in list(tracks.heard.items()):
        if sid not in tracks.wanted or not may_hear(participant, subscription.track):
            _drop(subscription)
            changed = True
    for sid in tracks.wanted:
        track = room.data_tracks.get(sid)
        changed |= track is not None and _subscribe(participant, track)
    if changed:
        participant.listener.data_tracks_changed()


def _subscribe(participant: "Participant", track: DataTrack) -> bool:
    """Whether *participant* hears *track* now, and did not yet."""
    tracks, sid = participant.data_tracks, track.info.sid
    if sid in tracks.heard or sid not in tracks.wanted or not may_hear(participant, track):
        return False
    subscription = DataSubscription(track, participant, tracks.take_handle())
    tracks.heard[sid] = track.subscriptions[participant.sid] = subscription
    return True


def _drop(subscription: DataSubscription) -> None:
    track, subscriber = subscription.track, subscription.subscriber
    subscriber.data_tracks.heard.pop(track.info.sid, None)
    track.subscriptions.pop(subscriber.sid, None)
