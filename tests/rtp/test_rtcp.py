import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.rtp.feedback import Fir, Nack, Pli, Remb
from trio_sfu.rtp.rtcp import (
    CNAME,
    MID,
    Bye,
    ExtendedReport,
    LastReference,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SdesChunk,
    SenderReport,
    SourceDescription,
    Unknown,
    decode_compound,
    encode_compound,
)
from trio_sfu.rtp.twcc import TransportFeedback

u8, u32, u64 = st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
i24 = st.integers(-(2**23), 2**23 - 1)
text = st.binary(max_size=255)


def some(strategy: st.SearchStrategy, most: int = 31) -> st.SearchStrategy:
    return st.lists(strategy, max_size=most).map(tuple)


blocks = some(st.builds(ReportBlock, u32, u8, i24, u32, u32, u32, u32))
chunks = some(st.builds(SdesChunk, u32, some(st.tuples(st.integers(1, 255), text), 3)), 5)
packets: st.SearchStrategy[RtcpPacket] = st.one_of(
    st.builds(SenderReport, u32, u64, u32, u32, u32, blocks),
    st.builds(ReceiverReport, u32, blocks),
    st.builds(SourceDescription, chunks),
    st.builds(Bye, some(u32), text),
    st.builds(
        ExtendedReport, u32, st.none() | u64, some(st.builds(LastReference, u32, u32, u32), 5)
    ),
    st.builds(Nack, u32, u32, some(st.just(7), 1)),
    st.builds(Pli, u32, u32),
    st.builds(Fir, u32, some(st.tuples(u32, u8), 3)),
    st.builds(Remb, u32, st.integers(0, 2**18 - 1), some(u32, 3)),
    st.just(TransportFeedback(1, 2, 65535, 3, 7, ((65535, 256), (1, 300)))),
    st.builds(Unknown, st.sampled_from([204, 208]), st.integers(0, 31), st.just(b"word")),
)


@given(st.lists(packets, max_size=6))
def test_a_compound_survives_a_round_trip(compound: list[RtcpPacket]) -> None:
    data = encode_compound(compound)
    assert len(data) % 4 == 0
    assert decode_compound(data) == compound


def test_a_sender_report_with_its_name_reads_as_the_rfc_draws_it() -> None:
    wire = bytes.fromhex(
        "81c8000c 00000001 e000000080000000 0000abcd 00000002 00000100"
        "00000002 40 ffffff 0001abcd 00000010 e0000000 00010000"
        "81ca0004 00000001 0105 50415f61 7c 0f01 30 0000"
    )
    report, names = decode_compound(wire)
    assert report == SenderReport(
        1,
        0xE000000080000000,
        0xABCD,
        2,
        256,
        (ReportBlock(2, 64, -1, 0x1ABCD, 16, 0xE0000000, 0x10000),),
    )
    assert names == SourceDescription((SdesChunk(1, ((CNAME, b"PA_a|"), (MID, b"0"))),))
    assert encode_compound([report, names]) == wire


def test_a_report_may_end_with_what_only_its_profile_knows() -> None:
    wire = bytes.fromhex("80c9 0002 00000001 12345678")
    assert decode_compound(wire) == [ReceiverReport(1)]


def test_feedback_may_come_alone() -> None:
    assert decode_compound(bytes.fromhex("81ce0002 00000001 00000002")) == [Pli(1, 2)]


def test_padding_is_taken_off_wherever_it_is() -> None:
    wire = bytes.fromhex("a1ce0003 00000001 00000002 00000004 81ce0002 00000001 00000002")
    assert decode_compound(wire) == [Pli(1, 2), Pli(1, 2)]


def test_unknown_types_and_formats_are_kept() -> None:
    wire = bytes.fromhex("82cc0001 61626364 87ce0001 65666768 8fce0003 00000001 00000002 41424344")
    assert decode_compound(wire) == [
        Unknown(204, 2, b"abcd"),
        Unknown(206, 7, b"efgh"),
        Unknown(206, 15, bytes.fromhex("00000001 00000002 41424344")),
    ]
    assert encode_compound(decode_compound(wire)) == wire


def test_blocks_of_other_kinds_in_an_extended_report_are_skipped() -> None:
    wire = bytes.fromhex("80cf0005 00000001 01000000 04000002 e000000080000000")
    assert decode_compound(wire) == [ExtendedReport(1, 0xE000000080000000)]


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        ("81ce0002 00000001", "asked for"),
        ("81ce00", "asked for"),
        ("41ce0002 00000001 00000002", "version 1"),
        ("81ce0001 00000001", "asked for"),
        ("82c90001 00000001", "asked for"),
        ("a1ce0002 00000001 00000000", "padding"),
        ("a1ce0002 00000001 00000009", "padding"),
        ("a1ce0000", "padding"),
    ],
)
def test_malformed_compounds_are_refused(wire: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        decode_compound(bytes.fromhex(wire))


def test_more_than_a_packet_holds_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="32 do not fit"):
        encode_compound([Bye(tuple(range(32)))])


def test_reports_are_values() -> None:
    report = ReceiverReport(1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.ssrc = 2  # type: ignore[misc]  # that it is refused is the test


def test_what_nobody_wants_to_read_is_left_as_it_is() -> None:
    data = encode_compound([Bye((1,)), ReceiverReport(2, ())])
    (left, read) = decode_compound(data, {(Bye.PACKET_TYPE, 1)})
    assert left == Unknown(Bye.PACKET_TYPE, 1, b"\0\0\0\1")
    assert read == ReceiverReport(2, ())
