"""Dead clients and closed rooms leave nothing: see `endings.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.interop, pytest.mark.slow]

HERE = Path(__file__).parent


def test_who_dies_without_a_word_is_gone_and_leaves_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, str(HERE / "endings.py"), "--cycles", "0"],
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
