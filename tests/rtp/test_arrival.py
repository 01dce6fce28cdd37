import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.rtp import arrival
from trio_sfu.rtp.arrival import ArrivalRecorder
from trio_sfu.rtp.twcc import TICK


def record(recorder: ArrivalRecorder, numbers: range, now: float, marker: bool = False) -> None:
    for number in numbers:
        recorder.record(number & 0xFFFF, 7, marker, now)


@pytest.mark.parametrize(
    ("count", "marker", "wait"),
    [
        (1, False, arrival.IDLE_INTERVAL),
        (20, True, arrival.IDLE_INTERVAL),
        (21, False, arrival.INTERVAL),
        (21, True, arrival.AFTER_PICTURE),
        (101, False, 0.0),
    ],
)
def test_the_more_there_is_the_sooner_it_is_told(count: int, marker: bool, wait: float) -> None:
    recorder = ArrivalRecorder(1)
    record(recorder, range(count), 5.0, marker)
    assert recorder.deadline == pytest.approx(5.0 + wait)
    assert recorder.take(recorder.deadline - 0.001) == []
    (message,) = recorder.take(recorder.deadline)
    assert (message.sender_ssrc, message.media_ssrc, message.count) == (1, 7, count)
    assert recorder.deadline == math.inf


def test_what_was_lost_between_two_messages_is_told_too() -> None:
    recorder = ArrivalRecorder(1)
    record(recorder, range(0xFFF0, 0xFFFA), 0.0)
    recorder.take(1.0)
    record(recorder, range(0x10002, 0x10004), 1.0)
    (message,) = recorder.take(2.0)
    assert (message.base, message.count, message.number) == (0xFFFA, 10, 1)
    assert [number for number, came in message.statuses() if came is not None] == [2, 3]


def test_a_sender_that_begins_anew_is_not_told_of_thousands_lost() -> None:
    recorder = ArrivalRecorder(1)
    record(recorder, range(3), 0.0)
    recorder.take(1.0)
    record(recorder, range(20_000, 20_001), 1.0)
    (message,) = recorder.take(2.0)
    assert (message.base, message.count) == (20_000, 1)


def test_a_late_packet_is_told_after_all() -> None:
    recorder = ArrivalRecorder(1)
    record(recorder, range(10, 20), 0.0)
    recorder.take(1.0)
    record(recorder, range(5, 6), 1.0)
    record(recorder, range(20, 21), 1.0)
    (message,) = recorder.take(2.0)
    assert [number for number, came in message.statuses() if came is not None] == [5, 20]
    record(recorder, range(22, 23), 2.0)
    assert recorder.take(3.0)[0].base == 21


@given(st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 0.02)), min_size=1, max_size=600))
def test_each_arrival_is_told_once_and_when_it_was(steps: list[tuple[int, float]]) -> None:
    recorder, now, came = ArrivalRecorder(1), 0.0, dict[int, float]()
    told = dict[int, float]()

    def take(now: float) -> None:
        for message in recorder.take(now):
            assert len(message.encode()) <= 1200
            for number, ticks in message.arrivals:
                assert number not in told
                told[number] = ticks * TICK

    for number, pause in steps:
        now += pause
        take(now)
        if number not in came:
            came[number] = now
            recorder.record(number, 7, False, now)
    take(now + 1)
    assert told == pytest.approx(came, abs=TICK)
