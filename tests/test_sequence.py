from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.sequence import Unwrapper, distance, newer


@given(st.integers(0, 0xFFFF), st.integers(1, 0x7FFF))
def test_the_half_circle_ahead_is_newer(start: int, steps: int) -> None:
    ahead = (start + steps) & 0xFFFF
    assert newer(ahead, start) and not newer(start, ahead)
    assert distance(ahead, start) == steps


@given(st.lists(st.integers(-0x7FFF, 0x7FFF), max_size=50), st.integers(0, 0xFFFF))
def test_unwrapping_follows_any_walk_of_less_than_half_a_circle(
    steps: list[int], start: int
) -> None:
    unwrapper, highest = Unwrapper(), start
    assert unwrapper.unwrap(start) == start
    for step in steps:
        expected = highest + step
        assert unwrapper.unwrap(expected & 0xFFFF) == expected
        highest = max(highest, expected)
    assert unwrapper.highest == highest
