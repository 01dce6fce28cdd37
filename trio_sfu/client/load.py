"""Many participants in one process, who count what they get: a load for a server.

Everybody in a room is one of our own participants with sockets of its own, and does
all that a participant must: checks, handshakes, reports, feedback. What they send
is made up, but it has the sizes and the rhythm of the real thing, and every packet
ends with a *stamp*: whether it counts, and when it was sent. So the figures are
exact. A packet that was sent and not received is missed, by name of its stream; and
because sender and receiver have one clock, each packet tells how long it took.

Frames leave by deadline, not after a pause: a load that falls behind would else
ask less and less of the server and find it faster and faster. Publishers are spread
evenly over an interval, as no two people begin at one moment.

Nobody here waits for packets. They lie in the tracks until, a few times a second,
one task takes and counts them all.
"""

import math
import os
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
import trio

from trio_sfu.client.events import TrackSubscribed
from trio_sfu.client.media import synthetic_vp8, vp8_payloads
from trio_sfu.client.participant import Participant, run_participant
from trio_sfu.client.tracks import LocalTrack, RemoteTrack
from trio_sfu.dtls import certificate

STAMP: Final = struct.Struct("!Bd")
"""At the end of each payload: whether it counts, and when it was sent, in seconds."""

JOINS_AT_ONCE: Final = 8
COUNT_SECONDS: Final = 0.1
"""How often what arrived is counted; a track holds far more than comes in this time."""
PATIENCE: Final = 60.0
"""Seconds that everybody has to join and to hear everybody else."""
LAST_PACKETS: Final = 3.0
"""Seconds that the last packets may take, repeats included."""
SETTLED: Final = 1.5
"""Seconds between the first packet of the last stream and the first that counts: the
first reports are exchanged by then, and nobody waits for a key frame."""
APART: Final = 0.6
"""Seconds between two newcomers, so that none waits for the other's key frame's sake."""

Token = Callable[[str, str], str]
"""Gives the ticket for a room (by name) to somebody (by identity)."""


@attrs.frozen
class Shape:
    """What one track sends: so many packets of so many bytes, so often."""

    kind: str
    packets: int
    size: int
    """Bytes of a packet as RTP counts them: 12 of header, then payload."""
    interval: float
    ticks: int
    """Of the RTP clock, in an interval."""


VIDEO: Final = Shape("video", packets=9, size=1150, interval=1 / 30, ticks=3000)
"""2.5 Mbit/s."""
AUDIO: Final = Shape("audio", packets=1, size=120, interval=0.020, ticks=960)


@attrs.frozen
class Load:
    """Who is there and what they send, each shape by each publisher. All hear all others."""

    publishers: int
    subscribers: int
    shapes: tuple[Shape, ...]
    seconds: float


@attrs.frozen
class Report:
    """What came of a load. Times are in seconds."""

    expected: int
    """Packets that should have reached somebody."""
    received: int
    lost: int
    """Packets that had to be sent again, or never came. If there is one, the figures
    are those of another load than was meant."""
    seconds: float
    latencies: tuple[float, ...]
    """From sending to receiving, ascending, of each packet."""
    joins: tuple[float, ...]
    """From opening the socket to the connection that media comes by."""
    load_cpu: float
    """Seconds of CPU that this process took meanwhile; near `seconds`, it was too slow."""

    @property
    def void(self) -> bool:
        """Whether the load was not what was asked for."""
        return self.lost > 0 or self.received != self.expected

    def latency(self, part: float) -> float:
        """The latency that *part* (0 to 1) of the packets do not exceed."""
        if not self.latencies:
            return math.nan
        return self.latencies[min(len(self.latencies) - 1, int(part * len(self.latencies)))]


@attrs.define(eq=False)
class Pump:
    """Sends one track's frames."""

    track: LocalTrack
    shape: Shape
    phase: float
    """From 0 to 1: where in an interval the frames leave."""
    counting: trio.Event
    """From then on *frames* are sent that count, and then no more."""
    frames: int
    number: int = 0

    async def run(self) -> None:
        shape, left = self.shape, self.frames
        start = trio.current_time() + self.phase * shape.interval
        while left:
            await trio.sleep_until(start + self.number * shape.interval)
            counts = self.counting.is_set()
            self._send(counts)
            left -= counts

    def _send(self, counts: bool) -> None:
        shape, number = self.shape, self.number
        if shape.kind == "video":
            key = number == 0 or self.track.key_frame_wanted.is_set()
            if key:
                self.track.key_frame_wanted = trio.Event()
            # 12 bytes of RTP header and 4 of VP8 descriptor.
            frame = synthetic_vp8(shape.packets * (shape.size - 16), key=key)
            payloads = vp8_payloads(frame, number)
        else:
            payloads = [bytes(shape.size - 12)] * shape.packets
        stamp = STAMP.pack(counts, trio.current_time())
        stamped = [payload[: -STAMP.size] + stamp for payload in payloads]
        self.track.send(stamped, number * shape.ticks)
        self.number += 1


@attrs.define(eq=False)
class Tally:
    """Counts the stamped packets that reach anybody."""

    members: list[Participant]
    tracks: int
    """How many there are to be heard, by all together."""
    expected: int
    """How many packets that count shall come."""
    received: int = 0
    latencies: list[float] = attrs.Factory(list)
    all_heard: trio.Event = attrs.Factory(trio.Event)
    """Of each track something came."""
    all_received: trio.Event = attrs.Factory(trio.Event)
    _began: set[RemoteTrack] = attrs.Factory(set)

    async def run(self) -> None:
        while True:
            await trio.sleep(COUNT_SECONDS)
            self._count()
            if len(self._began) == self.tracks:
                self.all_heard.set()
            if self.received >= self.expected:
                self.all_received.set()

    def _count(self) -> None:
        """Take all that waits."""
        for member in self.members:
            for track in member.remote_tracks.values():
                if packets := track.take_packets():
                    self._began.add(track)
                    for packet in packets:
                        counts, sent = STAMP.unpack_from(packet.payload, -STAMP.size)
                        if counts:
                            self.received += 1
                            self.latencies.append(packet.arrival - sent)

    def lost(self) -> int:
        """Packets that did not come of themselves, so far."""
        return sum(
            stream.lost
            for member in self.members
            for stream in member.subscriber.peer.incoming.statistics().values()
        )


Mark = Callable[[str], object]
"""Is told where a load is: "published", "joined", "counting", "counted"."""


class Gathering:
    """Participants that run in *nursery*, in any number of rooms."""

    def __init__(
        self, url: str, token: Token, nursery: trio.Nursery, *, one_connection: bool = True
    ) -> None:
        """*one_connection* is as for `run_participant`."""
        self.members: list[Participant] = []
        self._url = url
        self._token = token
        self._nursery = nursery
        self._one_connection = one_connection
        # One certificate for all: what it costs to make is not what is measured.
        self._certificate = certificate.generate(os.urandom, time.time())

    async def join(self, room: str, identity: str) -> Participant:
        """Let one more in."""
        run = partial(
            run_participant,
            certificate_=self._certificate,
            host="127.0.0.1",
            one_connection=self._one_connection,
        )
        token = self._token(room, identity)
        member: Participant = await self._nursery.start(run, self._url, token)
        self.members.append(member)
        return member

    async def join_all(self, room: str, count: int) -> list[float]:
        """Let *count* more in, a few at once; how long each took to be connected."""
        limit = trio.CapacityLimiter(JOINS_AT_ONCE)
        joins: list[float] = []

        async def one(number: int) -> None:
            async with limit:
                start = trio.current_time()
                member = await self.join(room, f"subscriber-{number}")
                await member.connected.wait()
                joins.append(trio.current_time() - start)

        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for number in range(count):
                    nursery.start_soon(one, number)
        return joins

    def leave(self) -> None:
        """Let everybody go, and say so; the nursery ends when the last is gone."""
        for member in self.members:
            member.leave()
        self.members.clear()
        self._nursery.cancel_scope.deadline = trio.current_time() + LAST_PACKETS


async def run_load(url: str, token: Token, load: Load, mark: Mark = lambda _: None) -> Report:
    """Do it, in a room of its own. Raises `trio.TooSlowError` if not all hear all in time."""
    room = f"load-{os.urandom(4).hex()}"
    counting, sent = trio.Event(), trio.Event()
    async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
        gathering = Gathering(url, token, outer)
        pumps: list[Pump] = []
        for number in range(load.publishers):
            publisher = await gathering.join(room, f"publisher-{number}")
            for shape in load.shapes:
                track = await _publish(publisher, shape)
                frames = round(load.seconds / shape.interval)
                pumps.append(Pump(track, shape, number / load.publishers, counting, frames))
        nursery.start_soon(_run_all, pumps, sent)
        mark("published")
        joins = await gathering.join_all(room, load.subscribers)
        hearers = load.publishers - 1 + load.subscribers
        expected = hearers * sum(pump.frames * pump.shape.packets for pump in pumps)
        tally = Tally(gathering.members, hearers * len(pumps), expected)
        nursery.start_soon(tally.run)
        with trio.fail_after(PATIENCE):
            await tally.all_heard.wait()
        await trio.sleep(SETTLED)
        mark("joined")
        lost, cpu, start = tally.lost(), time.process_time(), trio.current_time()
        mark("counting")
        counting.set()
        await sent.wait()
        with trio.move_on_after(LAST_PACKETS):
            await tally.all_received.wait()
        mark("counted")
        report = Report(
            expected=expected,
            received=tally.received,
            lost=tally.lost() - lost,
            seconds=trio.current_time() - start,
            latencies=tuple(sorted(tally.latencies)),
            joins=tuple(joins),
            load_cpu=time.process_time() - cpu,
        )
        nursery.cancel_scope.cancel()
        gathering.leave()
    return report


async def run_joins(
    url: str, token: Token, count: int, in_a_room: int, one_connection: bool
) -> tuple[float, ...]:
    """Let *count* participants join, a few at once, *in_a_room* of them in each room.

    *one_connection* says by which path. All stay until the last is in. Gives how long each
    took to be connected.
    """
    tag = os.urandom(4).hex()
    joins: list[float] = []
    async with trio.open_nursery() as nursery:
        gathering = Gathering(url, token, nursery, one_connection=one_connection)
        for start in range(0, count, in_a_room):
            room = f"joins-{tag}-{start}"
            joins += await gathering.join_all(room, min(in_a_room, count - start))
        gathering.leave()
    return tuple(joins)


async def run_first_packets(url: str, token: Token, times: int) -> tuple[float, ...]:
    """How long, one after the other, newcomers wait for the first packet of a camera.

    From opening the signalling socket on; the camera gives a key frame when asked.
    """
    room = f"first-{os.urandom(4).hex()}"
    waited: list[float] = []
    async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
        gathering = Gathering(url, token, outer)
        publisher = await gathering.join(room, "publisher")
        pump = Pump(await _publish(publisher, VIDEO), VIDEO, 0, trio.Event(), 1)
        nursery.start_soon(pump.run)
        for number in range(times):
            start = trio.current_time()
            newcomer = await gathering.join(room, f"newcomer-{number}")
            with trio.fail_after(PATIENCE):
                packets = await (await _first_track(newcomer)).receive()
            waited.append(packets[0].arrival - start)
            newcomer.leave()
            await trio.sleep(APART)
        nursery.cancel_scope.cancel()
        gathering.leave()
    return tuple(waited)


async def run_visits(url: str, token: Token, count: int) -> None:
    """Let *count* participants join one room, a few at once, be connected, and leave."""
    room = f"visits-{os.urandom(4).hex()}"
    for start in range(0, count, JOINS_AT_ONCE):
        async with trio.open_nursery() as nursery:
            gathering = Gathering(url, token, nursery)
            await gathering.join_all(room, min(JOINS_AT_ONCE, count - start))
            gathering.leave()


async def _first_track(newcomer: Participant) -> RemoteTrack:
    async for event in newcomer.events:
        if isinstance(event, TrackSubscribed):
            return event.track
    raise AssertionError("who leaves before hearing anything was not told to")


async def _publish(publisher: Participant, shape: Shape) -> LocalTrack:
    with trio.fail_after(PATIENCE):
        if shape.kind == "video":
            return await publisher.publish_video()
        return await publisher.publish_audio()


async def _run_all(pumps: list[Pump], done: trio.Event) -> None:
    async with trio.open_nursery() as nursery:
        for pump in pumps:
            nursery.start_soon(pump.run)
    done.set()
