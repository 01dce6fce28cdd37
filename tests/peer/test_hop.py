"""One hop, both ways, over a bad link: `OutgoingMedia` here, `IncomingMedia` there."""

import math
from typing import Final

import pytest

from tests.peer.sections import AUDIO_FORMATS, EXTENSIONS, OPUS, VIDEO_FORMATS, VP8
from tests.sim import Link, entropy, run
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.peer.media import AUDIO, VIDEO, ReceiveSection, SendSection, StreamKey
from trio_sfu.peer.reports import compounds
from trio_sfu.peer.sending import OutgoingMedia
from trio_sfu.peer.streams import IncomingMedia
from trio_sfu.rtp.packet import Outgoing, RtpPacket, parse
from trio_sfu.rtp.rtcp import decode_compound
from trio_sfu.rtp.twcc import TransportFeedback

CAMERA: Final = StreamKey("1")
MICROPHONE: Final = StreamKey("0")
PICTURE: Final = 1 / 30
FRAME: Final = 0.020


class Side:
    """Sends a camera (RTX) and a microphone (none) from 0.0 to *end*, and hears the same."""

    def __init__(self, seed: int, end: float) -> None:
        self.sending = OutgoingMedia(1.7e9, entropy(seed))
        self.incoming = IncomingMedia(seed)
        self.sending.configure(
            [
                SendSection("0", AUDIO, 800, "me", AUDIO_FORMATS, EXTENSIONS),
                SendSection("1", VIDEO, 700, "me", VIDEO_FORMATS, EXTENSIONS, rtx_ssrc=701),
            ],
            0.0,
        )
        self.incoming.configure(
            [
                ReceiveSection("0", AUDIO, AUDIO_FORMATS, EXTENSIONS),
                ReceiveSection("1", VIDEO, VIDEO_FORMATS, EXTENSIONS),
            ]
        )
        self.heard: dict[StreamKey, list[int]] = {CAMERA: [], MICROPHONE: []}
        self.told: set[int] = set()
        """Transport-wide numbers, modulo 2**16, of which the other side said that they came."""
        self.sent = {CAMERA: 0, MICROPHONE: 0}
        self._end = end
        self._pictures = 0
        self._frames = 0
        self._out: list[Datagram] = []

    @property
    def deadline(self) -> float:
        media = min(self._pictures * PICTURE, self._frames * FRAME)
        media = media if media < self._end else math.inf
        return min(media, self.sending.deadline, self.incoming.deadline)

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        packets = []
        for datagram in datagrams:
            if 192 <= datagram.data[1] <= 223:
                for said in decode_compound(datagram.data):
                    self.sending.hear(said, now)
                    self.incoming.hear(said, now)
            else:
                packets.append(parse(datagram.data))
        for key, batch in self.incoming.accept(packets, now):
            self.heard[key] += [packet.index for packet in batch]
        self._put(self.sending.take_repeats())
        for event in self.sending.take_events():
            assert isinstance(event, TransportFeedback)
            self.told |= {number for number, _ in event.arrivals}

    def handle_timeout(self, now: float) -> None:
        outgoing = []
        if self._pictures * PICTURE <= now < self._end:
            outgoing += [self._packet(CAMERA, 700, VP8, part == 4) for part in range(5)]
            self._pictures += 1
        if self._frames * FRAME <= now < self._end:
            outgoing.append(self._packet(MICROPHONE, 800, OPUS, False))
            self._frames += 1
        self._put(self.sending.send(outgoing, now))
        self._put(compounds(self.sending.take_rtcp(now) + self.incoming.take_rtcp(now)))

    def _packet(self, key: StreamKey, ssrc: int, payload_type: int, marker: bool) -> Outgoing:
        sequence = self.sent[key] & 0xFFFF
        self.sent[key] += 1
        timestamp = self._pictures * 3000 if payload_type == VP8 else self._frames * 960
        source = RtpPacket(payload_type, marker, 0, 0, 0, {}, b"\x10\0" + bytes(100))
        return Outgoing(source, sequence, timestamp & 0xFFFFFFFF, ssrc, payload_type, marker)

    def _put(self, packets: list[bytes]) -> None:
        self._out += [Datagram(packet, INSIDE, INSIDE) for packet in packets]

    def take_datagrams(self) -> list[Datagram]:
        out, self._out = self._out, []
        return out


def call(link: Link, seconds: float) -> tuple[Side, Side]:
    alice, bob = Side(1, seconds), Side(2, seconds)
    run(alice, link, bob, until=seconds + 5)
    return alice, bob


@pytest.mark.slow
@pytest.mark.parametrize(("delay", "seconds"), [(0.01, 180), (0.1, 20)])
def test_two_percent_of_loss_leave_no_hole(delay: float, seconds: float) -> None:
    link = Link(delay=delay, jitter=0.005, loss=0.02, reorder=0.01, duplicate=0.01, seed=3)
    for side in call(link, seconds):
        for key in (CAMERA, MICROPHONE):
            # The very first ones were sent before anybody could know that they are missing.
            first = min(side.heard[key])
            assert sorted(side.heard[key]) == list(range(first, side.sent[key])), link
            assert len(set(side.heard[key])) == len(side.heard[key])
        statistics = side.incoming.statistics()[CAMERA]
        assert statistics.lost == pytest.approx(0.02 * side.sent[CAMERA], rel=0.5)
        assert not side.incoming.unwanted
    assert link.counters["lost"] > 100 * seconds / 20


def test_a_good_link_sees_no_request_and_no_repeat() -> None:
    for side in call(Link(delay=0.05, jitter=0.01), 10):
        for key in (CAMERA, MICROPHONE):
            assert side.heard[key] == list(range(side.sent[key]))
            assert side.incoming.statistics()[key].nacks == 0
        total = side.sent[CAMERA] + side.sent[MICROPHONE]
        assert side.told == set(range(total))


def test_reordering_alone_makes_few_requests() -> None:
    link = Link(delay=0.005, reorder=0.02, seed=5)
    for side in call(link, 20):
        statistics = side.incoming.statistics()[CAMERA]
        assert statistics.lost == 0
        assert statistics.nacks < 0.01 * side.sent[CAMERA]


def test_both_sides_learn_the_round_trip_and_the_loss() -> None:
    for side in call(Link(delay=0.08, loss=0.05, seed=9), 20):
        assert side.sending.rtt == pytest.approx(0.16, abs=0.02)
        assert side.incoming.rtt == pytest.approx(0.16, abs=0.02)
        lost = side.sending.statistics()["1"].lost
        assert lost == pytest.approx(0.05 * side.sent[CAMERA], rel=0.4)


def test_a_dead_link_is_not_flooded() -> None:
    """When nothing comes back, requests end by themselves and so does everything else."""
    link = Link(delay=0.02, seed=1)
    alice, bob = Side(1, 5), Side(2, 5)
    run(alice, link, bob, until=2)
    link.loss = 1.0
    run(alice, link, bob, until=5)
    sent = link.counters["sent"]
    run(alice, link, bob, until=60)
    assert link.counters["sent"] - sent < 20
    assert alice.deadline == bob.deadline == math.inf
