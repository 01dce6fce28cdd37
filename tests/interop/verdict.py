"""What a call script found out: checks, figures, an exit status."""

import json
import sys
import time
from pathlib import Path
from typing import Any


class Verdict:
    """Collects checks and figures, and tells each check as it is made."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.misses: list[str] = []
        self.figures: dict[str, Any] = {}
        self._started = time.monotonic()

    def check(self, what: str, holds: bool, found: object = "") -> bool:
        """Notes whether *what* holds; *found* is shown beside it."""
        if not holds:
            self.misses.append(what)
        seconds = time.monotonic() - self._started
        print(
            f"{seconds:6.2f} s  {'ok  ' if holds else 'MISS'}  {what}  {found}".rstrip(), flush=True
        )
        return holds

    def figure(self, name: str, value: float | str) -> None:
        """A number (or word) for the report."""
        self.figures[name] = round(value, 4) if isinstance(value, float) else value

    def finish(self, report: Path | None) -> int:
        """Writes the report, if one is wanted, and gives the exit status."""
        self.figure("seconds", time.monotonic() - self._started)
        outcome = {"script": self.script, "misses": self.misses, "figures": self.figures}
        if report is not None:
            report.write_text(json.dumps(outcome, indent=1) + "\n")
        print(json.dumps(outcome), flush=True)
        if self.misses:
            print(f"{self.script}: {len(self.misses)} missed", file=sys.stderr)
        return 1 if self.misses else 0
