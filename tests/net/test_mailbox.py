import trio
from trio.testing import wait_all_tasks_blocked

from trio_sfu.core import Datagram
from trio_sfu.net.mailbox import Mailbox


def datagram(number: int) -> Datagram:
    return Datagram(bytes((number,)), ("192.0.2.2", 40000), ("192.0.2.1", 7882))


async def test_whatever_comes_wakes_the_owner_once(nursery: trio.Nursery) -> None:
    mailbox: Mailbox[str] = Mailbox()
    woken: list[tuple[list[Datagram], list[str]]] = []

    async def owner() -> None:
        while True:
            await mailbox.wait()
            woken.append((mailbox.take_datagrams(), mailbox.take_wishes()))

    nursery.start_soon(owner)
    await wait_all_tasks_blocked()
    first, second = datagram(1), datagram(2)
    mailbox.put([first])
    mailbox.put([second])
    mailbox.wish("a key frame")
    await wait_all_tasks_blocked()
    mailbox.ring()
    await wait_all_tasks_blocked()
    assert woken == [([first, second], ["a key frame"]), ([], [])]


async def test_what_came_before_the_wait_ends_it_at_once() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.wish("now")
    with trio.fail_after(30):
        await mailbox.wait()


async def test_the_oldest_datagrams_make_room_and_no_wish_is_lost() -> None:
    mailbox: Mailbox[int] = Mailbox(limit=3)
    for number in range(5):
        mailbox.put([datagram(number)])
        mailbox.wish(number)
    assert [each.data[0] for each in mailbox.take_datagrams()] == [2, 3, 4]
    assert mailbox.take_wishes() == [0, 1, 2, 3, 4]
    assert mailbox.dropped == 2


async def test_a_cancelled_wait_loses_nothing() -> None:
    mailbox: Mailbox[str] = Mailbox()
    with trio.CancelScope() as scope:
        scope.cancel()
        await mailbox.wait()
    mailbox.wish("still there")
    await mailbox.wait()
    assert mailbox.take_wishes() == ["still there"]
    mailbox.wish("and this")
    with trio.CancelScope() as scope:
        scope.cancel()
        await mailbox.wait()
    await mailbox.wait()
    assert mailbox.take_wishes() == ["and this"]
