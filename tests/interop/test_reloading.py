"""A call goes on while the configuration changes: see `reloading.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from calls import need

pytestmark = [pytest.mark.interop, pytest.mark.slow]

HERE = Path(__file__).parent


def test_a_call_goes_on_while_keys_change_and_the_removed_stay_out() -> None:
    need("python")
    ran = subprocess.run(
        [sys.executable, str(HERE / "reloading.py")],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    print(ran.stdout)
    misses = [line for line in ran.stdout.splitlines() if "MISS" in line]
    assert ran.returncode == 0, "\n".join(misses or ran.stdout.splitlines()[-5:])
