import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.room.rewriter import REMEMBERED_POINTS, Drop, Rewriter


def begun(index: int, first: int = 1) -> Rewriter:
    rewriter = Rewriter(first)
    rewriter.begin(index)
    return rewriter


@given(st.integers(-(10**9), 10**9), st.lists(st.booleans(), min_size=1, max_size=300))
def test_subscriber_sees_no_holes_whatever_we_leave_out(start: int, kept: list[bool]) -> None:
    rewriter, sent = begun(start, first=7), []
    for index, keep in enumerate(kept, start):
        if keep:
            sent.append(rewriter.forward(index))
        else:
            assert rewriter.leave_out(index)
    assert sent == list(range(7, 7 + len(sent)))


@given(st.lists(st.sampled_from(["keep", "drop", "lost"]), max_size=100), st.randoms())
def test_a_late_packet_gets_the_number_it_would_have_had(
    fates: list[str], chance: random.Random
) -> None:
    in_time, punctual, late = {}, begun(0), begun(0)
    for index, fate in enumerate(fates):
        if fate == "drop":
            punctual.leave_out(index)
            late.leave_out(index)
        else:
            in_time[index] = punctual.forward(index)
            if fate == "keep":
                late.forward(index)
    delayed = chance.sample(sorted(in_time), len(in_time))
    assert {index: late.forward(index) for index in delayed} == in_time


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50))
def test_no_two_packets_get_one_number(runs: list[tuple[int, int]]) -> None:
    rewriter, index, numbers = begun(0), 0, []
    for sent, skipped in runs:
        for _ in range(sent):
            numbers.append(rewriter.forward(index))
            index += 1
        rewriter.skip_to(index + skipped)
        index += skipped
    again = [rewriter.forward(each) for each in range(index)]
    assert [number for number in again if not isinstance(number, Drop)] == numbers
    assert numbers == list(range(1, 1 + len(numbers)))


@given(st.lists(st.tuples(st.integers(-9999, 9999), st.integers(1, 9)), min_size=1))
def test_another_source_goes_on_where_the_last_one_stopped(
    sources: list[tuple[int, int]],
) -> None:
    rewriter, sent = Rewriter(1), []
    for start, length in sources:
        rewriter.begin(start)
        sent += [rewriter.forward(index) for index in range(start, start + length)]
        assert rewriter.forward(start - 1) is Drop.TOO_OLD
    assert sent == list(range(1, 1 + len(sent)))


def test_what_was_skipped_cannot_come_back() -> None:
    rewriter = begun(0, first=0)
    rewriter.forward(0)
    rewriter.skip_to(5)
    numbers = [rewriter.forward(sequence) for sequence in (5, 4, 1, 0, -1)]
    assert numbers == [1, Drop.LEFT_OUT, Drop.LEFT_OUT, 0, Drop.TOO_OLD]
    assert not rewriter.leave_out(3)


def test_a_loss_before_what_was_left_out_can_still_come() -> None:
    rewriter = begun(0, first=0)
    assert [rewriter.forward(index) for index in (0, 2)] == [0, 2]
    rewriter.leave_out(4)  # 3 is missing
    rewriter.leave_out(5)
    assert [rewriter.forward(index) for index in (6, 1, 3, 4, 5)] == [
        4,
        1,
        3,
        Drop.LEFT_OUT,
        Drop.LEFT_OUT,
    ]


def test_a_long_run_of_drops_is_one_point() -> None:
    rewriter = begun(0, first=0)
    rewriter.forward(0)
    for index in range(1, 10 * REMEMBERED_POINTS):
        rewriter.leave_out(index)
    assert rewriter.forward(0) == 0


@pytest.mark.parametrize("points", [REMEMBERED_POINTS - 1, 5 * REMEMBERED_POINTS])
def test_only_so_many_points_are_remembered(points: int) -> None:
    rewriter = begun(0, first=0)
    for index in range(0, 2 * points, 2):
        rewriter.forward(index)
        rewriter.leave_out(index + 1)
    remembered = [rewriter.forward(index) for index in range(0, 2 * points, 2)]
    if points < REMEMBERED_POINTS:
        assert remembered == list(range(points))
    else:
        forgotten = remembered.count(Drop.TOO_OLD)
        assert forgotten == points - REMEMBERED_POINTS + 1
        assert remembered[forgotten:] == list(range(forgotten, points))
