from collections.abc import MutableMapping

import pytest
import trio

from trio_sfu.room.contain import contain

Lines = list[MutableMapping[str, object]]


async def crash(late: bool, task_status: trio.TaskStatus[str]) -> None:
    if late:
        task_status.started("here")
    raise RuntimeError("a bug")


async def test_a_bug_ends_what_it_is_in_and_is_logged(
    nursery: trio.Nursery, log_lines: Lines
) -> None:
    assert await nursery.start(contain, "bob", crash, True) == "here"
    await trio.testing.wait_all_tasks_blocked()
    assert [(line["event"], line["what"]) for line in log_lines] == [
        ("crashed and was removed", "bob")
    ]
    assert isinstance(log_lines[0]["exc_info"], RuntimeError)
    assert not nursery.cancel_scope.cancel_called


async def test_a_bug_before_the_start_is_the_callers(
    nursery: trio.Nursery, log_lines: Lines
) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        await nursery.start(contain, "bob", crash, False)
    assert log_lines == []


async def test_a_cancellation_passes_and_is_no_bug(log_lines: Lines) -> None:
    async def wait(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await nursery.start(contain, "bob", wait)
        nursery.cancel_scope.cancel()
    assert log_lines == []


async def test_a_bug_while_all_is_being_cancelled_is_logged_and_no_more(
    log_lines: Lines,
) -> None:
    async def crash_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise RuntimeError("a bug")

    async def two(task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as inner:
            inner.start_soon(trio.sleep_forever)
            inner.start_soon(crash_when_cancelled)
            task_status.started()

    async with trio.open_nursery() as nursery:
        await nursery.start(contain, "bob", two)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [line["event"] for line in log_lines] == ["crashed and was removed"]


async def test_an_interrupt_is_nobodys_bug(log_lines: Lines) -> None:
    async def interrupted(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        raise KeyboardInterrupt

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(contain, "bob", interrupted)

    with pytest.raises(BaseExceptionGroup) as group:
        await run()
    assert group.value.subgroup(KeyboardInterrupt)
    assert log_lines == []
