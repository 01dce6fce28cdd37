"""Two tabs of Chromium hold a call on the page: moving pictures both ways, sound, chat.

    python tests/interop/page_call.py [--url ws://...] [--page http://.../page/] [--pictures FOLDER]

*FOLDER* gets a picture of each tab, for a person to look at. Each tab sends the test picture
with its numbered cells; what is read is what the other tab's video element shows.
"""

import argparse
import re
import sys
import urllib.parse
from pathlib import Path
from typing import Any, Final

from browser_party import chromium
from calls import HERE
from conversation import until
from server import arguments, enter_namespace, server, token
from verdict import Verdict

NAMES: Final = ("Ada Lovelace", "Grace Hopper")
READ: Final = re.sub(r"^export ", "", (HERE / "pictures.mjs").read_text(), flags=re.MULTILINE)
SHOWN: Final = f"""(name) => {{
    {READ}
    const tiles = [...document.querySelectorAll(".tile")];
    const tile = tiles.find((one) => one.textContent.includes(name));
    const video = tile?.querySelector("video");
    if (!video?.videoWidth) return null;
    const {{ videoWidth: width, videoHeight: height }} = video;
    const pen = new OffscreenCanvas(width, height).getContext("2d");
    pen.drawImage(video, 0, 0);
    const {{ data }} = pen.getImageData(0, 0, width, height);
    return read((x, y) => data[(y * width + x) * 4 + 1], width, height);
}}"""
LISTEN: Final = """async (name) => {
    const { pitch } = await import("./picture.js");
    const tiles = [...document.querySelectorAll(".tile")];
    const tile = tiles.find((one) => one.textContent.includes(name));
    const context = new AudioContext();
    const ear = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    context.createMediaStreamSource(tile.querySelector("audio").srcObject).connect(ear);
    const levels = new Float32Array(ear.frequencyBinCount);
    let heard = 0;
    for (let turn = 0; turn < 40 && Math.abs(heard - pitch(name)) > 12; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        ear.getFloatFrequencyData(levels);
        heard = levels.indexOf(Math.max(...levels)) * context.sampleRate / ear.fftSize;
    }
    await context.close();
    return [heard, pitch(name)];
}"""


def address(options: argparse.Namespace, url: str, name: str) -> str:
    """Of the page, for one person. A server in development mode gives it a ticket by itself."""
    own = url.replace("ws", "http", 1) + "/page/"
    parameters = {"room": "page-call", "name": name, "picture": ""}
    if options.page is not None:
        parameters |= {"url": url, "token": token(options, "page-call", name)}
    return f"{options.page or own}?{urllib.parse.urlencode(parameters)}"


def hold(options: argparse.Namespace, url: str, verdict: Verdict) -> None:
    context = chromium().new_context(viewport={"width": 1100, "height": 700})
    tabs: dict[str, Any] = {}
    for name in NAMES:
        tab = tabs[name] = context.new_page()
        tab.on("pageerror", lambda error: verdict.check("no error in the page", False, error))
        tab.goto(address(options, url, name))
        tab.click("#join button[type=submit]")
        tab.wait_for_selector("#call:not([hidden])")
    for me, other in (NAMES, NAMES[::-1]):
        tab, seen = tabs[me], set()

        def numbers(tab: Any = tab, other: str = other, seen: set[int] = seen) -> bool:
            number = tab.evaluate(SHOWN, other)
            if number is not None:
                seen.add(number)
            return len(seen) >= 10

        moves = until(numbers)
        verdict.check(f"{me} sees {other} move", moves, f"{len(seen)} different pictures")
        heard, played = tab.evaluate(LISTEN, other)
        verdict.check(f"{me} hears {other}", abs(heard - played) < 12, f"{heard:.0f} Hz")
    for me, other in (NAMES, NAMES[::-1]):
        text = f"Hello {other}, <b>this</b> is {me} ü"
        tabs[me].click("#chat-button")
        tabs[me].fill("#say input", text)
        tabs[me].press("#say input", "Enter")
        came = until(lambda text=text, other=other: text in tabs[other].text_content("#texts"))
        verdict.check(f"{other} reads what {me} says", came)
    ada, grace = tabs.values()
    grace.click("#microphone")
    verdict.check("mute is shown", until(lambda: ada.locator(".quiet:visible").count() == 1))
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for name, tab in tabs.items():
            tab.screenshot(path=options.pictures / f"{name.split()[0].lower()}.png")
    grace.click("#leave")
    verdict.check("leave is seen", until(lambda: ada.locator(".tile").count() == 1))
    context.close()


def main() -> int:
    parser = arguments("Two tabs hold a call on the page.")
    parser.add_argument("--page", help="where the page is, if not on the server: http://.../page/")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each tab")
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict("page_call")
    with server(options) as url:
        hold(options, url, verdict)
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
