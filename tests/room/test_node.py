import pytest
import trio

from tests.signalling.house import House, open_house
from trio_sfu.room.node import NoSuchRoom, TooManyRooms

pytestmark = pytest.mark.virtual_time


async def test_a_room_starts_when_somebody_asks_for_it_and_is_the_same_for_all(
    house: House,
) -> None:
    opened: list[object] = []

    async def open_it() -> None:
        opened.append(await house.node.open("kitchen"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(open_it)
    assert opened == [house.room()] * 5
    assert house.room().created_at == house.node.wall_time()


async def test_rooms_and_participants_have_names_that_clients_know(house: House) -> None:
    await house.enter("alice")
    assert house.node.sid.startswith("ND_")
    assert house.room().sid.startswith("RM_")
    assert house.participant("alice").sid.startswith("PA_")


async def test_who_may_not_make_a_room_finds_only_those_that_are(house: House) -> None:
    with pytest.raises(NoSuchRoom, match="kitchen"):
        await house.node.open("kitchen", may_create=False)
    room = await house.node.open("kitchen")
    assert await house.node.open("kitchen", may_create=False) is room
    room.close()
    with pytest.raises(NoSuchRoom):
        await house.node.open("kitchen", may_create=False)


async def test_a_room_that_ends_makes_place_for_another(nursery: trio.Nursery) -> None:
    house = await open_house(nursery, max_rooms=1)
    room = await house.node.open("one")
    with pytest.raises(TooManyRooms, match="two"):
        await house.node.open("two")
    room.close()
    await trio.testing.wait_all_tasks_blocked()
    await house.node.open("two")
    assert set(house.rooms) == {"two"}


async def test_the_end_of_an_old_room_does_not_forget_its_successor(house: House) -> None:
    old = await house.node.open("kitchen")
    old.close()
    new = await house.node.open("kitchen")
    await trio.testing.wait_all_tasks_blocked()
    assert house.room() is new is not old


@pytest.mark.parametrize("checkpoints", range(8))
async def test_cancelling_who_opens_a_room_leaves_a_room_or_none(
    house: House, checkpoints: int
) -> None:
    async def strike(scope: trio.CancelScope) -> None:
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(strike, scope)
            await house.node.open("kitchen")
    await trio.testing.wait_all_tasks_blocked()
    room = await house.node.open("kitchen")
    assert house.rooms == {"kitchen": room}
    assert not room.closed
