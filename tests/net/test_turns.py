"""Everybody with news has a turn, one after the other, and fails alone."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_sfu.net.mailbox import Mailbox
from trio_sfu.net.turns import Bell, Turns

Box = Mailbox[str]


class Office:
    """Turns, and a diary of what happened in them."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.turns = Turns(lambda: self.diary.append("sent"))

    def read(self) -> list[str]:
        read, self.diary = self.diary, []
        return read

    async def own(self, name: str, mailbox: Box) -> None:
        def turn(now: float) -> None:
            for wish in mailbox.take_wishes():
                if wish == "fail":
                    raise ValueError(name)
                self.diary.append(f"{name}: {wish}")

        with mailbox.owned(self.turns, turn):
            await mailbox.sleep()


@pytest.fixture
def office() -> Office:
    return Office()


async def test_news_of_many_is_one_round_and_one_sending(
    office: Office, nursery: trio.Nursery
) -> None:
    boxes = {name: Box() for name in ("alice", "bob")}
    nursery.start_soon(office.turns.run)
    for name, mailbox in boxes.items():
        nursery.start_soon(office.own, name, mailbox)
    await wait_all_tasks_blocked()
    office.read()
    boxes["bob"].wish("one")
    boxes["alice"].wish("two")
    boxes["bob"].wish("three")
    await wait_all_tasks_blocked()
    assert office.read() == ["bob: one", "bob: three", "alice: two", "sent"]


async def test_what_came_before_there_was_an_owner_is_its_first_turn(
    office: Office, nursery: trio.Nursery
) -> None:
    mailbox = Box()
    mailbox.wish("early")
    nursery.start_soon(office.turns.run)
    nursery.start_soon(office.own, "alice", mailbox)
    await wait_all_tasks_blocked()
    assert office.read() == ["alice: early", "sent"]


async def test_a_failure_ends_its_owner_and_nobody_else(
    office: Office, nursery: trio.Nursery
) -> None:
    alice, bob = Box(), Box()
    nursery.start_soon(office.turns.run)
    nursery.start_soon(office.own, "bob", bob)

    async def fail() -> None:
        with pytest.raises(ValueError, match="alice"):
            await office.own("alice", alice)
        office.diary.append("alice is gone")

    nursery.start_soon(fail)
    await wait_all_tasks_blocked()
    office.read()
    alice.wish("fail")
    bob.wish("go on")
    await wait_all_tasks_blocked()
    assert office.read() == ["bob: go on", "sent", "alice is gone"]
    alice.wish("fail again")
    bob.wish("still here")
    await wait_all_tasks_blocked()
    assert office.read() == ["bob: still here", "sent"]


async def test_a_failure_while_its_owner_looks_up_is_raised_when_it_sleeps_again(
    office: Office,
) -> None:
    """Its alarm went off in the same moment, so nobody slept when the turn failed."""
    mailbox, turns = Box(), 0

    def turn(now: float) -> None:
        nonlocal turns
        turns += 1
        raise ValueError("both at once")

    with mailbox.owned(office.turns, turn):
        mailbox.take_turn(0.0)
        mailbox.take_turn(0.0)
        with trio.fail_after(30), pytest.raises(ValueError, match="both"):
            await mailbox.sleep()
    assert turns == 1, "who failed has no more turns"


async def test_who_is_gone_has_no_turn(office: Office, nursery: trio.Nursery) -> None:
    mailbox = Box()
    nursery.start_soon(office.turns.run)
    async with trio.open_nursery() as owners:
        owners.start_soon(office.own, "alice", mailbox)
        await wait_all_tasks_blocked()
        office.read()
        mailbox.wish("too late")
        owners.cancel_scope.cancel()
    mailbox.wish("much too late")
    await wait_all_tasks_blocked()
    assert office.read() in (["sent"], ["alice: too late", "sent"])


async def test_a_long_round_lets_others_run_and_forgets_nobody(
    office: Office, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_sfu.net.turns.ROUND", 0.0)
    boxes = [Box() for _ in range(3)]
    for number, mailbox in enumerate(boxes):
        nursery.start_soon(office.own, str(number), mailbox)
    await wait_all_tasks_blocked()  # they are owned in any order, and ask in that
    for mailbox in boxes:
        mailbox.wish("hello")
    nursery.start_soon(office.turns.run)
    await wait_all_tasks_blocked()
    diary = office.read()
    assert sorted(diary[::2]) == ["0: hello", "1: hello", "2: hello"]
    assert diary[1::2] == ["sent"] * 3


async def test_the_last_words_leave_at_the_end(office: Office) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(office.turns.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert office.read() == ["sent"]


async def test_a_bell_is_heard_once_and_a_cancelled_wait_loses_nothing() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    with trio.CancelScope() as scope:
        scope.cancel()
        await bell.wait()
    with trio.fail_after(30):
        await bell.wait()
    with trio.move_on_after(0) as again:
        await bell.wait()
    assert again.cancelled_caught
    bell.ring()
    with trio.fail_after(30):
        await bell.wait()
