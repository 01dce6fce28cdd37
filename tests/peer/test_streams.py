from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import sections
from tests.peer.sections import CAMERA, DECLARED, MICROPHONE, OPUS, RTX, SIMULCAST, VP8
from trio_sfu import ntp
from trio_sfu.peer.media import Format, ReceiveSection, StreamKey
from trio_sfu.peer.streams import SLEEPING, SSRCS_PER_SECTION, IncomingMedia, Unwanted
from trio_sfu.rtp.feedback import Fir, Nack, Pli
from trio_sfu.rtp.packet import Extensions, RtpPacket
from trio_sfu.rtp.payload import Frame
from trio_sfu.rtp.rtcp import (
    Bye,
    ExtendedReport,
    LastReference,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
)
from trio_sfu.rtp.twcc import TransportFeedback

US: Final = 1
KEY_FRAME: Final = bytes.fromhex("10 1000009d012a") + bytes(20)
"""A VP8 descriptor, and the start of a key frame."""


def packet(
    sequence: int,
    ssrc: int,
    payload_type: int = VP8,
    *,
    mid: str = "",
    rid: str = "",
    repaired: str = "",
    extensions: Extensions | None = None,
    payload: bytes = KEY_FRAME,
) -> RtpPacket:
    named = {
        sections.MID_ID: mid.encode(),
        sections.RID_ID: rid.encode(),
        sections.REPAIRED_RID_ID: repaired.encode(),
    }
    found = {number: value for number, value in named.items() if value} | (extensions or {})
    return RtpPacket(payload_type, False, sequence & 0xFFFF, 0, ssrc, found, payload)


def repair(sequence: int, original: int, ssrc: int, **names: str) -> RtpPacket:
    payload = original.to_bytes(2, "big") + KEY_FRAME
    return packet(sequence, ssrc, RTX, payload=payload, **names)  # type: ignore[arg-type]  # all are text


def media(*negotiated: ReceiveSection) -> IncomingMedia:
    incoming = IncomingMedia(US)
    incoming.configure(negotiated or (MICROPHONE, CAMERA, SIMULCAST, DECLARED))
    return incoming


def accept(incoming: IncomingMedia, *packets: RtpPacket, now: float = 0.0) -> dict[str, list[int]]:
    """The numbers of the packets handed up, by "mid/rid"."""
    return {
        f"{key.mid}/{key.rid}": [each.index for each in batch]
        for key, batch in incoming.accept(list(packets), now)
    }


@pytest.mark.parametrize(
    ("first", "where"),
    [
        (packet(5, 3000), "3/"),
        (packet(5, 50, mid="1"), "1/"),
        (packet(5, 50, mid="2", rid="h"), "2/h"),
        (packet(5, 50, OPUS), "0/"),
        (packet(5, 50, OPUS, mid="0", rid="h"), "0/"),
    ],
    ids=["declared", "mid", "mid and rid", "only here", "rid without layers"],
)
def test_a_packet_finds_its_stream_and_those_after_it_too(first: RtpPacket, where: str) -> None:
    incoming = media()
    second = packet(6, first.ssrc, first.payload_type)
    assert accept(incoming, first, second) == {where: [5, 6]}


@pytest.mark.parametrize(
    ("stray", "reason"),
    [
        (packet(5, 50), Unwanted.UNKNOWN_STREAM),
        (packet(5, 50, mid="9"), Unwanted.UNKNOWN_STREAM),
        (packet(5, 50, mid="\x7f"), Unwanted.UNKNOWN_STREAM),
        (packet(5, 50, mid="2"), Unwanted.UNKNOWN_STREAM),
        (packet(5, 50, mid="2", rid="x"), Unwanted.UNKNOWN_STREAM),
        (packet(5, 50, OPUS, mid="1"), Unwanted.PAYLOAD_TYPE),
        (packet(5, 50, 77), Unwanted.UNKNOWN_STREAM),
        (packet(5, 50, RTX, mid="1"), Unwanted.UNKNOWN_STREAM),
        (packet(5, 3001, RTX), Unwanted.UNKNOWN_STREAM),
    ],
)
def test_a_packet_that_is_nobodys_is_counted(stray: RtpPacket, reason: Unwanted) -> None:
    incoming = media()
    assert accept(incoming, stray) == {}
    assert incoming.unwanted == {reason: 1}


def test_a_payload_type_that_was_not_negotiated_is_left_out() -> None:
    incoming = media()
    assert accept(incoming, packet(5, 50, mid="1"), packet(6, 50, 77), packet(7, 50, RTX)) == {
        "1/": [5]
    }
    assert incoming.unwanted == {Unwanted.PAYLOAD_TYPE: 2}


def test_packets_are_told_apart_by_layer_and_stay_in_order() -> None:
    incoming = media()
    accepted = accept(
        incoming,
        *(packet(5, ssrc, mid="2", rid=rid) for rid, ssrc in (("q", 20), ("h", 21), ("f", 22))),
        *(packet(sequence, 20 + sequence % 3) for sequence in range(6, 12)),
    )
    assert accepted == {"2/q": [5, 6, 9], "2/h": [5, 7, 10], "2/f": [5, 8, 11]}


def test_video_is_described_and_sound_is_not() -> None:
    incoming = media()
    voice = packet(5, 51, OPUS)
    accept(incoming, picture := packet(5, 50, mid="1"), voice, now=3.0)
    assert isinstance(picture.frame, Frame)
    assert picture.frame.key_frame
    assert (picture.arrival, voice.frame) == (3.0, None)


def test_padding_is_handed_up_and_a_malformed_payload_is_not() -> None:
    incoming = media()
    padding = packet(6, 50, payload=b"")
    assert accept(incoming, packet(5, 50, mid="1"), padding, packet(7, 50, payload=b"\x80")) == {
        "1/": [5, 6]
    }
    assert incoming.unwanted == {Unwanted.MALFORMED: 1}


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (packet(5, 50, mid="1"), repair(900, 6, 60, mid="1")),
        (packet(5, 50, mid="2", rid="h"), repair(900, 6, 60, mid="2", repaired="h")),
        (packet(5, 3000), repair(900, 6, 3001)),
    ],
    ids=["mid", "mid and repaired rid", "declared"],
)
def test_a_repair_fills_its_hole_and_only_once(first: RtpPacket, again: RtpPacket) -> None:
    incoming = media()
    accept(incoming, first, packet(7, first.ssrc))
    ((key, (repaired,)),) = incoming.accept([again, again], 1.0)
    assert (repaired.index, repaired.payload_type, repaired.ssrc) == (6, VP8, first.ssrc)
    assert repaired.payload == KEY_FRAME
    assert isinstance(repaired.frame, Frame)
    statistics = incoming.statistics()[key]
    assert (statistics.recovered, statistics.duplicates, statistics.lost) == (1, 1, 1)


def test_a_repair_of_nothing_is_only_counted() -> None:
    incoming = media()
    accept(incoming, packet(5, 50, mid="1"), repair(900, 4, 60, mid="1"))
    assert accept(incoming, packet(901, 60, RTX, payload=b"")) == {}
    assert accept(incoming, packet(902, 60, VP8)) == {}
    assert incoming.unwanted == {Unwanted.PADDING: 1, Unwanted.PAYLOAD_TYPE: 1}


def test_a_repair_of_a_stream_that_comes_later_finds_it_then() -> None:
    incoming = media()
    assert accept(incoming, repair(900, 6, 3001)) == {}
    accept(incoming, packet(5, 3000), packet(7, 3000))
    assert accept(incoming, repair(901, 6, 3001)) == {"3/": [6]}


def test_a_layer_that_begins_anew_takes_the_place_of_the_old() -> None:
    incoming = media()
    accept(incoming, packet(5, 50, mid="2", rid="q"), repair(1, 4, 60, mid="2", repaired="q"))
    assert accept(incoming, packet(900, 51, mid="2", rid="q"), packet(6, 50)) == {"2/q": [900]}
    assert incoming.statistics()[StreamKey("2", "q")].ssrc == 51
    assert accept(incoming, repair(2, 899, 60)) == {}


def test_a_section_shows_so_many_ssrcs_and_no_more() -> None:
    incoming = media()
    for ssrc in range(100, 100 + SSRCS_PER_SECTION):
        assert accept(incoming, packet(1, ssrc, mid="1"))
    assert accept(incoming, packet(1, 99, mid="1")) == {}
    assert accept(incoming, packet(1, 98, OPUS))
    assert incoming.unwanted == {Unwanted.TOO_MANY_SSRCS: 1}
    incoming.configure([MICROPHONE, CAMERA])
    assert accept(incoming, packet(1, 99, mid="1"))


def test_streams_live_through_a_negotiation() -> None:
    incoming = media()
    accept(incoming, packet(5, 50, mid="1"), packet(5, 60, mid="2", rid="q"))
    incoming.configure([CAMERA, SIMULCAST])
    assert accept(incoming, packet(5, 50), packet(6, 50), packet(6, 60)) == {
        "1/": [6],
        "2/q": [6],
    }


def test_a_stream_sleeps_without_its_section_and_wakes_with_it() -> None:
    incoming = media()
    accept(incoming, packet(0xFFFF, 60, mid="2", rid="q"), packet(1, 60))
    accept(incoming, repair(9, 4, 61, mid="2", repaired="q"))
    incoming.configure([CAMERA])
    assert accept(incoming, packet(2, 60), repair(10, 0, 61)) == {}
    assert incoming.statistics() == {}
    incoming.configure([CAMERA, SIMULCAST])
    assert accept(incoming, packet(3, 60), repair(11, 0, 61)) == {"2/q": [0x10003, 0x10000]}


def test_streams_that_sleep_are_bounded_and_the_oldest_go() -> None:
    incoming = media()
    for ssrc in range(100, 101 + SLEEPING):
        incoming.configure([attrs.evolve(CAMERA, mid=str(ssrc))])
        assert accept(incoming, packet(5, ssrc, mid=str(ssrc)))
    incoming.configure([])
    for ssrc, expected in ((100, {}), (101, {"101/": [6]})):
        incoming.configure([attrs.evolve(CAMERA, mid=str(ssrc)), SIMULCAST])
        assert accept(incoming, packet(6, ssrc)) == expected


def test_what_is_missing_is_asked_for_where_nack_was_negotiated() -> None:
    mute = attrs.evolve(MICROPHONE, formats={OPUS: Format("audio/opus", 48_000, 2)})
    incoming = media(mute, CAMERA)
    accept(incoming, packet(0xFFFE, 50, mid="1"), packet(5, 51, OPUS), packet(9, 51, OPUS))
    accept(incoming, packet(0, 50), packet(2, 50))
    nacks = [due for due in incoming.take_rtcp(0.02) if isinstance(due, Nack)]
    assert nacks == [Nack(US, 50, (0xFFFF, 1))]


def asked_in_vain(incoming: IncomingMedia) -> dict[str, list[tuple[int, bytes]]]:
    """What is handed up in place of what never comes, by "mid/rid": its index and payload."""
    for at in range(100):
        incoming.take_rtcp(at * 0.02)
    return {
        f"{key.mid}/{key.rid}": [(each.index, each.payload) for each in batch]
        for key, batch in incoming.take_stand_ins()
    }


WITHOUT_RTX: Final = attrs.evolve(CAMERA, formats={VP8: CAMERA.formats[VP8]})


def test_padding_that_was_lost_is_made_up_for_where_it_takes_numbers_of_the_stream() -> None:
    incoming = media(WITHOUT_RTX)
    accept(incoming, packet(0xFFFE, 50), packet(1, 50))
    assert asked_in_vain(incoming) == {"1/": [(0xFFFF, b""), (0x10000, b"")]}
    assert asked_in_vain(incoming) == {}
    assert accept(incoming, packet(0xFFFF, 50)) == {}
    (statistics,) = incoming.statistics().values()
    assert (statistics.lost, statistics.duplicates) == (2, 1)


def test_what_is_repeated_late_needs_nothing_in_its_place() -> None:
    incoming = media(WITHOUT_RTX)
    accept(incoming, packet(5, 50), packet(8, 50))
    incoming.take_rtcp(0.02)
    assert accept(incoming, packet(6, 50)) == {"1/": [6]}
    assert asked_in_vain(incoming) == {"1/": [(7, b"")]}


def test_a_picture_or_a_sound_that_was_lost_is_not_made_up_for() -> None:
    incoming = media()
    accept(incoming, packet(5, 50, mid="1"), packet(8, 50))
    accept(incoming, packet(5, 51, OPUS), packet(8, 51, OPUS))
    assert asked_in_vain(incoming) == {}


def test_a_report_tells_of_each_stream_that_was_heard() -> None:
    incoming = media()
    accept(incoming, packet(5, 50, mid="1"), packet(5, 51, OPUS))
    assert incoming.deadline == 0.1
    assert incoming.take_rtcp(0.05) == []
    report, reference = incoming.take_rtcp(0.1)
    assert isinstance(report, ReceiverReport)
    assert [block.ssrc for block in report.reports] == [50, 51]
    assert isinstance(reference, ExtendedReport)
    accept(incoming, packet(6, 50), now=0.2)
    assert incoming.deadline == 1.1
    report, _ = incoming.take_rtcp(1.1)
    assert isinstance(report, ReceiverReport)
    assert [block.ssrc for block in report.reports] == [50]


def test_the_answer_to_our_reference_time_tells_the_round_trip() -> None:
    incoming = media()
    accept(incoming, packet(5, 50, mid="1"))
    (reference,) = (due for due in incoming.take_rtcp(0.1) if isinstance(due, ExtendedReport))
    assert reference.reference_time is not None
    middle = ntp.middle(reference.reference_time)
    answers = LastReference(US, middle, 6554), LastReference(99, middle, 0)
    incoming.hear(ExtendedReport(50, None, answers), 0.25)
    assert incoming.rtt == pytest.approx(0.05, abs=1e-3)


def test_arrivals_of_all_packets_are_told_to_the_sender() -> None:
    incoming = media()
    for number, each in enumerate(
        [packet(5, 50, mid="1"), repair(9, 4, 60, mid="1"), packet(5, 77), packet(1, 51, OPUS)]
    ):
        each.extensions[sections.TRANSPORT_SEQUENCE_ID] = number.to_bytes(2, "big")
        accept(incoming, each)
    (feedback,) = (due for due in incoming.take_rtcp(0.25) if isinstance(due, TransportFeedback))
    assert (feedback.base, len(feedback.arrivals)) == (0, 4)


@pytest.mark.parametrize(
    ("feedback", "asked"),
    [
        ({"nack pli", "ccm fir"}, [Pli(US, 50), Pli(US, 50)]),
        ({"ccm fir"}, [Fir(US, ((50, 1),)), Fir(US, ((50, 2),))]),
        ({"nack"}, []),
    ],
)
def test_a_key_frame_is_asked_for_as_negotiated(feedback: set[str], asked: list[object]) -> None:
    formats = {VP8: Format("video/VP8", 90_000, feedback=frozenset(feedback))}
    incoming, key = media(attrs.evolve(CAMERA, formats=formats)), StreamKey("1")
    assert not incoming.request_key_frame(key, 0.0)
    accept(incoming, packet(5, 50, mid="1"))
    sent: list[RtcpPacket] = []
    for now in (0.01, 0.02):
        assert incoming.request_key_frame(key, now) == bool(asked)
        assert incoming.request_key_frame(key, now) == bool(asked)
        if asked:
            assert incoming.deadline == now
        sent += incoming.take_rtcp(now)
        assert incoming.deadline > now
    assert sent == asked


def test_a_senders_clock_is_at_hand_for_each_stream() -> None:
    incoming, key = media(), StreamKey("1")
    assert incoming.sender_clock(key) is None
    accept(incoming, packet(5, 50, mid="1"))
    incoming.hear(SenderReport(50, ntp.from_unix(1.6e9), 4711, 1, 1), 3.0)
    incoming.hear(SenderReport(99, ntp.from_unix(1.6e9), 1, 1, 1), 3.0)
    clock = incoming.sender_clock(key)
    assert clock
    assert (clock.timestamp, clock.arrival) == (4711, 3.0)


def test_a_layer_that_was_switched_off_may_go_on() -> None:
    incoming = media()
    accept(incoming, packet(5, 50, mid="2", rid="q"))
    incoming.hear(Bye((50,)), 1.0)
    assert accept(incoming, packet(6, 50)) == {"2/q": [6]}


def test_how_loud_a_packet_is() -> None:
    incoming, key = media(), StreamKey("0")
    loud = packet(5, 51, OPUS, extensions={sections.LEVEL_ID: b"\x85"})
    level = incoming.audio_level(key, loud)
    assert level
    assert (level.level, level.voice) == (5, True)
    assert incoming.audio_level(key, packet(6, 51, OPUS)) is None
    assert incoming.audio_level(StreamKey("9"), loud) is None


EXTENSION_VALUES = st.dictionaries(st.integers(1, 15), st.binary(max_size=20), max_size=4)


@given(
    st.lists(
        st.builds(
            RtpPacket,
            st.sampled_from([VP8, RTX, OPUS, 77]),
            st.booleans(),
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.sampled_from([50, 51, 3000, 3001]),
            EXTENSION_VALUES
            | st.sampled_from(
                [{sections.MID_ID: b"2", sections.RID_ID: b"q"}, {sections.MID_ID: b"1"}]
            ),
            st.binary(max_size=20),
        ),
        max_size=40,
    )
)
def test_nothing_that_a_peer_sends_is_too_much(packets: list[RtpPacket]) -> None:
    incoming, handed_up = media(), 0
    for number, each in enumerate(packets):
        handed_up += sum(len(batch) for _, batch in incoming.accept([each], number / 100))
        incoming.take_rtcp(number / 100)
        assert incoming.deadline > number / 100
    duplicates = sum(each.duplicates for each in incoming.statistics().values())
    assert handed_up + sum(incoming.unwanted.values()) + duplicates <= len(packets)
