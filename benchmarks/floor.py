"""The floor under every figure: a C loop that copies, protects and sends, and decides nothing.

    python -m benchmarks.floor

It is compiled here and now with the machine's C compiler, and calls the libsrtp
that pylibsrtp ships, so it measures the same crypto and the same kernel as the
server beside it. Without a compiler there is no floor, and ratios are left out.
"""

import contextlib
import ctypes
import json
import multiprocessing
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import pylibsrtp
from pylibsrtp._binding import ffi, lib

SOURCE: Final = Path(__file__).with_name("floor.c")
SUBSCRIBERS: Final = 50

PUBLISHED: Final = {"video burst": 2.4, "audio": 5.4}
"""Microseconds a packet as first measured; a floor far above them tells of a busy machine."""

CASES: Final = {"video burst": (9, 1150), "audio": (1, 120)}
"""Packets in a burst, and bytes of a packet before protection."""


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


def measure(rounds: int = 400, runs: int = 3) -> dict[str, float] | None:
    """Median microseconds of CPU a packet, by case; None without a compiler."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = compile_floor(folder)
        if loaded is None:
            return None
        return {
            name: statistics.median(_run(loaded, burst, size, rounds) for _ in range(runs))
            for name, (burst, size) in CASES.items()
        }


def _run(loaded: ctypes.CDLL, burst: int, size: int, rounds: int) -> float:
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
    try:
        ports = (ctypes.c_uint16 * SUBSCRIBERS)(
            *(socket.htons(sink.getsockname()[1]) for sink in sinks)
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            protect = ctypes.c_void_p(int(ffi.cast("size_t", ffi.addressof(lib, "srtp_protect"))))
            figure = loaded.floor_run(
                protect, contexts, SUBSCRIBERS, sender.fileno(), ports, burst, size, rounds
            )
    finally:
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
    json.dump(measure(), sys.stdout, indent=2)
    print()
