"""A core is driven by its mailbox and its deadline, whichever comes first."""

import math

import trio
import trio.testing

from trio_sfu.core import Datagram
from trio_sfu.net.driver import drive
from trio_sfu.net.mailbox import Mailbox
from trio_sfu.net.turns import Turns


class Clockwork:
    """A core that notes when it was due and what it heard, and is due again *pause* later."""

    def __init__(self, deadline: float, pause: float) -> None:
        self.deadline = deadline
        self.pause = pause
        self.due: list[float] = []
        self.heard: list[tuple[float, bytes]] = []

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        self.heard += [(now, each.data) for each in datagrams]

    def handle_timeout(self, now: float) -> None:
        self.due.append(now)
        self.deadline = now + self.pause

    def take_datagrams(self) -> list[Datagram]:
        return []


def letter(data: bytes) -> list[Datagram]:
    return [Datagram(data, ("192.0.2.2", 40000), ("192.0.2.1", 7882))]


async def run(core: Clockwork, mailbox: Mailbox[str], seconds: float) -> None:
    with trio.move_on_after(seconds):
        await drive_alone(core, mailbox)


async def drive_alone(core: Clockwork, mailbox: Mailbox[str]) -> None:
    turns = Turns(lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        await drive(core, mailbox, lambda now: None, lambda datagrams: None, turns)


async def test_a_core_is_called_when_it_is_due(autojump_clock: trio.testing.MockClock) -> None:
    core, start = Clockwork(trio.current_time() + 1, 2), trio.current_time()
    await run(core, Mailbox(), 6)
    assert [round(each - start) for each in core.due] == [1, 3, 5]


async def test_a_deadline_that_moves_while_it_is_waited_for_is_kept(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    start = trio.current_time()
    core, mailbox = Clockwork(start + 4, math.inf), Mailbox[str]()

    async def move(at: float, deadline: float) -> None:
        await trio.sleep_until(start + at)
        core.deadline = start + deadline
        mailbox.put(letter(b"moved"))

    nursery.start_soon(move, 1, 2)  # sooner
    nursery.start_soon(move, 3, 5)  # armed anew
    nursery.start_soon(move, 4, 7)  # later
    await run(core, mailbox, 10)
    assert [round(each - start) for each in core.due] == [2, 7]


async def test_a_core_that_is_always_due_hears_as_well(nursery: trio.Nursery) -> None:
    core, mailbox = Clockwork(-math.inf, -math.inf), Mailbox[str]()
    nursery.start_soon(drive_alone, core, mailbox)
    for _ in range(5):
        await trio.lowlevel.checkpoint()
    mailbox.put(letter(b"hello"))
    for _ in range(5):
        await trio.lowlevel.checkpoint()
    nursery.cancel_scope.cancel()
    assert [data for _, data in core.heard] == [b"hello"]
    assert len(core.due) > 2
