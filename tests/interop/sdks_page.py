"""Runs the programs of docs/sdks.md against our server, and compares what they print.

    python tests/interop/sdks_page.py [--url ws://...]

A fenced block whose first line names a file (`# token.py`, `// page.mjs`) is a program: Python,
Node, or (page.mjs) a module of a page in Chromium. The `text` block after it is what it prints.
"""

import argparse
import os
import re
import subprocess
import sys
from typing import Final

from attrs import frozen
from browser_party import chromium, write_page
from calls import HERE, node_clients
from conversation import until
from python_party import PythonParty
from server import REPOSITORY, arguments, enter_namespace, server, token
from verdict import Verdict

PAGE: Final = REPOSITORY / "docs" / "sdks.md"
FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME: Final = re.compile(r"(?:#|//) (\w+\.(?:py|mjs))\n")
SECONDS: Final = 20


@frozen
class Program:
    name: str
    text: str
    prints: str


def programs(page: str) -> list[Program]:
    """In the order of the page."""
    found: list[Program] = []
    blocks = FENCE.findall(page)
    for (_, text), (kind, printed) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        named = NAME.match(text)
        if named is not None:
            found.append(Program(named[1], text, printed.strip() if kind == "text" else ""))
    return found


def run(program: Program, ticket: str, environment: dict[str, str]) -> str:
    """What a program of Python or Node prints."""
    # Node looks for packages from where it stands, for a program that comes by its input.
    python = program.name.endswith(".py")
    command = [sys.executable, "-"] if python else ["node", "--input-type=module", "-"]
    ended = subprocess.run(
        [*command, ticket],
        cwd=HERE,
        env={**os.environ, **environment},
        input=program.text,
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if ended.returncode != 0:
        raise RuntimeError(f"exit status {ended.returncode}")
    # What comes before are words of the library.
    return ended.stdout.strip().rpartition("\n")[2]


def run_in_page(program: Program, url: str, ticket: str) -> str:
    """What the module writes to the page's console."""
    tab = chromium().new_context().new_page()
    said: list[str] = []
    tab.on("console", lambda message: message.type == "log" and said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    where = "/node_modules/livekit-client/dist/livekit-client.esm.mjs"
    head = f'<script type="importmap">{{"imports": {{"livekit-client": "{where}"}}}}</script>'
    text = program.text.replace("ws://127.0.0.1:7880", url)
    write_page("/token", ticket)
    tab.goto(write_page("/sdks.html", f'{head}<body><script type="module">{text}</script>'))
    # Not only we write to the console.
    for _ in range(SECONDS * 10):
        if program.prints in said:
            break
        tab.wait_for_timeout(100)
    tab.context.close()
    return program.prints if program.prints in said else "\n".join(said[-3:])


def go_through(options: argparse.Namespace, url: str, verdict: Verdict) -> None:
    environment = {
        "LIVEKIT_URL": url,
        "LIVEKIT_API_KEY": options.key,
        "LIVEKIT_API_SECRET": options.secret,
        # Development mode's secret is short on purpose.
        "PYTHONWARNINGS": "ignore",
    }
    bob = PythonParty("bob", 500)
    ticket = ""
    for program in programs(PAGE.read_text()):
        if program.name.startswith("moderate"):
            bob.ask("connect", url=url, token=token(options, "kitchen", "bob"), key=None)
        try:
            if program.name == "page.mjs":
                printed = run_in_page(program, url, ticket)
            else:
                printed = run(program, ticket, environment)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            verdict.check(program.name, False, error)
            continue
        if program.name.startswith("token"):
            ticket = printed
            verdict.check(program.name, ticket.count(".") == 2, "a token")
        else:
            verdict.check(program.name, printed == program.prints, printed)
        if program.name.startswith("moderate"):
            removed = until(lambda: "PARTICIPANT_REMOVED" in bob.ask("endings")[-1:])
            verdict.check(f"{program.name} removes bob", removed)
    bob.close()


def main() -> int:
    options = arguments("The programs of docs/sdks.md.").parse_args()
    enter_namespace(options)
    node_clients()
    verdict = Verdict("sdks_page")
    with server(options) as url:
        go_through(options, url, verdict)
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
