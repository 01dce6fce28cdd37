"""The check list of a full agent: which pairs there are, and which is to be checked next.

A *pair* is an address of ours and one of the peer's. A pair is checked by a Binding
request that the other side answers; because both sides check, each also learns from
being asked (a *triggered* check goes out at once in the other direction, which is how
two NATs are opened). What is decided here: order, limits and what an outcome means for
a pair. What is not: bytes, credentials, timers; those are the agent's.

Three rules of RFC 8445 are simpler here, because there is one component in one stream
(BUNDLE, rtcp-mux): no pair is ever frozen, every pair of a new candidate waits for
its turn at once, and a local candidate is always its own base.
"""

import enum
import math
from collections import deque
from collections.abc import Iterable
from typing import Final

import attrs

from trio_sfu.core import Address
from trio_sfu.ice.candidate import Candidate, pair_priority
from trio_sfu.ice.states import Path, Role

MAX_PAIRS: Final = 100
"""RFC 8445 section 6.1.2.5."""
MAX_REMOTE_CANDIDATES: Final = 64
"""Of one check list; browsers on machines with many interfaces send about twenty."""


class PairState(enum.Enum):
    """RFC 8445 section 6.1.2.6, without Frozen."""

    WAITING = enum.auto()
    IN_PROGRESS = enum.auto()
    SUCCEEDED = enum.auto()
    FAILED = enum.auto()


@attrs.define(eq=False)
class Pair:
    """An address of ours and one of the peer's, and what is known about them."""

    local: Candidate
    remote: Candidate
    path: Path
    state: PairState = PairState.WAITING
    nominating: bool = False
    """We are controlling, and its next check carries USE-CANDIDATE."""
    wanted: bool = False
    """We are controlled, and the peer nominated it before our own check had succeeded."""

    def priority(self, role: Role) -> int:
        ours, theirs = self.local.priority, self.remote.priority
        if role is Role.CONTROLLING:
            return pair_priority(ours, theirs)
        return pair_priority(theirs, ours)


class CheckList:
    """The pairs made with one pair of credentials, see the module's text."""

    def __init__(self) -> None:
        self.pairs: dict[Path, Pair] = {}
        self.remotes: dict[Address, Candidate] = {}
        self.concluded = False
        """Nothing but triggered checks is made: a pair was nominated."""
        self.worked_since = math.inf
        """When the first pair succeeded."""
        self._triggered: deque[Pair] = deque()

    def add_remote(self, candidate: Candidate, ours: dict[Address, Candidate]) -> int:
        """Take a candidate of the peer's, and pair it with each of *ours*.

        How much of that was over the limits: the candidate itself, or pairs.
        """
        known = self.remotes.get(candidate.address)
        if known is not None:
            if known.kind == "prflx":
                # Signalling was late: what had been met by a check gets its real priority.
                self.remotes[candidate.address] = candidate
                for pair in self.pairs.values():
                    if pair.remote is known:
                        pair.remote = candidate
            return 0
        if len(self.remotes) >= MAX_REMOTE_CANDIDATES:
            return 1
        self.remotes[candidate.address] = candidate
        return sum(self._over(local, candidate) for local in ours.values())

    def add_local(self, candidate: Candidate) -> int:
        """Pair one more candidate of ours with all that the peer has; as for `add_remote`."""
        return sum(self._over(candidate, remote) for remote in self.remotes.values())

    def _over(self, local: Candidate, remote: Candidate) -> bool:
        return local.ipv6 == remote.ipv6 and self.add_pair(local, remote) is None

    def add_pair(self, local: Candidate, remote: Candidate) -> Pair | None:
        """The pair of the two, new or not.

        None if one is IPv4 and the other IPv6, or if the list is full of pairs that
        are worth more than being forgotten.
        """
        path = Path(remote.address, local.address)
        pair = self.pairs.get(path)
        if pair is None and local.ipv6 == remote.ipv6:
            if len(self.pairs) >= MAX_PAIRS and not self._make_room():
                return None
            pair = self.pairs[path] = Pair(local, remote, path)
        return pair

    def _make_room(self) -> bool:
        """Forget a pair that has failed, if there is one."""
        failed = [path for path, pair in self.pairs.items() if pair.state is PairState.FAILED]
        if failed:
            del self.pairs[failed[0]]
        return bool(failed)

    def meet(self, candidate: Candidate) -> Candidate | None:
        """The candidate at this address: one known, else *candidate* itself, now known.

        For addresses that only a check told us (RFC 8445 section 7.3.1.3). None if
        there are too many already.
        """
        known = self.remotes.get(candidate.address)
        if known is not None:
            return known
        if len(self.remotes) >= MAX_REMOTE_CANDIDATES:
            return None
        self.remotes[candidate.address] = candidate
        return candidate

    def trigger(self, pair: Pair) -> None:
        """Check *pair* before all others (RFC 8445 section 7.3.1.4)."""
        if pair not in self._triggered:
            self._triggered.append(pair)

    @property
    def nominating(self) -> bool:
        """Whether a pair is being nominated by us just now."""
        return any(pair.nominating for pair in self._pairs())

    @property
    def idle(self) -> bool:
        return not self._triggered and (
            self.concluded or all(pair.state is not PairState.WAITING for pair in self._pairs())
        )

    def take_next(self, role: Role) -> Pair | None:
        """The pair whose turn it is (RFC 8445 section 6.1.4.2); None when idle."""
        if self._triggered:
            return self._triggered.popleft()
        if self.concluded:
            return None
        waiting = (pair for pair in self._pairs() if pair.state is PairState.WAITING)
        return max(waiting, key=lambda pair: pair.priority(role), default=None)

    def best(self, role: Role) -> Pair | None:
        """Of the pairs that work, the one with the highest priority."""
        working = (pair for pair in self._pairs() if pair.state is PairState.SUCCEEDED)
        return max(working, key=lambda pair: pair.priority(role), default=None)

    def hopes(self, better_than: Pair, role: Role) -> bool:
        """Whether a pair of higher priority may still turn out to work."""
        least = better_than.priority(role)
        return any(
            pair.state in (PairState.WAITING, PairState.IN_PROGRESS) and pair.priority(role) > least
            for pair in self._pairs()
        )

    def conclude(self) -> None:
        """A pair was nominated: no further checks of our own accord."""
        self.concluded = True
        self._triggered.clear()

    def begin_again(self) -> None:
        """What was nominated has gone silent: everything may be worth another check."""
        self.concluded = False
        self.worked_since = math.inf
        for pair in self._pairs():
            pair.state, pair.nominating, pair.wanted = PairState.WAITING, False, False

    def change_roles(self) -> None:
        """What was being nominated was so in a role that is no longer ours."""
        for pair in self._pairs():
            pair.nominating = pair.wanted = False

    def _pairs(self) -> Iterable[Pair]:
        return self.pairs.values()
