"""The floor under every figure: a C loop that copies, protects and sends, and decides nothing.

    python -m benchmarks.floor

It is compiled here and now with the machine's C compiler, and calls the libsrtp
that pylibsrtp ships, so it measures the same crypto and the same kernel as the
server beside it. Without a compiler there is no floor, and ratios are left out.

There are two figures. *At rhythm* the loop sleeps between two bursts for as long as the
load beside it does; what it needs is then no longer in the processor's caches, and who
receives must be woken, just as it is for a server at that load. *Without a pause* it is
what the code costs at best.
"""

import contextlib
import ctypes
import json
import multiprocessing
import os
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import attrs
import pylibsrtp
from pylibsrtp._binding import ffi, lib

from benchmarks.processes import CORES, MEASURED, OTHERS

SOURCE: Final = Path(__file__).with_name("floor.c")
SUBSCRIBERS: Final = 50

PUBLISHED: Final = {"video burst": 2.4, "audio": 5.4}
"""Microseconds a packet as first measured; a floor far above them tells of a busy machine."""

RUNS: Final = 3
SECONDS: Final = 2.0
"""Of each run at rhythm; one without a pause has as many bursts as make it last."""


@attrs.frozen
class Case:
    """What is sent to everybody, and how often."""

    burst: int
    """Packets."""
    size: int
    """Bytes of a packet before protection."""
    interval: float
    """Seconds from one burst to the next, of all publishers together."""


CASES: Final = {"video burst": Case(9, 1150, 1 / 30), "audio": Case(1, 120, 0.020 / 5)}


@attrs.frozen
class Floor:
    """Microseconds of CPU a packet."""

    at_rhythm: float
    without_pause: float


def compile_floor(folder: str) -> ctypes.CDLL | None:
    """The C loop, ready to call; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = Path(folder) / "floor.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True
    )
    loaded = ctypes.CDLL(str(library))
    loaded.floor_run.restype = ctypes.c_double
    return loaded


def measure() -> dict[str, Floor] | None:
    """Medians, by case; None without a compiler."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = compile_floor(folder)
        if loaded is None:
            return None

        def median(case: Case, pause: float, rounds: int) -> float:
            return statistics.median(_run(loaded, case, pause, rounds) for _ in range(RUNS))

        return {
            name: Floor(
                at_rhythm=median(case, case.interval, round(SECONDS / case.interval)),
                without_pause=median(case, 0, 400),
            )
            for name, case in CASES.items()
        }


def _run(loaded: ctypes.CDLL, case: Case, pause: float, rounds: int) -> float:
    sessions = [_session() for _ in range(SUBSCRIBERS)]
    contexts = (ctypes.c_void_p * SUBSCRIBERS)(
        *(int(ffi.cast("size_t", session._srtp[0])) for session in sessions)
    )
    sinks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SUBSCRIBERS)]
    for sink in sinks:
        sink.bind(("127.0.0.1", 0))
    # What arrives must be read, or the kernel throws it away and that is cheaper.
    reader = multiprocessing.get_context("fork").Process(target=_drain, args=(sinks,), daemon=True)
    reader.start()
    os.sched_setaffinity(reader.pid or 0, OTHERS)
    os.sched_setaffinity(0, MEASURED)
    try:
        ports = (ctypes.c_uint16 * SUBSCRIBERS)(
            *(socket.htons(sink.getsockname()[1]) for sink in sinks)
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            protect = ctypes.c_void_p(int(ffi.cast("size_t", ffi.addressof(lib, "srtp_protect"))))
            figure = loaded.floor_run(
                protect,
                contexts,
                SUBSCRIBERS,
                sender.fileno(),
                ports,
                case.burst,
                case.size,
                rounds,
                ctypes.c_long(round(pause * 1e9)),
            )
    finally:
        os.sched_setaffinity(0, CORES)
        reader.terminate()
        reader.join()
        for sink in sinks:
            sink.close()
    if figure < 0:
        raise RuntimeError("the kernel or libsrtp refused a packet: no floor")
    return float(figure)


def _drain(sinks: list[socket.socket]) -> None:
    poll, buffer = select.epoll(), bytearray(65_536)
    by_fd = {sink.fileno(): sink for sink in sinks}
    for sink in sinks:
        sink.setblocking(False)
        sink.setsockopt(socket.IPPROTO_UDP, 104, 1)  # UDP_GRO
        poll.register(sink, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            with contextlib.suppress(BlockingIOError):
                while True:
                    by_fd[fd].recv_into(buffer)


def _session() -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(
        key=bytes(range(28)),
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    )
    return pylibsrtp.Session(policy=policy)


if __name__ == "__main__":
    floors = measure()
    json.dump(
        floors and {name: attrs.asdict(each) for name, each in floors.items()}, sys.stdout, indent=2
    )
    print()
