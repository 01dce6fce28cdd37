"""Dead clients and closed rooms leave nothing: see `endings.py`."""

import pytest
from calls import launch

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def test_who_dies_without_a_word_is_gone_and_leaves_nothing() -> None:
    launch("endings.py", "--cycles=0", seconds=150)
