"""One subscriber's view of one track: what they asked for, what waits, how it is renumbered.

A subscription is *wanted* from the moment it is made, and *bound* once an answer
of the subscriber's client says that it takes the track's codec. Only then does
anything pass. The publisher's turn fills its queue; everything else happens in
the subscriber's.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from trio_sfu import ntp
from trio_sfu.peer.events import PeerState
from trio_sfu.peer.media import Format
from trio_sfu.room.filler import Filler, black, silence
from trio_sfu.room.forwarder import Forwarder
from trio_sfu.room.info import TrackKind, TrackSettings
from trio_sfu.room.queue import Overflow, SubscriberQueue
from trio_sfu.room.redundancy import choose
from trio_sfu.rtp.packet import Outgoing, RtpPacket

if TYPE_CHECKING:
    from trio_sfu.room.connection import PeerConnection
    from trio_sfu.room.participant import Participant
    from trio_sfu.room.track import PublishedTrack

VIDEO_QUEUE: Final = 512
AUDIO_QUEUE: Final = 64
"""Packets: about a second of 5 Mbit/s, and of 20 ms frames."""


@attrs.define(eq=False)
class Subscription:
    """Made by `PublishedTrack.subscribe` only."""

    track: "PublishedTrack"
    subscriber: "Participant"
    connection: "PeerConnection"
    ssrc: int
    rtx_ssrc: int
    settings: TrackSettings = attrs.Factory(TrackSettings)
    mid: str = ""
    """Of the section that carries it; "" until it has one."""
    forwarder: Forwarder | None = None
    """None until it is bound."""
    since: float = 0.0
    """When it was begun."""
    filler: Filler | None = None
    """What we send of our own, while the publisher sends nothing."""
    queue: SubscriberQueue[RtpPacket] = attrs.field(init=False)
    audio: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.audio = self.track.info.kind is TrackKind.AUDIO
        if self.audio:
            self.queue = SubscriberQueue(AUDIO_QUEUE, keep=AUDIO_QUEUE)
        else:
            self.queue = SubscriberQueue(VIDEO_QUEUE)

    @property
    def bound(self) -> bool:
        return self.forwarder is not None

    def bind(self, formats: Mapping[int, Format], now: float) -> bool:
        """The client's answer takes *formats* in our section. False: not this track's codec."""
        chosen = choose(self.track.info.mime, formats, adapt=not self.track.encrypted)
        if chosen is None:
            return False
        if self.forwarder is None:
            self.forwarder = Forwarder(
                chosen.format.mime,
                ssrc=self.ssrc,
                payload_type=chosen.payload_type,
                clock_rate=chosen.format.clock_rate,
                adapter=chosen.adapter,
            )
            if self.track.info.muted:
                self.forwarder.mute()
            for layer, clock in self.track.clocks.items():
                self.forwarder.note_report(layer, ntp.from_unix(clock.ntp), clock.timestamp)
            self.retarget(now)
        return True

    def unbind(self) -> None:
        if self.forwarder is not None:
            self.connection.drops.update(self.forwarder.drops)
        self.forwarder = None
        self.fill(None)

    def change(self, settings: TrackSettings, now: float) -> None:
        """The subscriber asks for another layer, or for none."""
        self.settings = settings
        self.retarget(now)

    def retarget(self, now: float) -> None:
        """Aim at the layer that the settings ask for, or the nearest that flows."""
        if self.forwarder is None:
            return
        if self.settings.disabled:
            self.forwarder.set_target(None)
        else:
            wanted = self.track.layer_for(self.settings, self.subscriber.max_quality)
            self.forwarder.set_target(self.track.presence.best(wanted))
            self.want_key_frame(now)

    def want_key_frame(self, now: float) -> None:
        """Ask the publisher for what the forwarder waits for, if it waits."""
        forwarder = self.forwarder
        if forwarder is not None and (layer := forwarder.needs_key_frame) is not None:
            self.track.want_key_frame(layer, now)

    def key_frame_lost(self, now: float) -> None:
        """The client cannot decode what it gets: it needs a key frame of just that."""
        if self.filler is not None:
            return
        if self.forwarder is not None and self.forwarder.current is not None:
            self.track.want_key_frame(self.forwarder.current, now)

    def mute(self, *, muted: bool, now: float) -> None:
        """The publisher fell silent, or speaks again."""
        if self.forwarder is None:
            return
        if muted:
            self.forwarder.mute()
            if self.audio:
                self.fill(silence(self.forwarder.mime, self.track.trailer, now))
        else:
            self.fill(None)
            self.forwarder.unmute()
            self.want_key_frame(now)

    def fill(self, filler: Filler | None) -> None:
        """Send what says nothing; None: no longer."""
        self.filler = filler
        self.connection.fill(self)

    def open(self, now: float) -> None:
        """Send something, though the publisher is muted: the client waits for a packet."""
        if self.forwarder is not None and self.track.info.muted:
            make = silence if self.audio else black
            self.fill(make(self.forwarder.mime, self.track.trailer, now))

    def fade(self, now: float, over: Callable[[], None]) -> bool:
        """End with black; whether there is any, and *over* is called after it."""
        if self.audio or self.forwarder is None or self.connection.state is not PeerState.CONNECTED:
            return False
        filler = black(self.forwarder.mime, self.track.trailer, now)
        if filler is None or self.forwarder.current is None:
            return False
        filler.over = over
        self.forwarder.mute()
        self.fill(filler)
        return True

    def put(self, layer: int, packets: list[RtpPacket]) -> None:
        """In the publisher's turn: the same *packets* for everybody."""
        if self.forwarder is not None and self.forwarder.hears(layer):
            self.queue.put(layer, packets)
            self.connection.ready(self)

    def take(self, now: float) -> list[Outgoing]:
        """In the subscriber's turn: all that waits, renumbered."""
        forwarder = self.forwarder
        outgoing: list[Outgoing] = []
        for item in self.queue.take():
            if forwarder is None:
                continue
            if isinstance(item, Overflow):
                forwarder.overflowed(item)
            else:
                layer, packets = item
                outgoing += forwarder.forward(layer, packets)
        if self.filler is not None:
            outgoing += self._filled(self.filler, now)
        elif not self.audio:
            self.want_key_frame(now)
        return outgoing

    def _filled(self, filler: Filler, now: float) -> list[Outgoing]:
        forwarder, due = self.forwarder, filler.take_due(now)
        if not filler.remaining:
            self.fill(None)
            filler.over()
        if forwarder is None:
            return []
        return [forwarder.insert(filler.payload, filler.interval, now) for _ in range(due)]
