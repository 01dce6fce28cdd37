"""A room is a nursery.

    server nursery
      room nursery                        closing it ends everything below
        speakers                          who is heard, every 400 ms
        participant scope: alice          leaving cancels exactly this
          a task a connection             hears alice, fills everybody else's queues,
                                          empties alice's queues, speaks to alice
          the signalling session          what her client and the room tell each other
        participant scope: bob ...

There is no reference count and no callback for leaving: the tree is the whole
shutdown procedure. All that a participant is in the room's tables is put there
and taken out by one `with`.
"""

import itertools
import math
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import attrs
import trio

from trio_sfu.config import CODECS, AudioConfig, RoomConfig
from trio_sfu.core import Entropy
from trio_sfu.room import datatracks, reconcile
from trio_sfu.room.contain import contain
from trio_sfu.room.data import Message, catch_up
from trio_sfu.room.datatracks import DataTrack
from trio_sfu.room.dispatches import Dispatches
from trio_sfu.room.info import LeaveReason, ParticipantState, TrackInfo
from trio_sfu.room.latecomers import Nonces, Recent
from trio_sfu.room.observe import (
    Observer,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantSeated,
    SubscriptionBegun,
    TrackPublished,
    TrackSubscribed,
    TrackUnpublished,
    ignore,
)
from trio_sfu.room.options import NOTHING, RoomOptions
from trio_sfu.room.participant import Participant
from trio_sfu.room.quality import MAX_QUALITY, Quality, quality_of
from trio_sfu.room.speakers import USUAL, Speaker, Speakers
from trio_sfu.room.subscription import Subscription
from trio_sfu.room.track import PublishedTrack

SIF_TRAILER: Final = 32
"""Random bytes of the trailer: enough that no frame of anybody's ends with it."""

REPORT_INTERVAL: Final = 5.0
"""Seconds between two reports of how many there are; LiveKit's."""

WOKEN_AT_ONCE: Final = 40
"""Participants that begin to tell their clients of a change in one turn of the loop. It takes
each some 100 microseconds, and 500 of them would hold up everybody's media."""

Life = Callable[[Participant], Awaitable[object]]
"""What a participant's client does in the room: returns when it is done with it."""


class RoomClosed(Exception):  # noqa: N818 - no failure: the caller makes a new room
    """The room ended while somebody wanted to join it."""


class RoomFull(Exception):  # noqa: N818 - no failure: an answer, and read as one
    """There are as many in the room as may be."""


class Room:
    """Everyone who hears each other. Made by `run_room` only."""

    def __init__(
        self,
        sid: str,
        name: str,
        config: RoomConfig,
        entropy: Entropy,
        nursery: trio.Nursery,
        audio: AudioConfig = USUAL,
    ) -> None:
        self.sid = sid
        self.name = name
        self.config = config
        self.entropy = entropy
        self.metadata = ""
        self.created_at = 0.0
        """Seconds since 1970."""
        self.participants: dict[str, Participant] = {}
        """By identity."""
        self.tracks: dict[str, PublishedTrack] = {}
        """All that is published, by SID."""
        self.sif_trailer = b64encode(entropy(SIF_TRAILER)).rstrip(b"=")
        """What our own frames end with where clients encrypt: they take it for no noise."""
        self.speakers = Speakers(audio)
        self.recent: Recent[Message] = Recent()
        self.nonces = Nonces()
        self.data_tracks: dict[str, DataTrack] = {}
        """By SID."""
        self.options = NOTHING
        """What was asked of it so far; see `configure`."""
        self.dispatches = Dispatches()
        self._empty_since = trio.current_time()
        self._visited = False
        self.observe: Observer = ignore
        """Told of what others outside want to know."""
        self.version = 0
        """Of what the room says of itself."""
        self._to_wake: dict[Participant, None] = {}
        self._to_inform: dict[Participant, None] = {}
        self._waking = trio.Event()
        self._nursery = nursery
        self._expiry = trio.Event()
        self._news = trio.Event()
        self._over = False
        self._close_reason = LeaveReason.ROOM_CLOSED

    @property
    def closed(self) -> bool:
        """Whether nobody is let in any more."""
        return self._over or self._nursery.cancel_scope.cancel_called

    @property
    def occupants(self) -> int:
        """Those for whom the room is there: all but agents and recorders."""
        return sum(not each.who.dependent for each in self.participants.values())

    @property
    def full(self) -> bool:
        """Whether nobody is let in but those who do not count."""
        return 0 < self.config.max_participants <= self.occupants

    @property
    def max_quality(self) -> Quality:
        """Of pictures that anybody gets here."""
        said = (self.config.max_quality, self.options.tags.get(MAX_QUALITY, ""))
        return min((quality_of(word) or Quality.LOW for word in said if word), default=Quality.HIGH)

    @property
    def enabled_codecs(self) -> tuple[str, ...]:
        """What may be published here, of what we forward; as RFC 6838's types, best first."""
        enabled = {mime.lower() for mime in self.config.enabled_codecs}
        return tuple(mime for mime in CODECS if mime.lower() in enabled)

    @property
    def publishers(self) -> int:
        return sum(each.is_publisher for each in self.participants.values())

    @property
    def recorded(self) -> bool:
        """Whether somebody here records the others."""
        return any(each.who.grants.recorder for each in self.participants.values())

    def close(self, reason: LeaveReason = LeaveReason.ROOM_CLOSED) -> None:
        """End the room; everybody in it is told *reason*."""
        self._close_reason = reason
        for participant in self.participants.values():
            participant.leave(reason)
        self._nursery.cancel_scope.cancel()

    # --- coming and going

    async def join(self, participant: Participant, life: Life) -> None:
        """Return once *participant* is in. If it raises, `Cancelled` too, they are not.

        Somebody of the same identity leaves first. Raises `RoomClosed`, `RoomFull`.
        """
        while (old := self.participants.get(participant.identity)) is not None:
            old.leave(LeaveReason.DUPLICATE_IDENTITY)
            await old.gone.wait()
        if self.closed:
            raise RoomClosed(self.name)
        await self._nursery.start(contain, participant.identity, self._host, participant, life)

    async def _host(
        self, participant: Participant, life: Life, task_status: trio.TaskStatus[None]
    ) -> None:
        with participant.scope, self._seat(participant):
            task_status.started()
            async with trio.open_nursery() as nursery:
                for connection in participant.connections.values():
                    nursery.start_soon(connection.run)
                await life(participant)
                nursery.cancel_scope.cancel()

    @contextmanager
    def _seat(self, participant: Participant) -> Iterator[None]:
        """A place in the room's tables."""
        if participant.identity in self.participants:
            raise RoomClosed(f"{participant.identity!r} came twice at once")
        if self.full and not participant.who.dependent:
            raise RoomFull(self.name)
        self.participants[participant.identity] = participant
        participant.room_quality = self.max_quality
        participant.on_active = lambda: self.activate(participant)
        participant.on_listening = lambda: catch_up(self, participant, trio.current_time())
        participant.inbox.enter(self.recent)
        if self.closed:  # it was closed since `join` looked
            participant.leave(self._close_reason)
        self._count(participant)
        self.observe(ParticipantSeated(self, participant))
        try:
            yield
        finally:
            aborted = participant.state is not ParticipantState.ACTIVE
            del self.participants[participant.identity]
            for track in list(participant.tracks.values()):
                self.unpublish(track)
            for subscription in list(participant.subscriptions.values()):
                self.detach(subscription)
            datatracks.depart(self, participant)
            participant.calls.end()
            participant.advance(ParticipantState.DISCONNECTED)
            self.tell(participant, urgent=participant.is_publisher)
            self._count(participant)
            self.observe(ParticipantLeft(self, participant, aborted))
            participant.gone.set()

    def activate(self, participant: Participant) -> None:
        """Media can flow: *participant* hears all that there is."""
        participant.was_connected = True
        if participant.advance(ParticipantState.ACTIVE):
            self.tell(participant, urgent=participant.is_publisher)
            self.observe(ParticipantJoined(self, participant))
            reconcile.offer(self, participant, self.tracks.values())
            datatracks.arrive(self, participant)

    def tell(self, participant: Participant, *, urgent: bool, themselves: bool = False) -> None:
        """Everybody learns what *participant* now says of themselves, they only if asked for."""
        participant.version += 1
        for other in self.participants.values():
            if themselves if other is participant else not participant.hidden:
                other.listener.participant_changed(participant, urgent=urgent)
                if urgent:
                    self._to_wake[other] = None
        self._wake()
        if self._to_wake:
            self._waking.set()

    def _wake(self) -> None:
        """Let some of those speak who have something urgent to tell their clients."""
        for participant in list(itertools.islice(self._to_wake, WOKEN_AT_ONCE)):
            del self._to_wake[participant]
            participant.listener.deadline_moved()

    async def wake(self) -> None:
        """Let the others speak in the turns after that: media goes on between two turns."""
        while True:
            await self._waking.wait()
            self._waking = trio.Event()
            while self._to_wake or self._to_inform:
                await trio.lowlevel.checkpoint()
                self._wake()
                self._inform()

    def _count(self, participant: Participant) -> None:
        """*participant* came or went."""
        self._news.set()
        if participant.who.grants.recorder:
            self.changed()
        self.reckon()

    def reckon(self) -> None:
        """Perhaps there is nobody any more for whom the room is there: then it ends, after a while.

        An agent that waits for somebody to come neither hurries nor delays that.
        """
        if self.occupants:
            self._visited, self._empty_since = True, math.inf
        elif self._empty_since == math.inf:
            self._empty_since = trio.current_time()
        self._expiry.set()

    @property
    def expires(self) -> float:
        """When an empty room closes, on Trio's clock."""
        config = self.config
        return self._empty_since + (
            config.departure_timeout if self._visited else config.empty_timeout
        )

    def configure(self, options: RoomOptions) -> None:
        """Be as *options* say, and as before where they say nothing."""
        before = self.config, self.metadata
        quality = self.max_quality
        self.options = options.over(self.options)
        self.config = options.apply(self.config)
        if self.max_quality != quality:
            for participant in self.participants.values():
                participant.room_quality = self.max_quality
                participant.aim_again()
        self.metadata = options.metadata or self.metadata
        self._expiry.set()
        if (self.config, self.metadata) != before:
            self.changed()

    def changed(self) -> None:
        """The room itself is another than it was: everybody is told so."""
        self.version += 1
        self._to_inform.update(dict.fromkeys(self.participants.values()))
        self._inform()
        if self._to_inform:
            self._waking.set()

    def _inform(self) -> None:
        for participant in list(itertools.islice(self._to_inform, WOKEN_AT_ONCE)):
            del self._to_inform[participant]
            participant.listener.room_changed()

    async def report(self) -> None:
        """Tell everybody how many there are, at most so often."""
        while True:
            await self._news.wait()
            self._news = trio.Event()
            self.changed()
            await trio.sleep(REPORT_INTERVAL)

    async def expire(self) -> None:
        """Close the room when it has been empty for long enough."""
        while trio.current_time() < self.expires:
            self._expiry = trio.Event()
            with trio.move_on_at(self.expires):
                await self._expiry.wait()
        self.close()

    def end(self) -> None:
        """Let nobody in any more: whatever ends the room has begun to."""
        self._over = True

    # --- tracks

    def begins_to_publish(self, participant: Participant) -> None:
        """*participant* has something for the others."""
        if not participant.is_publisher:
            participant.is_publisher = True
            self._news.set()

    def publish(self, track: PublishedTrack) -> None:
        """*track* has media, or will have it at once: everybody may hear it."""
        publisher = track.publisher
        track.trailer = self.sif_trailer if track.encrypted else b""
        publisher.tracks[track.sid] = self.tracks[track.sid] = track
        self.begins_to_publish(publisher)
        track.connection.tracks[track.info.mid] = track
        self.tell(publisher, urgent=True)
        for other in self.participants.values():
            if other.state is ParticipantState.ACTIVE or other.wanted.wants(track.sid):
                reconcile.offer(self, other, [track])
        self.observe(TrackPublished(self, track))

    def unpublish(self, track: PublishedTrack) -> None:
        """Nobody hears *track* any more."""
        publisher = track.publisher
        for subscription in list(track.subscriptions.values()):
            self.detach(subscription)
        publisher.tracks.pop(track.sid, None)
        self.tracks.pop(track.sid, None)
        reconcile.ended(self, track)
        if track.connection.tracks.get(track.info.mid) is track:
            del track.connection.tracks[track.info.mid]
        self.speakers.forget(track.sid)
        self.tell(publisher, urgent=True)
        self.observe(TrackUnpublished(self, track))

    def mute(self, track: PublishedTrack, *, muted: bool, themselves: bool = False) -> None:
        """*track*'s publisher falls silent, or does no longer; *themselves* as in `tell`."""
        track.mute(muted=muted, now=trio.current_time())
        if muted:
            self.speakers.forget(track.sid)
        self.tell(track.publisher, urgent=True, themselves=themselves)

    def retouch(self, track: PublishedTrack, info: TrackInfo) -> None:
        """*track* says *info* of itself from now on."""
        if info != track.info:
            track.info = attrs.evolve(info, version=track.info.version + 1)
            self.tell(track.publisher, urgent=True)
            for subscription in track.subscriptions.values():  # its size decides on layers
                subscription.retarget(trio.current_time())

    # --- subscriptions

    def attach(self, participant: Participant, track: PublishedTrack) -> Subscription:
        """Begin to send *track* to *participant*: `reconcile` says when."""
        if (fading := participant.fading.pop(track.sid, None)) is not None:
            fading.unbind()
        subscription = track.subscribe(participant, participant.hearing, self.entropy)
        subscription.since = trio.current_time()
        participant.subscriptions[track.sid] = subscription
        self.observe(SubscriptionBegun(self, subscription))
        participant.listener.subscriptions_changed()
        return subscription

    def detach(self, subscription: Subscription) -> None:
        """Send it no longer: `reconcile` says when, or one of its ends is gone."""
        participant, track = subscription.subscriber, subscription.track
        participant.subscriptions.pop(track.sid, None)
        track.subscriptions.pop(participant.sid, None)
        stays = self.participants.get(participant.identity) is participant
        if stays and subscription.fade(trio.current_time(), partial(self._faded, subscription)):
            participant.fading[track.sid] = subscription
        else:
            subscription.unbind()
            participant.listener.subscriptions_changed()
        speaker = self.speakers.speaking(track.publisher.sid)
        if speaker.active and not participant.hears(track.publisher):
            silent = Speaker(speaker.sid, 0.0, active=False)
            participant.listener.speakers_changed([silent])

    def _faded(self, subscription: Subscription) -> None:
        """Its last picture was sent: now its section may go, or be another's."""
        participant, sid = subscription.subscriber, subscription.track.sid
        if participant.fading.get(sid) is subscription:
            del participant.fading[sid]
            participant.listener.subscriptions_changed()

    def bound(self, subscription: Subscription) -> None:
        """*subscription*'s client takes the track, since now."""
        track, subscriber = subscription.track, subscription.subscriber
        self.observe(TrackSubscribed(self, subscription))
        if not track.told_subscribed and not subscriber.hidden:
            track.told_subscribed = True
            track.publisher.listener.track_subscribed(track)
        speaker = self.speakers.speaking(track.publisher.sid)
        if speaker.active:
            subscriber.listener.speakers_changed([speaker])

    # --- speakers

    async def speak(self) -> None:
        """Tell everybody who is heard, four hundred milliseconds at a time."""
        while True:
            await trio.sleep(self.speakers.interval)
            changed = self.speakers.update(trio.current_time())
            if not changed:
                continue
            for participant in self.participants.values():
                heard = {each.track.publisher.sid for each in participant.subscriptions.values()}
                heard.add(participant.sid)
                if mine := [each for each in changed if each.sid in heard]:
                    participant.listener.speakers_changed(mine)


async def run_room(
    make: Callable[[trio.Nursery], Room], task_status: trio.TaskStatus[Room]
) -> None:
    """Keep a room open until somebody closes it, or nobody has been there for a while."""
    async with trio.open_nursery() as nursery:
        room = make(nursery)
        nursery.start_soon(room.speak)
        nursery.start_soon(room.report)
        nursery.start_soon(room.wake)
        task_status.started(room)
        try:
            await room.expire()
        finally:
            room.end()
