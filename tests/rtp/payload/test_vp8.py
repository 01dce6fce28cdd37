import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.rtp.payload import describer, vp8

describe = describer("video/VP8")
assert describe


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
def test_a_descriptor_reads_as_aiortc_wrote_it(theirs: VpxPayloadDescriptor, data: bytes) -> None:
    wire = bytes(theirs)
    ours = vp8.parse(wire + data)
    assert ours.size == len(wire)
    assert ours.start == (theirs.partition_start == 1 and theirs.partition_id == 0)
    assert ours.picture_id == theirs.picture_id
    assert ours.tl0_picture_index == theirs.tl0picidx
    assert ours.key_index == theirs.keyidx
    assert (ours.temporal, ours.layer_sync) == (
        (None, False) if theirs.tid is None else (theirs.tid[0], bool(theirs.tid[1]))
    )


@given(descriptors, st.binary(min_size=1), st.integers(0, 0xFFFF), st.integers(0, 999))
def test_what_is_renumbered_differs_in_its_numbers_only(
    theirs: VpxPayloadDescriptor, data: bytes, picture_id: int, other: int
) -> None:
    wire = bytes(theirs) + data
    patch = vp8.renumber(wire, vp8.parse(wire), picture_id, other, other)
    renumbered, rest = VpxPayloadDescriptor.parse(patch + wire[len(bytes(theirs)) :])
    assert rest == data
    for name, number in (
        ("picture_id", picture_id & 0x7FFF),
        ("tl0picidx", other & 0xFF),
        ("keyidx", other & 0x1F),
    ):
        assert getattr(renumbered, name) == (None if getattr(theirs, name) is None else number)
    for name in ("partition_start", "partition_id", "tid"):
        assert getattr(renumbered, name) == getattr(theirs, name)


def test_a_short_picture_id_becomes_a_long_one() -> None:
    wire = bytes.fromhex("90 80 11 00")
    found = vp8.parse(wire)
    assert (found.picture_id, found.long, found.size) == (0x11, False, 3)
    assert vp8.renumber(wire, found, 0x1234, 0, 0).hex() == "90809234"


@pytest.mark.parametrize(
    ("payload", "key_frame", "start"),
    [
        ("10 1002 009d012a", True, True),  # S, first partition; P of the frame is 0
        ("10 11", False, True),  # P is 1
        ("00 10", False, False),  # not the start of a partition
        ("11 10", False, False),  # the start of the second
        ("90 e0 8001 05 20 10", True, True),
        ("80 e0 8001 05 20 10", False, False),
    ],
)
def test_a_key_frame_is_known_by_its_first_packet(
    payload: str, key_frame: bool, start: bool
) -> None:
    frame = describe(bytes.fromhex(payload))
    assert (frame.key_frame, frame.start) == (key_frame, start)


def test_temporal_layers_are_told() -> None:
    frame = describe(bytes.fromhex("90 e0 8001 05 a0 11"))
    assert (frame.temporal, frame.layer_sync) == (2, True)
    assert frame.descriptor is not None
    assert frame.descriptor.tl0_picture_index == 5


@pytest.mark.parametrize("payload", ["", "10", "90", "9080", "908080", "90c001", "90f0800105"])
def test_what_is_cut_short_is_refused(payload: str) -> None:
    with pytest.raises(WireError):
        describe(bytes.fromhex(payload))
