"""The numbered pictures must be believed only where they are right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw, loudest, read, share_seen, tone


@given(st.integers(0, 0xFFFF), st.sampled_from([(160, 90), (320, 240), (640, 360), (333, 199)]))
def test_a_picture_says_its_number_at_any_size(number: int, size: tuple[int, int]) -> None:
    assert read(draw(number, *size)) == number


def test_mush_says_nothing() -> None:
    assert read(np.full((90, 160), 128, np.uint8)) is None
    damaged = draw(1000, 320, 240)
    damaged[:, 160:175] = 255 - damaged[:, 160:175]
    assert read(damaged) is None


def test_the_share_counts_from_the_first_one_seen() -> None:
    assert share_seen([1, 2, 3, 4, 5], [2, 3, 5]) == 0.75
    assert share_seen([1, 2], [7]) == 0.0


@pytest.mark.parametrize("frequency", [440, 1000])
def test_a_tone_is_recognised(frequency: int) -> None:
    assert loudest(tone(frequency, 5, 24000)) == pytest.approx(frequency, abs=3)
    assert loudest(np.zeros(4800, np.int16)) == 0
