"""Redundant audio from those who send it, heard by everybody.

    python tests/interop/redundant_sound.py [--url ws://...] [--json FILE]

Chromium and PyPI `livekit` publish their microphones as RED, Firefox as plain Opus. All
hear all: who takes RED as it is, Firefox the Opus inside.
"""

import secrets
import sys

from browser_party import ChromiumParty, FirefoxParty
from conversation import until, view
from python_party import PythonParty
from server import arguments, enter_namespace, server, token
from verdict import Verdict

KINDS = {
    "chromium": (ChromiumParty, 700, "audio/red"),
    "python": (PythonParty, 900, "audio/red"),
    "firefox": (FirefoxParty, 1100, "audio/opus"),
}
PATIENCE = 20.0


def main() -> int:
    parser = arguments("Redundant audio, and plain.")
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict("redundant_sound")
    room = f"redundant-{secrets.token_hex(4)}"
    with server(options) as url:
        parties = []
        try:
            for name, (make, frequency, _) in KINDS.items():
                parties.append(make(name, frequency))
            for party in parties:
                ticket = token(options, room, party.identity)
                party.ask("connect", url=url, token=ticket, key=None)
                party.ask(
                    "publish", name="microphone", codec=None, simulcast=False, size=None, rate=0
                )
            for one in parties:
                for other in parties:
                    if one is not other:
                        hears(other, one, verdict)
        finally:
            for party in parties:
                party.close()
    return verdict.finish(options.json)


def hears(listener: object, speaker: object, verdict: Verdict) -> None:
    """*listener* hears the tone that *speaker*'s microphone sends."""

    def pitch() -> float:
        return view(listener, speaker)["pitch"]

    arrived = until(lambda: abs(pitch() - speaker.frequency) < 12, PATIENCE)
    way = f"{speaker.identity} to {listener.identity}"
    verdict.check(f"a tone, {way}", arrived, f"{pitch():.0f} Hz")


if __name__ == "__main__":
    sys.exit(main())
