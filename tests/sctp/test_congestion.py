import pytest

from trio_sfu.sctp.congestion import (
    BACKOFF_MAXIMUM,
    GROWTH,
    INITIAL_WINDOW,
    MINIMUM_THRESHOLD,
    RTO_INITIAL,
    RTO_MAXIMUM,
    RTO_MINIMUM,
    CongestionWindow,
    RetransmissionTimeout,
)
from trio_sfu.sctp.packet import MTU


def grown(packets: int) -> CongestionWindow:
    congestion = CongestionWindow()
    while congestion.window < packets * MTU:
        congestion.acknowledged(0, MTU, was_full=True)
    return congestion


def test_in_slow_start_the_window_grows_by_what_was_acknowledged_up_to_a_limit() -> None:
    congestion = CongestionWindow()
    congestion.acknowledged(0, 500, was_full=True)
    assert congestion.window == INITIAL_WINDOW + 500
    congestion.acknowledged(0, 100 * MTU, was_full=True)
    assert congestion.window == INITIAL_WINDOW + 500 + GROWTH * MTU


def test_a_window_that_is_not_used_does_not_grow() -> None:
    congestion = CongestionWindow()
    congestion.acknowledged(0, MTU, was_full=False)
    assert congestion.window == INITIAL_WINDOW


def test_above_the_threshold_a_whole_window_adds_one_packet() -> None:
    congestion = grown(40)
    congestion.lost(highest=9)
    congestion.acknowledged(9, 0, was_full=True)
    congestion.window = congestion.threshold + MTU
    before = congestion.window
    for _ in range(before // MTU + 1):
        congestion.acknowledged(9, MTU, was_full=True)
    assert congestion.window == before + MTU


def test_one_recovery_halves_the_window_once() -> None:
    congestion = grown(40)
    before = congestion.window
    assert congestion.lost(highest=100)
    assert not congestion.lost(highest=120)
    congestion.acknowledged(99, 10 * MTU, was_full=True)
    assert congestion.window == before // 2
    congestion.acknowledged(100, MTU, was_full=True)
    assert congestion.recovery_exit is None
    assert congestion.lost(highest=130)


def test_only_the_first_timeout_of_a_row_lowers_the_threshold() -> None:
    congestion = grown(40)
    before = congestion.window
    congestion.timed_out(again=False)
    congestion.timed_out(again=True)
    assert (congestion.window, congestion.threshold) == (MTU, before // 2)
    congestion.timed_out(again=False)
    assert congestion.threshold == MINIMUM_THRESHOLD


def test_the_timeout_follows_the_round_trip_between_its_limits() -> None:
    rto = RetransmissionTimeout()
    assert rto.current == RTO_INITIAL
    rto.sample(0.01)
    assert rto.current == RTO_MINIMUM
    for _ in range(100):
        rto.sample(2.0)
    assert rto.current == pytest.approx(2.0, abs=0.1)
    rto.sample(100.0)
    assert rto.current == RTO_MAXIMUM


def test_doubling_ends_at_a_second_and_at_the_first_answer() -> None:
    rto = RetransmissionTimeout()
    rto.sample(0.01)
    seen = []
    for _ in range(20):
        seen.append(rto.current)
        rto.double()
    assert seen[:3] == [RTO_MINIMUM, 2 * RTO_MINIMUM, BACKOFF_MAXIMUM]
    assert seen[-1] == BACKOFF_MAXIMUM
    rto.relax()
    assert rto.current == RTO_MINIMUM


def test_a_slow_path_is_not_asked_sooner_than_it_can_answer() -> None:
    rto = RetransmissionTimeout()
    for _ in range(50):
        rto.sample(3.0)
    rto.double()
    assert rto.current >= 3.0
