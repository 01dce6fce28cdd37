"""The processes of a benchmark: a server to be measured, and whoever loads it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

REPOSITORY: Final = Path(__file__).resolve().parents[1]
START_SECONDS: Final = 20.0
CORES: Final = sorted(os.sched_getaffinity(0))
MEASURED: Final = set(CORES[:1])
"""Where the server runs, or the floor; the load has the other cores, if there are any. The
kernel likes to wake who receives on the core of who sends, and there the one throws the
other's data out of the caches: video cost a fifth more."""
OTHERS: Final = set(CORES[1:] or CORES)
TICKS: Final = os.sysconf("SC_CLK_TCK")


@attrs.frozen
class Usage:
    """What a process has used."""

    cpu: float
    """Seconds, of its own and of the kernel's for it."""
    memory: int
    """Bytes resident now."""


def usage(process: int) -> Usage:
    """As Linux tells it, to 10 ms and a page."""
    folder = Path("/proc") / str(process)
    # The name, in brackets, may hold anything; after it, fields 3 and on (proc(5)).
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    pages = int((folder / "statm").read_text().split()[1])
    return Usage((int(fields[11]) + int(fields[12])) / TICKS, pages * os.sysconf("SC_PAGESIZE"))


@attrs.frozen
class Server:
    """One that runs."""

    url: str
    process: int


@contextmanager
def server(wrap: Sequence[str] = (sys.executable,), address: str = "127.0.0.1") -> Iterator[Server]:
    """Our server in development mode. *wrap*: what runs it, perhaps a profiler; *address*: where
    clients send their media."""
    port, udp_port = _free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_DGRAM)
    # fmt: off
    command = [
        *wrap, "-m", "trio_sfu", "run", "--dev", "--bind", "127.0.0.1", "--port", str(port),
        "--udp-port", str(udp_port), "--node-ip", address,
        "--config-body", "logging: {level: warn}",
    ]
    # fmt: on
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=sys.stderr)
    os.sched_setaffinity(process.pid, MEASURED)
    try:
        _wait_until_healthy(process, f"http://127.0.0.1:{port}/")
        yield Server(f"ws://127.0.0.1:{port}", process.pid)
    finally:
        if process.poll() is not None:
            print(f"the server ended by itself, status {process.returncode}", file=sys.stderr)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def participants(running: Server, **order: Any) -> dict[str, Any]:
    """Let a load's process do something to a server; its figures."""
    order |= {"url": running.url, "server": running.process}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.participants", json.dumps(order)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=partial(os.sched_setaffinity, 0, OTHERS),
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the server said nothing at {url} for {START_SECONDS:g} s")


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
