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

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog
import trio

from trio_sfu.config import RoomConfig
from trio_sfu.core import Entropy
from trio_sfu.room.contain import contain
from trio_sfu.room.info import LeaveReason, ParticipantState
from trio_sfu.room.participant import Participant
from trio_sfu.room.speakers import INTERVAL, Speakers
from trio_sfu.room.subscription import Subscription
from trio_sfu.room.track import PublishedTrack

log = structlog.get_logger(__name__)

Life = Callable[[Participant], Awaitable[object]]
"""What a participant's client does in the room: returns when it is done with it."""


class RoomClosed(Exception):  # noqa: N818 - no failure: the caller makes a new room
    """The room ended while somebody wanted to join it."""


class Room:
    """Everyone who hears each other. Made by `run_room` only."""

    def __init__(
        self, sid: str, name: str, config: RoomConfig, entropy: Entropy, nursery: trio.Nursery
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
        self.speakers = Speakers()
        self.expires = math.inf
        """When an empty room closes, on Trio's clock."""
        self._nursery = nursery
        self._expiry = trio.Event()

    @property
    def closed(self) -> bool:
        return self._nursery.cancel_scope.cancel_called

    @property
    def publishers(self) -> int:
        return sum(each.is_publisher for each in self.participants.values())

    def close(self, reason: LeaveReason = LeaveReason.ROOM_CLOSED) -> None:
        for participant in self.participants.values():
            participant.leave(reason)
        self._nursery.cancel_scope.cancel()

    # --- coming and going

    async def join(self, participant: Participant, life: Life) -> None:
        """Return once *participant* is in. If it raises, `Cancelled` too, they are not.

        Somebody of the same identity leaves first. Raises `RoomClosed`.
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
        self.participants[participant.identity] = participant
        participant.on_active = lambda: self.activate(participant)
        self._expect_departure()
        try:
            yield
        finally:
            del self.participants[participant.identity]
            for track in list(participant.tracks.values()):
                self.unpublish(track)
            for subscription in list(participant.subscriptions.values()):
                self.unsubscribe(subscription)
            participant.state = ParticipantState.DISCONNECTED
            self.tell(participant, urgent=True)
            self._expect_departure()
            participant.gone.set()

    def activate(self, participant: Participant) -> None:
        """Media can flow: *participant* hears all that there is."""
        if participant.state < ParticipantState.ACTIVE:
            participant.state = ParticipantState.ACTIVE
            self.tell(participant, urgent=participant.is_publisher)
            self.subscribe_to_all(participant)

    def tell(self, participant: Participant, *, urgent: bool) -> None:
        """Everybody learns what *participant* now says of themselves."""
        participant.version += 1
        for other in self.participants.values():
            if other is participant or not participant.hidden:
                other.listener.participant_changed(participant, urgent=urgent)

    def _expect_departure(self) -> None:
        """An empty room is closed after a while; one with somebody in it is not."""
        empty = all(each.who.dependent for each in self.participants.values())
        self.expires = trio.current_time() + self.config.departure_timeout if empty else math.inf
        self._expiry.set()

    async def expire(self) -> None:
        """Close the room when it has been empty for long enough."""
        self.expires = trio.current_time() + self.config.empty_timeout
        while trio.current_time() < self.expires:
            self._expiry = trio.Event()
            with trio.move_on_at(self.expires):
                await self._expiry.wait()
        self.close()

    # --- tracks

    def publish(self, track: PublishedTrack) -> None:
        """*track* has media, or will have it at once: everybody may hear it."""
        publisher = track.publisher
        publisher.tracks[track.sid] = track
        publisher.is_publisher = True
        track.connection.tracks[track.info.mid] = track
        self.tell(publisher, urgent=True)
        for other in self.participants.values():
            if other.state is ParticipantState.ACTIVE and other.who.auto_subscribe:
                self.subscribe(other, track)
        log.info(
            "track published",
            room=self.name,
            participant=publisher.identity,
            track=track.sid,
            source=track.info.source.value,
            mime=track.info.mime,
        )

    def unpublish(self, track: PublishedTrack) -> None:
        """Nobody hears *track* any more."""
        publisher = track.publisher
        for subscription in list(track.subscriptions.values()):
            self.unsubscribe(subscription)
        publisher.tracks.pop(track.sid, None)
        if track.connection.tracks.get(track.info.mid) is track:
            del track.connection.tracks[track.info.mid]
        self.speakers.forget(track.sid)
        self.tell(publisher, urgent=True)
        log.info(
            "track unpublished", room=self.name, participant=publisher.identity, track=track.sid
        )

    def mute(self, track: PublishedTrack, *, muted: bool) -> None:
        """*track*'s publisher falls silent, or does no longer."""
        track.mute(muted=muted, now=trio.current_time())
        if muted:
            self.speakers.forget(track.sid)
        self.tell(track.publisher, urgent=True)

    # --- subscriptions

    def subscribe_to_all(self, participant: Participant) -> None:
        if participant.who.auto_subscribe:
            for other in self.participants.values():
                for track in other.tracks.values():
                    self.subscribe(participant, track)

    def subscribe(self, participant: Participant, track: PublishedTrack) -> Subscription | None:
        """*participant* wants *track*; None if they may not hear it, or it is their own."""
        if track.publisher is participant or not participant.who.grants.can_subscribe:
            return None
        if track.sid not in participant.subscriptions:
            subscription = track.subscribe(participant, participant.downlink, self.entropy)
            participant.subscriptions[track.sid] = subscription
            participant.listener.subscriptions_changed()
        return participant.subscriptions[track.sid]

    def unsubscribe(self, subscription: Subscription) -> None:
        participant, track = subscription.subscriber, subscription.track
        subscription.unbind()
        participant.subscriptions.pop(track.sid, None)
        track.subscriptions.pop(participant.sid, None)
        participant.listener.subscriptions_changed()

    def bound(self, subscription: Subscription) -> None:
        """*subscription*'s client takes the track: tell the publisher, the first time."""
        track = subscription.track
        if not track.told_subscribed and not subscription.subscriber.hidden:
            track.told_subscribed = True
            track.publisher.listener.track_subscribed(track)

    # --- speakers

    async def speak(self) -> None:
        """Tell everybody who is heard, four hundred milliseconds at a time."""
        while True:
            await trio.sleep(INTERVAL)
            changed = self.speakers.update(trio.current_time())
            if not changed:
                continue
            for participant in self.participants.values():
                heard = {each.track.publisher.sid for each in participant.subscriptions.values()}
                heard.add(participant.sid)
                if mine := [each for each in changed if each.sid in heard]:
                    participant.listener.speakers_changed(mine)

    def find_track(self, sid: str) -> PublishedTrack | None:
        for participant in self.participants.values():
            if (track := participant.tracks.get(sid)) is not None:
                return track
        return None


async def run_room(
    make: Callable[[trio.Nursery], Room], task_status: trio.TaskStatus[Room]
) -> None:
    """Keep a room open until somebody closes it, or nobody has been there for a while."""
    async with trio.open_nursery() as nursery:
        room = make(nursery)
        nursery.start_soon(room.speak)
        task_status.started(room)
        log.info("room started", room=room.name, sid=room.sid)
        await room.expire()
    log.info("room ended", room=room.name, sid=room.sid)
