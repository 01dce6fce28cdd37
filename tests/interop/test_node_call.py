"""npm's rtc-node holds a call through our server. Short forms of `node_call.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.mark.parametrize("variant", ["", "--path=v0", "--from-python", "--simulcast", "--e2ee"])
def test_node_holds_a_call(variant: str) -> None:
    need("node", "python", "server")
    run("node_call.py", *filter(None, [variant]))
