"""A call through a real network that loses packets: see `lossy_call.py`."""

import os
import shutil

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("tc") is None, reason="only root can lose packets, by tc"
)
def test_pictures_come_through_where_packets_are_lost() -> None:
    need("python", "server")
    # How long one stands is for the script by itself to judge: tests share their machine.
    run("lossy_call.py", "--loss=0.05", "--settle=1", "--longest=10")
