"""What a call survives: a server that stands still, a client that moves, media that fails.

    python tests/interop/recoveries.py [--client NAME]... [--case NAME]... [--json FILE]

It needs root: clients and server live in two network namespaces with a link between.

    stopped     SIGSTOP for three seconds: nobody notices but for the pictures that lack
    moved       the client has another address from one moment to the next, and the old one
                is gone: it resumes, or joins anew
    failed      no UDP passes for twenty seconds, so the publisher's connection fails: likewise

It passes if pictures come again both ways, and the recovery is one that the client offers.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
from conversation import join, until
from lossy_link import CLIENTS as ADDRESS
from lossy_link import OUR_SERVER, Link, enter_near_side, far_server
from recovering import CLIENTS, longest_pause
from server import arguments, token
from verdict import Verdict

STOPPED: Final = 3.0
FAILED: Final = 20.0
RECOVERY: Final = 60.0
ELSEWHERE: Final = "10.99.0.9"


def main() -> int:
    parser = arguments("What a call survives.")
    parser.add_argument("--client", action="append", choices=list(CLIENTS), dest="clients")
    parser.add_argument("--case", action="append", choices=list(CASES), dest="cases")
    parser.set_defaults(simulcast=False, codec=None)
    options = parser.parse_args()
    enter_near_side()
    verdict = Verdict("recoveries")
    log = Path(tempfile.gettempdir()) / "recoveries-server.log"
    with far_server(OUR_SERVER, log) as (url, link):
        for client in options.clients or CLIENTS:
            for case in options.cases or CASES:
                _hold(options, url, link, client, case, verdict)
    return verdict.finish(options.json)


def _hold(
    options: argparse.Namespace, url: str, link: Link, client: str, case: str, verdict: Verdict
) -> None:
    alice, bob = (CLIENTS[client](name, tone) for name, tone in (("alice", 600), ("bob", 1000)))
    try:
        for party in (alice, bob):
            ticket = token(options, f"{client} {case}", party.identity)
            join(options, party, url, ticket, None)
        call = Call(f"{client}: {case}", alice, bob, link, verdict)
        if verdict.check(f"{call.name}: a call", until(call.flows, 20)):
            CASES[case](call)
    finally:
        for party in (alice, bob):
            party.close()


@attrs.define
class Call:
    """Two parties, both on the near side."""

    name: str
    alice: Any
    bob: Any
    link: Link
    verdict: Verdict

    def flows(self, since: float = 0.0) -> bool:
        """Whether both have seen a picture of the other's that came later than *since*, in ms."""
        return all(
            any(at > since for _, at in party.ask("seen", identity=other.identity)[-3:])
            for party, other in ((self.alice, self.bob), (self.bob, self.alice))
        )

    def recovers(self, allowed: set[str]) -> None:
        """Pictures come again both ways, and what the clients went through is *allowed*."""
        now = time.time() * 1000
        again = until(lambda: self.flows(now + 1000), RECOVERY)
        found = f"{time.time() - now / 1000 - 1:.1f} s"
        self.verdict.check(f"{self.name}: pictures come again", again, found)
        time.sleep(2)
        history = {event for p in (self.alice, self.bob) for event in p.ask("history")}
        self.verdict.figure(f"{self.name}: history", ", ".join(sorted(history)) or "nothing")
        left = [e for p in (self.alice, self.bob) for e in p.ask("events") if e.startswith("left")]
        self.verdict.figure(f"{self.name}: seen to leave", len(left))
        self.verdict.check(f"{self.name}: as it should", history <= allowed, history)


def stopped(call: Call) -> None:
    started = time.time() * 1000
    os.kill(call.link.far, signal.SIGSTOP)
    time.sleep(STOPPED)
    os.kill(call.link.far, signal.SIGCONT)
    call.recovers(set())
    now = time.time() * 1000
    pause = longest_pause(call.bob, call.alice, started, now)
    call.verdict.figure(f"{call.name}: longest pause of pictures, ms", pause)


def moved(call: Call) -> None:
    for words in (
        f"ip addr add {ELSEWHERE}/24 dev near",
        f"ip addr del {ADDRESS}/24 dev near",
        f"ip addr add {ELSEWHERE}/24 dev near",  # the first took the second with it
    ):
        subprocess.run(words.split(), check=False, capture_output=True)
    try:
        call.recovers({"reconnecting", "reconnected"})
    finally:
        for words in (
            "ip addr flush dev near",
            f"ip addr add {ADDRESS}/24 dev near",
        ):
            subprocess.run(words.split(), check=True)


def failed(call: Call) -> None:
    call.link.cut_media(True)
    time.sleep(FAILED)
    call.link.cut_media(False)
    call.recovers({"reconnecting", "reconnected"})


CASES: Final[dict[str, Callable[[Call], None]]] = {
    "stopped": stopped,
    "moved": moved,
    "failed": failed,
}


if __name__ == "__main__":
    sys.exit(main())
