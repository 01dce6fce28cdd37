"""Two participants of PyPI `livekit` (libwebrtc inside) hold a call; what one sends, the other has.

    python tests/interop/python_call.py [--url ws://...] [--path v0] [--codec h264]
        [--simulcast] [--e2ee]

Without options the clients use their defaults: one PeerConnection, by `/rtc/v1`.
"""

import sys

from python_party import PythonParty
from scripts import call_script

if __name__ == "__main__":
    sys.exit(call_script("python_call", lambda _: (PythonParty, PythonParty)))
