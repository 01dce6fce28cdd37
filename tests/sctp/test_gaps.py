from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.sctp.gaps import Block, outside, reported

GAPS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


def members(blocks: list[Block]) -> list[int]:
    return [tsn for first, last in blocks for tsn in range(first, last + 1)]


@given(GAPS, st.integers(0, 50))
def test_whatever_a_peer_writes_is_read_in_order_and_once(gaps: list[Block], limit: int) -> None:
    blocks = reported(gaps, 100, 100 + limit)
    found = members(blocks)
    assert found == sorted(set(found))
    assert set(found) == {
        100 + offset
        for first, last in gaps
        for offset in range(max(first, 1), min(last, limit) + 1)
    }


@given(GAPS, GAPS)
def test_what_is_outside_is_the_difference(some: list[Block], others: list[Block]) -> None:
    blocks, known = reported(some, 0, 99), reported(others, 0, 99)
    assert list(outside(blocks, known)) == sorted(set(members(blocks)) - set(members(known)))
