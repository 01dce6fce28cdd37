"""aiortc's codecs on the other side of ours: it did not read our code."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.rtp import packet as ours
from trio_sfu.rtp.feedback import Nack, Pli, Remb
from trio_sfu.rtp.payload import describer, vp8
from trio_sfu.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SdesChunk,
    SenderReport,
    SourceDescription,
    decode_compound,
    encode_compound,
)

pytest.importorskip("aiortc", reason="aiortc is not installed")

from aiortc import rtp as theirs
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor
from av import VideoFrame

pytestmark = pytest.mark.interop

u8, u32, u64 = st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
blocks = st.lists(
    st.builds(ReportBlock, u32, u8, st.integers(-(2**23), 2**23 - 1), u32, u32, u32, u32),
    max_size=4,
).map(tuple)
losses = st.sets(st.integers(0, 200), min_size=1).map(lambda lost: tuple(sorted(lost)))
chunks = st.lists(st.tuples(st.integers(1, 15), st.binary(max_size=40)), max_size=3).map(
    lambda items: (SdesChunk(7, tuple(items)),)
)
messages: st.SearchStrategy[RtcpPacket] = st.one_of(
    st.builds(SenderReport, u32, u64, u32, u32, u32, blocks),
    st.builds(ReceiverReport, u32, blocks),
    st.builds(Bye, st.lists(u32, max_size=4).map(tuple)),
    st.builds(SourceDescription, chunks),
    st.builds(Nack, u32, u32, losses),
    st.builds(Pli, u32, u32),
    st.builds(Remb, u32, st.integers(0, 2**18 - 1), st.lists(u32, max_size=4).map(tuple)),
)


@given(st.lists(messages, min_size=1, max_size=4))
def test_what_we_write_comes_back_from_aiortc_unchanged(compound: list[RtcpPacket]) -> None:
    parsed = theirs.RtcpPacket.parse(encode_compound(compound))
    assert decode_compound(b"".join(map(bytes, parsed))) == compound


@given(st.integers(0, 2**40), st.lists(u32, max_size=4))
def test_aiortc_reads_our_bitrates(bitrate: int, ssrcs: list[int]) -> None:
    (message,) = theirs.RtcpPacket.parse(encode_compound([Remb(1, bitrate, tuple(ssrcs))]))
    assert message.fmt == Remb.FORMAT
    read, named = theirs.unpack_remb_fci(message.fci)
    assert named == ssrcs
    assert read <= bitrate <= read * (1 + 2**-17)


def optional(limit: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, limit)


descriptors = st.builds(
    VpxPayloadDescriptor,
    partition_start=st.integers(0, 1),
    partition_id=st.integers(0, 7),
    picture_id=optional(0x7FFF),
    tl0picidx=optional(255),
    tid=st.none() | st.tuples(st.integers(0, 3), st.integers(0, 1)),
    keyidx=optional(31),
)


@given(descriptors, st.binary(min_size=1))
def test_a_vp8_descriptor_reads_as_aiortc_wrote_it(
    descriptor: VpxPayloadDescriptor, data: bytes
) -> None:
    wire = bytes(descriptor)
    found = vp8.parse(wire + data)
    assert found.size == len(wire)
    assert found.start == (descriptor.partition_start == 1 and descriptor.partition_id == 0)
    assert found.picture_id == descriptor.picture_id
    assert found.tl0_picture_index == descriptor.tl0picidx
    assert found.key_index == descriptor.keyidx
    assert (found.temporal, found.layer_sync) == (
        (None, False) if descriptor.tid is None else (descriptor.tid[0], bool(descriptor.tid[1]))
    )


@given(descriptors, st.binary(min_size=1), st.integers(0, 0xFFFF), st.integers(0, 999))
def test_aiortc_sees_other_numbers_in_what_was_renumbered_and_nothing_else(
    descriptor: VpxPayloadDescriptor, data: bytes, picture_id: int, other: int
) -> None:
    wire = bytes(descriptor) + data
    found = vp8.parse(wire)
    patch = vp8.renumber(wire, found, picture_id, other, other)
    renumbered, rest = VpxPayloadDescriptor.parse(patch + wire[found.size :])
    assert rest == data
    for name, number in (
        ("picture_id", picture_id & 0x7FFF),
        ("tl0picidx", other & 0xFF),
        ("keyidx", other & 0x1F),
    ):
        assert getattr(renumbered, name) == (None if getattr(descriptor, name) is None else number)
    for name in ("partition_start", "partition_id", "tid"):
        assert getattr(renumbered, name) == getattr(descriptor, name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mime", "encoder"), [("video/VP8", Vp8Encoder), ("video/H264", H264Encoder)]
)
def test_key_frames_of_real_encoders_are_found(mime: str, encoder: type) -> None:
    describe = describer(mime)
    assert describe
    real = encoder()
    for number, wanted in enumerate([True, False, False, True, False]):
        picture = VideoFrame(width=320, height=240)
        picture.pts, picture.time_base = number * 3000, Fraction(1, 90_000)
        payloads, _ = real.encode(picture, force_keyframe=wanted)
        frames = [describe(payload) for payload in payloads]
        assert frames[0].start
        assert frames[0].key_frame == wanted
        assert any(frame.key_frame for frame in frames) == wanted


@given(st.binary(max_size=300), st.integers(0, 0xFFFF), u32, u32, st.booleans())
def test_packets_are_the_same_to_both(
    payload: bytes, sequence: int, timestamp: int, ssrc: int, marker: bool
) -> None:
    packet = theirs.RtpPacket(96, int(marker), sequence, timestamp, ssrc, payload)
    parsed = ours.parse(packet.serialize())
    assert (parsed.sequence, parsed.timestamp, parsed.ssrc) == (sequence, timestamp, ssrc)
    assert (parsed.payload_type, parsed.marker, parsed.payload) == (96, marker, payload)
    sent = ours.Outgoing(parsed, sequence, timestamp, ssrc, 96, marker)
    again = theirs.RtpPacket.parse(ours.render(sent))
    assert bytes(again.serialize()) == packet.serialize()
