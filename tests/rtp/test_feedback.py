import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.rtp.feedback import Fir, Nack, Pli, Remb
from trio_sfu.wire import Reader

u8 = st.integers(0, 255)
u32 = st.integers(0, 2**32 - 1)
runs = st.tuples(st.integers(0, 0xFFFF), st.sets(st.integers(0, 500), min_size=1)).map(
    lambda run: tuple((run[0] + step) & 0xFFFF for step in sorted(run[1]))
)


@given(st.builds(Nack, u32, u32, runs))
def test_nack_survives_a_round_trip(nack: Nack) -> None:
    assert Nack.decode(Reader(nack.encode())) == nack


def test_seventeen_losses_in_a_row_cost_four_bytes() -> None:
    nack = Nack(1, 2, tuple((65530 + step) & 0xFFFF for step in range(17)))
    wire = bytes.fromhex("00000001 00000002 fffaffff")
    assert nack.encode() == wire
    assert Nack.decode(Reader(wire)) == nack


@given(st.builds(Pli, u32, u32))
def test_pli_survives_a_round_trip(pli: Pli) -> None:
    assert Pli.decode(Reader(pli.encode())) == pli


@given(st.builds(Fir, u32, st.lists(st.tuples(u32, u8), max_size=5).map(tuple)))
def test_fir_survives_a_round_trip(fir: Fir) -> None:
    assert Fir.decode(Reader(fir.encode())) == fir


@given(u32, st.integers(0, 2**60), st.lists(u32, max_size=5).map(tuple))
def test_remb_keeps_eighteen_bits_of_a_bitrate(
    sender: int, bitrate: int, ssrcs: tuple[int, ...]
) -> None:
    remb = Remb.decode(Reader(Remb(sender, bitrate, ssrcs).encode()))
    assert (remb.sender_ssrc, remb.ssrcs) == (sender, ssrcs)
    assert remb.bitrate <= bitrate <= remb.bitrate * (1 + 2**-17)
    assert remb.encode() == Remb(sender, bitrate, ssrcs).encode()


def test_remb_reads_as_its_draft_draws_it() -> None:
    wire = bytes.fromhex("00000001 00000000 52454d42 0107a120 00000002")
    assert Remb.decode(Reader(wire)) == Remb(1, 0x3A120 << 1, (2,))


def test_other_feedback_of_applications_is_no_remb() -> None:
    with pytest.raises(WireError, match="not REMB"):
        Remb.decode(Reader(bytes.fromhex("00000001 00000000 41424344 00000000")))
