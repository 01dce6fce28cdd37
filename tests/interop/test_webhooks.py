"""Webhooks, checked by both server SDKs. Short form of `webhooks.py`."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def test_webhooks_of_a_call_are_believed_and_in_order_though_the_receiver_fails() -> None:
    need("node", "python", "server")
    run("webhooks.py", "--calls=1")
