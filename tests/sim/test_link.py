import math

import pytest

from tests.sim import Link, entropy, run
from tests.sim.link import Nat
from trio_sfu.core import Datagram

ALICE, BOB = ("192.0.2.1", 1000), ("192.0.2.2", 2000)


class Counting:
    """A core that sends so many numbers, one a period, and notes what it hears."""

    def __init__(self, count: int = 0, period: float = 0.01, size: int = 4) -> None:
        self.heard: list[tuple[float, int]] = []
        self.froms: set[tuple[str, int]] = set()
        self.deadline = 0.0 if count else math.inf
        self._period, self._left, self._next, self._size = period, count, 0, size
        self._datagrams: list[Datagram] = []

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.heard]

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        for datagram in datagrams:
            self.heard.append((now, int.from_bytes(datagram.data[:4], "big")))
            self.froms.add(datagram.remote)
            assert datagram.local == BOB

    def handle_timeout(self, now: float) -> None:
        data = self._next.to_bytes(4, "big").ljust(self._size, b"\0")
        self._datagrams.append(Datagram(data, remote=BOB, local=ALICE))
        self._next += 1
        self.deadline = now + self._period if self._next < self._left else math.inf

    def take_datagrams(self) -> list[Datagram]:
        taken, self._datagrams = self._datagrams, []
        return taken


def heard_over(link: Link, count: int = 1000, size: int = 4) -> Counting:
    alice, bob = Counting(count, size=size), Counting()
    run(alice, link, bob, until=60.0)
    return bob


def test_a_perfect_link_delivers_everything_at_once_and_in_order() -> None:
    bob = heard_over(Link())
    assert bob.numbers == list(range(1000))
    assert bob.heard[3] == (pytest.approx(0.03), 3)
    assert bob.froms == {ALICE}


def test_delay_and_jitter_keep_the_order() -> None:
    bob = heard_over(Link(delay=0.1, jitter=0.05))
    assert bob.numbers == list(range(1000))
    assert all(0.1 <= time - 0.01 * number < 0.151 for time, number in bob.heard)


@pytest.mark.parametrize("seed", range(3))
def test_loss_duplicates_and_reordering_are_about_as_asked(seed: int) -> None:
    lossy = heard_over(Link(loss=0.2, seed=seed))
    assert 700 < len(lossy.numbers) < 880
    twice = heard_over(Link(duplicate=0.1, seed=seed))
    assert 1050 < len(twice.numbers) < 1150 and len(set(twice.numbers)) == 1000
    mixed = heard_over(Link(delay=0.05, reorder=0.1, seed=seed))
    assert mixed.numbers != sorted(mixed.numbers) == list(range(1000))


def test_a_seed_repeats_every_accident() -> None:
    settings = {"delay": 0.05, "jitter": 0.02, "loss": 0.1, "reorder": 0.1, "duplicate": 0.1}
    first, again, other = (heard_over(Link(**settings, seed=seed)) for seed in (1, 1, 2))
    assert first.heard == again.heard != other.heard


def test_what_is_larger_than_the_mtu_never_arrives() -> None:
    assert heard_over(Link(mtu=99), count=5, size=100).numbers == []
    assert heard_over(Link(mtu=100), count=5, size=100).numbers == [0, 1, 2, 3, 4]


def test_a_rate_spreads_datagrams_and_a_full_buffer_drops_them() -> None:
    """A hundred times 125 bytes a second is 100 kbit/s; half of it passes, later and later."""
    link = Link(rate=50_000, buffer=0.2)
    bob = heard_over(link, size=125)
    assert link.counters["overflowed"] == pytest.approx(500, abs=25)
    assert max(time - 0.01 * number for time, number in bob.heard) <= 0.221


def test_an_address_translation_can_change_in_the_middle() -> None:
    link, alice, bob = Link(), Counting(100), Counting()
    nat = Nat(inner=ALICE, outer=("203.0.113.1", 1))
    link.through[0] = nat.outward
    run(alice, link, bob, until=0.5)
    nat.rebind(("203.0.113.1", 2))
    run(alice, link, bob, until=2.0)
    assert bob.numbers == list(range(100))
    assert bob.froms == {("203.0.113.1", 1), ("203.0.113.1", 2)}
    old, new = (Datagram(b"", ("203.0.113.1", port), BOB) for port in (1, 2))
    inner = nat.inward(new)
    assert nat.inward(old) is None and inner is not None and inner.remote == ALICE


def test_a_condition_ends_a_run_and_one_that_never_comes_names_the_seed() -> None:
    link, alice, bob = Link(delay=0.5, seed=77), Counting(10), Counting()
    assert run(alice, link, bob, until=lambda: len(bob.heard) == 3) == pytest.approx(0.52)
    run(alice, link, bob, until=2.0)
    assert bob.numbers == list(range(10))
    with pytest.raises(AssertionError, match="seed=77"):
        run(alice, link, bob, until=lambda: False)


def test_entropy_is_repeated_by_its_seed() -> None:
    assert entropy(3)(16) == entropy(3)(16) != entropy(4)(16)
