"""`livekit-client` holds a call between two tabs of Chromium, or between Chromium and Firefox.

python tests/interop/browser_call.py [--url ws://...] [--firefox]
    [--codec h264] [--simulcast] [--e2ee]
"""

import sys

from browser_party import ChromiumParty, FirefoxParty
from scripts import call_script

if __name__ == "__main__":
    sys.exit(
        call_script(
            "browser_call",
            lambda options: (ChromiumParty, FirefoxParty if options.firefox else ChromiumParty),
            firefox="bob is in Firefox",
        )
    )
