"""Who is let in when there is much to do, and what the log says of it."""

from collections.abc import MutableMapping

import attrs
import pytest
import trio

from tests.signalling.house import Caller, House, ask, open_house
from trio_sfu.api.admission import LOG_SECONDS, Admission, Load
from trio_sfu.config import LimitConfig
from trio_sfu.signalling.join import Refused

pytestmark = pytest.mark.virtual_time

FREE = Load(lag=0.0, tracks=0, bytes_per_sec=0.0)
LIMIT = LimitConfig(loop_lag=0.1, num_tracks=10, bytes_per_sec=1e6)


@attrs.define
class Server:
    house: House
    admission: Admission
    load: Load = FREE
    limit: LimitConfig = LIMIT

    async def join(self, identity: str, **fields: object) -> Caller:
        caller = Caller()
        join = ask(identity, **fields)
        await self.admission(join, caller.requests_out, caller.responses_in)
        return caller


@pytest.fixture
async def server(nursery: trio.Nursery) -> Server:
    house = await open_house(nursery)
    admission = Admission(
        house.signalling.connect, limit=lambda: server.limit, load=lambda: server.load
    )
    server = Server(house, admission)
    return server


@pytest.mark.parametrize(
    ("load", "what"),
    [
        (Load(lag=0.101, tracks=0, bytes_per_sec=0), "loop lag"),
        (Load(lag=0, tracks=10, bytes_per_sec=0), "tracks"),
        (Load(lag=0, tracks=0, bytes_per_sec=1e6), "bytes"),
        (Load(lag=9, tracks=99, bytes_per_sec=9e9), "loop lag"),
    ],
)
async def test_who_is_new_gets_503_when_there_is_too_much(
    server: Server, load: Load, what: str
) -> None:
    await server.join("alice")
    server.load = load
    with pytest.raises(Refused) as refused:
        await server.join("bob")
    assert refused.value.status == 503
    assert list(server.house.room().participants) == ["alice"]
    assert server.admission.refused == {what: 1}
    server.load = FREE
    await server.join("bob")
    assert list(server.house.room().participants) == ["alice", "bob"]


@pytest.mark.parametrize("load", [Load(lag=0.1, tracks=9, bytes_per_sec=999_999), FREE])
async def test_up_to_the_limits_everybody_is_let_in(server: Server, load: Load) -> None:
    server.load = load
    await server.join("alice")


async def test_a_limit_of_0_is_none(server: Server) -> None:
    server.load = Load(lag=9, tracks=99, bytes_per_sec=9e9)
    server.limit = LimitConfig(loop_lag=0)
    await server.join("alice")


async def test_who_comes_back_is_let_in_however_full_it_is(server: Server) -> None:
    server.load = Load(lag=9, tracks=0, bytes_per_sec=0)
    await server.join("alice", reconnect=True, participant_sid="PA_x")


async def test_the_log_says_so_once_for_many(
    server: Server, log_lines: list[MutableMapping[str, object]]
) -> None:
    server.load = Load(lag=0.25, tracks=3, bytes_per_sec=0)
    for _ in range(2):
        for _ in range(50):
            with pytest.raises(Refused):
                await server.join("alice")
        await trio.sleep(LOG_SECONDS)
    lines = [line for line in log_lines if line["event"] == "nobody new is let in"]
    assert [line["refused"] for line in lines] == [1, 51]
    assert (lines[0]["too_much"], lines[0]["lag"], lines[0]["tracks"]) == ("loop lag", 0.25, 3)
