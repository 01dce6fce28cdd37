"""The codecs whose descriptors are only read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.rtp.payload import describer, red
from trio_sfu.rtp.payload.red import Block


def test_a_describer_is_found_whatever_the_case() -> None:
    assert describer("video/VP8") is describer("VIDEO/vp8") is not None
    assert describer("audio/opus") is None


Expected = tuple[bool, bool]
"""key_frame, start"""

H264: list[tuple[str, Expected]] = [
    ("65 88", (True, True)),  # IDR
    ("67 42e01f", (True, True)),  # SPS
    ("68 ce", (False, True)),  # PPS alone is no place to begin
    ("41 9a", (False, True)),  # a slice
    ("78 0004 6742e01f 0002 68ce 0002 6588", (True, True)),  # STAP-A: SPS, PPS, IDR
    ("78 0002 68ce 0002 6588", (True, True)),
    ("78 0002 0901 0002 419a", (False, True)),
    ("78 0000 0002 6588", (True, True)),  # an empty unit is passed over
    ("7c 85 88", (True, True)),  # FU-A, the start of an IDR
    ("7c 05 88", (False, False)),  # FU-A, the middle of it
    ("7c 45 88", (False, False)),  # FU-A, its end
    ("5c 81 9a", (False, True)),
]

VP9: list[tuple[str, Expected]] = [
    ("8a 9234 00 82", (True, True)),  # I, B, V; P unset
    ("0a 38 014000b4 02800168 01 04 01 82", (True, True)),  # sizes and a pattern
    ("08 49", (True, True)),  # encrypted: P must do
    ("08 86", (False, True)),  # ffmpeg leaves P unset, the frame itself knows
    ("08 8a", (False, True)),  # a picture shown again
    ("08 b1", (True, True)),  # profile 3
    ("08 b2", (False, True)),
    ("08 b4", (False, True)),
    ("08 82", (True, True)),  # the shortest
    ("04 82", (False, False)),  # E: the last packet of the key frame
    ("c8 9234 86", (False, True)),  # P
    ("a8 11 00 05 82", (True, True)),  # L: spatial layer 0
    ("a8 11 03 05 82", (False, True)),  # L: spatial layer 1, on top of a key frame's layer 0
    ("f8 11 20 05 02 86", (False, True)),  # F and P: two references
]

AV1: list[tuple[str, Expected]] = [
    ("18 0a0b", (True, True)),  # N
    ("10 0a0b", (True, True)),  # a sequence header, though N is missing
    ("10 3200", (False, True)),  # a frame
    ("90 1234", (False, False)),  # Z: goes on
    ("20 03 320012 3200", (False, True)),  # W of 2: the first has a length
    ("00 03 0a0b0c 02 3200", (True, True)),  # W of 0: all have
]


@pytest.mark.parametrize(
    ("mime", "payload", "expected"),
    [("video/H264", *row) for row in H264]
    + [("video/VP9", *row) for row in VP9]
    + [("video/AV1", *row) for row in AV1],
)
def test_key_frames_and_starts_are_found(mime: str, payload: str, expected: Expected) -> None:
    describe = describer(mime)
    assert describe
    frame = describe(bytes.fromhex(payload))
    assert (frame.key_frame, frame.start) == expected


@pytest.mark.parametrize(
    ("mime", "payload"),
    [
        ("video/H264", ""),
        ("video/H264", "7c"),
        ("video/H264", "78 0005 6742"),
        ("video/H264", "78 00"),
        ("video/VP9", ""),
        ("video/VP9", "80"),
        ("video/VP9", "80 80"),
        ("video/VP9", "28"),
        ("video/VP9", "08"),
        ("video/VP9", "0a 30 0140"),
        ("video/VP9", "0a 08 ff 0c 01"),
        ("video/VP9", "50 0303 03"),
        ("video/AV1", ""),
        ("video/AV1", "88 00"),
        ("video/AV1", "80"),
        ("video/AV1", "00 8080808080808080 01"),
        ("video/AV1", "10 04"),
    ],
)
def test_malformed_payloads_are_refused(mime: str, payload: str) -> None:
    describe = describer(mime)
    assert describe
    with pytest.raises(WireError):
        describe(bytes.fromhex(payload))


def test_layers_of_vp9_and_av1_are_told() -> None:
    vp9, av1 = describer("video/VP9"), describer("video/AV1")
    assert vp9 and av1
    frame = vp9(bytes.fromhex("a8 11 55 05 82"))
    assert (frame.temporal, frame.layer_sync, frame.spatial) == (2, True, 2)
    frame = av1(bytes.fromhex("10 36 28 00"))
    assert (frame.temporal, frame.spatial) == (1, 1)


blocks = st.builds(Block, st.integers(0, 127), st.integers(0, 0x3FFF), st.binary(max_size=0x3FF))


@given(st.lists(blocks, max_size=5), st.integers(0, 127), st.binary(max_size=1200))
def test_redundant_audio_survives_a_round_trip(
    redundant: list[Block], payload_type: int, data: bytes
) -> None:
    primary = Block(payload_type, 0, data)
    assert red.decode(red.encode(redundant, primary)) == (*redundant, primary)


def test_red_reads_as_its_rfc_draws_it() -> None:
    payload = bytes.fromhex("ef 0f0003 6f 616263 646566")
    assert red.decode(payload) == (Block(111, 960, b"abc"), Block(111, 0, b"def"))


@pytest.mark.parametrize("unfit", [Block(1, 0x4000, b"a"), Block(1, 1, bytes(0x400))])
def test_what_no_header_can_express_is_left_out(unfit: Block) -> None:
    assert red.decode(red.encode([unfit], Block(1, 0, b"p"))) == (Block(1, 0, b"p"),)


@pytest.mark.parametrize("payload", ["", "ef", "ef0f0003 6f 6162", "80000000" * 33 + "00"])
def test_malformed_redundancy_is_refused(payload: str) -> None:
    with pytest.raises(WireError):
        red.decode(bytes.fromhex(payload))
