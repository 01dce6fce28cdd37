"""Publishers say who hears them, and change their minds: stock clients on both ends.

    python tests/interop/permissions.py [--url ws://...] [--json FILE]

Chromium with `livekit-client` and PyPI `livekit`, each first as the publisher.
"""

import secrets
import sys
from typing import Any

from browser_party import ChromiumParty
from conversation import until, view
from python_party import PythonParty
from server import arguments, enter_namespace, server, token
from verdict import Verdict


def main() -> int:
    options = arguments("Subscription permissions, seen by stock clients.").parse_args()
    enter_namespace(options)
    verdict = Verdict("permissions")
    room = f"permissions-{secrets.token_hex(4)}"
    with server(options) as url:
        parties: list[Any] = [ChromiumParty("chromium", 700), PythonParty("python", 900)]
        try:
            for party in parties:
                ticket = token(options, room, party.identity)
                party.ask("connect", url=url, token=ticket, key=None)
                party.ask(
                    "publish", name="microphone", codec=None, simulcast=False, size=None, rate=0
                )
            one, other = parties
            revoke_and_grant(one, other, verdict)
            revoke_and_grant(other, one, verdict)
            verdict.check(
                "JavaScript is told of each change",
                told(one, other, "not_allowed") == 1 and told(one, other, "allowed") >= 1,
                one.ask("events"),
            )
        finally:
            for party in parties:
                party.close()
    return verdict.finish(options.json)


def told(listener: Any, speaker: Any, what: str) -> int:
    """How often *listener*'s client told of *what* about *speaker*'s microphone."""
    events: list[str] = listener.ask("events")
    return events.count(f"{what} {speaker.identity} microphone")


def hears(listener: Any, speaker: Any) -> bool:
    return abs(view(listener, speaker)["pitch"] - speaker.frequency) < 12


def revoke_and_grant(speaker: Any, listener: Any, verdict: Verdict) -> None:
    """*speaker* lets nobody hear it, then *listener*, then everybody."""
    way = f"{speaker.identity} to {listener.identity}"
    verdict.check(f"a tone, {way}", until(lambda: hears(listener, speaker)))
    speaker.ask("permit", identities=["somebody else"])
    if listener.identity != "python":  # the Rust core tells of the next track only
        gone = until(lambda: told(listener, speaker, "track_unsubscribed") == 1)
        verdict.check(f"nobody hears it, {way}", gone)
    speaker.ask("permit", identities=[listener.identity])
    back = until(lambda: told(listener, speaker, "track_subscribed") == 2)
    verdict.check(f"who is listed hears it again, {way}", back)
    verdict.check(f"a tone again, {way}", until(lambda: hears(listener, speaker)))
    speaker.ask("permit", identities=None)
    again = until(lambda: told(listener, speaker, "track_unsubscribed") > 1, 1.0)
    verdict.check(f"everybody: nothing changes for who is listed, {way}", not again)


if __name__ == "__main__":
    sys.exit(main())
