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


def test_a_late_packet_is_told_after_all_and_nothing_again() -> None:
    recorder = ArrivalRecorder(1)
    record(recorder, range(10, 20), 0.0)
    recorder.take(1.0)
    record(recorder, range(5, 6), 1.0)
    record(recorder, range(20, 21), 1.0)
    assert [(each.base, each.count) for each in recorder.take(2.0)] == [(5, 1), (20, 1)]
    record(recorder, range(6, 7), 2.0)
    assert [(each.base, each.count) for each in recorder.take(3.0)] == [(6, 1)]
    record(recorder, range(22, 23), 3.0)
    assert [(each.base, each.count) for each in recorder.take(4.0)] == [(21, 2)]


def test_a_number_that_comes_twice_came_when_it_came_first() -> None:
    recorder = ArrivalRecorder(1)
    record(recorder, range(1), 1.0)
    record(recorder, range(1), 1.1)
    (message,) = recorder.take(2.0)
    assert message.arrivals == ((0, round(1.0 / TICK)),)


def test_very_many_late_packets_do_not_make_as_many_messages() -> None:
    recorder = ArrivalRecorder(1)
    record(recorder, range(1000, 1001), 0.0)
    recorder.take(1.0)
    record(recorder, range(0, 900, 9), 1.0)
    assert len(recorder.take(2.0)) == arrival.LATE_TOLD


@given(st.lists(st.tuples(st.integers(-3, 3), st.floats(0, 0.02)), min_size=1, max_size=600))
def test_each_arrival_is_told_once_and_when_it_was(steps: list[tuple[int, float]]) -> None:
    recorder, now, came = ArrivalRecorder(1), 0.0, dict[int, float]()
    told = dict[int, float]()

    def take(now: float) -> None:
        for message in recorder.take(now):
            assert len(message.encode()) <= 1200
            statuses = dict(message.statuses())
            assert not [number for number in statuses if number in told]
            for number, ticks in message.arrivals:
                told[number] = ticks * TICK

    for nth, (away, pause) in enumerate(steps):
        now += pause
        take(now)
        number = max(0, nth + away)
        if number not in came:
            came[number] = now
            recorder.record(number, 7, False, now)
    take(now + 1)
    untold = {number for number in came if number not in told}
    assert len(untold) <= max(0, len(came) - arrival.LATE_TOLD)
    for number in untold:
        del came[number]
    assert told == pytest.approx(came, abs=TICK)


def test_who_wants_word_sooner_gets_it() -> None:
    recorder = ArrivalRecorder(1, longest=0.05)
    record(recorder, range(7, 8), 1.0)
    assert recorder.deadline == 1.05
