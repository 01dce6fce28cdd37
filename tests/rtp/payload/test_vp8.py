"""Reading it is also held against aiortc, in tests/interop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.rtp.payload import describer, vp8

describe = describer("video/VP8")
assert describe


@given(st.binary(min_size=6, max_size=20), *[st.integers(0, 0xFFFF)] * 3)
def test_what_is_renumbered_differs_in_its_numbers_only(
    payload: bytes, picture_id: int, tl0: int, key: int
) -> None:
    before = vp8.parse(payload)
    patch = vp8.renumber(payload, before, picture_id, tl0, key)
    after = vp8.parse(patch)
    assert after.size == len(patch)
    for has, number, expected in (
        (before.picture_id, after.picture_id, picture_id & 0x7FFF),
        (before.tl0_picture_index, after.tl0_picture_index, tl0 & 0xFF),
        (before.key_index, after.key_index, key & 0x1F),
    ):
        assert number == (None if has is None else expected)
    assert (after.start, after.temporal, after.layer_sync) == (
        before.start,
        before.temporal,
        before.layer_sync,
    )


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
