"""Every stock client × path × behaviour: one table of what works through a server.

    python tests/interop/stock_clients.py [--url ws://...] [--client NAME]... [--path v1|v0]...
        [--behaviour WORD]... [--bytes N] [--short] [--json FILE]

PyPI `livekit`, npm `@livekit/rtc-node`, and `livekit-client` in Chromium and in Firefox, all
with default options, join by `/rtc/v1`; and by `/rtc` when told to. Who is at the other end
is always PyPI `livekit` with default options. Which path it was is read off the wire.
A cell is `ok`, `MISS`, or `n/a` where the client has no function for it: why is in NONE_SUCH.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any, Final

from browser_party import ChromiumParty, FirefoxParty
from node_party import NodeParty
from python_party import PythonParty
from scripts import PATHS
from server import arguments, enter_namespace, server, token
from stock_call import Call, ServerApi
from stock_people import ROWS
from tapped import Tap
from verdict import Verdict

CLIENTS: Final[dict[str, Callable[[str, float], Any]]] = {
    "python": PythonParty,
    "node": NodeParty,
    "chromium": ChromiumParty,
    "firefox": FirefoxParty,
}
NONE_SUCH: Final = {
    ("node", "mutes"): "rtc-node 1.1.0 has no function for it",
    ("node", "sends data track"): "rtc-node 1.1.0 has no data tracks",
    ("node", "receives data track"): "rtc-node 1.1.0 has no data tracks",
    ("node", "is told its rights"): "rtc-node 1.1.0 shows a participant no rights, nor a change",
}


def main() -> int:
    parser = arguments("Stock clients, both paths, one table.")
    parser.add_argument("--client", action="append", choices=list(CLIENTS), dest="clients")
    parser.add_argument("--path", action="append", choices=list(PATHS), dest="paths")
    parser.add_argument(
        "--behaviour", action="append", dest="words", help="only rows with this word in their name"
    )
    parser.add_argument("--bytes", type=int, default=5_000_000, help="of a stream")
    parser.add_argument(
        "--short",
        action="store_true",
        help="each client by one path, all at once, and nothing that takes seconds by its nature",
    )
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict("stock_clients")
    columns = {client: options.paths or list(PATHS) for client in options.clients or CLIENTS}
    if options.short:
        columns = {client: [path] for (client, path) in zip(columns, cycle(PATHS), strict=False)}
    with server(options) as url:

        def fill(client: str) -> Table:
            return {
                (client, path): _column(options, url, client, path, verdict)
                for path in columns[client]
            }

        with ThreadPoolExecutor(len(columns) if options.short else 1) as threads:
            tables = threads.map(fill, columns)
            table = {column: cells for part in tables for column, cells in part.items()}
    _print(table, verdict)
    return verdict.finish(options.json)


Table = dict[tuple[str, str], dict[str, str]]
"""The cells by row, of each (client, path)."""


def _wanted(options: argparse.Namespace, row: str) -> bool:
    # Nothing goes without having joined.
    return row == "joins" or options.words is None or any(word in row for word in options.words)


def _column(
    options: argparse.Namespace, url: str, client: str, path: str, verdict: Verdict
) -> dict[str, str]:
    """The cells of one client on one path, by row."""
    room = f"table-{client}-{path}-{secrets.token_hex(4)}"
    tap = Tap(url)
    subject = CLIENTS[client](f"{client}-{path}", 600)
    partner, visitor = PythonParty("partner", 1000), PythonParty("visitor", 300)

    def join(party: Any, identity: str) -> None:
        ticket = token(options, room, identity)
        if party is subject:
            party.ask("connect", url=tap.url, token=ticket, key=None, path=PATHS[path])
        else:
            party.ask("connect", url=url, token=ticket, key=None)

    server_api = ServerApi(url.replace("ws", "http", 1), options.key, options.secret)
    call = Call(
        subject=subject,
        partner=partner,
        visitor=visitor,
        tap=tap,
        path=PATHS[path],
        room=room,
        join=join,
        server=server_api,
        size=options.bytes,
        patient=not options.short,
    )
    cells: dict[str, str] = {}
    try:
        join(partner, "partner")
        partner.ask("publish", name="microphone", codec=None, simulcast=False, size=None, rate=0)
        partner.ask("publish", name="camera", codec=None, simulcast=None, size=[320, 180], rate=15)
        for row, must in ROWS.items():
            if not _wanted(options, row):
                continue
            if (client, row) in NONE_SUCH:
                cells[row] = "n/a"
                continue
            started = time.monotonic()
            try:
                found, cells[row] = must(call), "ok"
            except Exception as error:
                found, cells[row] = f"{type(error).__name__}: {error}", "MISS"
            seconds = time.monotonic() - started
            verdict.check(
                f"{client} {path}: {row}", cells[row] == "ok", f"({seconds:.1f} s) {found}"
            )
    finally:
        for party in (subject, partner, visitor):
            try:
                party.close()
            except Exception as error:  # one that has died does not hide what the others found
                verdict.check(f"{client} {path}: the client ends", False, error)
        tap.close()
    return cells


def _print(table: Table, verdict: Verdict) -> None:
    rows = [row for row in ROWS if any(row in cells for cells in table.values())]
    width = max(len(row) for row in rows)
    heads = [f"{client} {path}" for client, path in table]
    print("\n" + " " * width, *(f"{head:>12}" for head in heads))
    for row in rows:
        print(f"{row:<{width}}", *(f"{cells.get(row, '-'):>12}" for cells in table.values()))
    print()
    for (client, row), why in NONE_SUCH.items():
        if any(table_client == client for table_client, _ in table) and row in rows:
            print(f"n/a: {client}, {row}: {why}")
    verdict.figures["table"] = {
        f"{client} {path}": cells for (client, path), cells in table.items()
    }


if __name__ == "__main__":
    sys.exit(main())
