"""A node that drains: what goes on, what is refused, what is said, when it is over."""

from collections.abc import MutableMapping

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.signalling.house import House, open_house
from trio_sfu.api.drain import SAY_SECONDS, Drain
from trio_sfu.signalling.join import Refused

pytestmark = pytest.mark.virtual_time


@attrs.define
class Draining:
    house: House
    stopped: trio.Event
    drain: Drain


@pytest.fixture
async def draining(nursery: trio.Nursery) -> Draining:
    house = await open_house(nursery)
    stopped = trio.Event()
    drain = Drain(house.node, stopped.set)
    nursery.start_soon(drain.run)
    return Draining(house, stopped, drain)


async def test_an_empty_node_stops_at_once(draining: Draining) -> None:
    await wait_all_tasks_blocked()
    assert not draining.stopped.is_set()
    draining.drain.begin()
    await wait_all_tasks_blocked()
    assert draining.stopped.is_set()


async def test_it_waits_for_everybody_and_says_for_whom(
    draining: Draining, log_lines: list[MutableMapping[str, object]]
) -> None:
    callers = [await draining.house.enter(identity) for identity in ("alice", "bob")]
    callers.append(await draining.house.enter("carl", "cellar"))
    draining.drain.begin()
    await trio.sleep(SAY_SECONDS + 1)
    assert not draining.stopped.is_set()
    for caller in callers[:2]:
        caller.hang_up()
    await trio.sleep(SAY_SECONDS)
    assert not draining.stopped.is_set()
    callers[2].hang_up()
    await trio.sleep(1)
    assert draining.stopped.is_set()
    said = [line["event"] for line in log_lines if str(line["event"]).startswith("drain")]
    assert said == [
        "draining: waiting for 3 participants in 2 rooms; another signal stops at once",
        "draining: waiting for 3 participants in 2 rooms; another signal stops at once",
        "draining: waiting for 1 participant in 1 room; another signal stops at once",
        "drained: nobody is left",
    ]


async def test_no_room_begins_any_more_but_those_that_there_are_go_on(draining: Draining) -> None:
    await draining.house.enter("alice")
    draining.drain.begin()
    with pytest.raises(Refused) as refused:
        await draining.house.enter("dave", "attic")
    assert refused.value.status == 503
    assert "attic" not in draining.house.rooms
    await draining.house.enter("bob")
    assert list(draining.house.room().participants) == ["alice", "bob"]
