"""What a full agent has asked and not yet been answered (RFC 8489 section 6.2.1)."""

import math
from typing import Final

import attrs

from trio_sfu.ice.checks import Pair
from trio_sfu.ice.generations import Generation
from trio_sfu.ice.states import Role

MAX_TRANSACTIONS: Final = 256
"""More than the pairs there may be, with a repeat each. The oldest gives way."""
RETRANSMIT_AFTER: Final = 0.5
"""The first RTO, in seconds (RFC 8445 section 14.3); each further one is twice as long."""
MAX_SENDS: Final = 5
"""Rc. RFC 8489 proposes 7, and 39.5 s until a check has failed; with 5 it is 15.5 s, by when
LiveKit's clients have given up anyway."""
LAST_WAIT: Final = 8.0
"""After the last repeat: Rm = 16 times the first RTO."""


@attrs.define(eq=False)
class Transaction:
    """A request of ours that waits for its answer."""

    pair: Pair
    generation: Generation
    request: bytes
    key: bytes
    """What seals the answer: the peer's password."""
    role: Role
    """The one that the request claimed, which a conflict may have changed since."""
    due: float
    """When it is repeated, or given up."""
    nominates: bool = False
    consent: bool = False
    """It keeps a path alive; never repeated (RFC 7675 section 5.1)."""
    sends: int = 1


class Transactions:
    """What we have asked and not yet been answered, by transaction id."""

    def __init__(self) -> None:
        self._open: dict[bytes, Transaction] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def deadline(self) -> float:
        """When one is to be repeated or given up; ``math.inf`` when there is none."""
        return min((each.due for each in self._open.values()), default=math.inf)

    def add(self, identity: bytes, transaction: Transaction) -> None:
        if len(self._open) >= MAX_TRANSACTIONS:
            del self._open[next(iter(self._open))]
        self._open[identity] = transaction

    def get(self, identity: bytes) -> Transaction | None:
        return self._open.get(identity)

    def remove(self, identity: bytes) -> None:
        del self._open[identity]

    def quieten(self, pair: Pair, now: float) -> None:
        """Repeat no more what was asked on *pair*: a newer check takes its place.

        An answer to the older one still counts (RFC 8445 section 7.3.1.4).
        """
        for each in self._open.values():
            if each.pair is pair and not each.consent:
                each.sends, each.due = MAX_SENDS, now + LAST_WAIT

    def keep_only(self, generation: Generation) -> None:
        self._open = {
            identity: each for identity, each in self._open.items() if each.generation is generation
        }

    def open_for(self, pair: Pair) -> bool:
        """Whether a check of *pair* is still under way."""
        return any(each.pair is pair and not each.consent for each in self._open.values())

    def take_due(self, now: float) -> tuple[list[Transaction], list[Transaction]]:
        """Those to be repeated now, and those that are given up, which are forgotten."""
        repeat: list[Transaction] = []
        over: list[Transaction] = []
        for identity, each in list(self._open.items()):
            if each.due > now:
                continue
            if each.sends >= MAX_SENDS:
                del self._open[identity]
                over.append(each)
                continue
            each.sends += 1
            last = each.sends == MAX_SENDS
            each.due = now + (LAST_WAIT if last else RETRANSMIT_AFTER * 2 ** (each.sends - 1))
            repeat.append(each)
        return repeat, over
