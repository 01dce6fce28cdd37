"""What stock clients can do here, on either path. The short form of `stock_clients.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.browser, pytest.mark.slow]


def test_every_stock_client_can_do_here_all_that_it_can() -> None:
    need("python", "node", "playwright", "chromium", "firefox", "server")
    run("stock_clients.py", "--short", "--bytes=300000")
