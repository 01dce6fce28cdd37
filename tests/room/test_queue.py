import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.room.queue import Overflow, SubscriberQueue
from trio_sfu.room.rewriter import Rewriter


def flat(taken: list[tuple[int, list[int]] | Overflow]) -> list[int | Overflow]:
    packets: list[int | Overflow] = []
    for item in taken:
        packets += [item] if isinstance(item, Overflow) else item[1]
    return packets


@pytest.mark.parametrize(("keep", "left"), [(0, [Overflow(9)]), (3, [Overflow(6), 6, 7, 8])])
def test_of_video_all_is_thrown_away_of_sound_the_oldest(keep: int, left: list[object]) -> None:
    queue: SubscriberQueue[int] = SubscriberQueue(limit=3, keep=keep)
    queue.put(0, list(range(5)))
    queue.put(0, list(range(5, 9)))
    assert flat(queue.take(3)) == left
    assert queue.take(3) == []


def test_what_waits_keeps_its_layer_and_is_the_publishers_own_list() -> None:
    queue: SubscriberQueue[int] = SubscriberQueue(limit=9)
    low, high = [1, 2], [3]
    queue.put(0, low)
    queue.put(2, high)
    assert len(queue) == 3
    taken = queue.take()
    assert taken == [(0, [1, 2]), (2, [3])]
    assert not isinstance(taken[0], Overflow)
    assert taken[0][1] is low
    assert len(queue) == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), max_size=30))
def test_nothing_is_lost_below_the_limit_however_it_is_taken(
    rounds: list[tuple[int, int]],
) -> None:
    queue: SubscriberQueue[int] = SubscriberQueue(limit=200)
    numbers, put, taken = itertools.count(), [], []
    for size, count in rounds:
        packets = list(itertools.islice(numbers, size))
        shared = list(packets)
        queue.put(0, packets)
        put += shared
        got = flat(queue.take(count))
        assert len(got) <= count
        taken += got
        assert packets == shared  # it is everybody's
    assert taken + flat(queue.take()) == put


def test_more_cannot_be_kept_than_may_wait() -> None:
    with pytest.raises(ValueError, match="keep 4 of at most 3"):
        SubscriberQueue(3, keep=4)


@given(st.lists(st.tuples(st.sets(st.integers(0, 9)), st.integers(0, 9)), max_size=30))
def test_a_loss_stays_a_hole_and_an_overflow_leaves_none(
    rounds: list[tuple[set[int], int]],
) -> None:
    """Each round ten packets are sent to us: some arrive, and some of those are taken."""
    queue: SubscriberQueue[int] = SubscriberQueue(limit=12)
    rewriter, overflowed, sent = Rewriter(1), False, []
    rewriter.begin(0)
    for tens, (arrived, count) in enumerate(rounds):
        queue.put(0, [tens * 10 + digit for digit in sorted(arrived)])
        for item in flat(queue.take(count)):
            if isinstance(item, Overflow):
                overflowed = True
                continue
            if overflowed:
                rewriter.skip_to(item)
            number = rewriter.forward(item)
            assert isinstance(number, int)
            sent.append((item, number, overflowed))
            overflowed = False
    for (before, number, _), (after, following, overflowed) in itertools.pairwise(sent):
        assert following - number == (1 if overflowed else after - before)
