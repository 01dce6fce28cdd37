"""Whether our own client flatters the server: the same load with a client that is not ours.

    python -m benchmarks.stock [--subscribers 3] [--seconds 10] [--json FILE]

One publisher sends a VP8 file of 2.5 Mbit/s (ffmpeg makes it); first our own clients
subscribe, then as many of PyPI `livekit` (libwebrtc, which decodes all of it). The
server's CPU a forwarded packet should be about the same. If ours were the cheaper
guests by far, because they report less or never ask, other figures would be too good.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from benchmarks.participants import token
from benchmarks.processes import REPOSITORY, Server, server, usage
from trio_sfu.client.media import Recording, read_ivf, vp8_payloads
from trio_sfu.client.participant import run_participant
from trio_sfu.client.tracks import LocalTrack
from trio_sfu.config import RtcConfig
from trio_sfu.net.addresses import advertised, own_addresses

ROOM: Final = "stock"
FRAMES_A_SECOND: Final = 30
SETTLE: Final = 4.0
START_SECONDS: Final = 30.0


def make_video(folder: Path) -> Path:
    """Ten seconds of a test picture, in VP8."""
    path = folder / "video.ivf"
    # fmt: off
    subprocess.run(
        [
            "ffmpeg", "-loglevel", "error", "-f", "lavfi",
            "-i", f"testsrc2=size=640x360:rate={FRAMES_A_SECOND}:duration=10",
            "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8",
            "-b:v", "2500k", "-minrate", "2500k", "-maxrate", "2500k", "-g", "60", str(path),
        ],
        check=True,
    )
    # fmt: on
    return path


# --- the processes that take part; each prints one line when it is ready, and more as it goes


async def publish(url: str, address: str, file: str) -> None:
    """Play *file* over and over; print how many packets have been sent, now and then."""
    recording = read_ivf(await trio.Path(file).read_bytes())
    async with trio.open_nursery() as nursery:
        start = partial(run_participant, url, token(ROOM, "publisher"), host=address)
        publisher = await nursery.start(start)
        await _play(await publisher.publish_video(), recording)


async def _play(track: LocalTrack, recording: Recording) -> None:
    start, count = trio.current_time(), len(recording.frames)
    number = 0
    while True:
        await trio.sleep_until(start + number / FRAMES_A_SECOND)
        frame = recording.frames[number % count]
        track.send(vp8_payloads(frame.data, number), number * 90_000 // FRAMES_A_SECOND)
        number += 1
        if number % 3 == 0:
            print(json.dumps([time.monotonic(), track.packets]), flush=True)


async def subscribe_ours(url: str, address: str, count: str) -> None:
    async with trio.open_nursery() as nursery:
        members = []
        for number in range(int(count)):
            start = partial(run_participant, url, token(ROOM, f"ours-{number}"), host=address)
            members.append(await nursery.start(start))
        print(json.dumps("ready"), flush=True)
        while True:
            await trio.sleep(0.2)
            for member in members:
                for track in member.remote_tracks.values():
                    track.take_packets()


async def subscribe_stock(url: str, address: str, count: str) -> None:
    from livekit import rtc

    rooms = [rtc.Room() for _ in range(int(count))]
    for number, room in enumerate(rooms):
        await room.connect(url, token(ROOM, f"stock-{number}"))
    print(json.dumps("ready"), flush=True)
    await asyncio.Event().wait()


# --- what is measured


def measure(running: Server, who: str, count: int, seconds: float, file: Path) -> dict[str, Any]:
    """Server CPU a packet that *count* subscribers of a kind were sent."""
    address = advertised(RtcConfig(), own_addresses())[0]
    with _start("publish", running.url, address, str(file)) as publisher:
        with _start(who, running.url, address, str(count)) as subscribers:
            assert subscribers.stdout is not None
            subscribers.stdout.readline()
            time.sleep(SETTLE)
            before, first = usage(running.process), time.monotonic()
            time.sleep(seconds)
            after, last = usage(running.process), time.monotonic()
            subscribers.terminate()
        publisher.terminate()
        assert publisher.stdout is not None
        sent = [json.loads(line) for line in publisher.stdout if line.endswith(b"\n")]
    counts = [packets for at, packets in sent if first <= at <= last]
    packets = (counts[-1] - counts[0]) * count
    used = after.cpu - before.cpu
    return {"packets": packets, "server_cpu": used, "us_a_packet": 1e6 * used / packets}


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stock", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Our own clients beside libwebrtc's.")
    parser.add_argument("--subscribers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    address = advertised(RtcConfig(), own_addresses())[0]
    found: dict[str, Any] = {"subscribers": options.subscribers}
    with tempfile.TemporaryDirectory() as folder:
        file = make_video(Path(folder))
        for who in ("ours", "stock"):
            with server(address=address) as running:
                found[who] = measure(running, who, options.subscribers, options.seconds, file)
            print(f"{who}: {found[who]['us_a_packet']:.1f} us a packet", file=sys.stderr)
    found["stock_over_ours"] = found["stock"]["us_a_packet"] / found["ours"]["us_a_packet"]
    print(json.dumps(found))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    match sys.argv[1:2]:
        case ["publish"]:
            trio.run(publish, *sys.argv[2:])
        case ["ours"]:
            trio.run(subscribe_ours, *sys.argv[2:])
        case ["stock"]:
            asyncio.run(subscribe_stock(*sys.argv[2:]))
        case _:
            sys.exit(main())
