"""What everybody in a crowd is told is what happened: see `room_of_500.py`."""

import pytest
from calls import launch

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_crowd_is_told_what_happened(seed: int) -> None:
    launch("room_of_500.py", "--people=40", "--accidents=80", f"--seed={seed}")
