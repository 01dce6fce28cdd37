"""Both server SDKs call every method of the API. Short forms of `server_sdks.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.mark.parametrize("sdk", ["python", "node"])
def test_a_server_sdk_calls_every_method(sdk: str) -> None:
    need("python", "server", *(["node"] if sdk == "node" else []))
    run("server_sdks.py", "--sdk", sdk)
