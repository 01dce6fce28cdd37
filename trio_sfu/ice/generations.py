"""Restarts: which credentials are answered, and which are the newest (RFC 8445 section 9).

*Problem.* Either side may begin again with new credentials while media flows. *Naive
answer*: replace them. *Why it fails*: signalling and checks travel separately, so
checks with old credentials go on arriving, and checks with new ones may come before
the description that explains them; whoever answers only one kind cuts the call. *Ours*:
every change begins another `Generation`; a check's username says to which it belongs;
all are answered, and the older ones go when the newest has a nominated path.

A generation begun by our restart knows no peer credentials yet, and takes a check
from anybody who knows our new password, because only the peer can have read it.
"""

from typing import Final

import attrs

from trio_sfu.core import Address
from trio_sfu.ice.candidate import Candidate
from trio_sfu.ice.checks import CheckList
from trio_sfu.ice.credentials import Credentials

MAX_GENERATIONS: Final = 3
"""The one that carries media, one begun by the peer, and our reply to that."""


@attrs.define(eq=False)
class Generation:
    """One pair of credentials, ours and theirs, and the checks made with them."""

    local: Credentials
    remote: Credentials | None = None
    """None until signalling brings it."""
    by_peer: bool = False
    """Begun by new credentials of the peer's, to which we have not yet said ours."""
    complete: bool = False
    """The peer has said that there will be no more candidates."""
    checks: CheckList = attrs.Factory(CheckList)
    key: bytes = attrs.field(init=False)
    """What seals the checks that we are asked, and our answers."""

    def __attrs_post_init__(self) -> None:
        self.key = self.local.key

    def is_for(self, ours: str, theirs: str) -> bool:
        """Whether a check with the username *ours*:*theirs* belongs here."""
        return ours == self.local.ufrag and (self.remote is None or theirs == self.remote.ufrag)

    def knows(self, candidate: Candidate) -> bool:
        """Whether *candidate* belongs here, as far as it says (RFC 8839 section 5.4, "ufrag")."""
        ufrag = candidate.extension("ufrag")
        return ufrag is None or self.remote is None or ufrag == self.remote.ufrag


class Generations:
    """All that are answered, oldest first; never empty."""

    def __init__(self, local: Credentials) -> None:
        self._all = [Generation(local)]

    def __len__(self) -> int:
        return len(self._all)

    @property
    def newest(self) -> Generation:
        return self._all[-1]

    @property
    def ufrags(self) -> frozenset[str]:
        """Ours, of all that are answered."""
        return frozenset(each.local.ufrag for each in self._all)

    def find(self, username: str) -> Generation | None:
        """To which a check with this USERNAME belongs."""
        ours, _, theirs = username.partition(":")
        return next((each for each in reversed(self._all) if each.is_for(ours, theirs)), None)

    def restarted_by_peer(self, remote: Credentials, used: Generation | None) -> None:
        self._add(Generation(self.newest.local, remote, by_peer=True), used)

    def restarted_by_us(
        self, local: Credentials, used: Generation | None, ours: dict[Address, Candidate]
    ) -> None:
        """Another generation; a reply, if the peer has begun one that we have not answered."""
        before = self.newest
        generation = Generation(local)
        if before.by_peer:
            generation.remote, generation.complete = before.remote, before.complete
            # The peer's candidates may have come with its credentials, before our reply.
            for candidate in before.checks.remotes.values():
                generation.checks.add_remote(candidate, ours)
        self._add(generation, used)

    def concluded(self, generation: Generation) -> bool:
        """*generation* has a nominated path: if it is the newest, the others go."""
        newest = generation is self._all[-1]
        if newest:
            self._all = [generation]
        return newest

    def _add(self, generation: Generation, used: Generation | None) -> None:
        """The one whose path is *used* is never the one to go."""
        if len(self._all) >= MAX_GENERATIONS:
            self._all.remove(next(each for each in self._all if each is not used))
        self._all.append(generation)
