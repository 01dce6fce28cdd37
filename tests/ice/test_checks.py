import math

from trio_sfu.ice.candidate import Candidate, host_candidate, reflexive_candidate
from trio_sfu.ice.checks import MAX_PAIRS, MAX_REMOTE_CANDIDATES, CheckList, Pair, PairState
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.generations import Generation
from trio_sfu.ice.states import Path, Role
from trio_sfu.ice.transactions import MAX_TRANSACTIONS, Transaction, Transactions

OURS = host_candidate(("192.0.2.1", 1))
THEIRS = host_candidate(("192.0.2.2", 2))


def candidates(count: int) -> list[Candidate]:
    return [host_candidate(("198.51.100.1", port), port) for port in range(1, count + 1)]


def test_the_best_pair_is_checked_first() -> None:
    checks = CheckList()
    for candidate in candidates(5):
        assert checks.add_remote(candidate, {OURS.address: OURS}) == 0
    order = []
    while pair := checks.take_next(Role.CONTROLLING):
        order.append(pair.remote.port)
        pair.state = PairState.IN_PROGRESS
    assert order == [5, 4, 3, 2, 1] and checks.idle


def test_a_triggered_pair_goes_before_all_others_and_only_once() -> None:
    checks = CheckList()
    for candidate in candidates(3):
        checks.add_remote(candidate, {OURS.address: OURS})
    worst = checks.pairs[Path(("198.51.100.1", 1), OURS.address)]
    checks.trigger(worst)
    checks.trigger(worst)
    assert checks.take_next(Role.CONTROLLING) is worst
    assert checks.take_next(Role.CONTROLLING) is not worst


def test_both_sides_order_their_pairs_alike() -> None:
    """Here our candidate, there theirs; who is controlling breaks the tie."""
    here = Pair(OURS, THEIRS, Path(THEIRS.address, OURS.address))
    there = Pair(THEIRS, OURS, Path(OURS.address, THEIRS.address))
    assert here.priority(Role.CONTROLLING) == there.priority(Role.CONTROLLED)


def test_signalling_that_comes_late_corrects_the_priority_of_what_was_met() -> None:
    checks = CheckList()
    met = checks.meet(reflexive_candidate(THEIRS.address, 5))
    assert met is not None
    pair = checks.add_pair(OURS, met)
    assert pair is not None and pair.remote.priority == 5
    checks.add_remote(THEIRS, {OURS.address: OURS})
    assert pair.remote == THEIRS and len(checks.pairs) == 1
    assert checks.meet(reflexive_candidate(THEIRS.address, 9)) == THEIRS


def test_candidates_and_pairs_are_bounded() -> None:
    checks = CheckList()
    ours = {each.address: each for each in candidates(3)}
    over = sum(checks.add_remote(candidate, ours) for candidate in candidates(200))
    assert len(checks.remotes) == MAX_REMOTE_CANDIDATES and len(checks.pairs) == MAX_PAIRS
    assert over == (200 - MAX_REMOTE_CANDIDATES) + 3 * MAX_REMOTE_CANDIDATES - MAX_PAIRS
    assert checks.meet(reflexive_candidate(("203.0.113.1", 1), 1)) is None


def test_a_failed_pair_makes_room_and_no_other_does() -> None:
    checks = CheckList()
    ours = {each.address: each for each in candidates(3)}
    for candidate in candidates(40):
        checks.add_remote(candidate, ours)
    failed = next(iter(checks.pairs.values()))
    assert checks.add_pair(OURS, THEIRS) is None
    failed.state = PairState.FAILED
    assert checks.add_pair(OURS, THEIRS) is not None
    assert failed.path not in checks.pairs and len(checks.pairs) == MAX_PAIRS


def test_after_the_conclusion_only_triggered_checks_are_made() -> None:
    checks = CheckList()
    checks.add_remote(THEIRS, {OURS.address: OURS})
    (pair,) = checks.pairs.values()
    checks.trigger(pair)
    checks.conclude()
    assert checks.idle and checks.take_next(Role.CONTROLLED) is None
    checks.trigger(pair)
    assert checks.take_next(Role.CONTROLLED) is pair
    checks.begin_again()
    assert checks.take_next(Role.CONTROLLED) is pair


def transaction(due: float) -> Transaction:
    pair = Pair(OURS, THEIRS, Path(THEIRS.address, OURS.address))
    generation = Generation(Credentials("ours", "p"))
    return Transaction(pair, generation, b"", b"", Role.CONTROLLED, due)


def test_transactions_are_bounded_and_the_oldest_gives_way() -> None:
    transactions = Transactions()
    for number in range(1000):
        transactions.add(number.to_bytes(12), transaction(1.0))
    assert len(transactions) == MAX_TRANSACTIONS
    assert transactions.get((0).to_bytes(12)) is None
    assert transactions.get((999).to_bytes(12)) is not None


def test_a_check_is_sent_five_times_ever_more_slowly_and_then_given_up() -> None:
    transactions = Transactions()
    transactions.add(b"id", transaction(0.5))
    sent, over = [0.0], math.inf
    while len(transactions):
        now = transactions.deadline
        repeat, given_up = transactions.take_due(now)
        sent += [now] * len(repeat)
        over = now if given_up else over
    assert sent == [0.0, 0.5, 1.5, 3.5, 7.5] and over == 15.5
