"""What the scripts that hold one call between two parties have in common."""

import argparse
import secrets
from collections.abc import Callable
from contextlib import closing
from typing import Any

from conversation import Party, hold_call, join
from server import arguments, enter_namespace, server, token
from tapped import Tap
from verdict import Verdict

Maker = Callable[[str, float], Any]


PATHS = {"v1": "/rtc/v1", "v0": "/rtc"}


def add_path(parser: argparse.ArgumentParser) -> None:
    """The clients' own choice between one PeerConnection and two."""
    parser.add_argument(
        "--path",
        choices=list(PATHS),
        default="v1",
        help="v1: one PeerConnection, the clients' default; v0: two",
    )


def joined_by(options: argparse.Namespace, tap: Tap, verdict: Verdict) -> None:
    """What was asked for is what came over the wire."""
    paths = set(tap.joined())
    verdict.check(
        "everybody joined by the path that was asked for",
        paths == {PATHS[options.path]},
        str(paths),
    )


def call_script(
    name: str, choose: Callable[[argparse.Namespace], tuple[Maker, Maker]], **flags: str
) -> int:
    """Parses the arguments, holds the call, gives the exit status.

    *choose*: of what kind alice and bob (and eve) are, by the arguments. *flags*: what the
    script has beside the usual ones, each with its help.
    """
    parser = arguments(f"{name}: two stock clients hold a call.")
    for flag, help_text in flags.items():
        parser.add_argument(f"--{flag.replace('_', '-')}", action="store_true", help=help_text)
    add_path(parser)
    parser.add_argument("--codec", choices=["vp8", "h264", "vp9", "av1"])
    parser.add_argument("--simulcast", action="store_true", help="layers, switched by request")
    parser.add_argument("--starve", action="store_true", help="with layers: the largest ends")
    parser.add_argument("--e2ee", action="store_true", help="end-to-end encryption")
    options = parser.parse_args()
    enter_namespace(options)
    make_alice, make_bob = choose(options)
    verdict = Verdict(name)
    room = f"{name}-{secrets.token_hex(4)}"
    keys = {"alice": "a key that both have", "bob": "a key that both have", "eve": "another key"}
    with server(options) as url, closing(Tap(url)) as tap:
        alice, bob = make_alice("alice", 600), make_bob("bob", 1000)
        eve = make_bob("eve", 300) if options.e2ee else None

        def join_as(party: Party) -> None:
            key = keys[party.identity] if options.e2ee else None
            join(options, party, tap.url, token(options, room, party.identity), key)

        try:
            hold_call(options, alice, bob, join_as, verdict, eve)
            joined_by(options, tap, verdict)
        finally:
            for party in (alice, bob, *([eve] if eve else [])):
                party.close()
    return verdict.finish(options.json)
