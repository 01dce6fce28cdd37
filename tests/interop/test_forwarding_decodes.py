"""A real VP8 decoder behind a forwarder: it must never notice that it is moved about."""

from fractions import Fraction

import pytest

from trio_sfu.room.forwarder import Forwarder
from trio_sfu.room.queue import Overflow
from trio_sfu.rtp.packet import Outgoing, RtpPacket, parse, render
from trio_sfu.rtp.payload import describer

pytest.importorskip("aiortc", reason="aiortc is not installed")

from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, VpxPayloadDescriptor
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame

pytestmark = [pytest.mark.interop, pytest.mark.slow]

RATE, STEP = 90_000, 3000


class Layer:
    """A real encoder; its pictures are as wide as they are bright."""

    def __init__(self, width: int, ssrc: int, timestamp: int) -> None:
        self._encoder = Vp8Encoder()
        self._width, self._ssrc, self._first = width, ssrc, timestamp
        self._count, self._index = 0, ssrc * 1000
        found = describer("video/VP8")
        assert found
        self._describe = found

    def picture(self, *, key: bool = False) -> list[RtpPacket]:
        image = VideoFrame(width=self._width, height=self._width * 3 // 4, format="yuv420p")
        for plane in image.planes:
            plane.update(bytes([self._count * 7 % 256]) * plane.buffer_size)
        image.pts, image.time_base = self._count * STEP, Fraction(1, RATE)
        payloads, _ = self._encoder.encode(image, force_keyframe=key)
        timestamp = (self._first + self._count * STEP) & 0xFFFFFFFF
        packets = [self._packet(payload, timestamp) for payload in payloads]
        packets[-1].marker = True
        self._count += 1
        return packets

    def _packet(self, payload: bytes, timestamp: int) -> RtpPacket:
        packet = RtpPacket(
            96, False, self._index & 0xFFFF, timestamp, self._ssrc, {}, payload, self._index
        )
        packet.arrival = self._count / 30
        packet.frame = self._describe(payload)
        self._index += 1
        return packet


def widths(outgoing: list[Outgoing]) -> list[int]:
    """What the subscriber sees, picture by picture; the decoder raises if one is damaged."""
    decoder, seen, data = Vp8Decoder(), [], b""
    for each in outgoing:
        packet = parse(render(each))
        data += VpxPayloadDescriptor.parse(packet.payload)[1]
        if packet.marker:
            frames = decoder.decode(JitterFrame(data=data, timestamp=packet.timestamp))
            seen += [frame.width for frame in frames]
            data = b""
    return seen


def test_a_decoder_sees_each_picture_whole_through_switches_and_an_overflow() -> None:
    low, high = Layer(160, 1, 0xFFFFF000), Layer(320, 2, 77)
    forwarder = Forwarder("video/VP8", ssrc=9, payload_type=120, clock_rate=RATE)
    forwarder.set_target(0)
    outgoing: list[Outgoing] = []
    expected: list[int] = []
    shown = 160
    for number in range(40):
        if number == 10:
            forwarder.set_target(1)
        if number == 15:
            shown = 320  # its key frame comes only now
        if number == 22:
            forwarder.overflowed(Overflow(1))
        if number == 30:
            forwarder.set_target(0, at_once=True)
        lows = low.picture(key=number in (0, 34))
        highs = high.picture(key=number in (0, 15, 26))
        outgoing += forwarder.forward(1, highs)
        outgoing += forwarder.forward(0, lows)
        if not (22 <= number < 26 or 30 <= number < 34):
            expected.append(160 if number >= 34 else shown)
    assert widths(outgoing) == expected
    assert [each.sequence for each in outgoing] == list(range(1, len(outgoing) + 1))
