"""The load counts right: what it expects comes, and what does not come is missed."""

import time

import attrs
import pytest
import trio

from trio_sfu.api import tokens
from trio_sfu.api.server import serve
from trio_sfu.client import load
from trio_sfu.client.load import AUDIO, VIDEO, Load, Report, run_first_packets, run_joins, run_load
from trio_sfu.config import Config, RtcConfig
from trio_sfu.room.grants import Grants

CONFIG = attrs.evolve(
    Config.dev(),
    port=0,
    bind_addresses=("127.0.0.1",),
    rtc=RtcConfig(udp_ports=(0,), node_ip="127.0.0.1"),
)


def token(room: str, identity: str) -> str:
    claims = tokens.Claims(identity=identity, grants=Grants(room=room, room_join=True))
    return tokens.sign(claims, "devkey", "secret", time.time())


@pytest.fixture
async def url(nursery: trio.Nursery) -> str:
    running = await nursery.start(serve, CONFIG)
    return running.urls[0].replace("http", "ws")


@pytest.mark.slow
async def test_every_packet_of_every_publisher_reaches_everybody_else(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "SETTLED", 0.1)
    marks: list[str] = []
    report = await run_load(url, token, Load(2, 1, (AUDIO, VIDEO), seconds=0.2), marks.append)
    packets = round(0.2 / AUDIO.interval) + round(0.2 / VIDEO.interval) * VIDEO.packets
    # Each of both publishers is heard by the other and by the subscriber.
    assert report.expected == report.received == 2 * 2 * packets
    assert len(report.latencies) == report.received
    assert 0 < report.latency(0.5) <= report.latency(0.99) < 5
    assert len(report.joins) == 1
    assert marks == ["published", "joined", "counting", "counted"]


@pytest.mark.slow
@pytest.mark.parametrize("one_connection", [True, False])
async def test_joins_and_first_packets_are_timed(url: str, one_connection: bool) -> None:
    joins = await run_joins(url, token, 3, in_a_room=2, one_connection=one_connection)
    assert len(joins) == 3
    assert min(joins) > 0
    [waited] = await run_first_packets(url, token, 1)
    assert waited > 0


@pytest.mark.parametrize(
    ("received", "lost", "void"), [(10, 0, False), (9, 0, True), (10, 1, True)]
)
def test_a_run_that_lost_or_repeated_anything_is_void(received: int, lost: int, void: bool) -> None:
    report = Report(10, received, lost, 1.0, (0.1,) * received, (), 0.0)
    assert report.void is void
