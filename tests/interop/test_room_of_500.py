"""What everybody in a crowd is told is what happened: see `room_of_500.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.interop, pytest.mark.slow]

HERE = Path(__file__).parent


@pytest.mark.parametrize("seed", [1, 2])
def test_a_crowd_is_told_what_happened(seed: int) -> None:
    # fmt: off
    command = [
        sys.executable, str(HERE / "room_of_500.py"),
        "--people", "40", "--accidents", "80", "--seed", str(seed),
    ]
    # fmt: on
    ran = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    misses = [line for line in ran.stdout.splitlines() if "MISS" in line]
    assert ran.returncode == 0, "\n".join(misses or ran.stdout.splitlines()[-5:])
