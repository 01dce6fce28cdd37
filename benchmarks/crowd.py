"""A room of 500 on the signalling alone: what a change of one costs, and a list of all.

    python -m benchmarks.crowd [--json FILE] [--people N]

The server runs in this process, on real sockets, and every turn of its loop is timed. Who
is in the room is in a process of its own, and says by the same clock when each of them
heard of the change, which is made through the API. Exit status 1 if a target is missed.
"""

import argparse
import gc
import json
import math
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import trio
from livekit.protocol import room as rooms
from livekit.protocol import rtc
from trio_websocket import connect_websocket_url

from trio_sfu.api.server import COLLECT, serve
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.config import DEV_KEY, DEV_SECRET, Config, LimitConfig, RtcConfig
from trio_sfu.room.grants import Grants

ROOM: Final = "crowd"
ROUNDS: Final = 5
REACHED: Final = 0.200
TURN: Final = 0.020
LISTED: Final = 0.050
"""Seconds: the targets."""


def token(identity: str, **rights: Any) -> str:
    grants = Grants(room=ROOM, **rights)
    return sign(Claims(identity=identity, grants=grants), DEV_KEY, DEV_SECRET, time.time())


class Turns(trio.abc.Instrument):
    """How much CPU each turn of the loop takes, from its first task to its last: what others
    on this machine do meanwhile is not counted."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = time.thread_time()

    def after_io_wait(self, timeout: float) -> None:
        self._began = time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        self.longest = max(self.longest, time.thread_time() - self._began)

    def take(self) -> float:
        longest, self.longest = self.longest, 0.0
        return longest


def call(url: str, method: str, fields: dict[str, Any], language: str) -> float:
    """Seconds that an API call takes."""
    request = {
        "UpdateParticipant": rooms.UpdateParticipantRequest,
        "ListParticipants": rooms.ListParticipantsRequest,
    }[method](**fields)
    body = json.dumps(fields).encode() if language == "json" else request.SerializeToString()
    headers = {
        "Content-Type": f"application/{language}",
        "Authorization": f"Bearer {token('api', room_admin=True)}",
    }
    where = f"{url}/twirp/livekit.RoomService/{method}"
    began = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(where, body, headers)) as answer:
        data = answer.read()
    seconds = time.perf_counter() - began
    assert data, method
    return seconds


# --- those in the room, in a process of their own


async def visit(url: str, identity: str, said: trio.MemorySendChannel[tuple[str, float]]) -> None:
    where = f"{url.replace('http', 'ws', 1)}/rtc?protocol=17&access_token="
    async with trio.open_nursery() as nursery:
        ticket = token(identity, room_join=True)
        socket = await connect_websocket_url(nursery, where + ticket, max_message_size=8 << 20)
        while True:
            response = rtc.SignalResponse.FromString(await socket.get_message())
            if response.WhichOneof("message") == "join":
                said.send_nowait(("", 0.0))
            for each in response.update.participants:
                if each.identity == "guest-0" and each.metadata:
                    said.send_nowait((each.metadata, time.monotonic()))


async def be_there(url: str, people: int) -> None:
    """Says a line when all are in, and one for each change that all have heard of."""
    sender, receiver = trio.open_memory_channel[tuple[str, float]](math.inf)
    async with trio.open_nursery() as nursery:
        for number in range(people):
            nursery.start_soon(visit, url, f"guest-{number}", sender)
            what, _ = await receiver.receive()
            assert what == ""
        print("in", flush=True)
        heard: dict[str, list[float]] = {}
        async for what, when in receiver:
            heard.setdefault(what, []).append(when)
            if len(heard[what]) == people:
                print(json.dumps([what, max(heard[what])]), flush=True)


# --- the server's side


async def measure(people: int) -> dict[str, float]:
    config = Config(
        **{name: getattr(Config.dev(), name) for name in ("keys", "bind_addresses")},
        port=0,
        rtc=RtcConfig(udp_ports=(0,)),
        limit=LimitConfig(loop_lag=0.0),  # or a busy machine lets nobody in
    )
    turns = Turns()
    figures: dict[str, float] = {}
    async with trio.open_nursery() as nursery:
        running = await nursery.start(partial(serve, config))
        url = running.urls[0]
        command = [sys.executable, "-m", "benchmarks.crowd", "--visit", url]
        process = await trio.lowlevel.open_process(
            [*command, "--people", str(people)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        lines = Lines(process.stdout)
        began = time.perf_counter()
        assert await lines.next() == "in"
        figures["seconds for all to join"] = time.perf_counter() - began
        await trio.sleep(7)  # what is told in batches has been told
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)  # as `trio_sfu.api.server.run` has it
        trio.lowlevel.add_instrument(turns)
        ask = partial(trio.to_thread.run_sync, call, url)
        reached, changed = [], []
        for number in range(ROUNDS):
            turns.take()
            began = time.monotonic()
            fields = {"room": ROOM, "identity": "guest-0", "metadata": f"change {number}"}
            await ask("UpdateParticipant", fields, "protobuf")
            what, when = json.loads(await lines.next())
            assert what == f"change {number}", what
            reached.append(when - began)
            changed.append(turns.take())
            await trio.sleep(0.3)
        figures["ms until all heard of a change"] = 1e3 * sorted(reached)[ROUNDS // 2]
        figures["ms of the longest turn meanwhile"] = 1e3 * sorted(changed)[ROUNDS // 2]
        listed: dict[str, list[float]] = {"protobuf": [], "json": []}
        turns.take()
        for language, seconds in listed.items():
            for _ in range(ROUNDS):
                fields = {"room": ROOM}
                seconds.append(await ask("ListParticipants", fields, language))
            figures[f"ms to list all in {language}, at worst"] = 1e3 * max(seconds)
        figures["ms of the longest turn of the lists"] = 1e3 * turns.take()
        process.terminate()
        await process.wait()
        nursery.cancel_scope.cancel()
    figures["missed"] = float(
        figures["ms until all heard of a change"] > 1e3 * REACHED
        or figures["ms of the longest turn meanwhile"] > 1e3 * TURN
        or max(max(each) for each in listed.values()) > LISTED
    )
    return figures


class Lines:
    """The lines that a process says."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream, self._held = stream, b""

    async def next(self) -> str:
        while b"\n" not in self._held:
            said = await self._stream.receive_some()
            if not said:
                raise SystemExit("the guests' process ended")
            self._held += said
        line, _, self._held = self._held.partition(b"\n")
        return line.decode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--visit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.visit:
        trio.run(be_there, options.visit, options.people)
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    figures = trio.run(measure, options.people)
    for name, value in figures.items():
        print(f"{value:10.2f}  {name}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(figures["missed"])


if __name__ == "__main__":
    sys.exit(main())
