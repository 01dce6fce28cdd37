import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.replay import ReplayWindow


@given(st.lists(st.integers(0, 300)), st.integers(1, 100))
def test_no_number_is_fresh_twice(numbers: list[int], size: int) -> None:
    window = ReplayWindow(size)
    taken: set[int] = set()
    for number in numbers:
        fresh = window.fresh(number)
        assert fresh == (number not in taken and number > max(taken, default=-1) - size)
        assert window.seen(number) == (number in taken and number > max(taken) - size)
        if fresh:
            window.note(number)
            taken.add(number)


def test_asking_alone_moves_nothing() -> None:
    window = ReplayWindow()
    assert window.fresh(1 << 47)
    assert window.fresh(0)


def test_a_number_left_of_the_window_is_a_repeat() -> None:
    window = ReplayWindow(64)
    window.note(100)
    assert window.fresh(37)
    assert not window.fresh(36)
    assert not window.seen(36)


def test_a_leap_of_all_48_bits_costs_nothing() -> None:
    window = ReplayWindow()
    window.note(0)
    window.note((1 << 48) - 1)
    assert not window.fresh(0)
    assert window.fresh((1 << 48) - 2)


def test_noting_what_is_too_old_changes_nothing() -> None:
    window = ReplayWindow(4)
    window.note(10)
    window.note(2)
    assert [window.fresh(number) for number in range(6, 12)] == [
        False,
        True,
        True,
        True,
        False,
        True,
    ]


def test_a_window_of_nothing_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="0 numbers"):
        ReplayWindow(0)
