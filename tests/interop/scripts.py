"""What the scripts that hold one call between two parties have in common."""

import argparse
import secrets
from collections.abc import Callable
from typing import Any

from conversation import Party, hold_call, join
from server import arguments, enter_namespace, server, token
from verdict import Verdict

Maker = Callable[[str, float], Any]


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
    with server(options) as url:
        alice, bob = make_alice("alice", 600), make_bob("bob", 1000)
        eve = make_bob("eve", 300) if options.e2ee else None

        def join_as(party: Party) -> None:
            key = keys[party.identity] if options.e2ee else None
            join(options, party, url, token(options, room, party.identity), key)

        try:
            hold_call(options, alice, bob, join_as, verdict, eve)
        finally:
            for party in (alice, bob, *([eve] if eve else [])):
                party.close()
    return verdict.finish(options.json)
