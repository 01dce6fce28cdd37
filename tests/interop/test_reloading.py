"""A call goes on while the configuration changes: see `reloading.py`."""

import pytest
from calls import launch, need

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def test_a_call_goes_on_while_keys_change_and_the_removed_stay_out() -> None:
    need("python")
    launch("reloading.py")
