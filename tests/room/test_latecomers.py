from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.room.latecomers import KEPT_BYTES, KEPT_FOR, NONCES, Inbox, Nonces, Recent


def test_a_latecomer_hears_what_was_said_since_it_came_once() -> None:
    recent, inbox = Recent[str](), Inbox[str]()
    recent.add("before", 10, 0.0)
    inbox.enter(recent)
    recent.add("one", 10, 0.1)
    inbox.hold("the server's", 10)
    recent.add("two", 10, 0.2)
    assert not inbox.open
    assert inbox.catch_up(recent, 0.5) == ["one", "two", "the server's"]
    assert inbox.open
    assert inbox.catch_up(recent, 0.5) == []


def test_what_is_too_old_is_forgotten() -> None:
    recent, inbox = Recent[str](), Inbox[str]()
    inbox.enter(recent)
    recent.add("old", 10, 0.0)
    recent.add("new", 10, 0.1)
    assert list(recent.since(0, KEPT_FOR)) == ["new"]
    assert inbox.catch_up(recent, KEPT_FOR + 0.1) == []
    assert recent.size == 0


def test_what_is_too_much_is_forgotten_oldest_first() -> None:
    recent = Recent[int]()
    for number in range(5):
        recent.add(number, KEPT_BYTES // 3, 0.0)
    assert list(recent.since(0, 0.0)) == [2, 3, 4]


def test_an_inbox_holds_so_much_and_counts_the_rest() -> None:
    inbox = Inbox[int]()
    for number in range(5):
        inbox.hold(number, KEPT_BYTES // 3)
    assert inbox.catch_up(Recent(), 0.0) == [0, 1, 2]
    assert inbox.dropped == 2


@given(
    st.lists(st.tuples(st.integers(1, 40_000), st.floats(0, 3)), max_size=60),
    st.integers(0, 60),
)
def test_memory_is_bounded_and_in_order(steps: list[tuple[int, float]], position: int) -> None:
    recent, now = Recent[int](), 0.0
    for number, (size, wait) in enumerate(steps):
        now += wait
        recent.add(number, size, now)
        assert recent.size <= KEPT_BYTES
    found = list(recent.since(position, now))
    assert found == sorted(found)
    assert all(number >= position for number in found)
    # A tail of what was said: nothing is missing from the middle.
    assert found == list(range(found[0], len(steps))) if found else True


@given(st.lists(st.integers(0, 150).map(lambda n: n.to_bytes(16, "big")), max_size=400))
def test_the_last_hundred_nonces_pass_once(nonces: list[bytes]) -> None:
    seen, passed = Nonces(), list[bytes]()
    for nonce in nonces:
        new = seen.is_new(nonce)
        assert new == (nonce not in passed[-NONCES:])
        if new:
            passed.append(nonce)


def test_what_is_no_nonce_always_passes() -> None:
    seen = Nonces()
    for nonce in (b"", b"short", bytes(17)):
        assert seen.is_new(nonce)
        assert seen.is_new(nonce)
