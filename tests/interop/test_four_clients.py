"""Four different clients in one room of our server. The short form of `four_clients.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.browser, pytest.mark.slow]


def test_everybody_sees_and_hears_everybody() -> None:
    need("python", "node", "playwright", "chromium", "firefox", "server")
    run("four_clients.py", "--size=320x180", "--rate=10")
