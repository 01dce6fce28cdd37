"""One PeerConnection of a participant: its peer, its mailbox, and what passes through.

A participant has two of them on `/rtc` (one to publish, one to subscribe) and
one on `/rtc/v1`. Its peer is touched in its turns only, see `trio_sfu.net.turns`. What
others may do is leave a wish in the mailbox, or put packets into the queue of a
subscription and call `ready`.
"""

import enum
from collections import Counter
from collections.abc import Callable

import structlog
import trio

from trio_sfu.core import Datagram
from trio_sfu.ice.credentials import Credentials
from trio_sfu.net.driver import drive
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.net.mailbox import Mailbox
from trio_sfu.peer.events import (
    AddressProved,
    Event,
    KeyFrameWanted,
    PeerState,
    RestartIce,
    StateChanged,
    Wish,
)
from trio_sfu.peer.transport import PeerTransport
from trio_sfu.room.filler import Filler
from trio_sfu.room.rewriter import Drop
from trio_sfu.room.speakers import Speakers
from trio_sfu.room.subscription import Subscription
from trio_sfu.room.track import PublishedTrack

log = structlog.get_logger(__name__)


class Target(enum.IntEnum):
    """Which of a participant's connections; the values are LiveKit's SignalTarget."""

    PUBLISHER = 0
    SUBSCRIBER = 1


class PeerConnection:
    """A core for the driver: the peer's own, and the deadlines of what it publishes."""

    def __init__(
        self,
        target: Target,
        peer: PeerTransport,
        endpoint: Endpoint,
        speakers: Speakers,
        hear: Callable[["PeerConnection", Event], None],
    ) -> None:
        """*speakers* is the room's; *hear* is told every event that is not about media,
        in this connection's turn."""
        self.target = target
        self.peer = peer
        self.take_datagrams = peer.take_datagrams  # a core's, and there is nothing to add
        self.state = PeerState.NEW
        self.local = peer.ice.local
        """Our newest credentials, which its client is told, or will be."""
        self.mailbox: Mailbox[Wish] = Mailbox()
        self.tracks: dict[str, PublishedTrack] = {}
        """What its client sends to us, by mid."""
        self.subscriptions: dict[str, Subscription] = {}
        """What we send to its client, by mid."""
        self.drops: Counter[Drop] = Counter()
        """What was not forwarded, and why, in subscriptions that are no more."""
        self.latency = 0.0
        """Seconds from a packet's arrival to its sending, of what was sent last."""
        self._endpoint = endpoint
        self._speakers = speakers
        self._hear = hear
        self._heard = False
        """Whether the peer has anything to say: that it was asked costs as much as a turn."""
        self._filling: dict[Subscription, Filler] = {}
        self._audio: dict[Subscription, None] = {}
        self._video: dict[Subscription, None] = {}

    async def run(self) -> None:
        """Be reached, and have turns, until cancelled."""
        self._endpoint.expect(self.peer.ufrag, self.mailbox)
        try:
            send = self._endpoint.sender(self.mailbox)
            await drive(self, self.mailbox, self._step, send, self._endpoint.turns)
        finally:
            # Sending never waits, so a goodbye fits into a cancellation.
            self.peer.close(trio.current_time())
            self._endpoint.send(self.peer.take_datagrams())
            self._endpoint.forget(self.mailbox)

    def restart(self, ours: Credentials) -> None:
        """Begin ICE again with new credentials of ours. Media stays on the old path until
        there is a new one; the description that tells the client of them may follow at once."""
        self.local = ours
        self._endpoint.expect(ours.ufrag, self.mailbox)
        self.mailbox.wish(RestartIce(ours))

    def ready(self, subscription: Subscription) -> None:
        """Something waits in *subscription*'s queue."""
        (self._audio if subscription.audio else self._video)[subscription] = None
        self.mailbox.ring()

    def fill(self, subscription: Subscription) -> None:
        """*subscription* has another filler, or none any more."""
        if subscription.filler is None:
            self._filling.pop(subscription, None)
        else:
            self._filling[subscription] = subscription.filler
            self.ready(subscription)

    # --- what the driver asks of a core

    @property
    def deadline(self) -> float:
        deadline = self.peer.deadline
        if self.tracks:
            asked = min(track.key_frames.deadline for track in self.tracks.values())
            deadline = min(deadline, asked)
        if self._filling:
            deadline = min(deadline, *(each.deadline for each in self._filling.values()))
        return deadline

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        self.peer.receive(datagrams, now)
        self._heard = True

    def handle_timeout(self, now: float) -> None:
        if now >= self.peer.deadline:
            self.peer.handle_timeout(now)
            self._heard = True
        for track in self.tracks.values():
            track.ask(now)
        for subscription, filler in self._filling.items():
            if now >= filler.deadline:
                self.ready(subscription)

    # --- between hearing and speaking

    def _step(self, now: float) -> None:
        if self.mailbox.wishes:
            self._grant(now)
        if self._heard:
            self._heard = False
            self._listen(now)
        if self._audio or self._video:
            self._speak(now)

    def _grant(self, now: float) -> None:
        """Do what others wished."""
        self._heard = True
        for wish in self.mailbox.take_wishes():
            self.peer.grant(wish, now)
            if isinstance(wish, RestartIce):
                # A client that restarts for ever leaves no names behind.
                self._endpoint.expect_only(self.peer.ice.ufrags, self.mailbox)
                self._endpoint.expect(wish.credentials.ufrag, self.mailbox)

    def _listen(self, now: float) -> None:
        """Hand on what the peer says."""
        for stream, packets in self.peer.take_media():
            if (track := self.tracks.get(stream.mid)) is not None:
                track.note_clock(stream, self.peer.incoming.sender_clock(stream))
                track.forward(stream, packets, self._speakers, now)
        for event in self.peer.take_events():
            self._on_event(event, now)

    def _speak(self, now: float) -> None:
        """Send what waits, audio first: it is small, and its delay is heard."""
        waiting = [*self._audio, *self._video]
        self._audio.clear()
        self._video.clear()
        outgoing = [packet for each in waiting for packet in each.take(now)]
        if outgoing:
            self.latency = now - outgoing[0].packet.arrival
            self.peer.send_media(outgoing, now)

    def _on_event(self, event: Event, now: float) -> None:
        match event:
            case AddressProved(remote):
                self._endpoint.bind(remote, self.mailbox)
            case KeyFrameWanted(mid):
                if (subscription := self.subscriptions.get(mid)) is not None:
                    subscription.key_frame_lost(now)
            case StateChanged(state):
                self.state = state
                self._hear(self, event)
            case _:
                self._hear(self, event)
