"""What the server costs, as a table, beside the floor of the same minute.

    python -m benchmarks.run [--quick] [--json FILE]

The server runs in one process, everybody else in another (`benchmarks.participants`),
on loopback, in real time. A figure is the median of three runs. A run in which a
packet was lost, or had to be sent again, is void: it is said so and done again. What
is counted is the CPU of the server's process, its own and the kernel's for it, over
all packets that reached a subscriber; what it does besides (reports, feedback,
checks) is in there.

Figures of different machines, or of a busy one, say little; ratios to the floor say
more. The floor that counts is the one that sends at the rhythm of the load (see
`benchmarks.floor`); beside it stands the one of a loop that never sleeps, "hot".

Where others want the CPU as well, give the benchmark a fixed share of its own, for
example with `chrt -r 1 python -m benchmarks.run`.
"""

import argparse
import json
import platform
import statistics
import sys
from pathlib import Path
from typing import Any, Final

import attrs

from benchmarks import floor
from benchmarks.processes import participants, server

RUNS: Final = 3
TRIES: Final = 4
"""Void runs, beyond the wanted ones, after which a case is given up."""
BUSY: Final = 1.5
"""A floor so many times above what was first measured tells of a busy machine."""


@attrs.frozen
class Case:
    """One load, and the floor it is held against."""

    name: str
    publishers: int
    subscribers: int
    shapes: tuple[str, ...]
    floor: str | None
    limit: float | None
    """How many times the floor a packet may cost."""


CASES: Final = (
    Case("1 to 50, video", 1, 50, ("video",), "video burst", 6.0),
    Case("5 to 50, audio", 5, 50, ("audio",), "audio", 4.0),
    Case("5 by 5, both", 5, 0, ("video", "audio"), None, None),
)
MEMORY_LIMIT: Final = 400 * 1024
JOIN_LIMIT: Final = {"/rtc/v1": 12.0, "/rtc": 25.0}
"""Milliseconds of the server's CPU that a join may cost until media can flow, by path."""


def measure_case(case: Case, seconds: float, runs: int) -> dict[str, Any]:
    """Medians over *runs* good runs, each with a server of its own."""
    good: list[dict[str, Any]] = []
    void = 0
    while len(good) < runs and void < TRIES:
        with server() as running:
            figures = participants(
                running,
                do="load",
                publishers=case.publishers,
                subscribers=case.subscribers,
                shapes=case.shapes,
                seconds=seconds,
            )
        if figures["void"]:
            void += 1
            print(f"{case.name}: void, {_missed(figures)}", file=sys.stderr)
        else:
            good.append(figures)
            print(f"{case.name}: {figures['us_a_packet']:.2f} us a packet", file=sys.stderr)
    if not good:
        raise SystemExit(f"{case.name}: no run without loss; is the machine busy?")
    names = [name for name, value in good[0].items() if isinstance(value, float)]
    medians = {name: statistics.median(each[name] for each in good) for name in names}
    return {"runs": len(good), "void_runs": void, "packets": good[0]["expected"], **medians}


def _missed(figures: dict[str, Any]) -> str:
    missing = figures["expected"] - figures["received"]
    return f"{missing} of {figures['expected']} packets never came, {figures['lost']} were late"


def measure(*, quick: bool) -> dict[str, Any]:
    """All figures, in microseconds, seconds and bytes."""
    runs, seconds = (1, 3.0) if quick else (RUNS, 10.0)
    found: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine()}
    floors = floor.measure()
    found["floor"] = floors and {name: attrs.asdict(each) for name, each in floors.items()}
    found["cases"] = {case.name: measure_case(case, seconds, runs) for case in CASES}
    found["joins"] = {}
    for path in JOIN_LIMIT:
        with server() as running:
            found["joins"][path] = participants(
                running, do="joins", count=25 if quick else 100, in_a_room=10, path=path
            )
    with server() as running:
        found["first_packet"] = participants(running, do="first packets", times=3 if quick else 10)
    _compare(found)
    return found


def _compare(found: dict[str, Any]) -> None:
    """Add the ratios to the floor, and what falls short."""
    misses: list[str] = []
    for case in CASES:
        figures = found["cases"][case.name]
        if found["floor"] and case.floor:
            bottom = found["floor"][case.floor]
            figures["floors"] = ratio = figures["us_a_packet"] / bottom["at_rhythm"]
            figures["floors_without_pause"] = figures["us_a_packet"] / bottom["without_pause"]
            if case.limit and ratio > case.limit:
                misses.append(f"{case.name}: {ratio:.1f} times the floor, at most {case.limit:g}")
        memory = figures["memory_a_subscriber"]
        if case.subscribers and memory > MEMORY_LIMIT:
            misses.append(f"{case.name}: {memory / 1024:.0f} KiB a subscriber")
    for path, limit in JOIN_LIMIT.items():
        if (milliseconds := found["joins"][path]["ms_a_join"]) > limit:
            misses.append(f"{milliseconds:.1f} ms a join by {path}, at most {limit:g}")
    found["misses"] = misses
    found["busy"] = bool(found["floor"]) and any(
        found["floor"][name]["without_pause"] > BUSY * usual
        for name, usual in floor.PUBLISHED.items()
    )


def table(found: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"{'':18}{'us/packet':>10}{'floor':>8}{'ratio':>7}{'(hot':>8}{'ratio)':>7}"
        f"{'p50 ms':>8}{'p99 ms':>8}"
        f"{'KiB/sub':>9}{'load':>6}{'void':>6}"
    ]
    for case in CASES:
        figures = found["cases"][case.name]
        bottom = found["floor"][case.floor] if found["floor"] and case.floor else None
        memory = f"{figures['memory_a_subscriber'] / 1024:.0f}" if case.subscribers else "-"
        lines.append(
            f"{case.name:18}{figures['us_a_packet']:10.2f}"
            + (
                f"{bottom['at_rhythm']:8.2f}{figures['floors']:7.1f}"
                f"{bottom['without_pause']:8.2f}{figures['floors_without_pause']:7.1f}"
                if bottom
                else f"{'-':>8}{'-':>7}{'-':>8}{'-':>7}"
            )
            + f"{1e3 * figures['latency_p50']:8.2f}{1e3 * figures['latency_p99']:8.2f}"
            + f"{memory:>9}"
            + f"{figures['load_cpu'] / figures['seconds']:6.0%}{figures['void_runs']:6}"
        )
    first = found["first_packet"]
    lines += [
        "",
        *(
            f"joins by {path}: {joins['ms_a_join']:.1f} ms of the server's CPU, so "
            f"{joins['joins_a_cpu_second']:.0f} a second of it; "
            f"{joins['joins_a_second']:.0f} a second of time"
            for path, joins in found["joins"].items()
        ),
        f"from connecting to the first packet: {first['median']:.3f} s, "
        f"at most {first['longest']:.3f} s",
    ]
    if found["floor"] is None:
        lines.append("no C compiler, so no floor")
    if found["busy"]:
        lines.append("the machine was busy: the floor is far above what was first measured")
    lines += [f"MISS  {miss}" for miss in found["misses"]]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="What the server costs.")
    parser.add_argument("--quick", action="store_true", help="one short run of each case")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    found = measure(quick=options.quick)
    print(table(found))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if found["misses"] else 0


if __name__ == "__main__":
    sys.exit(main())
