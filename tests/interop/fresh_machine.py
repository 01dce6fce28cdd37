"""What README promises: one line from a fresh clone to a call, another to all the tests.

    python tests/interop/fresh_machine.py [--bare [--authority FILE]] [--tests]
                                          [--pictures FOLDER] [--json FILE]

The repository is cloned (as committed) into a new folder, README's first line is run there as
it stands, and the address that it prints is opened in two tabs of Chromium, by whose buttons two
persons hold a call: moving pictures both ways, sound, chat. `--tests` then runs README's second
line. `--bare` does all that in a Debian 12 with nothing installed, which root can have made with
`debootstrap`; else the folder is on this machine, with whatever is installed on it. `--authority`:
certificates that such a Debian should trust, too, on a network that reads what passes.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import page_call
from browser_party import chromium
from conversation import until
from server import REPOSITORY, arguments
from verdict import Verdict

PATIENCE: Final = 600.0
"""Seconds to the printed address: packages have to come from somewhere."""
PRINTED: Final = re.compile(r"open (http://\S+) in two browser tabs")
PERSONS: Final = ("Ada", "Grace")

ENTER_BARE: Final = """
mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && mount -t sysfs sys "$0/sys" &&
exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
"""
PROXIES: Final = {"http_proxy", "https_proxy", "no_proxy"}
TRUST: Final = ("PIP_CERT", "NODE_EXTRA_CA_CERTS")

MOVED: Final = """async (mine) => {
    const tile = document.querySelector(mine ? ".tile.local" : ".tile:not(.local)");
    const video = tile?.querySelector("video");
    if (!video?.videoWidth) return null;
    const pen = new OffscreenCanvas(64, 36).getContext("2d", { willReadFrequently: true });
    const look = () => {
        pen.drawImage(video, 0, 0, 64, 36);
        return pen.getImageData(0, 0, 64, 36).data;
    };
    const [then, before] = [video.currentTime, look()];
    await new Promise((resolve) => setTimeout(resolve, 500));
    const after = look();
    return {
        seconds: video.currentTime - then,
        changed: after.filter((value, at) => Math.abs(value - before[at]) > 20).length,
    };
}"""
"""How far a video went on in half a second, and how much of it changed."""
LOUDEST: Final = """async () => {
    const context = new AudioContext();
    const ear = new AnalyserNode(context, { fftSize: 2048 });
    const { srcObject } = document.querySelector(".tile:not(.local) audio");
    context.createMediaStreamSource(srcObject).connect(ear);
    const samples = new Float32Array(ear.fftSize);
    let loudest = 0;
    for (let turn = 0; turn < 150 && loudest < 0.05; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        ear.getFloatTimeDomainData(samples);
        loudest = samples.reduce((most, one) => Math.max(most, Math.abs(one)), loudest);
    }
    await context.close();
    return loudest;
}"""


class Machine:
    """Where the clone is, and where README's lines are run."""

    def __init__(self, folder: Path, bare: bool, authority: Path | None) -> None:
        self.clone = folder / "clone"
        self._root: Path | None = None
        if bare:
            self._root = folder / "debian"
            _make_debian(self._root)
            self.clone = self._root / "root" / "clone"
            self._passed_on = [f"{name}={os.environ[name]}" for name in PROXIES & os.environ.keys()]
            if authority is not None:
                shutil.copy(authority, self._root / "etc" / "authority.pem")
                self._passed_on += [f"{name}=/etc/authority.pem" for name in TRUST]
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, self.clone], check=True)

    def lines(self) -> list[str]:
        """README's commands that stand in a block of their own."""
        readme = (self.clone / "README.md").read_text()
        return re.findall(r"^```sh\n(.+)\n```$", readme, flags=re.MULTILINE)

    def run(self, line: str, **options: Any) -> "subprocess.Popen[str]":
        """*line* as typed into a shell in the clone."""
        command = ["bash", "-c", line]
        if self._root is not None:
            inside = self.clone.relative_to(self._root)
            command = [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--"),
                *("bash", "-c", ENTER_BARE, str(self._root)),
                *(*self._passed_on, "bash", "-c", f"cd /{inside} && {line}"),
            ]
        where = None if self._root else self.clone
        return subprocess.Popen(command, cwd=where, text=True, **options)

    def stop(self, process: "subprocess.Popen[str]") -> None:
        """Ends what `run` has started."""
        if self._root is None:
            process.terminate()
        else:
            process.kill()  # `unshare` hands no signal on, but what is inside ends with it
        process.wait(30)


def _make_debian(root: Path) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise SystemExit("--bare needs root, and the command debootstrap")
    command = ["debootstrap", "--variant=minbase", "bookworm", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")


def taken(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return True
    return False


def first_line(line: str) -> str:
    """README's first line; with other ports, if somebody has ours."""
    if taken(socket.SOCK_STREAM, 7880) or taken(socket.SOCK_DGRAM, 7882):
        return f"{line} --port 17880 --udp-port 17882"
    return line


def printed_address(process: "subprocess.Popen[str]", log: Path) -> str | None:
    """What the server tells people to open."""

    def said() -> re.Match[str] | None:
        return PRINTED.search(log.read_text())

    until(lambda: said() or process.poll() is not None, PATIENCE)
    found = said()
    return found[1] if found else None


def two_persons(address: str, verdict: Verdict, pictures: Path | None) -> None:
    """Two tabs on *address*, and what persons do there. Camera and microphone are Chromium's."""
    context = chromium().new_context(viewport={"width": 1100, "height": 700})
    tabs = {name: context.new_page() for name in PERSONS}
    for name, tab in tabs.items():
        tab.on("pageerror", lambda error: verdict.check("no error in the page", False, error))
        tab.goto(address)
        tab.fill("#join input[name=name]", name)
        tab.click("#join button[type=submit]")
        tab.wait_for_selector("#call:not([hidden])")
    for name, tab in tabs.items():
        found: dict[str, float] = {}

        def moves(tab: Any = tab, found: dict[str, float] = found) -> bool:
            found.update(tab.evaluate(MOVED, False) or {})
            return found.get("seconds", 0) > 0.2 and found.get("changed", 0) > 0

        verdict.check(f"{name} sees a moving picture", until(moves), found)
        loudest = tab.evaluate(LOUDEST)
        verdict.check(f"{name} hears sound", loudest >= 0.05, f"{loudest:.3f} of full scale")
    for (name, tab), other in zip(tabs.items(), PERSONS[::-1], strict=True):
        text = f"Hello {other}, this is {name}"
        tab.click("#chat-button")
        tab.fill("#say input", text)
        tab.press("#say input", "Enter")

        def read(text: str = text, other: str = other) -> bool:
            return text in tabs[other].text_content("#texts")

        verdict.check(f"{other} reads what {name} writes", until(read))
    for name, tab in tabs.items():
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=pictures / f"fresh-{name.lower()}.png")
    context.close()


def visit(options: argparse.Namespace, machine: Machine, line: str, verdict: Verdict) -> None:
    log = machine.clone.parent / "server.log"
    line = first_line(line)
    print(f"$ {line}", flush=True)
    started = time.monotonic()
    with log.open("w") as said:
        process = machine.run(line, stdout=said, stderr=subprocess.STDOUT)
    try:
        address = printed_address(process, log)
        waited = time.monotonic() - started
        verdict.figure("line_to_address_seconds", waited)
        found = f"{address} after {waited:.0f} s"
        if not verdict.check("README's first line prints an address", address is not None, found):
            print(log.read_text())
            return
        assert address is not None
        two_persons(address, verdict, options.pictures)
        url = address.removesuffix("/page/").replace("http", "ws", 1)
        page_call.hold(options, url, verdict)
    finally:
        machine.stop(process)


def main() -> int:
    parser = arguments("README's two lines, on a fresh clone.")
    parser.add_argument("--bare", action="store_true", help="in a Debian 12 with nothing in it")
    parser.add_argument("--authority", type=Path, help="certificates to be trusted there")
    parser.add_argument("--tests", action="store_true", help="README's second line, too")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each tab")
    options = parser.parse_args()
    options.page = None
    verdict = Verdict("fresh_machine")
    verdict.figure("machine", "Debian 12 minbase" if options.bare else "this one")
    with tempfile.TemporaryDirectory(prefix="fresh-machine-") as folder:
        machine = Machine(Path(folder), options.bare, options.authority)
        first, second = machine.lines()[:2]
        visit(options, machine, first, verdict)
        if options.tests and not verdict.misses:
            print(f"$ {second}", flush=True)
            started = time.monotonic()
            status = machine.run(second).wait()
            verdict.figure("tests_seconds", time.monotonic() - started)
            verdict.check("README's second line passes", status == 0, f"exit status {status}")
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
