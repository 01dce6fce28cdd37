"""A server for a call script, in a network namespace where that is possible.

Native clients gather no ICE candidate where loopback is the only interface, and a
test should not depend on what interfaces a machine has. So a script that was given
no `--url` starts itself again inside a network namespace with one more address
(one end of a veth pair), which needs root; the namespace is gone when the script
ends. Without root the script stays where it is and uses 127.0.0.1.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import jwt
from livekit import api

REPOSITORY: Final = Path(__file__).resolve().parents[2]
INSIDE: Final = "TRIO_SFU_INSIDE_NAMESPACE"
ADDRESS: Final = "10.99.0.1"
ENTER: Final = f"""
ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add {ADDRESS}/24 dev v0 &&
ip link set v0 up && ip link set v1 up && ip route add default dev v0 && exec "$@"
"""
"""Firefox tells a page without a camera no address but the default route's, so there is one."""
START_SECONDS: Final = 40.0


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments that every call script has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--url", help="ws:// address of a server that runs; without, one is started"
    )
    parser.add_argument("--key", default="devkey")
    parser.add_argument("--secret", default="secret")
    parser.add_argument("--seconds", type=float, default=6.0, help="of pictures to be counted")
    parser.add_argument("--size", type=_size, default=(640, 360), help="of them: 640x360")
    parser.add_argument("--rate", type=int, default=20, help="pictures a second")
    parser.add_argument("--enough", type=float, default=0.95, help="share of them to be decoded")
    parser.add_argument(
        "--patience", type=float, default=1.5, help="seconds from connecting to the first picture"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def token(options: argparse.Namespace, room: str, identity: str) -> str:
    """A ticket for *identity* to take part in *room* for an hour."""
    # Development mode's secret is short on purpose: everybody knows it.
    warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)
    return (
        api.AccessToken(options.key, options.secret)
        .with_identity(identity)
        .with_ttl(timedelta(hours=1))
        .with_grants(api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True))
        .to_jwt()
    )


def enter_namespace(options: argparse.Namespace) -> None:
    """Starts this program again inside a namespace of its own, if a server is to be started."""
    if options.url is not None or INSIDE in os.environ or os.geteuid() != 0:
        return
    enter = ["unshare", "--net", "--", "bash", "-c", ENTER, "inside"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode != 0:
        return
    os.environ[INSIDE] = "1"
    os.execvp(enter[0], [*enter, sys.executable, *sys.argv])


@contextmanager
def server(options: argparse.Namespace, *arguments: str) -> Iterator[str]:
    """The ws:// address of a server: the one named, or one that runs while the block does,
    with *arguments* beside the usual ones."""
    if options.url is not None:
        yield options.url
        return
    port, udp_port = _free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_DGRAM)
    address = ADDRESS if INSIDE in os.environ else "127.0.0.1"
    # fmt: off
    command = [
        sys.executable, "-m", "trio_sfu", "run", "--dev", "--port", str(port),
        "--udp-port", str(udp_port), "--node-ip", address, *arguments,
    ]
    # fmt: on
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=sys.stderr)
    try:
        wait_until_healthy(process, f"http://127.0.0.1:{port}/")
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.terminate()  # it would wait for whoever is still there
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], url: str) -> None:
    """Returns once a server answers at *url*; ends this program if it never does."""
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
