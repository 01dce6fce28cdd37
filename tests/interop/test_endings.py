"""Dead clients and closed rooms leave nothing: see `endings.py`."""

import pytest
from calls import run

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def test_who_dies_without_a_word_is_gone_and_leaves_nothing() -> None:
    run("endings.py", "--cycles", "4")
