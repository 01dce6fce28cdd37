"""Two participants of npm's `@livekit/rtc-node` (an older libwebrtc inside) hold a call.

    python tests/interop/node_call.py [--url ws://...] [--path v0] [--from-python] [--codec h264]
        [--simulcast] [--e2ee]

That library has no function for muting, nor one that asks for a layer. With `--from-python`
Python speaks (and mutes) to Node; with `--simulcast` Python watches what Node sends.
"""

import sys

from node_party import NodeParty
from python_party import PythonParty
from scripts import call_script

if __name__ == "__main__":
    sys.exit(
        call_script(
            "node_call",
            lambda options: (
                PythonParty if options.from_python else NodeParty,
                PythonParty if options.simulcast else NodeParty,
            ),
            from_python="alice is a participant of PyPI livekit",
        )
    )
