import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu import ntp
from trio_sfu.rtp.nack import NackGenerator
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.receive import BEFORE_FIRST, WINDOW, ReceiveStream
from trio_sfu.rtp.rtcp import SenderReport


def packet(index: int, timestamp: int = 0) -> RtpPacket:
    return RtpPacket(96, False, index & 0xFFFF, timestamp & 0xFFFFFFFF, 7, {}, b"voice")


def receive(stream: ReceiveStream, *indices: int, now: float = 0.0) -> list[int]:
    """The indices of those that were taken, counted from the number they began with."""
    taken = []
    for index in indices:
        got = packet(index)
        if stream.receive(got, now):
            taken.append(got.index)
    return taken


@given(
    st.integers(0, 0xFFFF),
    st.permutations(range(40)),
    st.sets(st.integers(0, 39), max_size=10),
    st.lists(st.integers(0, 39), max_size=20),
)
def test_each_packet_is_taken_once_whatever_the_order(
    start: int, order: list[int], lost: set[int], again: list[int]
) -> None:
    order = [0, *(each for each in order if each and each not in lost)]
    stream = ReceiveStream(7, 90_000)
    assert receive(stream, *(start + each for each in order)) == [start + each for each in order]
    again = [each for each in again if each in order]
    assert receive(stream, *(start + each for each in again)) == []
    statistics = stream.statistics()
    assert statistics.packets == len(order)
    assert statistics.lost == max(order) + 1 - len(order)
    assert statistics.duplicates == len(again)
    late = sum(each < max(order[:at]) for at, each in enumerate(order) if at)
    assert statistics.out_of_order == late


def test_a_packet_that_the_first_overtook_is_taken_too() -> None:
    stream = ReceiveStream(7, 90_000)
    assert receive(stream, 0x10000, 0xFFFF) == [0, -1]
    assert stream.statistics().lost == 0
    assert receive(stream, 0x10000 - BEFORE_FIRST - 1) == []


@pytest.mark.parametrize("behind", [WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW])
def test_a_packet_is_waited_for_as_long_as_srtp_would_let_it_pass(behind: int) -> None:
    stream = ReceiveStream(7, 90_000)
    receive(stream, 10, 10 + 3 * WINDOW, 11 + 3 * WINDOW)
    late = 11 + 3 * WINDOW - behind
    assert receive(stream, late) == ([late] if behind <= WINDOW else [])


def test_what_is_missing_is_asked_for_until_it_comes() -> None:
    nack = NackGenerator()
    stream = ReceiveStream(7, 90_000, nack)
    receive(stream, 10, 13, 11)
    assert nack.take(1.0) == [12]
    assert stream.receive(packet(12), 1.1, recovered=True)
    assert nack.missing == 0


def test_what_came_back_by_another_way_counts_as_lost_and_recovered() -> None:
    stream = ReceiveStream(7, 90_000)
    receive(stream, 1, 2, 5)
    stream.receive(packet(3), 0.0, recovered=True)
    statistics = stream.statistics()
    assert (statistics.packets, statistics.lost, statistics.recovered) == (3, 2, 1)
    assert stream.report(0.0).lost == 2


def test_the_fraction_lost_is_that_since_the_last_report() -> None:
    stream = ReceiveStream(7, 90_000)
    receive(stream, *range(100, 200, 2))
    first, second = stream.report(0.0), stream.report(0.0)
    assert (first.fraction_lost, first.lost, first.highest_sequence) == (126, 49, 198)
    assert (second.fraction_lost, second.lost) == (0, 49)
    receive(stream, *range(199, 203))
    assert stream.report(0.0).fraction_lost == 0


def test_the_highest_sequence_counts_the_rounds() -> None:
    stream = ReceiveStream(7, 90_000)
    receive(stream, 0xFFFE, 0xFFFF, 0x10000)
    assert stream.report(0.0).highest_sequence == 0x10000
    receive(stream, *range(0x10001, 0x30000, 0x4000))
    assert stream.report(0.0).highest_sequence >> 16 == 2


def test_a_loss_beyond_measure_stays_at_the_end_of_the_scale() -> None:
    stream = ReceiveStream(7, 90_000)
    receive(stream, *range(0, 200 * 0x7000, 0x7000))
    assert stream.report(0.0).lost == (200 - 1) * 0x7000 + 1 - 200
    receive(stream, *range(200 * 0x7000, 400 * 0x7000, 0x7000))
    assert stream.report(0.0).lost == (1 << 23) - 1


def test_even_packets_have_no_jitter_and_uneven_ones_do() -> None:
    even, uneven = ReceiveStream(7, 90_000), ReceiveStream(7, 90_000)
    for nth in range(500):
        even.receive(packet(nth, nth * 3000 - 200_000), nth / 30)
        uneven.receive(packet(nth, nth * 3000 - 200_000), nth / 30 + (nth % 2) * 0.01)
    assert even.statistics().jitter == pytest.approx(0, abs=1e-6)
    assert uneven.statistics().jitter == pytest.approx(0.01, rel=0.01)


def test_only_a_pictures_first_packet_is_measured() -> None:
    stream = ReceiveStream(7, 90_000)
    for nth in range(300):
        stream.receive(packet(nth, nth // 3 * 3000), nth // 3 / 30 + nth % 3 * 0.005)
    assert stream.statistics().jitter == pytest.approx(0, abs=1e-6)


def test_the_last_sender_report_is_echoed() -> None:
    stream = ReceiveStream(7, 90_000)
    receive(stream, 1)
    assert (stream.report(3.0).last_report, stream.report(3.0).delay) == (0, 0)
    report = SenderReport(7, ntp.from_unix(1.5e9), 90_000, 1, 5)
    stream.hear(report, 3.0)
    block = stream.report(3.5)
    assert (block.last_report, block.delay) == (ntp.middle(report.ntp), 32768)


@given(st.integers(0, 0xFFFFFFFF), st.floats(-1000, 1000))
def test_a_senders_clock_reads_both_ways(timestamp: int, away: float) -> None:
    stream = ReceiveStream(7, 90_000)
    stream.hear(SenderReport(7, ntp.from_unix(1.5e9), timestamp, 1, 5), 3.0)
    clock = stream.clock
    assert clock
    there = clock.timestamp_at(1.5e9 + away)
    assert clock.time_at(there) == pytest.approx(1.5e9 + away, abs=1e-4)
    assert clock.time_at(timestamp) == pytest.approx(1.5e9)
