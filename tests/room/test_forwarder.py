"""A subscriber believes that it hears one encoder that never stops."""

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.room.forwarder import FIRST_SEQUENCE, MAX_DROPOUT, MAX_MISORDER, Forwarder
from trio_sfu.room.queue import Overflow
from trio_sfu.room.rewriter import Drop
from trio_sfu.rtp.packet import Outgoing, RtpPacket, parse, render
from trio_sfu.rtp.payload import describer, vp8

SSRC, PAYLOAD_TYPE = 0xCAFE, 120
RATE = 90_000
FRAME = RATE // 30
NTP = 1 << 32


class Camera:
    """One simulcast layer: 30 pictures a second, some packets each."""

    def __init__(
        self, chance: random.Random, *, mime: str = "video/VP8", now: float = 100.0
    ) -> None:
        self.now = now
        self.started = now
        self.ssrc = chance.getrandbits(32)
        self.index = chance.randrange(100_000)
        self.timestamp = self.first_timestamp = chance.getrandbits(32)
        self.picture = chance.randrange(0x8000)
        self.tl0 = chance.randrange(256)
        self.key = chance.randrange(32)
        found = describer(mime)
        assert found
        self._describe = found
        self._vp8 = mime == "video/VP8"

    def picture_of(self, packets: int = 3, *, key: bool = False) -> list[RtpPacket]:
        """The next picture."""
        self.picture = (self.picture + 1) & 0x7FFF
        self.tl0 = (self.tl0 + 1) & 0xFF
        self.key = (self.key + key) & 0x1F
        made = [self._packet(nth == 0, nth == packets - 1, key) for nth in range(packets)]
        self.timestamp = (self.timestamp + FRAME) & 0xFFFFFFFF
        self.now += 1 / 30
        return made

    def pictures(self, count: int, *, key: bool = True) -> list[RtpPacket]:
        """A key frame, unless not, and what follows."""
        made = [self.picture_of(key=key and nth == 0) for nth in range(count)]
        return list(itertools.chain.from_iterable(made))

    def padding(self) -> RtpPacket:
        packet = self._make(b"", False)
        packet.timestamp = (packet.timestamp - FRAME) & 0xFFFFFFFF
        return packet

    def _packet(self, first: bool, last: bool, key: bool) -> RtpPacket:
        if self._vp8:
            payload = bytes((0x90 if first else 0x80, 0xF0))  # X, S; I, L, T, K
            payload += (0x8000 | self.picture).to_bytes(2, "big") + bytes((self.tl0, self.key))
            payload += (b"\x10" if key and first else b"\x11") + b"data"
        else:
            kind = 5 if key else 1
            payload = bytes((0x7C, (0x80 if first else 0) | kind)) + b"data"
        packet = self._make(payload, last)
        packet.frame = self._describe(payload)
        return packet

    def _make(self, payload: bytes, marker: bool) -> RtpPacket:
        packet = RtpPacket(
            96,
            marker,
            self.index & 0xFFFF,
            self.timestamp,
            self.ssrc,
            {},
            payload,
            self.index,
            self.now,
        )
        self.index += 1
        return packet

    def report(self) -> tuple[int, int]:
        """What a sender report would say: the time of day and the timestamp."""
        return round((1000 + self.now - self.started) * NTP), self.timestamp


class Microphone:
    def __init__(self, ssrc: int = 5, index: int = 70_000, now: float = 10.0) -> None:
        self.ssrc, self.index, self.now = ssrc, index, now
        self.timestamp = 0xFFFFFF00

    def packets(self, count: int) -> list[RtpPacket]:
        made = []
        for _ in range(count):
            made.append(
                RtpPacket(
                    111,
                    False,
                    self.index & 0xFFFF,
                    self.timestamp,
                    self.ssrc,
                    {},
                    b"opus",
                    self.index,
                    self.now,
                )
            )
            self.index += 1
            self.timestamp = (self.timestamp + 960) & 0xFFFFFFFF
            self.now += 0.02
        return made


def forwarder_to(layer: int | None = 0, mime: str = "video/VP8") -> Forwarder:
    rate = 48_000 if mime.startswith("audio") else RATE
    forwarder = Forwarder(mime, ssrc=SSRC, payload_type=PAYLOAD_TYPE, clock_rate=rate)
    forwarder.set_target(layer)
    return forwarder


def numbers(outgoing: Iterable[Outgoing]) -> list[int]:
    return [each.sequence for each in outgoing]


def seen(outgoing: Outgoing) -> tuple[int, int, int]:
    """Picture id, TL0PICIDX and KEYIDX as the subscriber sees them."""
    found = vp8.parse(parse(render(outgoing)).payload)
    assert found.picture_id is not None
    assert found.tl0_picture_index is not None and found.key_index is not None
    return found.picture_id, found.tl0_picture_index, found.key_index


def unbroken(outgoing: list[Outgoing]) -> bool:
    first = FIRST_SEQUENCE
    return numbers(outgoing) == [(first + nth) & 0xFFFF for nth in range(len(outgoing))]


# --- one source


def test_video_begins_with_a_key_frame() -> None:
    camera, forwarder = Camera(random.Random(1)), forwarder_to()
    assert forwarder.needs_key_frame == 0
    assert forwarder.forward(0, camera.pictures(5, key=False)) == []
    assert forwarder.drops == {Drop.NO_KEY_FRAME: 15}
    packets = camera.pictures(3)
    outgoing = forwarder.forward(0, packets)
    assert [each.packet for each in outgoing] == packets
    assert forwarder.needs_key_frame is None
    assert unbroken(outgoing)
    assert {(each.ssrc, each.payload_type) for each in outgoing} == {(SSRC, PAYLOAD_TYPE)}
    assert [each.marker for each in outgoing] == [packet.marker for packet in packets]


def test_nothing_passes_without_a_target() -> None:
    camera, forwarder = Camera(random.Random(1)), forwarder_to(None)
    assert forwarder.forward(0, camera.pictures(1)) == []
    assert forwarder.drops == {Drop.OTHER_LAYER: 3}
    assert forwarder.needs_key_frame is None and not forwarder.hears(0)


def test_a_long_picture_id_needs_no_patch_before_the_first_switch() -> None:
    outgoing = forwarder_to().forward(0, Camera(random.Random(1)).pictures(3))
    assert {each.patch for each in outgoing} == {b""}


def test_sound_passes_from_its_first_packet() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    assert unbroken(forwarder.forward(0, microphone.packets(200)))
    assert forwarder.needs_key_frame is None


@given(st.lists(st.booleans(), min_size=1, max_size=100), st.randoms())
def test_what_the_publisher_lost_stays_a_hole_and_fits_it_when_it_comes(
    arrived: list[bool], chance: random.Random
) -> None:
    camera, forwarder, punctual = Camera(chance), forwarder_to(), forwarder_to()
    packets = camera.pictures(40)[: len(arrived) + 1]
    intime = {each.packet.index: each.sequence for each in punctual.forward(0, packets)}
    kept = [packets[0]] + [each for each, keep in zip(packets[1:], arrived, strict=True) if keep]
    late = [each for each, keep in zip(packets[1:], arrived, strict=True) if not keep]
    chance.shuffle(late)
    outgoing = forwarder.forward(0, kept) + forwarder.forward(0, late)
    assert {each.packet.index: each.sequence for each in outgoing} == intime


def test_padding_is_swallowed_without_a_hole() -> None:
    camera, forwarder = Camera(random.Random(1)), forwarder_to()
    packets = camera.pictures(2) + [camera.padding() for _ in range(4)] + camera.pictures(2)
    outgoing = forwarder.forward(0, packets)
    assert len(outgoing) == 12 and unbroken(outgoing)
    assert forwarder.drops == {Drop.PADDING: 4}


def test_late_padding_fills_the_hole_that_it_left() -> None:
    """Else the subscriber would ask for it for ever, and some decoders would wait."""
    camera, forwarder = Camera(random.Random(1)), forwarder_to()
    before, padding, after = camera.pictures(1), camera.padding(), camera.pictures(1)
    outgoing = forwarder.forward(0, [*before, *after, padding])
    assert numbers(outgoing) == [1, 2, 3, 5, 6, 7, 4]


def test_padding_is_no_place_to_begin() -> None:
    camera, forwarder = Camera(random.Random(1)), forwarder_to()
    assert forwarder.forward(0, [camera.padding()]) == []
    assert forwarder.drops == {Drop.PADDING: 1}


def test_another_forwarder_can_go_on_in_the_numbers_of_this_one() -> None:
    camera, first = Camera(random.Random(1)), forwarder_to()
    assert first.next_sequence == FIRST_SEQUENCE
    outgoing = first.forward(0, [*camera.pictures(3), camera.padding()])
    second = Forwarder(
        "video/VP8",
        ssrc=SSRC,
        payload_type=PAYLOAD_TYPE,
        clock_rate=RATE,
        first_sequence=first.next_sequence,
    )
    second.set_target(0)
    assert unbroken(outgoing + second.forward(0, camera.pictures(2)))


def test_numbers_wrap_at_sixteen_bits() -> None:
    microphone = Microphone()
    forwarder = Forwarder(
        "audio/opus", ssrc=SSRC, payload_type=111, clock_rate=48_000, first_sequence=65_530
    )
    forwarder.set_target(0)
    sent = numbers(forwarder.forward(0, microphone.packets(10)))
    assert sent == [65_530, 65_531, 65_532, 65_533, 65_534, 65_535, 0, 1, 2, 3]
    assert forwarder.next_sequence == 4


# --- something left out


def test_after_an_overflow_video_waits_for_a_key_frame_and_leaves_no_hole() -> None:
    camera, forwarder = Camera(random.Random(1)), forwarder_to()
    outgoing = forwarder.forward(0, camera.pictures(3))
    camera.pictures(5)
    forwarder.overflowed(Overflow(15))
    assert forwarder.needs_key_frame == 0
    assert forwarder.forward(0, camera.pictures(2, key=False)) == []
    outgoing += forwarder.forward(0, camera.pictures(2))
    assert unbroken(outgoing)
    assert forwarder.drops == {Drop.OVERFLOW: 15, Drop.NO_KEY_FRAME: 6}
    pictures = [seen(each)[0] for each in outgoing[::3]]
    assert pictures == [(pictures[0] + nth) & 0x7FFF for nth in range(5)]
    # The publisher's time went on meanwhile, and so does the subscriber's.
    assert (outgoing[9].timestamp - outgoing[8].timestamp) & 0xFFFFFFFF == 8 * FRAME


def test_after_an_overflow_sound_goes_on_at_once() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    outgoing = forwarder.forward(0, microphone.packets(10))
    microphone.packets(30)
    forwarder.overflowed(Overflow(30))
    outgoing += forwarder.forward(0, microphone.packets(10))
    assert unbroken(outgoing)
    assert (outgoing[10].timestamp - outgoing[9].timestamp) & 0xFFFFFFFF == 31 * 960


@pytest.mark.parametrize("mime", ["video/VP8", "video/H264"])
def test_a_mute_leaves_no_hole_and_ends_with_a_key_frame(mime: str) -> None:
    camera, forwarder = Camera(random.Random(1), mime=mime), forwarder_to(0, mime)
    outgoing = forwarder.forward(0, camera.pictures(3))
    forwarder.mute()
    assert forwarder.forward(0, camera.pictures(3)) == []
    assert forwarder.needs_key_frame is None and not forwarder.hears(0)
    forwarder.unmute()
    assert forwarder.needs_key_frame == 0
    assert forwarder.forward(0, camera.pictures(1, key=False)) == []
    outgoing += forwarder.forward(0, camera.pictures(3))
    assert unbroken(outgoing)
    assert forwarder.drops == {Drop.MUTED: 9, Drop.NO_KEY_FRAME: 3}


def test_sound_goes_on_after_a_mute_even_if_nothing_came_meanwhile() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    outgoing = forwarder.forward(0, microphone.packets(3))
    forwarder.mute()
    microphone.packets(50)
    forwarder.unmute()
    outgoing += forwarder.forward(0, microphone.packets(3))
    assert unbroken(outgoing)


def test_a_key_frame_whose_start_comes_late_is_not_begun_with() -> None:
    """What came after its start was dropped, so it could never be whole."""
    camera, forwarder = Camera(random.Random(1)), forwarder_to()
    start, *rest = camera.picture_of(4, key=True)
    assert forwarder.forward(0, [*rest, start]) == []
    assert forwarder.needs_key_frame == 0
    assert unbroken(forwarder.forward(0, camera.pictures(1)))


def test_a_late_start_does_not_end_the_wait_after_an_overflow() -> None:
    camera, forwarder = Camera(random.Random(1)), forwarder_to()
    forwarder.forward(0, camera.pictures(1))
    start, *rest = camera.picture_of(4, key=True)
    forwarder.forward(0, rest)
    forwarder.overflowed(Overflow(1))
    assert forwarder.forward(0, [start]) == []
    assert forwarder.drops[Drop.TOO_OLD] == 1 and forwarder.needs_key_frame == 0


def test_a_late_packet_from_before_an_overflow_has_its_old_picture_id() -> None:
    camera, forwarder = Camera(random.Random(1)), forwarder_to()
    packets = camera.pictures(3)
    late = packets.pop(4)
    forwarder.forward(0, packets)
    camera.pictures(5)
    forwarder.overflowed(Overflow(15))
    forwarder.forward(0, camera.pictures(1))
    (outgoing,) = forwarder.forward(0, [late])
    assert outgoing.sequence == 5
    assert seen(outgoing)[0] == vp8.parse(late.payload).picture_id


# --- layers


def test_a_layer_is_left_at_the_key_frame_of_the_next() -> None:
    chance = random.Random(1)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    outgoing = forwarder.forward(0, low.pictures(3))
    forwarder.set_target(2)
    assert forwarder.hears(0) and forwarder.hears(2) and not forwarder.hears(1)
    assert forwarder.needs_key_frame == 2
    high.pictures(3)
    assert forwarder.forward(2, high.pictures(1, key=False)) == []
    outgoing += forwarder.forward(0, low.pictures(1, key=False))
    high.now = low.now
    # A picture of the old encoding, then the key frame, in one list.
    packets = high.pictures(1, key=False) + high.pictures(2)
    outgoing += forwarder.forward(2, packets)
    assert forwarder.forward(0, low.pictures(1)) == []
    assert unbroken(outgoing) and len(outgoing) == 12 + 6
    assert forwarder.current == 2 and forwarder.needs_key_frame is None
    assert forwarder.drops == {Drop.NO_KEY_FRAME: 6, Drop.OTHER_LAYER: 3}


def test_a_layer_can_be_left_at_once() -> None:
    chance = random.Random(1)
    high, forwarder = Camera(chance), forwarder_to(2)
    forwarder.forward(2, high.pictures(3))
    forwarder.set_target(0, at_once=True)
    assert forwarder.forward(2, high.pictures(1, key=False)) == []
    assert forwarder.needs_key_frame == 0 and forwarder.current is None


def test_a_late_start_of_a_layer_that_was_left_does_not_bring_it_back() -> None:
    chance = random.Random(1)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    forwarder.forward(0, low.pictures(1))
    start, *rest = low.picture_of(4, key=True)
    forwarder.forward(0, rest)
    forwarder.set_target(1)
    forwarder.forward(1, high.pictures(1))
    forwarder.set_target(0)
    assert forwarder.forward(0, [start]) == []
    assert forwarder.current == 1


def test_a_late_packet_of_the_new_layer_has_its_own_picture_id() -> None:
    chance = random.Random(1)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    high.index = low.index // 2
    forwarder.forward(0, low.pictures(2))
    forwarder.overflowed(Overflow(1))
    before = forwarder.forward(0, low.pictures(2))
    forwarder.set_target(1)
    packets = high.pictures(4)
    late = packets.pop(4)
    outgoing = forwarder.forward(1, packets) + forwarder.forward(1, [late])
    last = seen(before[-1])[0]
    assert seen(outgoing[-1])[0] == (last + 2) & 0x7FFF
    assert seen(outgoing[-2])[0] == (last + 4) & 0x7FFF


@pytest.mark.parametrize("behind", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("after_reports", [0, 500_000])
def test_reports_say_how_far_a_layer_lies_from_another(behind: float, after_reports: int) -> None:
    """Arrivals do not: the other layer's packets are on the way for longer."""
    chance = random.Random(2)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    for _ in range(after_reports // FRAME):
        low.picture_of(1)
        high.picture_of(1)
    forwarder.note_report(0, *low.report())
    forwarder.note_report(2, *high.report())
    before = forwarder.forward(0, low.pictures(3))
    high.pictures(3)  # taken at the same time
    forwarder.set_target(2)
    packets = high.pictures(1)
    for packet in packets:
        packet.arrival += behind
    after = forwarder.forward(2, packets)
    assert (after[0].timestamp - before[-1].timestamp) & 0xFFFFFFFF == pytest.approx(FRAME, abs=1)


def test_without_reports_the_time_between_arrivals_counts() -> None:
    chance = random.Random(3)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    before = forwarder.forward(0, low.pictures(3))
    forwarder.note_report(0, *low.report())  # one of two is none
    forwarder.set_target(1)
    high.now = before[-1].packet.arrival + 0.5
    after = forwarder.forward(1, high.pictures(1))
    step = (after[0].timestamp - before[-1].timestamp) & 0xFFFFFFFF
    assert step == pytest.approx(RATE / 2, abs=1)


def test_time_does_not_go_back_behind_a_packet_that_had_a_hole_before_it() -> None:
    chance = random.Random(3)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    packets = low.pictures(3)
    before = forwarder.forward(0, packets[:5] + packets[8:])
    forwarder.set_target(1)
    high.now = before[-1].packet.arrival - 0.05
    after = forwarder.forward(1, high.pictures(1))
    assert (after[0].timestamp - before[-1].timestamp) & 0xFFFFFFFF == 1


@pytest.mark.parametrize("jump", [False, True])
def test_reports_of_a_source_that_ended_are_forgotten(jump: bool) -> None:
    """The new one's timestamps are a second off, which its old reports would not show."""
    chance = random.Random(3)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    forwarder.forward(0, low.pictures(3))
    forwarder.note_report(0, *low.report())
    high.now = low.now
    forwarder.note_report(1, *high.report())
    if jump:
        low.index -= MAX_MISORDER + 1000
    else:
        low.ssrc += 1
    low.timestamp = (low.timestamp + RATE) & 0xFFFFFFFF
    before = forwarder.forward(0, low.pictures(1, key=False) + low.pictures(1))
    forwarder.set_target(1)
    high.now = before[-1].packet.arrival + 0.5
    after = forwarder.forward(1, high.pictures(1))
    step = (after[0].timestamp - before[-1].timestamp) & 0xFFFFFFFF
    assert step == pytest.approx(RATE / 2, abs=1)


def test_reports_that_say_what_cannot_be_are_not_believed() -> None:
    chance = random.Random(4)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    before = forwarder.forward(0, low.pictures(3))
    forwarder.note_report(0, *low.report())
    ntp, timestamp = high.report()
    forwarder.note_report(1, ntp + 3600 * NTP, timestamp)
    forwarder.set_target(1)
    high.now = before[-1].packet.arrival + 0.5
    after = forwarder.forward(1, high.pictures(1))
    step = (after[0].timestamp - before[-1].timestamp) & 0xFFFFFFFF
    assert step == pytest.approx(RATE / 2, abs=1)


def test_timestamps_of_reports_are_translated() -> None:
    chance = random.Random(5)
    low, high, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    assert forwarder.translate(0, 1) is None
    forwarder.forward(0, low.pictures(3))
    forwarder.set_target(1)
    (first, *_) = forwarder.forward(1, high.pictures(1))
    assert forwarder.translate(1, first.packet.timestamp) == first.timestamp
    assert forwarder.translate(0, 1) is None


# --- a publisher that begins anew


def test_another_ssrc_of_the_same_layer_goes_on_in_the_same_numbers() -> None:
    chance = random.Random(6)
    first, second, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    packets = first.pictures(3)
    straggler = packets.pop(4)
    outgoing = forwarder.forward(0, packets)
    second.now = first.now
    assert forwarder.forward(0, second.pictures(1, key=False)) == []
    assert forwarder.needs_key_frame == 0
    took_over = forwarder.forward(0, second.pictures(2))
    # A late one of the old SSRC must not take the stream back.
    assert forwarder.forward(0, [straggler]) == []
    took_over += forwarder.forward(0, second.pictures(1, key=False))
    assert numbers(took_over) == list(range(outgoing[-1].sequence + 1, outgoing[-1].sequence + 10))
    assert forwarder.drops[Drop.TOO_OLD] == 1


def test_a_late_key_frame_of_an_old_ssrc_does_not_end_the_wait() -> None:
    chance = random.Random(6)
    first, second, forwarder = Camera(chance), Camera(chance), forwarder_to(0)
    forwarder.forward(0, first.pictures(1))
    straggler = first.pictures(1)
    second.now = first.now
    forwarder.forward(0, second.pictures(1))
    forwarder.overflowed(Overflow(1))
    assert forwarder.forward(0, straggler) == []
    assert forwarder.needs_key_frame == 0 and forwarder.drops[Drop.TOO_OLD] == 3


def test_sound_of_another_ssrc_goes_on_at_once_and_stragglers_do_not_matter() -> None:
    old, forwarder = Microphone(ssrc=5), forwarder_to(0, "audio/opus")
    outgoing = forwarder.forward(0, old.packets(5))
    new = Microphone(ssrc=6, index=10, now=old.now)
    outgoing += forwarder.forward(0, new.packets(1))
    assert forwarder.forward(0, old.packets(1)) == []
    outgoing += forwarder.forward(0, new.packets(4))
    assert unbroken(outgoing)
    # Only after a while is the old SSRC somebody who came back.
    old.now = new.now + 3
    outgoing += forwarder.forward(0, old.packets(2))
    assert unbroken(outgoing)


def test_a_big_jump_is_no_loss() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    outgoing = forwarder.forward(0, microphone.packets(5))
    microphone.index += MAX_DROPOUT
    outgoing += forwarder.forward(0, microphone.packets(5))
    assert unbroken(outgoing)


def test_a_smaller_jump_is_a_loss() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    before = forwarder.forward(0, microphone.packets(5))
    microphone.index += MAX_DROPOUT - 1
    after = forwarder.forward(0, microphone.packets(1))
    assert after[0].sequence - before[-1].sequence == MAX_DROPOUT


@pytest.mark.parametrize("key", [True, False])
def test_after_a_big_jump_video_waits_for_a_key_frame(key: bool) -> None:
    camera, forwarder = Camera(random.Random(7)), forwarder_to()
    outgoing = forwarder.forward(0, camera.pictures(2))
    camera.index += MAX_DROPOUT
    outgoing += forwarder.forward(0, camera.pictures(2, key=key))
    assert len(outgoing) == (12 if key else 6) and unbroken(outgoing)
    assert forwarder.needs_key_frame == (None if key else 0)


def test_a_jump_back_is_proved_by_the_packet_that_follows() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    outgoing = forwarder.forward(0, microphone.packets(5))
    microphone.index -= MAX_MISORDER + 1000
    outgoing += forwarder.forward(0, microphone.packets(5))
    assert forwarder.drops == {Drop.TOO_OLD: 1}
    assert len(outgoing) == 9 and unbroken(outgoing)


def test_single_packets_from_long_ago_are_no_jump() -> None:
    microphone, forwarder = Microphone(), forwarder_to(0, "audio/opus")
    packets = microphone.packets(MAX_MISORDER + 20)
    forwarder.forward(0, packets[:1] + packets[10:])
    late = forwarder.forward(0, [packets[2], packets[7], packets[4]])
    assert numbers(late) == [3, 8, 5]
    assert numbers(forwarder.forward(0, microphone.packets(1))) == [MAX_MISORDER + 21]


# --- everything together

moves = st.lists(
    st.one_of(
        st.tuples(st.just("target"), st.sampled_from([0, 1, 2, 0, 1, 2, None])),
        st.tuples(st.just("key"), st.integers(0, 2)),
        st.tuples(st.just("overflow"), st.integers(1, 9)),
        st.tuples(st.just("mute"), st.just(0)),
        st.tuples(st.just("report"), st.integers(0, 2)),
        st.tuples(st.just("padding"), st.integers(0, 2)),
        st.tuples(st.just("restart"), st.integers(0, 2)),
        st.tuples(st.just("run"), st.integers(1, 5)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("mime", ["video/VP8", "video/H264"])
@given(moves=moves, seed=st.integers(0, 2**32))
def test_whatever_happens_the_subscriber_hears_one_encoder(
    mime: str, moves: list[tuple[str, int | None]], seed: int
) -> None:
    chance = random.Random(seed)
    cameras = [Camera(chance, mime=mime) for _ in range(3)]
    forwarder = forwarder_to(0, mime)
    sent: list[Outgoing] = []
    keys = {0, 1, 2}
    muted = False
    for move, value in [("run", 1), *moves, ("run", 1)]:
        if move == "target":
            forwarder.set_target(value)
        elif move == "overflow":
            forwarder.overflowed(Overflow(value or 0))
            for camera in cameras:
                camera.picture_of()
        elif move == "mute":
            muted = not muted
            (forwarder.mute if muted else forwarder.unmute)()
        elif value is None:
            pass
        elif move == "key":
            keys.add(value)
        elif move == "report":
            forwarder.note_report(value, *cameras[value].report())
        elif move == "padding":
            sent += forwarder.forward(value, [cameras[value].padding()])
        elif move == "restart":
            cameras[value] = Camera(chance, mime=mime, now=cameras[value].now)
        for layer, camera in enumerate(cameras):
            packets = camera.picture_of(1 + chance.randrange(4), key=layer in keys)
            assert forwarder.hears(layer) or not forwarder.forward(layer, packets)
            sent += forwarder.forward(layer, packets) if forwarder.hears(layer) else []
        keys.clear()
    assert unbroken(sent)
    for before, after in itertools.pairwise(sent):
        step = (after.timestamp - before.timestamp) & 0xFFFFFFFF
        same_picture = before.packet.timestamp == after.packet.timestamp
        assert step == 0 if same_picture else 0 < step < 100 * RATE
        broken = (
            before.packet.ssrc != after.packet.ssrc or after.packet.index - before.packet.index != 1
        )
        if broken and after.packet.index - before.packet.index > 4:
            frame = after.packet.frame
            assert frame and frame.key_frame and frame.start
    if mime == "video/VP8":
        for one, two in itertools.pairwise(sent):
            step = two.packet.frame.start
            picture, tl0, key = seen(one)
            key_step = (seen(two)[2] - key) & 0x1F
            assert seen(two)[0] == (picture + step) & 0x7FFF
            assert seen(two)[1] == (tl0 + step) & 0xFF
            assert key_step == (step and two.packet.frame.key_frame)
