"""How things end: a client that dies without a word, and a room of twenty that is closed.

The server runs in this process, so that its tasks, sockets and objects can be counted;
clients that are to die are processes of their own.

    killed      SIGKILL: the kernel closes its sockets, which is all the goodbye there is
    silent      SIGSTOP: nothing comes any more, and nothing says why (a pulled cable)
    closed      twenty participants, each hears the others; the room is closed
    cancelled   the same; the server is cancelled with all of them in it

It passes if who is dead is gone within `GONE_SECONDS`, and nothing is left of anybody:
no task, no socket, no object, no memory that grows.
"""

import argparse
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs
import trio
from verdict import Verdict

from trio_sfu.api import tokens
from trio_sfu.api.server import serve
from trio_sfu.client.media import SILENCE, synthetic_vp8, vp8_payloads
from trio_sfu.client.participant import Participant as Client
from trio_sfu.client.participant import run_participant
from trio_sfu.config import Config, RtcConfig
from trio_sfu.peer.transport import PeerTransport
from trio_sfu.room.grants import Grants
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.room.subscription import Subscription
from trio_sfu.room.track import PublishedTrack
from trio_sfu.signalling.session import Session

GONE_SECONDS: Final = 30.0
PEOPLE: Final = 20
AT_ONCE: Final = 4
WARM_UP: Final = AT_ONCE
CYCLES: Final = 12
"""Clients that are killed, after those that warm up; memory must not grow with them."""
GROWTH: Final = 1 << 20
"""Bytes of resident memory that `CYCLES` dead clients may leave: less than one of them takes
each, but more than what an allocator does not give back at once."""

CONFIG: Final = attrs.evolve(
    Config.dev(),
    port=0,
    bind_addresses=("127.0.0.1",),
    rtc=RtcConfig(udp_ports=(0,), node_ip="127.0.0.1"),
)
KINDS: Final = (Participant, Session, PeerTransport, PublishedTrack, Subscription)


def token(identity: str) -> str:
    claims = tokens.Claims(identity=identity, grants=Grants(room="kitchen", room_join=True))
    return tokens.sign(claims, "devkey", "secret", time.time())


# --- what there is


@attrs.frozen
class Census:
    """What lives in this process."""

    tasks: int
    descriptors: int
    objects: int
    """Participants, sessions, peers, tracks and subscriptions, of the server's and clients'."""


def census() -> Census:
    gc.collect()
    objects = sum(isinstance(each, KINDS) for each in gc.get_objects())
    return Census(sum(1 for _ in tasks()), len(os.listdir("/proc/self/fd")), objects)


def tasks() -> Iterator[trio.lowlevel.Task]:
    waiting = [trio.lowlevel.current_root_task()]
    while waiting:
        task = waiting.pop()
        if task is not None:
            yield task
            waiting += [each for nursery in task.child_nurseries for each in nursery.child_tasks]


async def settled(wanted: Census, seconds: float = 5.0) -> Census:
    """The census, once it is *wanted*, or at the latest after *seconds*."""
    with trio.move_on_after(seconds):
        await until(lambda: census() == wanted)
    return census()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is counted here tells nobody that it changed
        await trio.sleep(0.1)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- a client that is to die


async def publish_for_ever(url: str, identity: str) -> None:
    async with trio.open_nursery() as nursery:
        client = await nursery.start(run_participant, url, token(identity))
        camera, microphone = await client.publish_video(), await client.publish_audio()
        number = 0
        while True:
            frame = synthetic_vp8(3000, key=number % 30 == 0)
            camera.send(vp8_payloads(frame, number), 3000 * number)
            microphone.send([SILENCE], 960 * number)
            number += 1
            await trio.sleep(1 / 30)


def spawn(url: str, identity: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, "--client", url, "--identity", identity])


async def hears(alice: Client, identity: str) -> None:
    """Returns once *alice* gets both of somebody's tracks."""

    def both_flow() -> bool:
        sids = {each.sid for each in alice.others.values() if each.identity == identity}
        tracks = [each for each in alice.remote_tracks.values() if each.participant_sid in sids]
        return len([each for each in tracks if each.received]) == 2

    with trio.fail_after(20):
        await until(both_flow)


async def is_rid_of(alice: Client, identity: str) -> float:
    """The seconds until *alice* sees and hears nothing of somebody."""
    sids = {each.sid for each in alice.others.values() if each.identity == identity}
    started = time.monotonic()
    with trio.move_on_after(GONE_SECONDS + 5):
        await until(
            lambda: (
                not sids & {each.participant_sid for each in alice.remote_tracks.values()}
                and identity not in {each.identity for each in alice.others.values()}
            )
        )
    return time.monotonic() - started


async def let_die(alice: Client, url: str, how: signal.Signals, identity: str) -> float:
    process = await trio.to_thread.run_sync(spawn, url, identity)
    try:
        await hears(alice, identity)
        process.send_signal(how)
        return await is_rid_of(alice, identity)
    finally:
        process.kill()
        await trio.to_thread.run_sync(process.wait)


async def let_all_die(alice: Client, url: str, count: int) -> None:
    """Kill *count* clients, a few at a time: each is waited for as long as it might resume."""
    for first in range(0, count, AT_ONCE):
        async with trio.open_nursery() as nursery:
            for number in range(first, min(first + AT_ONCE, count)):
                nursery.start_soon(let_die, alice, url, signal.SIGKILL, f"victim {number}")


async def deaths(verdict: Verdict, cycles: int) -> None:
    async with trio.open_nursery() as nursery:
        url = (await nursery.start(serve, CONFIG)).urls[0].replace("http", "ws")
        alice: Client = await nursery.start(run_participant, url, token("alice"))
        await alice.connected.wait()
        await let_all_die(alice, url, WARM_UP)  # what is made once and kept is made now
        before = census()

        async def die(name: str, how: signal.Signals) -> None:
            seconds = await let_die(alice, url, how, name)
            verdict.check(f"{name}: gone", seconds < GONE_SECONDS, f"after {seconds:.2f} s")
            verdict.figure(f"{name} seconds", seconds)

        async with trio.open_nursery() as dying:
            dying.start_soon(die, "killed", signal.SIGKILL)
            dying.start_soon(die, "silent", signal.SIGSTOP)
        dying = None  # or this function keeps some of them alive
        after = await settled(before)
        verdict.check("killed and silent: nothing left", after == before, f"{before} -> {after}")
        if cycles:
            gc.collect()
            memory = resident()
            await let_all_die(alice, url, cycles)
            gc.collect()
            growth = resident() - memory
            words = f"{growth / 1024:.0f} KiB more"
            verdict.check(f"{cycles} killed: memory", growth < GROWTH, words)
            verdict.figure("memory growth KiB", growth / 1024)
        verdict.figure("clients killed", cycles)
        nursery.cancel_scope.cancel()


# --- a room of twenty


async def crowd(verdict: Verdict, end: str) -> None:
    """Everybody publishes and hears everybody; then the room, or the server, ends."""
    empty = census()
    async with trio.open_nursery() as clients, trio.open_nursery() as servers:
        url = (await servers.start(serve, CONFIG)).urls[0].replace("http", "ws")
        idle = census()
        people: list[Client] = []
        for number in range(PEOPLE):
            people.append(await clients.start(run_participant, url, token(f"guest {number}")))
        async with trio.open_nursery() as nursery:
            for each in people:
                nursery.start_soon(each.publish_audio)
        with trio.fail_after(60):
            await until(lambda: all(len(each.remote_tracks) == PEOPLE - 1 for each in people))
        full = census()
        verdict.figure(f"{end}: tasks of a full room", full.tasks - idle.tasks)
        started = time.monotonic()
        if end == "closed":
            (room,) = [each for each in gc.get_objects() if isinstance(each, Room)]
            room.close()
            people.clear()
            room = each = nursery = None  # or this function keeps some of them alive
            after = await settled(idle)
            verdict.check(f"{end}: as before they came", after == idle, f"{idle} -> {after}")
        people.clear()
        each = nursery = None
        servers.cancel_scope.cancel()
    after = await settled(empty)
    seconds = time.monotonic() - started
    verdict.check(f"{end}: no task, no socket, nobody", after == empty, f"{empty} -> {after}")
    verdict.figure(f"{end} seconds", seconds)


async def everything(verdict: Verdict, cycles: int) -> None:
    await crowd(Verdict("warm-up"), "cancelled")
    for end in ("closed", "cancelled"):
        await crowd(verdict, end)
    await deaths(verdict, cycles)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--client", metavar="URL", help="be the client that is to die")
    parser.add_argument("--identity", default="bob")
    parser.add_argument("--cycles", type=int, default=CYCLES, help="clients to kill for memory")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    if options.client:
        trio.run(publish_for_ever, options.client, options.identity)
        return 0
    verdict = Verdict("endings")
    trio.run(everything, verdict, options.cycles)
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
