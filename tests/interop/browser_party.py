"""Parties in browsers' tabs, driven from here: Chromium by Playwright, Firefox by Marionette."""

import functools
import http.server
import threading
from typing import Any, Final

from calls import CHROMIUM, FIREFOX, HERE, node_clients
from marionette import Firefox

CHROMIUM_FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--no-first-run",
]
ASK: Final = "party[$[0]]($[1])"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    written: Final[dict[str, bytes]] = {}
    """Files that are nowhere but here, by path."""
    extensions_map: Final = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
    }

    def do_GET(self) -> None:
        body = self.written.get(self.path)
        if body is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(self.path))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@functools.cache
def pages() -> str:
    """Where this folder is served, with the clients fetched from npm in it."""
    node_clients()
    serve = functools.partial(_Quiet, directory=str(HERE))
    # 127.0.0.1: of a page from elsewhere Chromium would not let a socket through to the server.
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def write_page(path: str, body: str) -> str:
    """Serves *body* at *path* from now on; gives its whole address.

    A page that Playwright makes up would not do: Chromium takes it for one from the Internet.
    """
    _Quiet.written[path] = body.encode()
    return pages() + path


@functools.cache
def chromium() -> Any:
    """One Chromium for all tabs; it ends with this process."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "call need('chromium') before"
    return (
        sync_playwright()
        .start()
        .chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS, headless=True)
    )


class ChromiumParty:
    """Answers the words of `conversation.py` with livekit-client in a tab of Chromium."""

    cannot: frozenset[str] = frozenset()
    layered_size = (640, 360)

    def __init__(self, identity: str, frequency: float) -> None:
        self.identity = identity
        self.frequency = frequency
        self._tab = chromium().new_context().new_page()
        self._tab.on("pageerror", lambda error: print(f"{identity}: {error}"))
        self._tab.goto(f"{pages()}/browser.html?frequency={frequency}")
        self._tab.wait_for_function("window.party")

    def ask(self, word: str, **arguments: Any) -> Any:
        return self._tab.evaluate(f"($) => {ASK}", [word, arguments])

    def close(self) -> None:
        self._tab.context.close()


class FirefoxParty:
    """The same in a Firefox of its own."""

    cannot: frozenset[str] = frozenset()
    layered_size = (640, 360)

    def __init__(self, identity: str, frequency: float) -> None:
        self.identity = identity
        self.frequency = frequency
        assert FIREFOX is not None, "call need('firefox') before"
        self._browser = Firefox(FIREFOX, frequency)
        self._browser.open(f"{pages()}/browser.html?frequency={frequency}")

    def ask(self, word: str, **arguments: Any) -> Any:
        return self._browser.run(ASK, word, arguments)

    def close(self) -> None:
        self._browser.close()
