"""livekit-client in browsers holds a call through our server. Short forms of `browser_call.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("variant", ["", "--path=v0", "--simulcast", "--e2ee"])
def test_two_tabs_of_chromium_hold_a_call(variant: str) -> None:
    need("playwright", "chromium", "node", "server")
    run("browser_call.py", *filter(None, [variant]))


def test_a_layer_that_ends_is_replaced_by_the_next() -> None:
    need("playwright", "chromium", "node", "server")
    run("browser_call.py", "--simulcast", "--starve")


@pytest.mark.parametrize(
    "variant", [["--firefox"], ["--firefox", "--path=v0"], ["--from-firefox", "--e2ee"]]
)
def test_firefox_and_chromium_hold_a_call(variant: list[str]) -> None:
    need("playwright", "chromium", "firefox", "node", "server")
    run("browser_call.py", *variant)
