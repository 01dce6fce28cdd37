"""The page that the server hands out holds a call: see `page_call.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.browser, pytest.mark.slow]


def test_two_tabs_see_hear_and_write_to_each_other() -> None:
    need("playwright", "chromium", "server")
    run("page_call.py")
