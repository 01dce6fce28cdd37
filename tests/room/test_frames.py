import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.room.frames import HEADER, Frame, handle_of, with_handle

U16 = st.integers(0, 0xFFFF)

FRAMES = st.builds(
    Frame,
    handle=U16,
    payload=st.binary(max_size=50),
    sequence=U16,
    number=U16,
    timestamp=st.integers(0, 0xFFFFFFFF),
    start=st.booleans(),
    final=st.booleans(),
    extensions=st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=4).map(
        tuple
    ),
    version=st.integers(0, 7),
)


@given(FRAMES)
def test_a_frame_survives_the_wire(frame: Frame) -> None:
    data = frame.encode()
    assert Frame.decode(data) == frame
    assert handle_of(data) == frame.handle
    assert (len(data) - len(frame.payload)) % 4 == 0


@given(FRAMES, U16)
def test_another_handle_changes_nothing_else(frame: Frame, handle: int) -> None:
    data = frame.encode()
    other = with_handle(data, handle)
    assert handle_of(other) == handle
    assert with_handle(other, frame.handle) == data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "18 00 0102 0304 0506 0708090a 616263",
            Frame(handle=0x102, payload=b"abc", sequence=0x304, number=0x506, timestamp=0x708090A),
        ),
        ("10 00 0001 0000 0000 00000000", Frame(handle=1, payload=b"", final=False)),
        # As LiveKit counts: the words after the one that the length itself begins.
        (
            "1c 00 0001 0000 0000 00000000 0001 0201 ff 000000 61",
            Frame(handle=1, payload=b"a", extensions=((2, b"\xff"),)),
        ),
    ],
)
def test_frames_are_livekits(text: str, expected: Frame) -> None:
    data = bytes.fromhex(text)
    assert Frame.decode(data) == expected
    assert expected.encode() == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "18 00 0001 0000 0000 000000",
        "1c 00 0001 0000 0000 00000000",
        "1c 00 0001 0000 0000 00000000 0001 0201 ff 0000",
    ],
)
def test_what_has_no_whole_header_is_no_frame(text: str) -> None:
    with pytest.raises(WireError):
        handle_of(bytes.fromhex(text))


@given(st.binary(max_size=40))
def test_a_handle_is_found_wherever_there_is_a_header(data: bytes) -> None:
    try:
        handle = handle_of(data)
    except WireError:
        assert len(data) < HEADER or data[0] & 4
    else:
        assert handle == int.from_bytes(data[2:4], "big")
