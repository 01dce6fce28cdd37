"""Whether joins and leaves leave anything behind in the server.

    python -m benchmarks.memory [--json FILE]

Participants join, are connected and leave, a few at once. After the first two hundred
the server's resident memory is what it is; after eight hundred more it may be 2 MiB
above that, no more. Exit status 1 if it is.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from benchmarks.processes import participants, server

BEFORE: Final = 200
AFTER: Final = 1000
LIMIT: Final = 2 << 20
SETTLE: Final = 3.0
"""Seconds for the server to see the last ones off."""


def measure() -> dict[str, float]:
    """Bytes resident after so many visits, and how many more after all."""
    with server() as running:
        before = participants(running, do="visits", count=BEFORE, settle=SETTLE)["memory"]
        after = participants(running, do="visits", count=AFTER - BEFORE, settle=SETTLE)["memory"]
    return {f"after_{BEFORE}": before, f"after_{AFTER}": after, "growth": after - before}


def main() -> int:
    parser = argparse.ArgumentParser(description="What joins and leaves leave behind.")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    found = measure()
    missed = found["growth"] > LIMIT
    print(json.dumps({**found, "limit": LIMIT, "missed": missed}))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
