"""What one participant publishes, and who hears it: the fan-out.

`forward` is the middle of a packet's walk. It runs in the publisher's turn and
gives every subscription the *same* list of packets, with nothing copied and
nobody waited for.
"""

from typing import TYPE_CHECKING

import attrs

from trio_sfu import ntp
from trio_sfu.core import Entropy
from trio_sfu.peer.events import RequestKeyFrame
from trio_sfu.peer.media import ReceiveSection, StreamKey
from trio_sfu.room.info import Quality, TrackInfo, TrackKind, TrackSettings
from trio_sfu.room.keyframes import KeyFrames
from trio_sfu.room.layers import layer_for
from trio_sfu.room.presence import Presence
from trio_sfu.room.speakers import Speakers
from trio_sfu.room.subscription import Subscription
from trio_sfu.rtp.extensions import AUDIO_LEVEL
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.receive import SenderClock

if TYPE_CHECKING:
    from trio_sfu.room.connection import PeerConnection
    from trio_sfu.room.participant import Participant


class PublishedTrack:
    """A track with its media: an m= section of its publisher's connection."""

    def __init__(
        self,
        info: TrackInfo,
        publisher: "Participant",
        connection: "PeerConnection",
        section: ReceiveSection,
        client_id: str = "",
    ) -> None:
        """*client_id* is what the publisher's msid calls the track."""
        self.info = info
        self.publisher = publisher
        self.connection = connection
        self.client_id = client_id
        self.subscriptions: dict[str, Subscription] = {}
        """By the subscriber's SID."""
        self.trailer = b""
        """What our own frames end with, so that encrypting clients know them."""
        self.told_subscribed = False
        """Whether the publisher knows that somebody hears it."""
        self.key_frames = KeyFrames()
        self.presence = Presence()
        self.clocks: dict[int, SenderClock] = {}
        """By layer: which timestamp belongs to which of the publisher's times."""
        self.reconfigure(section)

    def reconfigure(self, section: ReceiveSection) -> None:
        """A later offer says of *section* something else than before."""
        self.section = section
        self._level_id = section.extensions.get(AUDIO_LEVEL, 0)
        self._layers = {rid: layer for layer, rid in enumerate(section.rids)}

    def layer_for(self, settings: TrackSettings, ceiling: Quality = Quality.HIGH) -> int:
        """The layer to aim at. More may have been announced than were negotiated."""
        return min(layer_for(settings, self.info, ceiling), max(0, len(self.section.rids) - 1))

    @property
    def sid(self) -> str:
        return self.info.sid

    @property
    def encrypted(self) -> bool:
        """Whether only the other clients can read what is in its packets."""
        return self.info.encryption != 0

    @property
    def stream_id(self) -> str:
        """As clients expect it in an msid: whose, and which."""
        return f"{self.publisher.sid}|{self.info.sid}"

    def subscribe(
        self, subscriber: "Participant", connection: "PeerConnection", entropy: Entropy
    ) -> Subscription:
        """*subscriber*'s subscription, made if there is none yet."""
        subscription = self.subscriptions.get(subscriber.sid)
        if subscription is None:
            ssrc, rtx_ssrc = (1 + int.from_bytes(entropy(4), "big") % 0xFFFF_FFFE for _ in "12")
            subscription = Subscription(self, subscriber, connection, ssrc, rtx_ssrc)
            self.subscriptions[subscriber.sid] = subscription
        return subscription

    def mute(self, *, muted: bool, now: float) -> None:
        """The publisher falls silent, or does no longer."""
        self.info = attrs.evolve(self.info, version=self.info.version + 1, muted=muted)
        for subscription in self.subscriptions.values():
            subscription.mute(muted=muted, now=now)

    def note_clock(self, stream: StreamKey, clock: SenderClock | None) -> None:
        """What the publisher's last sender report says, new or not."""
        layer = self._layers.get(stream.rid, 0)
        if clock is not None and self.clocks.get(layer) is not clock:
            self.clocks[layer] = clock
            for subscription in self.subscriptions.values():
                if subscription.forwarder is not None:
                    time = ntp.from_unix(clock.ntp)
                    subscription.forwarder.note_report(layer, time, clock.timestamp)

    def forward(
        self, stream: StreamKey, packets: list[RtpPacket], speakers: Speakers, now: float
    ) -> None:
        """Give what arrived of one encoding to everybody who wants it."""
        if self.info.muted:
            return
        layer = self._layers.get(stream.rid, 0)
        if self.info.kind is TrackKind.AUDIO:
            self._observe(packets, speakers, now)
        elif self._layers and self.presence.observe(layer, now):
            for subscription in self.subscriptions.values():
                subscription.retarget(now)
        if self.key_frames.waiting and any(
            packet.frame is not None and packet.frame.key_frame for packet in packets
        ):
            self.key_frames.served(layer)
        for subscription in self.subscriptions.values():
            subscription.put(layer, packets)

    def _observe(self, packets: list[RtpPacket], speakers: Speakers, now: float) -> None:
        for packet in packets:
            if value := packet.extensions.get(self._level_id):
                level = value[0] & 0x7F  # RFC 6464 section 3; the highest bit says "voice"
                speakers.observe(self.publisher.sid, self.sid, level, packet.timestamp, now)

    def want_key_frame(self, layer: int, now: float) -> None:
        """Somebody waits for a key frame of *layer*. Not everybody who asks costs one."""
        if self.info.kind is TrackKind.VIDEO:
            self.key_frames.want(layer, now)
            self.ask(now)

    def ask(self, now: float) -> None:
        """Ask the publisher for the key frames that are due."""
        for layer in self.key_frames.take_due(now):
            rids = self.section.rids
            rid = rids[layer] if layer < len(rids) else ""
            key = StreamKey(self.info.mid, rid)
            self.connection.mailbox.wish(RequestKeyFrame(key))
