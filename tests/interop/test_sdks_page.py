"""The programs of docs/sdks.md run, and print what the page says: see `sdks_page.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.browser, pytest.mark.slow]


def test_every_program_of_the_page_works() -> None:
    need("python", "node", "playwright", "chromium", "server")
    run("sdks_page.py")
