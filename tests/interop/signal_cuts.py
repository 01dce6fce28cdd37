"""The signalling is cut in the middle of a call: who resumes, who joins anew, what it costs.

    python tests/interop/signal_cuts.py [--url ws://...] [--client NAME]... [--path v1|v0]...
       [--how closed|stalled]... [--cut SECONDS]... [--messages N] [--json FILE]

Alice's socket passes through a proxy; her media does not. While the proxy is cut nothing
passes it for a while: either her socket is closed at once and new ones hang ("closed"), or it
stays open and hangs itself ("stalled"). Meanwhile she and Bob send each other pictures and
numbered reliable messages.

Whoever resumes keeps the SID, nobody hears that they left, pictures pause no longer than
300 ms, and every message arrives once and in order, except what the client itself never
gave to its data channel. livekit-client resumes each time; the Rust core has one attempt
of five seconds and joins anew after that.
"""

import argparse
import secrets
import sys
import time
from typing import Any, Final

from conversation import join, until
from recovering import CLIENTS, RecoveringPython, Tally, Wire, longest_pause, numbers
from server import arguments, enter_namespace, server, token
from verdict import Verdict

BEFORE, AFTER = 3.0, 5.0
"""Seconds of calm around a cut."""
RECOVERY: Final = 40.0
"""Seconds after which a client that has not recovered is lost."""


def main() -> int:
    parser = arguments("Signalling is cut in the middle of a call.")
    parser.add_argument("--client", action="append", choices=list(CLIENTS), dest="clients")
    parser.add_argument("--path", action="append", choices=["v1", "v0"], dest="paths")
    parser.add_argument("--how", action="append", choices=["closed", "stalled"], dest="hows")
    parser.add_argument("--cut", action="append", type=float, dest="cuts", help="seconds")
    parser.add_argument("--messages", type=int, default=1000, help="each way")
    parser.add_argument(
        "--pause", type=float, default=300.0, help="ms that pictures may pause during a resume"
    )
    parser.set_defaults(simulcast=False, codec=None)
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict("signal_cuts")
    with server(options) as url:
        for path in options.paths or ["v1", "v0"]:
            for client in options.clients or CLIENTS:
                for how in options.hows or ["closed", "stalled"]:
                    for seconds in options.cuts or [1.0, 5.0, 20.0]:
                        _cut(options, url, path, client, how, seconds, verdict)
    return verdict.finish(options.json)


def _cut(
    options: argparse.Namespace,
    url: str,
    path: str,
    client: str,
    how: str,
    seconds: float,
    verdict: Verdict,
) -> None:
    name = f"{client} {path} {how} {seconds:g} s"
    wire = Wire(url, without_v1=path == "v0")
    room = f"cuts-{secrets.token_hex(4)}"
    alice, bob = CLIENTS[client]("alice", 600), RecoveringPython("bob", 1000)
    try:
        join(options, alice, wire.url, token(options, room, "alice"), None)
        join(options, bob, url, token(options, room, "bob"), None)
        if not until(lambda: _see_each_other(alice, bob), 20):
            verdict.check(f"{name}: a call", False)
            return
        _measure(options, wire, alice, bob, how, seconds, name, verdict)
    finally:
        for party in (alice, bob):
            party.close()
        wire.close()


def _see_each_other(alice: Any, bob: Any) -> bool:
    return bool(alice.ask("seen", identity="bob") and bob.ask("seen", identity="alice"))


def _measure(
    options: argparse.Namespace,
    wire: Wire,
    alice: Any,
    bob: Any,
    how: str,
    seconds: float,
    name: str,
    verdict: Verdict,
) -> None:
    sid = bob.ask("sid", identity="alice")
    time.sleep(2)  # the first pictures come unevenly
    lasting = BEFORE + seconds + AFTER
    for party in (alice, bob):
        party.ask("burst", count=options.messages, seconds=lasting)
    since = time.time() * 1000
    time.sleep(BEFORE)
    wire.cut(how, seconds)
    time.sleep(seconds)
    if "reconnecting" in alice.ask("history") or how == "closed":
        until(lambda: {"reconnected", "disconnected"} & set(alice.ask("history")), RECOVERY)
    time.sleep(AFTER)
    until(lambda: _all_came(options, alice, bob), 10)
    outcome = _outcome(alice, sid == bob.ask("sid", identity="alice"))
    verdict.figure(f"{name}: outcome", outcome)
    verdict.check(f"{name}: {outcome}", outcome in _allowed(alice, seconds), alice.ask("history"))
    now = time.time() * 1000
    pauses = [longest_pause(*pair, since, now) for pair in ((alice, bob), (bob, alice))]
    verdict.figure(f"{name}: longest pause of pictures, ms", max(pauses))
    _count(f"{name}: alice to bob", alice, bob, options.messages, outcome, verdict)
    _count(f"{name}: bob to alice", bob, alice, options.messages, outcome, verdict)
    if outcome != "rejoined":
        left = [event for event in bob.ask("events") if event.startswith("left")]
        verdict.check(f"{name}: nobody hears of it", not left, left)
        found = ", ".join(f"{pause:.0f} ms" for pause in pauses)
        verdict.check(f"{name}: pictures go on", max(pauses) <= options.pause, found)


def _all_came(options: argparse.Namespace, alice: Any, bob: Any) -> bool:
    return (
        len(numbers(alice, "bob")) >= options.messages
        and len(numbers(bob, "alice")) >= options.messages
    )


def _count(
    name: str, sender: Any, receiver: Any, messages: int, outcome: str, verdict: Verdict
) -> None:
    received = numbers(receiver, sender.identity)
    given = sender.ask("given")
    tally = Tally.of(received, list(range(messages)))
    owed = Tally.of(received, list(range(messages)) if given is None else given)
    verdict.figure(f"{name}: lost", len(tally.lost))
    verdict.figure(f"{name}: lost by the client itself", len(tally.lost) - len(owed.lost))
    if outcome != "rejoined":
        found = f"{len(received)} came, {tally.lost[:5]} lost, {owed.lost[:5]} of those owed"
        verdict.check(f"{name}: every message once and in order", owed.whole, found)


def _outcome(alice: Any, same_sid: bool) -> str:
    history = alice.ask("history")
    if "disconnected" in history:
        return "lost"
    if "reconnected" in history:
        return "resumed" if same_sid else "rejoined"
    return "lost" if "reconnecting" in history else "resumed unseen"


def _allowed(alice: Any, seconds: float) -> set[str]:
    """livekit-client emits nothing where only the socket was exchanged."""
    resumed = {"resumed", "resumed unseen"}
    if isinstance(alice, RecoveringPython) and seconds > 1:
        return {*resumed, "rejoined"}
    return resumed


if __name__ == "__main__":
    sys.exit(main())
