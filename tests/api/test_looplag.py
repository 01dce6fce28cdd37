"""How late the loop is, in virtual time: a jump of the clock is a turn that took so long."""

import gc

import pytest
import trio

from trio_sfu.api.looplag import TICK, WINDOW, LoopLag, collections_watched
from trio_sfu.config import LimitConfig


@pytest.mark.virtual_time
async def test_a_loop_that_is_in_time_has_no_lag(nursery: trio.Nursery) -> None:
    seen: list[float] = []
    lag = LoopLag(seen.append)
    nursery.start_soon(lag.run)
    await trio.sleep(2)
    assert lag.lag == pytest.approx(0)
    assert len(seen) >= 18
    assert lag.age <= TICK


def late(seconds: float) -> None:
    """As if a turn of the loop had taken so long."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    clock.jump(seconds)


async def turns(lag: LoopLag, seconds: float, count: int) -> None:
    for _ in range(count):
        await trio.sleep(TICK / 2)
        late(seconds)
        await trio.testing.wait_all_tasks_blocked()


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("seconds", "count", "over"),
    [
        (0.3, 1, False),  # a deep collection of garbage
        (0.3, 2, False),
        (0.1, 30, False),
        (1.5, 1, True),  # a turn of one second and a half
        (0.3, 6, True),
        (0.25, 30, True),
    ],
)
async def test_being_late_for_a_while_is_overload_and_one_pause_is_not(
    nursery: trio.Nursery, seconds: float, count: int, over: bool
) -> None:
    lag = LoopLag()
    nursery.start_soon(lag.run)
    await trio.sleep(1)
    await turns(lag, seconds, count)
    assert (lag.lag > LimitConfig().loop_lag) == over


@pytest.mark.virtual_time
async def test_overload_is_over_soon_after_it_ends(nursery: trio.Nursery) -> None:
    lag = LoopLag()
    nursery.start_soon(lag.run)
    await turns(lag, 0.5, 20)
    assert lag.lag > 0.4
    await trio.sleep(WINDOW + TICK)
    assert lag.lag == pytest.approx(0)


@pytest.mark.virtual_time
async def test_a_loop_that_nobody_looks_at_grows_stale() -> None:
    lag = LoopLag()
    late(5)
    assert lag.age == pytest.approx(5)


def test_collections_of_garbage_are_told_with_their_generation() -> None:
    seen: list[tuple[int, float]] = []
    with collections_watched(lambda generation, seconds: seen.append((generation, seconds))):
        gc.collect(0)
        gc.collect()
    told = len(seen)
    gc.collect()
    assert len(seen) == told
    assert {generation for generation, _ in seen} >= {0, 2}
    assert all(0 <= seconds < 10 for _, seconds in seen)
