"""What the scripts about recovery have in common: parties that tell how they fared, a wire to cut.

history()       what became of the connection: "reconnecting", "reconnected", ...
sid(identity)   of somebody else, as the client has it (Python only)
burst(count, seconds)
                send so many numbered reliable messages to everybody, evenly, whatever happens
given()         of those, the numbers that it gave to its data channel at all (livekit-client),
                or said that it had sent (the Rust core). The others are its own loss.
"""

import asyncio
import contextlib
import re
import socket
import threading
import time
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from browser_party import ChromiumParty
from livekit.rtc.participant import PublishDataError
from python_party import PythonParty

USUAL: Final = 100.0
"""ms between two pictures that a sender may leave without being called idle."""
NUMBERED: Final = "numbered"
"""Topic, and first word, of the messages of a burst."""
HISTORY: Final = ("reconnecting", "reconnected", "disconnected")

TOKENS: Final = re.compile(rb"(access_token=|Authorization: Bearer )[\w.-]+", re.IGNORECASE)

HOOK: Final = """() => {
    window.given = [];
    const send = RTCDataChannel.prototype.send;
    RTCDataChannel.prototype.send = function (data) {
        if (this.label === "_reliable") {
            const { buffer = data, byteOffset, byteLength } = data;
            const bytes = new Uint8Array(buffer, byteOffset, byteLength);
            const found = /numbered (\\d+)\\./.exec(new TextDecoder("latin1").decode(bytes));
            if (found) window.given.push(Number(found[1]));
        }
        return send.call(this, data);
    };
}"""
LISTEN: Final = """(events) => {
    window.fared = [];
    for (const event of events) party.room.on(event, () => window.fared.push(event));
}"""
BURST: Final = """([count, milliseconds]) => {
    const started = Date.now();
    let number = 0;
    const timer = setInterval(() => {
        const due = Math.min(count, (Date.now() - started) / milliseconds * count);
        for (; number < due; number += 1) {
            const text = `numbered ${number}.`;
            party.send({ kind: "reliable", text, topic: "numbered" }).catch(() => {});
        }
        if (number >= count) clearInterval(timer);
    }, 5);
}"""


class RecoveringChromium(ChromiumParty):
    """livekit-client in a tab."""

    def __init__(self, identity: str, frequency: float) -> None:
        super().__init__(identity, frequency)
        self._tab.evaluate(HOOK)

    def ask(self, word: str, **arguments: Any) -> Any:
        match word:
            case "history":
                return self._tab.evaluate("() => window.fared")
            case "given":
                return self._tab.evaluate("() => window.given")
            case "burst":
                milliseconds = arguments["seconds"] * 1000
                return self._tab.evaluate(BURST, [arguments["count"], milliseconds])
            case "do":
                return self._tab.evaluate(arguments["script"])
        answer = super().ask(word, **arguments)
        if word == "connect":
            self._tab.evaluate(LISTEN, list(HISTORY))
        return answer


class RecoveringPython(PythonParty):
    """PyPI `livekit`: the Rust core."""

    async def connect(self, *args: Any, **kwargs: Any) -> None:
        await super().connect(*args, **kwargs)
        self._fared: list[str] = []
        self._given: list[int] = []
        for event in HISTORY:
            self.room.on(event, lambda *_, event=event: self._fared.append(event))

    async def history(self) -> list[str]:
        return self._fared

    async def sid(self, identity: str) -> str:
        other = self.room.remote_participants.get(identity)
        return other.sid if other is not None else ""

    async def given(self) -> list[int]:
        return self._given

    async def burst(self, count: int, seconds: float) -> None:
        self._tasks.append(asyncio.ensure_future(self._burst(count, seconds)))

    async def _burst(self, count: int, seconds: float) -> None:
        started = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, started + seconds * number / count - time.monotonic()))
            # One after the other: a hundred that wait would each look at all that happens.
            with contextlib.suppress(PublishDataError):
                await self.send("reliable", f"{NUMBERED} {number}.", NUMBERED)
                self._given.append(number)


CLIENTS: Final = {"chromium": RecoveringChromium, "python": RecoveringPython}


def numbers(party: Any, sender: str) -> list[int]:
    """Of the messages of *sender*'s burst that *party* has, in order."""
    return [
        int(found[1])
        for packet in party.ask("packets")
        if packet["sender"] == sender and (found := re.match(r"numbered (\d+)\.", packet["text"]))
    ]


@attrs.frozen
class Tally:
    """What became of a burst."""

    lost: list[int]
    doubled: int
    swapped: int
    """Messages that came before one that was sent earlier."""

    @classmethod
    def of(cls, received: list[int], sent: list[int]) -> "Tally":
        distinct = list(dict.fromkeys(received))
        return cls(
            lost=sorted(set(sent) - set(received)),
            doubled=len(received) - len(distinct),
            swapped=sum(a > b for a, b in pairwise(distinct)),
        )

    @property
    def whole(self) -> bool:
        return not self.lost and not self.doubled and not self.swapped


def longest_pause(receiver: Any, sender: Any, since: float, until: float) -> float:
    """The longest time in ms without a picture, between two moments (ms since 1970), but for
    what the sender itself paused: a machine that is busy draws no pictures, either."""
    drawn = dict(sender.ask("sent"))
    idle = {
        number: max(0.0, at - drawn.get(number - 1, at) - USUAL) for number, at in drawn.items()
    }
    seen = receiver.ask("seen", identity=sender.identity)
    arrivals = sorted((at, number) for number, at in seen if since <= at <= until)
    pauses = [
        at - before - sum(idle.get(each, 0.0) for each in range(last + 1, number + 1))
        for (before, last), (at, number) in pairwise(arrivals)
    ]
    ends = [arrivals[0][0] - since, until - arrivals[-1][0]] if arrivals else [until - since]
    return max(pauses + ends)


class Wire:
    """A TCP proxy that can be cut. Media does not pass here, but by UDP."""

    def __init__(self, url: str, *, without_v1: bool = False) -> None:
        """*without_v1*: `/rtc/v1` is answered with 404, so that a client takes `/rtc`."""
        where = urlsplit(url)
        self._server = (where.hostname or "127.0.0.1", where.port or 80)
        self._without_v1 = without_v1
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self.token = ""
        """If there is one, what every request brings instead of its own."""
        self.requests: list[str] = []
        """The request lines that came, without tokens."""
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, how: str, seconds: float) -> None:
        """For so long nothing passes. "closed": what is open ends now, as if by the client;
        "stalled": what is open stays so, and what was sent meanwhile passes later."""
        self._open.clear()
        if how == "closed":
            sockets, self._sockets = self._sockets, []
            for each in sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        threading.Timer(seconds, self._open.set).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=[client], daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            self._open.wait()
            first = client.recv(65536)
            path = first.split(b"\r\n", 1)[0].decode().partition("?")[0]
            self.requests.append(path)
            if self._without_v1 and path.startswith("GET /rtc/v1"):
                client.sendall(
                    b"HTTP/1.1 404 Not Found\r\nAccess-Control-Allow-Origin: *\r\n"
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            if self.token:
                first = TOKENS.sub(lambda found: found[1] + self.token.encode(), first)
            with socket.create_connection(self._server) as server:
                self._sockets += [client, server]
                server.sendall(first)
                back = threading.Thread(target=self._pump, args=[server, client], daemon=True)
                back.start()
                self._pump(client, server)
                back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
