"""A sender that is faster than somebody's link is held back, so that nothing is lost."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.signalling.house import House, open_house
from trio_sfu.client.events import DataPacketReceived
from trio_sfu.client.participant import Participant
from trio_sfu.room.data import RELIABLE

pytestmark = pytest.mark.slow

PIECE = 15_000
PIECES = 5_000_000 // PIECE


@pytest.fixture
async def house(nursery: trio.Nursery, autojump_clock: object) -> House:
    return await open_house(nursery)


async def upload(sender: Participant) -> None:
    """As LiveKit's clients do: as fast as the channel takes it."""
    for number in range(PIECES):
        while sender.publisher.peer.crowded(RELIABLE):  # noqa: ASYNC110 (it tells nobody)
            await trio.sleep(0.02)
        await sender.send_data(number.to_bytes(PIECE, "big"))
        await wait_all_tasks_blocked()


async def download(receiver: Participant, numbers: list[int]) -> None:
    """Notes the numbers of the pieces that come, in order."""
    async for event in receiver.events:
        if isinstance(event, DataPacketReceived):
            numbers.append(int.from_bytes(event.packet.user.payload, "big"))
            if len(numbers) == PIECES:
                break


async def test_who_sends_a_long_file_waits_for_somebody_whose_link_is_slower(house: House) -> None:
    alice, bob, carol = [await house.visit(name) for name in ("alice", "bob", "carol")]
    await bob.connected.wait()
    await carol.connected.wait()
    house.switch.throttle("198.51.100.2", 4_000_000)
    # Whoever reads nothing at all must not hold up the others for long.
    house.switch.throttle("198.51.100.3", 1)
    numbers: list[int] = []
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(download, bob, numbers)
            await upload(alice)
            assert len(numbers) > PIECES * 0.4, "the rest waits in the server"
    assert numbers == list(range(PIECES))
