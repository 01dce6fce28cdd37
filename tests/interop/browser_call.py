"""`livekit-client` holds a call between two tabs of Chromium, or between Chromium and Firefox.

python tests/interop/browser_call.py [--url ws://...] [--path v0] [--firefox | --from-firefox]
    [--codec h264] [--simulcast] [--e2ee]
"""

import argparse
import sys

from browser_party import ChromiumParty, FirefoxParty
from scripts import Maker, call_script


def choose(options: argparse.Namespace) -> tuple[Maker, Maker]:
    alice = FirefoxParty if options.from_firefox else ChromiumParty
    bob = FirefoxParty if options.firefox else ChromiumParty
    return alice, bob


if __name__ == "__main__":
    sys.exit(
        call_script(
            "browser_call",
            choose,
            firefox="bob (and eve) in Firefox",
            from_firefox="alice in Firefox",
        )
    )
