"""Who hears whom, and in which form. Short forms of `permissions.py` and `redundant_sound.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.browser, pytest.mark.slow]


def test_publishers_say_who_hears_them() -> None:
    need("python", "playwright", "chromium", "server")
    run("permissions.py")


def test_redundant_sound_reaches_everybody() -> None:
    need("python", "playwright", "chromium", "firefox", "server")
    run("redundant_sound.py")
