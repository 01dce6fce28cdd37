import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.rtp.history import REPEATS, History, Refusal, RtxStream, unwrap_rtx
from trio_sfu.rtp.packet import Outgoing, RtpPacket, parse, render

SOURCE = RtpPacket(96, False, 1, 1234, 7, {}, b"old picture")


def outgoing(sequence: int) -> Outgoing:
    return Outgoing(SOURCE, sequence & 0xFFFF, 1234, 9, 96, True, cut=3, patch=b"new")


@given(st.integers(0, 0xFFFF), st.integers(1, 100))
def test_the_newest_are_remembered_across_the_wrap(start: int, count: int) -> None:
    history = History(32)
    for sequence in range(start, start + count):
        history.remember(outgoing(sequence))
    for sequence in range(start, start + count):
        kept = history.repeat(sequence & 0xFFFF, now=0.0)
        if sequence >= start + count - 32:
            assert kept is not None
            assert kept.sequence == sequence & 0xFFFF
        else:
            assert kept is None


def test_a_packet_is_repeated_a_few_times_and_not_at_once() -> None:
    history = History(32)
    history.remember(outgoing(5))
    times = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4]
    repeated = [now for now in times if history.repeat(5, now, rtt=1.0)]
    assert repeated == [0.0, 0.1, 0.2]
    assert len(repeated) == REPEATS
    assert history.refused == {Refusal.TOO_SOON: 2, Refusal.TOO_OFTEN: 2}


def test_on_a_short_path_a_repeat_may_follow_sooner() -> None:
    history = History(32)
    history.remember(outgoing(5))
    assert history.repeat(5, 0.0, rtt=0.01)
    assert not history.repeat(5, 0.019, rtt=0.01)
    assert history.repeat(5, 0.020, rtt=0.01)


def test_the_next_round_is_another_packet() -> None:
    history = History(32)
    history.remember(outgoing(5))
    for nth in range(REPEATS):
        assert history.repeat(5, nth)
    history.remember(outgoing(5))
    assert history.repeat(5, 10.0)


def test_what_was_never_sent_is_not_repeated() -> None:
    history = History(32)
    history.remember(outgoing(5))
    assert history.repeat(37, 0.0) is None
    assert history.repeat(6, 0.0) is None
    assert history.refused == {Refusal.UNKNOWN: 2}


@pytest.mark.parametrize("size", [0, 500, 1 << 16])
def test_slots_that_would_shift_are_the_callers_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="wrap"):
        History(size)


def test_rtx_brings_the_packet_as_it_left() -> None:
    rtx = RtxStream(ssrc=10, payload_types={96: 97}, sequence=0xFFFF)
    first, second = (rtx.wrap(outgoing(sequence)) for sequence in (500, 501))
    assert first
    assert second
    repeat, original = parse(render(first)), parse(render(outgoing(500)))
    assert (repeat.ssrc, repeat.payload_type, repeat.sequence) == (10, 97, 0xFFFF)
    assert (repeat.timestamp, repeat.marker) == (original.timestamp, original.marker)
    assert unwrap_rtx(repeat.payload) == (500, original.payload)
    assert second.sequence == 0


def test_a_payload_type_without_rtx_is_not_wrapped() -> None:
    assert RtxStream(10, {}, 0).wrap(outgoing(1)) is None


def test_padding_repairs_nothing() -> None:
    assert unwrap_rtx(b"") is None
    assert unwrap_rtx(b"\0") is None
    assert unwrap_rtx(b"\0\1") == (1, b"")
