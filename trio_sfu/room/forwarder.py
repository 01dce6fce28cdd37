"""One subscriber's copy of a track: packets in, decisions out.

The subscriber shall believe that it hears one encoder that never stops. In truth
it is moved between the layers of a simulcast, packets are left out for it, and the
publisher may begin anew at any time. Each of these would show in numbers, so each
kind of number has somebody who mends it, always in the same way: by an offset,
chosen where a *source* (a layer, an SSRC) begins or begins again, and kept until
the next time.

    rewriter     sequence numbers
    timeline     timestamps
    pictures     VP8's picture ids; the descriptor is rewritten by a patch
    redundancy   of sound: the form in which a subscriber takes it, in the same way

Where video was left out (an overflow, a mute), what follows is of no use before a
key frame. So `needs_key_frame` says of which layer one must be asked for, nothing
passes until it comes, and what did not pass leaves no hole.

The way of most packets is short: the next of the source that passes. Whatever is
otherwise takes the long way, `_forward_odd`, which may be slow.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

from trio_sfu.room.layers import LayerSelector
from trio_sfu.room.pictures import UNCHANGED, Patch, Pictures
from trio_sfu.room.queue import Overflow
from trio_sfu.room.redundancy import Adapter
from trio_sfu.room.rewriter import Drop, Rewriter
from trio_sfu.room.timeline import Timeline
from trio_sfu.rtp.packet import Outgoing, RtpPacket
from trio_sfu.rtp.payload import describer

MAX_DROPOUT: Final = 3000
"""A gap of as many packets is a publisher that began anew, no loss (RFC 3550 appendix A.1)."""
MAX_MISORDER: Final = 3000
"""So is a jump back over more, if the next packet follows it. RFC 3550 says 100; but a
packet may come again by RTX for as long as it is asked for, which is some two seconds,
and a run of such must not be taken for a jump."""
STRAGGLING: Final = 2.0
"""Seconds for which packets of an SSRC that another took over from are late ones of
its, not a second takeover: as long as somebody may ask for them again."""

FIRST_SEQUENCE: Final = 1
"""Far from where 16 bits wrap: an SRTP receiver that misses our first packets around
there would guess the rollover counter wrong (RFC 3711 section 3.3.1)."""


_NO_LAYER: Final = -1


class Forwarder:
    """Chooses, renumbers and counts; made for one subscriber and one track.

    Packets must come with `index`, `arrival` and `frame` filled in.
    """

    def __init__(
        self,
        mime: str,
        *,
        ssrc: int,
        payload_type: int,
        clock_rate: int,
        first_sequence: int = FIRST_SEQUENCE,
        adapter: Adapter | None = None,
    ) -> None:
        """*ssrc*, *payload_type*: the subscriber's. *adapter* changes payloads of sound.
        Nothing passes before `set_target`."""
        self.drops: Counter[Drop] = Counter()
        self.mime = mime
        self._ssrc = ssrc
        self._payload_type = payload_type
        pictures = mime.lower().startswith("video/") and describer(mime) is not None
        self._layers = LayerSelector(key_frames=pictures)
        self._rewriter = Rewriter(first_sequence)
        self._timeline = Timeline(clock_rate)
        self._clock_rate = clock_rate
        self._video = mime.lower().startswith("video/")
        self._inserted: int | None = None
        """The timestamp of our own last packet, if nothing was forwarded since."""
        self._pictures = Pictures() if mime.lower() == "video/vp8" else adapter
        self._muted = False
        self._source_layer = _NO_LAYER
        self._source_ssrc = -1
        """What we forward, or did last."""
        self._last: RtpPacket | None = None
        """The newest packet that we forwarded, of that source."""
        self._seen: dict[int, tuple[int, int]] = {}
        """Of each layer that does not pass, the SSRC and the newest index."""
        self._left: tuple[int, float] = (-1, 0.0)
        """The SSRC that another took over from, and until when it may straggle."""
        self._jumped_to = -1
        """The index that would prove a jump back."""

    # --- what is wanted

    @property
    def target(self) -> int | None:
        return self._layers.target

    @property
    def current(self) -> int | None:
        """The layer that the subscriber has; None if it has none."""
        return self._layers.current

    @property
    def needs_key_frame(self) -> int | None:
        """The layer of which a key frame must come before it can be forwarded."""
        return None if self._muted else self._layers.wants_key_frame

    @property
    def next_sequence(self) -> int:
        """The number that follows the newest we gave, 16 bits.

        Whoever puts another forwarder in place of this one, on the same SSRC, must
        begin with it. SRTP would encrypt two packets of one number with one keystream.
        """
        return self._rewriter.next_number & 0xFFFF

    def set_target(self, layer: int | None, *, at_once: bool = False) -> None:
        """Forward *layer* as soon as can be; None: forward nothing.

        Until then the current one goes on, unless *at_once*: see `LayerSelector`.
        """
        self._layers.set_target(layer, at_once=at_once)

    def hears(self, layer: int) -> bool:
        """Whether packets of *layer* may be of use: what else there is need not be queued."""
        return not self._muted and self._layers.hears(layer)

    # --- what happens

    def mute(self) -> None:
        """Forward nothing for a while."""
        self._muted = True

    def unmute(self) -> None:
        """Go on with unbroken numbers: sound at once, video at a key frame."""
        if self._muted:
            self._muted = False
            self._layers.interrupt()

    def overflowed(self, overflow: Overflow) -> None:
        """Packets were thrown away before they came here."""
        self.drops[Drop.OVERFLOW] += overflow.count
        self._layers.interrupt()

    def note_report(self, layer: int, ntp: int, rtp_timestamp: int) -> None:
        """The publisher sent a sender report for *layer*; *ntp* has 64 bits."""
        self._timeline.report(layer, ntp, rtp_timestamp)

    def translate(self, layer: int, rtp_timestamp: int) -> int | None:
        """What the subscriber gets for a timestamp of *layer*; None if that is not what it gets.

        For our own sender reports: the publisher's, in the subscriber's numbers.
        """
        if layer != self._source_layer:
            return None
        return (rtp_timestamp + self._timeline.offset) & 0xFFFFFFFF

    def insert(self, payload: bytes, seconds: float, now: float) -> Outgoing:
        """A packet of our own, the only one of its frame, *seconds* after the last."""
        steps = round(seconds * self._clock_rate)
        if self._inserted is not None:
            timestamp = self._inserted + steps
        elif self._last is not None:
            timestamp = self._last.timestamp + self._timeline.offset + steps
        else:
            timestamp = round(now * self._clock_rate)
        self._inserted = timestamp & 0xFFFFFFFF
        self._layers.interrupt()
        if self._pictures is not None:
            payload = self._pictures.insert() + payload
        packet = RtpPacket(self._payload_type, True, 0, self._inserted, self._ssrc, {}, payload)
        number = self._rewriter.insert()
        return Outgoing(
            packet, number & 0xFFFF, self._inserted, self._ssrc, self._payload_type, self._video
        )

    # --- the packets

    def forward(self, layer: int, packets: Iterable[RtpPacket]) -> list[Outgoing]:
        """What the subscriber gets of *packets*, which are all of one layer."""
        outgoing: list[Outgoing] = []
        passes = not self._muted and self._layers.passes(layer)
        rewriter, pictures, ssrc = self._rewriter, self._pictures, self._ssrc
        offset, payload_type = self._timeline.offset, self._payload_type
        for packet in packets:
            if not passes:
                if not self._begin(layer, packet):
                    continue
                passes, offset = True, self._timeline.offset
            index = packet.index
            if index == rewriter.next and packet.ssrc == self._source_ssrc and packet.payload:
                number = rewriter.advance(index)
                cut, patch = UNCHANGED if pictures is None else pictures.patch(packet)
                outgoing.append(
                    Outgoing(
                        packet,
                        number & 0xFFFF,
                        (packet.timestamp + offset) & 0xFFFFFFFF,
                        ssrc,
                        payload_type,
                        packet.marker,
                        cut,
                        patch,
                    )
                )
                self._last = packet
            else:
                if odd := self._forward_odd(layer, packet):
                    outgoing.append(odd)
                passes, offset = self._layers.passes(layer), self._timeline.offset
        return outgoing

    def _begin(self, layer: int, packet: RtpPacket) -> bool:
        """Whether *packet* begins what passes from now on; if not, it is dropped and counted."""
        if drop := self._why_not_begin(layer, packet):
            self.drops[drop] += 1
            return False
        same = self._is_source(layer, packet.ssrc)
        if same:
            self._rewriter.skip_to(packet.index)
        else:
            self._take_over(layer, packet)
        if self._inserted is not None:
            self._timeline.follow(self._inserted, packet, first=self._last is None)
            self._inserted = None
        if self._pictures is not None:
            self._pictures.begin(packet, other_source=not same)
        self._layers.begin(layer)
        return True

    def _why_not_begin(self, layer: int, packet: RtpPacket) -> Drop | None:
        if self._muted:
            return Drop.MUTED
        if not self._layers.hears(layer):
            return Drop.OTHER_LAYER
        if self._straggles(packet):
            return Drop.TOO_OLD
        # Packets after a late one were dropped already, so nothing can begin with it.
        if packet.index <= self._newest(layer, packet.ssrc):
            return Drop.TOO_OLD
        self._seen[layer] = packet.ssrc, packet.index
        if not packet.payload:
            return Drop.PADDING
        return None if self._layers.may_begin(layer, packet.frame) else Drop.NO_KEY_FRAME

    def _newest(self, layer: int, ssrc: int) -> float:
        """The newest index that came of a source."""
        seen_ssrc, index = self._seen.get(layer, (-1, 0))
        newest = index if seen_ssrc == ssrc else -math.inf
        if self._is_source(layer, ssrc):
            newest = max(newest, self._rewriter.next - 1)
        return newest

    def _is_source(self, layer: int, ssrc: int) -> bool:
        return layer == self._source_layer and ssrc == self._source_ssrc

    def _straggles(self, packet: RtpPacket) -> bool:
        """Whether it is late, of an SSRC that another took over from."""
        ssrc, until = self._left
        return packet.ssrc == ssrc and packet.arrival < until

    def _take_over(self, layer: int, packet: RtpPacket) -> None:
        """Another source than the last begins with *packet*."""
        if self._last is not None:
            if layer == self._source_layer:
                self._timeline.forget(layer)
                self._left = self._source_ssrc, packet.arrival + STRAGGLING
            else:
                self._seen[self._source_layer] = self._source_ssrc, self._rewriter.next - 1
            self._timeline.switch((self._source_layer, self._last), (layer, packet))
        self._rewriter.begin(packet.index)
        self._source_layer, self._source_ssrc = layer, packet.ssrc

    def _forward_odd(self, layer: int, packet: RtpPacket) -> Outgoing | None:
        """A packet with a hole before it, a late one, an empty one, or one from elsewhere."""
        if packet.ssrc == self._left[0] and self._straggles(packet):
            self.drops[Drop.TOO_OLD] += 1
            return None
        if self._is_restart(packet):
            return self._restart(layer, packet)
        index = packet.index
        if index < self._rewriter.next:
            return self._forward_late(packet)
        if not packet.payload:
            self._rewriter.leave_out(index)
            self.drops[Drop.PADDING] += 1
            return None
        self._last = packet
        patch = UNCHANGED if self._pictures is None else self._pictures.patch(packet)
        return self._outgoing(packet, self._rewriter.advance(index), patch)

    def _forward_late(self, packet: RtpPacket) -> Outgoing | None:
        """It fills a hole that we left. So it may be empty: else the hole would stay one."""
        number = self._rewriter.forward(packet.index)
        if isinstance(number, Drop):
            self.drops[number] += 1
            return None
        patch = UNCHANGED if self._pictures is None else self._pictures.patch_late(packet)
        return self._outgoing(packet, number, patch)

    def _outgoing(self, packet: RtpPacket, number: int, patch: Patch) -> Outgoing:
        return Outgoing(
            packet,
            number & 0xFFFF,
            (packet.timestamp + self._timeline.offset) & 0xFFFFFFFF,
            self._ssrc,
            self._payload_type,
            packet.marker,
            *patch,
        )

    def _is_restart(self, packet: RtpPacket) -> bool:
        """Whether the publisher began anew: another SSRC, or a jump that is no loss."""
        if packet.ssrc != self._source_ssrc:
            return True
        ahead = packet.index - self._rewriter.next
        if ahead < -MAX_MISORDER:
            proved = packet.index == self._jumped_to
            self._jumped_to = packet.index + 1
            return proved
        return ahead >= MAX_DROPOUT

    def _restart(self, layer: int, packet: RtpPacket) -> Outgoing | None:
        """The source ends; the one after it begins with *packet*, or with a key frame to come."""
        if packet.index < self._rewriter.next and packet.ssrc == self._source_ssrc:
            # What jumped back counts anew, so that it is another source.
            self._timeline.forget(layer)
            self._seen.pop(layer, None)
            self._source_layer = _NO_LAYER
        self._layers.interrupt()
        if not self._begin(layer, packet):
            return None
        self._last = packet
        patch = UNCHANGED if self._pictures is None else self._pictures.patch(packet)
        return self._outgoing(packet, self._rewriter.advance(packet.index), patch)
