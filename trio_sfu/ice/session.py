"""What an ICE agent knows, and the few things that change it, in all roles alike.

The two halves of an agent, being asked (`agent`) and asking (`asking`), work on one
`Session`: credentials, proved paths, the path in use, the state, and what waits to be
sent or told. Nothing here sends or reads a STUN message.
"""

import enum
from collections import Counter
from typing import Final

from trio_sfu.core import Address, Datagram, Entropy
from trio_sfu.ice.candidate import Candidate
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.generations import Generation, Generations
from trio_sfu.ice.paths import Paths
from trio_sfu.ice.states import (
    AddressProved,
    Happening,
    IceEvent,
    IceState,
    Path,
    Refusal,
    Role,
    Selected,
    StateChanged,
    advance,
)
from trio_sfu.timers import Timers

DISCONNECTED_AFTER: Final = 10.0
"""Seconds without a sign of life; as LiveKit has it."""
LITE_FAILED_AFTER: Final = 15.0
"""Likewise, in all; also the time that a peer has for its first check."""
CONSENT_EXPIRES: Final = 30.0
"""A full agent may not send for longer without an answer (RFC 7675 section 5.1)."""
PATIENCE: Final = 39.5
"""How long a full agent waits for a first path, even if every check that it could make has
failed: the peer's checks may still find a way (RFC 8863)."""
ABANDONED_AFTER: Final = 7.0
"""A nominated path that has been silent for so long gives way to any other that works, also
without USE-CANDIDATE: longer than the 6 s that RFC 7675 lets pass between two checks. It
mends a NAT that rebinds, where the peer does not repeat USE-CANDIDATE."""


class Timer(enum.Enum):
    """Why an agent wakes up."""

    PACE = enum.auto()
    RETRANSMIT = enum.auto()
    NOMINATE = enum.auto()
    CONSENT = enum.auto()
    SILENCE = enum.auto()
    EXPIRY = enum.auto()


class Session:
    """One side of one ICE session, without the messages."""

    def __init__(self, role: Role, local: Credentials, entropy: Entropy) -> None:
        self.role = role
        self.state = IceState.NEW
        self.generations = Generations(local)
        self.locals: dict[Address, Candidate] = {}
        self.paths = Paths()
        self.selected: Path | None = None
        self.used: Generation | None = None
        """Whose credentials keep the selected path."""
        self.nominated = False
        """The controlling side has decided on the selected path."""
        self.entropy = entropy
        self.tie_breaker = int.from_bytes(entropy(8))
        self.timers: Timers[Timer] = Timers()
        self.refused: Counter[Refusal] = Counter()
        self.datagrams: list[Datagram] = []
        self.events: list[IceEvent] = []

    def begin(self, happening: Happening, now: float) -> None:
        """New credentials came, of the one side or the other."""
        self._happen(happening)
        if self.state is IceState.CHECKING:
            patience = LITE_FAILED_AFTER if self.role is Role.LITE else PATIENCE
            self.timers.arm(Timer.EXPIRY, now + patience)

    def prove(self, path: Path, now: float) -> None:
        """Something authentic came by *path*."""
        if self.paths.hear(path, now, keep=self.selected):
            self.events.append(AddressProved(path.remote, path.local))

    def alive(self, now: float) -> None:
        """There was a sign of life: in a lite role a question, in a full one an answer."""
        self.timers.arm(Timer.SILENCE, now + DISCONNECTED_AFTER)
        limit = LITE_FAILED_AFTER if self.role is Role.LITE else CONSENT_EXPIRES
        self.timers.arm(Timer.EXPIRY, now + limit)
        self._happen(Happening.PROOF)

    def follow(self, generation: Generation, path: Path, nominated: bool, now: float) -> bool:
        """Use *path*, which works, if it is *nominated* or nothing better is known.

        Whether it is used now.
        """
        if nominated:
            self._select(generation, path)
            self.nominated = True
            self.generations.concluded(generation)
        elif not self.nominated or self.abandoned(now):
            self._select(generation, path)
        return self.selected == path

    def abandoned(self, now: float) -> bool:
        """Whether the selected path has been silent for long, or there is none."""
        selected = self.selected
        return selected is None or now - self.paths.last_heard(selected) > ABANDONED_AFTER

    def _select(self, generation: Generation, path: Path) -> None:
        if self.selected != path:
            self.events.append(Selected(path))
        self.selected, self.used = path, generation

    def silence(self) -> None:
        """There has been no sign of life for a while."""
        self._happen(Happening.SILENCE)

    def expire(self) -> None:
        """There has been none for too long: forget everything that would let us send."""
        self._happen(Happening.EXPIRY)
        self.selected, self.used, self.nominated = None, None, False
        self.paths.clear()
        for timer in Timer:
            self.timers.cancel(timer)

    def _happen(self, happening: Happening) -> None:
        state = advance(self.state, happening)
        if state is not self.state:
            self.state = state
            self.events.append(StateChanged(state))
