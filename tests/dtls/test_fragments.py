import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.dtls.flights import Message
from trio_sfu.dtls.fragments import (
    MAX_AHEAD,
    MAX_MESSAGE,
    MAX_PIECES,
    Arrival,
    Fragment,
    Reassembly,
)
from trio_sfu.errors import WireError
from trio_sfu.wire import Reader


def whole(body: bytes, sequence: int = 0, message: Message = Message.CLIENT_HELLO) -> Fragment:
    return Fragment(message, sequence, len(body), 0, body)


def part(body: bytes, start: int, end: int, sequence: int = 0) -> Fragment:
    return Fragment(Message.CLIENT_HELLO, sequence, len(body), start, body[start:end])


@st.composite
def cuts(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    """A message, and ranges that cover it: several cuttings of it, shuffled together."""
    body = draw(st.binary(max_size=300))
    ranges: list[tuple[int, int]] = []
    for _ in range(draw(st.integers(1, 3))):
        marks = sorted({0, len(body), *draw(st.lists(st.integers(0, len(body)), max_size=8))})
        pairs = list(itertools.pairwise(marks)) or [(0, 0)]
        ranges += pairs if not ranges else draw(st.lists(st.sampled_from(pairs)))
    return body, draw(st.permutations(ranges))


@given(cuts())
def test_pieces_in_any_order_overlapping_and_cut_anew_make_the_message(
    cutting: tuple[bytes, list[tuple[int, int]]],
) -> None:
    body, ranges = cutting
    reassembly = Reassembly()
    covered: set[int] = set()
    for start, end in ranges:
        covered |= set(range(start, end))
        assert reassembly.add(part(body, start, end)) is Arrival.KEPT
        found = reassembly.peek()
        assert (found is None) == (len(covered) < len(body))
    assert reassembly.peek() == whole(body)


def test_a_hole_is_not_filled_by_bytes_that_came_twice() -> None:
    body = bytes(range(100))
    reassembly = Reassembly()
    for start, end in ((0, 50), (0, 50), (25, 60), (70, 100)):
        reassembly.add(part(body, start, end))
        assert reassembly.peek() is None
    reassembly.add(part(body, 55, 75))
    assert reassembly.peek() == whole(body)


def test_an_overlap_does_not_change_what_came_first() -> None:
    reassembly = Reassembly()
    reassembly.add(part(b"aaaaaa", 1, 3))
    reassembly.add(part(b"bbbbbb", 0, 6))
    found = reassembly.peek()
    assert found is not None and found.body == b"baabbb"


def test_messages_come_out_in_order() -> None:
    reassembly = Reassembly()
    for sequence in (2, 0, 1):
        assert reassembly.add(whole(b"x" * sequence, sequence)) is Arrival.KEPT
    for sequence in range(3):
        assert reassembly.expected == sequence
        assert reassembly.peek() == whole(b"x" * sequence, sequence)
        reassembly.drop_next()
    assert reassembly.peek() is None
    assert reassembly.add(whole(b"", 2)) is Arrival.STALE


def test_what_is_kept_is_bounded() -> None:
    reassembly = Reassembly()
    assert reassembly.add(whole(b"", MAX_AHEAD)) is Arrival.KEPT
    assert reassembly.add(whole(b"", MAX_AHEAD + 1)) is Arrival.TOO_FAR
    long = Fragment(Message.CERTIFICATE, 1, MAX_MESSAGE + 1, 0, b"x")
    assert reassembly.add(long) is Arrival.TOO_LONG
    body = bytes(1000)
    arrivals = [reassembly.add(part(body, 2 * at, 2 * at + 1)) for at in range(MAX_PIECES + 1)]
    assert arrivals[:-1] == [Arrival.KEPT] * MAX_PIECES
    assert arrivals[-1] is Arrival.TOO_MANY_PIECES
    assert reassembly.add(part(body, 0, 1000)) is Arrival.KEPT
    assert reassembly.peek() == whole(body)


def test_a_fragment_that_contradicts_the_first_is_left_out() -> None:
    reassembly = Reassembly()
    reassembly.add(part(bytes(10), 0, 5))
    assert reassembly.add(part(bytes(11), 5, 11)) is Arrival.CONTRADICTION
    other = Fragment(Message.FINISHED, 0, 10, 5, bytes(5))
    assert reassembly.add(other) is Arrival.CONTRADICTION
    assert reassembly.add(part(bytes(10), 5, 10)) is Arrival.KEPT


@given(st.binary(min_size=1, max_size=500), st.integers(1, 600))
def test_a_message_cut_to_size_is_joined_again(body: bytes, room: int) -> None:
    reassembly = Reassembly()
    rest: Fragment | None = whole(body)
    while rest is not None:
        piece, rest = rest.cut(room)
        assert len(piece.body) <= room
        assert Fragment.decode(Reader(piece.encode())) == piece
        reassembly.add(piece)
    assert reassembly.peek() == whole(body)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("01 000005 0000 000003 000003 616263", "beyond the end"),
        ("01 000000 0000 000000 000001 61", "beyond the end"),
        ("01 000005 0000 000000 000003 6162", "asked for"),
        ("04 000000 0000 000000 000000", "unknown handshake message 4"),
    ],
)
def test_what_is_no_fragment_is_refused(data: str, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        Fragment.decode(Reader(bytes.fromhex(data)))
