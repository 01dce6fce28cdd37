import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.sctp.dcep import Ack, Open, Reliability, decode_dcep

TEXT = st.text(max_size=30)
OPENS = st.builds(
    Open,
    TEXT,
    TEXT,
    st.booleans(),
    st.sampled_from(Reliability),
    st.integers(0, 2**32 - 1),
    st.integers(0, 0xFFFF),
)

# What Chromium sends for `createDataChannel("_lossy", {ordered: false, maxRetransmits: 0})`.
LOSSY = bytes.fromhex("03810100 00000000 0006 0000 5f6c6f737379")


@given(OPENS)
def test_an_open_is_read_as_it_was_written(message: Open) -> None:
    assert decode_dcep(message.encode()) == message


def test_a_known_open_both_ways() -> None:
    message = Open("_lossy", "", False, Reliability.RETRANSMISSIONS, 0, 256)
    assert decode_dcep(LOSSY) == message
    assert message.encode() == LOSSY


def test_an_ack_may_be_followed_by_zeros() -> None:
    assert decode_dcep(b"\x02") == decode_dcep(b"\x02\0\0\0") == Ack()
    assert Ack().encode() == b"\x02"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x03",
        b"\x01",
        LOSSY[:-1],
        LOSSY + b"x",
        LOSSY.replace(b"\x81", b"\x83"),
        LOSSY.replace(b"y", b"\xff"),
    ],
)
def test_what_is_no_dcep_message_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_dcep(data)
