"""Four different clients in one room: everybody sees and hears everybody.

    python tests/interop/four_clients.py [--url ws://...] [--path v0]

Chromium and Firefox with `livekit-client`, PyPI `livekit`, npm `@livekit/rtc-node`.
"""

import secrets
import sys
from contextlib import closing

from browser_party import ChromiumParty, FirefoxParty
from conversation import data, join, pictures_and_sound
from node_party import NodeParty
from python_party import PythonParty
from scripts import add_path, joined_by
from server import arguments, enter_namespace, server, token
from tapped import Tap
from verdict import Verdict

KINDS = {
    "python": (PythonParty, 500),
    "node": (NodeParty, 700),
    "chromium": (ChromiumParty, 900),
    "firefox": (FirefoxParty, 1100),
}


def main() -> int:
    parser = arguments("Four different stock clients in one room.")
    # Twelve pictures at once are drawn, encoded, decoded and read: small ones, on two cores.
    parser.set_defaults(size=(320, 180), rate=10)
    add_path(parser)
    options = parser.parse_args()
    options.codec, options.simulcast = None, False
    enter_namespace(options)
    verdict = Verdict("four_clients")
    room = f"four-{secrets.token_hex(4)}"
    with server(options) as url, closing(Tap(url)) as tap:
        parties = []
        try:
            for name, (make, frequency) in KINDS.items():
                parties.append(make(name, frequency))
            for party in parties:
                join(options, party, tap.url, token(options, room, party.identity), None)
            pictures_and_sound(options, parties, verdict)
            for one, other in zip(parties, parties[1:] + parties[:1], strict=True):
                data(one, other, verdict)
            joined_by(options, tap, verdict)
        finally:
            for party in parties:
                party.close()
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
