"""A server on the far side of a network that loses packets, for a script that root runs.

    the script, its clients                the server
    10.99.0.1  near ══════ veth ══════ far  10.99.0.2
       a network namespace             another one

What an interface takes in goes through a filter first: a few words of classic BPF that throw
dice for each packet. There is one at either end, so loss is both ways, and it falls on
everything: media, STUN, RTCP, and the TCP of signalling. The kernel's own `netem` would do the
same, but often it is not there; this needs only `tc`. (Neither end takes in several packets
as one, or they would be lost as one.) Namespaces, link and filters are gone when the script
has ended.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from server import REPOSITORY, wait_until_healthy

CLIENTS: Final = "10.99.0.1"
SERVER: Final = "10.99.0.2"
PORT: Final = 7880
INSIDE: Final = "TRIO_SFU_NEAR_LOSSY_LINK"

ENTER_NEAR: Final = f"""
ip link set lo up && ip link add near type veth peer name far &&
ip addr add {CLIENTS}/24 dev near && ip link set near up gso_max_segs 1 && exec "$@"
"""
ENTER_FAR: Final = f"""
until ip link show far >/dev/null 2>&1; do sleep 0.02; done
ip link set lo up && ip addr add {SERVER}/24 dev far &&
ip link set far up gso_max_segs 1 && exec "$@"
"""
OUR_SERVER: Final = (
    *(sys.executable, "-m", "trio_sfu", "run", "--dev", "--bind", SERVER),
    *("--port", str(PORT), "--udp-port", "7882", "--node-ip", SERVER),
)

_FILTER: Final = "4,32 0 0 4294963256,37 0 1 {above},6 0 0 4294967295,6 0 0 2,"
"""How `tc` takes a program: the number of its instructions, then of each the code, how far to
jump if true and if false, and an operand. It loads 32 random bits (from SKF_AD_OFF +
SKF_AD_RANDOM); if they are above the limit it returns TC_ACT_UNSPEC, let it pass; else
TC_ACT_SHOT."""
_NO_UDP: Final = "4,48 0 0 23,21 0 1 17,6 0 0 2,6 0 0 4294967295,"
"""Likewise: the protocol in an IPv4 header; UDP is dropped."""
_RANDOM_MOST: Final = 0xFFFFFFFF


def enter_near_side() -> None:
    """Starts this program again in a namespace with a link; ends it if that cannot be."""
    if INSIDE in os.environ:
        # Ahead of all that is not real-time: what else the machine does is no fault of the link's.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        return
    enter = ["unshare", "--net", "--", "bash", "-c", ENTER_NEAR, "near"]
    tried = subprocess.run([*enter, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise SystemExit(f"no network namespace can be made here: {tried.stderr.strip()}")
    os.environ[INSIDE] = "1"
    os.execvp(enter[0], [*enter, sys.executable, *sys.argv])


class Link:
    """Between the two namespaces; *far* is a process that lives in the other one."""

    def __init__(self, far: int) -> None:
        self.far = far
        self._ends = ([], "near"), (["nsenter", "--net", f"--target={far}"], "far")

    def lose(self, share: float) -> None:
        """From now on that share of packets, 0 to 1, both ways."""
        program = _FILTER.format(above=round(share * _RANDOM_MOST))
        for enter, device in self._ends:
            words = f"tc qdisc add dev {device} clsact".split()
            subprocess.run([*enter, *words], check=True)
            words = f"tc filter add dev {device} ingress bpf da bytecode".split()
            subprocess.run([*enter, *words, program], check=True)

    def cut_media(self, on: bool) -> None:
        """From now on no UDP passes, either way, or all does again; TCP does not notice."""
        for enter, device in self._ends:
            if on:
                words = f"tc qdisc replace dev {device} clsact".split()
                subprocess.run([*enter, *words], check=True)
                words = f"tc filter add dev {device} ingress bpf da bytecode".split()
                subprocess.run([*enter, *words, _NO_UDP], check=True)
            else:
                words = f"tc qdisc del dev {device} clsact".split()
                subprocess.run([*enter, *words], check=True)

    def counted(self) -> list[tuple[int, int]]:
        """Towards the clients, and towards the server: packets that went in, and those lost."""
        counts = []
        for enter, device in self._ends:
            words = f"tc -s qdisc show dev {device} clsact".split()
            said = subprocess.run([*enter, *words], capture_output=True, text=True, check=True)
            found = re.search(r"(\d+) pkt \(dropped (\d+)", said.stdout)
            counts.append((int(found[1]), int(found[2])) if found else (0, 0))
        return counts


@contextmanager
def far_server(command: Sequence[str], log: Path) -> Iterator[tuple[str, Link]]:
    """The ws:// address of a server on the far side, which runs while the block does, and the
    link to it. *log*: the file for what it says."""
    enter = ["unshare", "--net", "--", "bash", "-c", ENTER_FAR, "far", *command]
    with log.open("w") as said:
        process = subprocess.Popen(enter, cwd=REPOSITORY, stdout=said, stderr=said)
    try:
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{process.pid}/ns/net") == ours and process.poll() is None:
            pass  # `unshare` is about to
        subprocess.run(["ip", "link", "set", "far", "netns", str(process.pid)], check=True)
        wait_until_healthy(process, f"http://{SERVER}:{PORT}/")
        yield f"ws://{SERVER}:{PORT}", Link(process.pid)
    finally:
        process.terminate()
        process.wait(10)
