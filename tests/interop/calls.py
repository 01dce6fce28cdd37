"""Runs a call script as a test, where the clients it needs are installed."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
NODE_MODULES: Final = HERE / "node_modules"
CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FIREFOX: Final = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
LIMIT_SECONDS: Final = 90
SHORT: Final = ("--seconds=3", "--size=320x240", "--rate=15", "--enough=0.8", "--patience=8")
"""Less to draw and to count than a script by itself asks for: tests share their machine."""


def need(*clients: str) -> None:
    """Skips the test that asks, unless all of these are there; where CI is set it fails instead."""
    lacking = [what for client in clients if (what := _LACKING[client]()) is not None]
    if not lacking:
        return
    reason = f"it needs {' and '.join(lacking)}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def node_clients() -> Path:
    """The folder with npm's packages, fetched on first use; no part of the tree."""
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    if not all((NODE_MODULES / name / "package.json").exists() for name in wanted):
        # fmt: off
        command = [
            "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error",
        ]
        # fmt: on
        subprocess.run(command, cwd=HERE, check=True, timeout=300)
    return NODE_MODULES


def run(script: str, *arguments: str) -> None:
    """Runs a call script; the test fails where it misses something, and shows all it said."""
    launch(script, *SHORT, *arguments)


def launch(script: str, *arguments: str, seconds: float = LIMIT_SECONDS) -> None:
    """As `run`, a script that draws nothing, or has arguments of its own for that."""
    command = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            said, _ = process.communicate()
            said += f"\nnot finished after {seconds} s"
    print(said)
    misses = [line for line in said.splitlines() if "MISS" in line]
    assert process.returncode == 0, "\n".join(misses or said.splitlines()[-5:])


def _lacking_python() -> str | None:
    found = importlib.util.find_spec("livekit") and importlib.util.find_spec("livekit.rtc")
    return None if found else "livekit, from PyPI"


def _lacking_node() -> str | None:
    if shutil.which("node") is None:
        return "Node.js"
    if shutil.which("npm") is None:
        return None if NODE_MODULES.exists() else "npm"
    try:
        node_clients()
    except (OSError, subprocess.SubprocessError):
        return "the packages of tests/interop/package.json, from npm"
    return None


_LACKING: Final = {
    "server": lambda: None if importlib.util.find_spec("trio_sfu.__main__") else "the server",
    "python": _lacking_python,
    "node": _lacking_node,
    "chromium": lambda: None if CHROMIUM else "Chromium",
    "firefox": lambda: None if FIREFOX else "Firefox",
    "playwright": lambda: (
        None if importlib.util.find_spec("playwright") else "playwright, from PyPI"
    ),
    "tc": lambda: None if os.geteuid() == 0 and shutil.which("tc") else "root, and tc",
}
