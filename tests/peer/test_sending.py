import math
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.peer import sections
from tests.peer.sections import OPUS, RTX, TO_BOB, VOICE_TO_BOB, VP8
from trio_sfu import ntp
from trio_sfu.peer.media import SendSection
from trio_sfu.peer.sending import REFERENCES, KeyFrameWanted, OutgoingMedia
from trio_sfu.rtp import extensions as uris
from trio_sfu.rtp.extensions import decode_abs_send_time
from trio_sfu.rtp.feedback import Fir, Nack, Pli, Remb
from trio_sfu.rtp.packet import Outgoing, RtpPacket, parse
from trio_sfu.rtp.rtcp import (
    CNAME,
    MID,
    Bye,
    ExtendedReport,
    LastReference,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
)
from trio_sfu.rtp.twcc import TransportFeedback
from trio_sfu.wire import Reader

WALL: Final = 1.7e9


def outgoing(sequence: int, section: SendSection = TO_BOB, timestamp: int = 0) -> Outgoing:
    payload_type = VP8 if section.kind == "video" else OPUS
    source = RtpPacket(payload_type, False, 1, 2, 3, {}, b"old picture")
    return Outgoing(
        source, sequence, timestamp, section.ssrc, payload_type, False, cut=3, patch=b"new"
    )


def media(*negotiated: SendSection) -> OutgoingMedia:
    sending = OutgoingMedia(WALL, bytes)
    sending.configure(negotiated or (TO_BOB, VOICE_TO_BOB), 0.0)
    return sending


def block(ssrc: int = TO_BOB.ssrc, last: int = 0, delay: int = 0, fraction: int = 0) -> ReportBlock:
    return ReportBlock(ssrc, fraction, 0, 0, 0, last, delay)


def heard(sending: OutgoingMedia, *packets: RtcpPacket, now: float = 1.0) -> OutgoingMedia:
    for packet in packets:
        sending.hear(packet, now)
    return sending


def test_what_leaves_is_what_was_decided_and_what_was_negotiated() -> None:
    sending = media()
    first, second, voice = map(
        parse,
        sending.send([outgoing(5), outgoing(6), outgoing(9, VOICE_TO_BOB)], now=66.5),
    )
    assert (first.ssrc, first.sequence, first.payload) == (700, 5, b"new picture")
    assert (second.sequence, voice.ssrc, voice.payload_type) == (6, 800, OPUS)
    for number, packet in enumerate((first, second, voice)):
        found = packet.extensions
        assert found[sections.TRANSPORT_SEQUENCE_ID] == number.to_bytes(2, "big")
        assert decode_abs_send_time(Reader(found[sections.SEND_TIME_ID])) == 2.5
    assert first.extensions[sections.MID_ID] == b"7"
    assert voice.extensions[sections.MID_ID] == b"8"


def test_the_mid_is_left_out_once_the_peer_has_reported() -> None:
    sending = heard(media(), ReceiverReport(9, (block(),)))
    first, voice = map(parse, sending.send([outgoing(5), outgoing(9, VOICE_TO_BOB)], 1.0))
    assert sections.MID_ID not in first.extensions
    assert voice.extensions[sections.MID_ID] == b"8"
    sending.configure([TO_BOB], 2.0)
    assert sections.MID_ID not in parse(*sending.send([outgoing(6)], 2.0)).extensions


@given(
    st.dictionaries(
        st.sampled_from([uris.MID, uris.ABS_SEND_TIME, uris.TRANSPORT_SEQUENCE, uris.AUDIO_LEVEL]),
        st.integers(1, 20),
    ).filter(lambda ids: len(set(ids.values())) == len(ids)),
    st.sampled_from(["0", "sixteen letters!", "seventeen letters"]),
)
def test_any_ids_and_any_mid_make_extensions_that_are_read_again(
    ids: dict[str, int], mid: str
) -> None:
    sending = media(attrs.evolve(TO_BOB, extensions=ids, mid=mid))
    found = parse(*sending.send([outgoing(5)], now=1.0)).extensions
    expected = {
        uris.MID: mid.encode(),
        uris.ABS_SEND_TIME: uris.encode_abs_send_time(1.0),
        uris.TRANSPORT_SEQUENCE: b"\0\0",
    }
    assert found == {ids[uri]: value for uri, value in expected.items() if uri in ids}


def test_a_packet_of_a_stream_that_is_gone_is_left_out() -> None:
    sending = media(TO_BOB)
    assert len(sending.send([outgoing(1, VOICE_TO_BOB), outgoing(1)], 0.0)) == 1
    assert sending.unknown == 1


def test_what_the_peer_asks_for_comes_again_over_rtx() -> None:
    sending = media()
    sent = sending.send([outgoing(sequence) for sequence in range(5, 9)], 0.0)
    heard(sending, Nack(9, TO_BOB.ssrc, (6, 8, 9)), Nack(9, 4711, (6,)))
    first, second = map(parse, sending.take_repeats())
    assert sending.take_repeats() == []
    assert (first.ssrc, first.payload_type) == (TO_BOB.rtx_ssrc, RTX)
    assert first.payload == b"\0\6" + parse(sent[1]).payload
    assert second.payload == b"\0\x08" + parse(sent[3]).payload
    assert second.sequence == first.sequence + 1
    numbers = [each.extensions[sections.TRANSPORT_SEQUENCE_ID][1] for each in (first, second)]
    assert numbers == [4, 5]


def test_without_rtx_the_same_bytes_come_again() -> None:
    """Or two messages would share a nonce, see `trio_sfu.peer.retransmit`."""
    sending = media()
    sent = sending.send([outgoing(sequence, VOICE_TO_BOB) for sequence in range(5, 9)], 0.0)
    heard(sending, ReceiverReport(9, (block(VOICE_TO_BOB.ssrc),)), now=1.0)
    heard(sending, Nack(9, VOICE_TO_BOB.ssrc, (6,)), now=1.0)
    assert sending.take_repeats() == [sent[1]]


def test_a_negotiation_does_not_change_what_was_sent() -> None:
    sending = media()
    sent = sending.send([outgoing(5, VOICE_TO_BOB)], 0.0)
    sending.configure([TO_BOB, attrs.evolve(VOICE_TO_BOB, extensions={})], 0.5)
    heard(sending, Nack(9, VOICE_TO_BOB.ssrc, (5,)))
    assert sending.take_repeats() == sent


def test_reports_tell_of_what_was_sent_with_the_name_of_its_source() -> None:
    sending = media()
    sending.send([outgoing(5, timestamp=90_000), outgoing(6, timestamp=90_000)], 10.0)
    assert sending.deadline == 10.1
    assert sending.take_rtcp(10.0) == []
    report, names = sending.take_rtcp(10.1)
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.packet_count, report.octet_count) == (700, 2, 22)
    assert report.rtp_timestamp == 99_000
    assert ntp.to_unix(report.ntp) == pytest.approx(WALL + 10.1, abs=1e-5)
    assert isinstance(names, SourceDescription)
    assert names.chunks[0].items == ((CNAME, b"alice"), (MID, b"7"))


def test_reports_come_every_three_seconds_but_early_for_a_new_stream() -> None:
    sending, reported = media(), list[tuple[float, list[int]]]()
    for tick in range(1000):
        now = tick / 100
        sending.send([outgoing(tick)], now)
        if now >= 5:
            sending.send([outgoing(tick, VOICE_TO_BOB)], now)
        if now >= sending.deadline:
            due = sending.take_rtcp(now)
            ssrcs = [each.ssrc for each in due if isinstance(each, SenderReport)]
            reported.append((now, ssrcs))
    assert [when for when, _ in reported] == pytest.approx([0.1, 3.1, 5.1, 8.1])
    assert [ssrcs for _, ssrcs in reported] == [[700], [700], [700, 800], [700, 800]]


def test_a_silent_stream_makes_no_reports() -> None:
    sending = media()
    sending.send([outgoing(5)], 0.0)
    sending.take_rtcp(0.1)
    assert sending.deadline == math.inf


def test_an_aligned_stream_tells_its_sources_time() -> None:
    sending = media()
    sending.align(TO_BOB.ssrc, timestamp=0, at=9.0)
    sending.align(4711, timestamp=0, at=9.0)
    sending.send([outgoing(5, timestamp=12345)], 10.0)
    report = sending.take_rtcp(10.1)[0]
    assert isinstance(report, SenderReport)
    assert report.rtp_timestamp == 99_000


def test_the_round_trip_follows_from_the_peers_report() -> None:
    sending = media()
    sending.send([outgoing(5)], 0.0)
    report = sending.take_rtcp(0.1)[0]
    assert isinstance(report, SenderReport)
    answer = block(last=ntp.middle(report.ntp), delay=65536, fraction=64)
    heard(sending, ReceiverReport(9, (block(4711), answer)), now=1.2)
    assert sending.rtt == pytest.approx(0.1, abs=1e-3)
    statistics = sending.statistics()["7"]
    assert statistics.rtt == sending.rtt
    assert (statistics.packets, statistics.fraction_lost) == (1, 0.25)


def test_a_receivers_reference_time_is_answered_once() -> None:
    sending = media()
    heard(sending, ExtendedReport(9, reference_time=ntp.from_unix(5.0)), now=0.0)
    sending.send([outgoing(5), outgoing(5, VOICE_TO_BOB)], 0.1)
    answers = [due for due in sending.take_rtcp(0.5) if isinstance(due, ExtendedReport)]
    assert answers == [ExtendedReport(700, None, (LastReference(9, 0x7E85_0000, 32768),))]
    sending.send([outgoing(6)], 4.0)
    assert not any(isinstance(due, ExtendedReport) for due in sending.take_rtcp(4.0))


def test_receivers_that_change_their_name_do_not_fill_the_memory() -> None:
    sending = media()
    for ssrc in range(1000):
        heard(sending, ExtendedReport(ssrc, reference_time=1 << 32))
    sending.send([outgoing(5)], 2.0)
    (answer,) = (due for due in sending.take_rtcp(2.5) if isinstance(due, ExtendedReport))
    assert len(answer.last_references) <= REFERENCES


def test_a_wish_for_a_key_frame_is_handed_up_once() -> None:
    sending = heard(media(), Pli(9, 700), Pli(9, 700), Pli(9, 4711))
    assert sending.take_events() == [KeyFrameWanted("7", 700)]
    assert sending.take_events() == []


def test_a_repeated_fir_is_no_new_wish() -> None:
    sending = heard(media(), Fir(9, ((700, 5),)))
    assert sending.take_events() == [KeyFrameWanted("7", 700)]
    assert heard(sending, Fir(9, ((700, 5), (4711, 5)))).take_events() == []
    assert heard(sending, Fir(9, ((700, 6),))).take_events() == [KeyFrameWanted("7", 700)]


def test_what_the_path_carries_is_handed_up_as_it_came() -> None:
    remb, feedback = Remb(9, 500_000, (700,)), TransportFeedback(9, 700, 0, 0, 0, ())
    assert heard(media(), remb, feedback).take_events() == [remb, feedback]


def test_streams_that_end_are_said_goodbye_if_they_ever_began() -> None:
    sending = media()
    sending.send([outgoing(5)], 0.0)
    sending.take_rtcp(0.1)
    sending.configure([VOICE_TO_BOB], 1.0)
    assert sending.deadline == 1.0
    assert sending.take_rtcp(1.0) == [Bye((700,))]
    assert sending.deadline == math.inf
    sending.stop(2.0)
    assert sending.take_rtcp(2.0) == []
    assert sending.send([outgoing(5, VOICE_TO_BOB)], 2.0) == []


def test_a_stream_lives_through_a_negotiation() -> None:
    sending = media()
    sending.send([outgoing(5)], 0.0)
    sending.configure([TO_BOB, VOICE_TO_BOB], 1.0)
    heard(sending, Nack(9, 700, (5,)))
    assert len(sending.take_repeats()) == 1
    assert sending.statistics()["7"].packets == 1


def test_packets_need_not_be_numbered_though_it_was_negotiated() -> None:
    """Then a browser estimates the bandwidth itself, and says so once a second."""
    sending = OutgoingMedia(WALL, bytes, numbers=False)
    sending.configure([TO_BOB], 0.0)
    packet = parse(*sending.send([outgoing(5)], 1.0))
    assert packet.extensions.keys() == {sections.MID_ID, sections.SEND_TIME_ID}
    heard(sending, Nack(9, TO_BOB.ssrc, (5,)))
    (repeat,) = map(parse, sending.take_repeats())
    assert repeat.extensions.keys() == {sections.MID_ID, sections.SEND_TIME_ID}
