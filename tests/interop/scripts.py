"""What the scripts that hold one call between two parties have in common."""

import secrets
from collections.abc import Callable
from typing import Any

from conversation import Party, hold_call, join
from server import arguments, enter_namespace, server, token
from verdict import Verdict


def call_script(name: str, *make: Callable[[str, float], Any]) -> int:
    """Parses the arguments, holds the call, gives the exit status.

    *make*: what makes alice, and bob (and eve) where they are to be of another kind.
    """
    parser = arguments(f"{name}: two stock clients hold a call.")
    parser.add_argument("--codec", choices=["vp8", "h264", "vp9", "av1"])
    parser.add_argument("--simulcast", action="store_true", help="layers, switched by request")
    parser.add_argument("--e2ee", action="store_true", help="end-to-end encryption")
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict(name)
    room = f"{name}-{secrets.token_hex(4)}"
    keys = {"alice": "a key that both have", "bob": "a key that both have", "eve": "another key"}
    with server(options) as url:
        alice, bob = make[0]("alice", 600), make[-1]("bob", 1000)
        eve = make[-1]("eve", 300) if options.e2ee else None

        def join_as(party: Party) -> None:
            key = keys[party.identity] if options.e2ee else None
            join(options, party, url, token(options, room, party.identity), key)

        try:
            hold_call(options, alice, bob, join_as, verdict, eve)
        finally:
            for party in (alice, bob, *([eve] if eve else [])):
                party.close()
    return verdict.finish(options.json)
