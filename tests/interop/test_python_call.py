"""PyPI `livekit` (libwebrtc) holds a call through our server. Short forms of `python_call.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.mark.parametrize("variant", ["", "--path=v0", "--codec=h264", "--simulcast", "--e2ee"])
def test_two_python_participants_hold_a_call(variant: str) -> None:
    need("python", "server")
    run("python_call.py", *filter(None, [variant]))
