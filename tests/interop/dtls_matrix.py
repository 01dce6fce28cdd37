"""DTLS handshakes over bad networks, counted: peer x loss x MTU x reordering.

    python -m tests.interop.dtls_matrix [--seeds 100] [--json figures.json]

prints a table, a line for each cell, and exits with 1 if a cell misses its mark.
Our own other role and GnuTLS run in virtual time. OpenSSL cannot: its timers read
the computer's clock, so all of its handshakes run side by side in real time, some
three minutes for the 6400 of them.

A handshake counts when both ends are connected. Wherever both are, their keys must
be equal; wherever they are not, our end must have said so by its limit.
"""

import argparse
import heapq
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import attrs

from tests.dtls.pair import CLIENTS, SERVERS, connection
from tests.interop.gnutls_peer import LIBRARY as GNUTLS
from tests.interop.gnutls_peer import Clock, GnutlsPeer
from tests.interop.openssl_peer import OpensslPeer
from tests.sim import Link, run
from trio_sfu.core import Core
from trio_sfu.dtls import DtlsConnection, DtlsState, Role, SrtpProfile
from trio_sfu.dtls.connection import HANDSHAKE_TIME

LOSSES: Final = (0.0, 0.1, 0.2, 0.4)
MTUS: Final = (300, 600, 1200, 1500)
REORDERINGS: Final = (0.0, 0.3)
DELAY, JITTER = 0.03, 0.01
LIMIT: Final = 2 * HANDSHAKE_TIME + 10
"""Seconds after which nothing of a handshake may be left."""
LIMIT_OPENSSL: Final = HANDSHAKE_TIME + 10
STARTS: Final = 60.0
"""So many handshakes with OpenSSL begin in a second, lest the computer be the bottleneck."""

OWN_MARK: Final = 0.98
FOREIGN_MARK: Final = 0.85
EVERY_RUN_TO: Final = 0.1
"""With a foreign peer, up to this loss every single handshake has to end well."""


class Peer(Core, Protocol):
    """The end that we try ours with."""

    @property
    def state(self) -> DtlsState: ...

    def export(self, label: str, context: bytes | None, length: int) -> bytes: ...


@attrs.frozen
class Cell:
    """One line of the table."""

    peer: str
    loss: float
    mtu: int
    reorder: float

    @property
    def mark(self) -> float:
        """How many of its handshakes have to end well."""
        if self.peer == "own":
            return OWN_MARK
        return 1.0 if self.loss <= EVERY_RUN_TO else FOREIGN_MARK


@attrs.define
class Attempt:
    """One handshake."""

    cell: Cell
    ours: DtlsConnection
    peer: Peer
    link: Link

    def over(self) -> bool:
        return DtlsState.HANDSHAKING not in (self.ours.state, self.peer.state)

    @property
    def connected(self) -> bool:
        return self.ours.state is self.peer.state is DtlsState.CONNECTED

    def problem(self) -> str:
        """What must never be, in words; else nothing."""
        if self.connected:
            label = "EXTRACTOR-dtls_srtp"
            if self.ours.export(label, None, 60) != self.peer.export(label, None, 60):
                return "the keys differ"
            if self.ours.srtp is None or self.ours.srtp.profile is not profile_of(self.peer):
                return "the SRTP profiles differ"
        # A server that never heard a word is not at fault: there was no handshake.
        elif self.ours.state is DtlsState.HANDSHAKING and self.ours.deadline < float("inf"):
            return "our end hangs"
        elif self.ours.state is DtlsState.FAILED and not self.ours.failure:
            return "our end failed without a reason"
        return ""


def profile_of(peer: Peer) -> SrtpProfile | None:
    if isinstance(peer, DtlsConnection):
        return None if peer.srtp is None else peer.srtp.profile
    assert isinstance(peer, OpensslPeer | GnutlsPeer)
    return peer.profile


def attempt(cell: Cell, seed: int) -> Attempt:
    """A handshake that is about to begin."""
    ours = Role.CLIENT if cell.peer.endswith("server") else Role.SERVER
    theirs = Role.SERVER if ours is Role.CLIENT else Role.CLIENT
    link = Link(
        delay=DELAY,
        jitter=JITTER,
        loss=cell.loss,
        reorder=cell.reorder,
        mtu=cell.mtu,
        seed=seed,
    )
    certificate = CLIENTS if theirs is Role.CLIENT else SERVERS
    peer: Peer
    if cell.peer == "own":
        peer = connection(theirs, seed=seed, mtu=cell.mtu)
    elif cell.peer.startswith("gnutls"):
        Clock.now = 0.0
        peer = GnutlsPeer(theirs, certificate, mtu=cell.mtu)
    else:
        peer = OpensslPeer(theirs, certificate, mtu=cell.mtu)
    return Attempt(cell, connection(ours, seed=seed, mtu=cell.mtu, start=False), peer, link)


@attrs.define
class Figures:
    """What became of a cell."""

    times: list[float] = attrs.Factory(list)
    runs: int = 0
    problems: list[str] = attrs.Factory(list)

    def note(self, made: Attempt, took: float, seed: int) -> None:
        self.runs += 1
        if made.connected:
            self.times.append(took)
        if problem := made.problem():
            self.problems.append(f"seed {seed}: {problem}")

    @property
    def rate(self) -> float:
        return len(self.times) / self.runs

    def quantile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[int(share * (len(ordered) - 1))] if ordered else float("nan")


def in_virtual_time(cell: Cell, seed: int) -> tuple[Attempt, float]:
    made = attempt(cell, seed)
    made.ours.start(0.0)
    try:
        took = run(made.ours, made.link, made.peer, until=made.over, limit=LIMIT)
    except AssertionError:  # not over: `Attempt.problem` says whether it should be
        took = made.link.now
    return made, took


def in_real_time(
    cells: Sequence[tuple[Cell, int]], note: Callable[[Attempt, float, int], None]
) -> None:
    """All of *cells* side by side; each step of each when its time has come."""
    begin = time.monotonic()
    order = itertools.count()
    waiting = [(begin + at / STARTS, next(order), cell) for at, cell in enumerate(cells)]
    running: list[tuple[float, int, Attempt, int, float]] = []
    while waiting or running:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, (cell, seed) = waiting.pop(0)
            made = attempt(cell, seed)
            made.ours.start(now)
            heapq.heappush(running, (now, next(order), made, seed, now))
        while running and running[0][0] <= (now := time.monotonic()):
            _, _, made, seed, since = heapq.heappop(running)
            _step(made, now)
            if made.over() or now >= since + LIMIT_OPENSSL:
                note(made, now - since, seed)
                continue
            soonest = min(made.link.deadline, made.ours.deadline, made.peer.deadline)
            due = min(max(soonest, now), since + LIMIT_OPENSSL)
            heapq.heappush(running, (due, next(order), made, seed, since))
        due = min(waiting[0][0] if waiting else now + 1, running[0][0] if running else now + 1)
        time.sleep(max(0.0, due - time.monotonic()))


def _step(made: Attempt, now: float) -> None:
    """What `tests.sim.run` does in a round, but when it is time."""
    made.link.now = now
    ends: tuple[Core, Core] = made.ours, made.peer
    for side, core in enumerate(ends):
        if arrived := made.link.arrived(side):
            core.receive(arrived, now)
        if core.deadline <= now:
            core.handle_timeout(now)
        made.link.send(side, core.take_datagrams())


def measure(
    peers: Sequence[str],
    seeds: int,
    losses: Sequence[float] = LOSSES,
    mtus: Sequence[int] = MTUS,
    reorderings: Sequence[float] = REORDERINGS,
) -> dict[Cell, Figures]:
    """Every cell, *seeds* times."""
    cells = [Cell(*each) for each in itertools.product(peers, losses, mtus, reorderings)]
    figures = {cell: Figures() for cell in cells}
    for cell in cells:
        if not cell.peer.startswith("openssl"):
            for seed in range(seeds):
                made, took = in_virtual_time(cell, seed)
                figures[cell].note(made, took, seed)
                if isinstance(made.peer, GnutlsPeer):
                    made.peer.dispose()
    real = [
        (cell, seed) for cell in cells if cell.peer.startswith("openssl") for seed in range(seeds)
    ]
    in_real_time(real, lambda made, took, seed: figures[made.cell].note(made, took, seed))
    return figures


def misses(figures: dict[Cell, Figures]) -> Iterator[str]:
    """What a cell did not live up to, in words."""
    for cell, found in figures.items():
        if found.rate < cell.mark:
            yield f"{cell}: {found.rate:.1%} instead of {cell.mark:.0%}"
        for problem in found.problems:
            yield f"{cell}: {problem}"


def available_peers() -> list[str]:
    gnutls = ["gnutls client", "gnutls server"] if GNUTLS is not None else []
    return ["own", "openssl client", "openssl server", *gnutls]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="handshakes in each cell")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--peers", nargs="*", default=available_peers())
    arguments = parser.parse_args()
    figures = measure(arguments.peers, arguments.seeds)
    print("peer            loss   MTU  reordered   done     median     95 %  longest")
    for cell, found in figures.items():
        print(
            f"{cell.peer:15} {cell.loss:4.0%}  {cell.mtu:4}  {cell.reorder:8.0%}  "
            f"{found.rate:6.1%}  {found.quantile(0.5):7.2f} s {found.quantile(0.95):6.2f} s "
            f"{found.quantile(1):6.2f} s"
        )
    missed = list(misses(figures))
    for line in missed:
        print("MISSED", line)
    if GNUTLS is None:
        print("GnuTLS was left out: no library whose clock can be set")
    if arguments.json:
        rows = [
            attrs.asdict(cell)
            | {
                "runs": found.runs,
                "rate": found.rate,
                "median": found.quantile(0.5),
                "p95": found.quantile(0.95),
                "longest": found.quantile(1),
                "problems": found.problems,
            }
            for cell, found in figures.items()
        ]
        arguments.json.write_text(json.dumps({"cells": rows, "missed": missed}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
