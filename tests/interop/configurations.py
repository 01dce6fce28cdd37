"""Servers started with configurations that were written for LiveKit's.

    PYTHONPATH=. python tests/interop/configurations.py [--json FILE] [YAML ...]

Each file in tests/vectors/config, or each that is named, starts `trio-sfu run` as it is,
but for the ports, which are any that are free. Then a token that its first key signed must
be believed, and the server must end when it is asked to. What it warned of is printed.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import attrs

from trio_sfu.api.tokens import Claims, sign
from trio_sfu.room.grants import Grants
from trio_sfu.settings import load, read_file

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "vectors" / "config"
FREE_PORTS = ("--logging.json", "--port=0", "--udp-port=0", "--bind=127.0.0.1")
SECONDS = 60.0
"""For a server to start on a busy machine, and to end."""


@attrs.frozen
class Outcome:
    """What became of one file."""

    name: str
    failure: str
    """"" if all went well."""
    start_ms: int
    """From the command to a port that is open."""
    warnings: list[str]


def try_file(path: Path) -> Outcome:
    """Start a server with *path*, ask it something, and end it."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "trio_sfu", "--config", str(path), *FREE_PORTS],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    ) as server:
        warnings: list[str] = []
        try:
            url = _address(server, warnings)
            took = round(1000 * (time.monotonic() - began))
            failure = _ask(url, path) if url else "it did not start"
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                _, rest = server.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
    if not failure and (server.returncode or "Traceback" in rest):
        failure = f"it ended with status {server.returncode}"
    return Outcome(path.name, failure, took, warnings)


def _address(server: "subprocess.Popen[str]", warnings: list[str]) -> str:
    """Where it serves; "" if it never says so. Collects what it warns of."""
    assert server.stderr is not None, "a pipe"
    for line in server.stderr:
        try:
            said = json.loads(line)
        except ValueError:
            warnings.append(line.strip())
            continue
        if said["event"] == "serving":
            return str(said["urls"][0])
        if said["level"] in ("warning", "error"):
            warnings.append(str(said["event"]))
    return ""


def _ask(url: str, path: Path) -> str:
    """What is wrong with how a good token is answered."""
    config, _ = load(read_file(str(path)), path.name)
    key, secret = next(iter(config.keys.items()))
    claims = Claims(identity="alice", grants=Grants(room_join=True, room="kitchen"))
    token = sign(claims, key, secret, time.time())
    with urllib.request.urlopen(
        f"{url}/rtc/validate?access_token={token}", timeout=SECONDS
    ) as answer:
        words = answer.read().decode()
    return "" if words == "success" else f"a good token was answered with {words!r}"


def main() -> None:
    """One line a file; a non-zero status if one did not do."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--json", type=Path, help="write the outcomes here as well")
    options = parser.parse_args()
    outcomes = [try_file(path) for path in options.files or sorted(FOLDER.glob("*.yaml"))]
    for outcome in outcomes:
        print(f"{outcome.failure or 'ok':20} {outcome.start_ms:6} ms  {outcome.name}")
        for warning in outcome.warnings:
            print("    " + re.sub(r"^.*/", "", warning))
    if options.json is not None:
        options.json.write_text(json.dumps([attrs.asdict(each) for each in outcomes], indent=1))
    if any(outcome.failure for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
