"""`IceAgent`: finds a path to one peer, and notices when it is gone (RFC 8445).

Towards the agent's owner there is one life for all roles: give it the peer's
credentials (and, in a full role, candidates), pump datagrams and timeouts, read
`state`, `selected` and the events. What the roles do inside differs:

*Lite* has an address that everybody can reach, so it makes no checks. It believes
an address once a check from there was sealed with our password, follows the
controlling side's USE-CANDIDATE, and takes authenticated checks as signs of life.

*Full* also asks. Its checks go out one each 50 ms, the best pair first (`CheckList`
decides), are repeated until answered, and an answer proves the pair. Whoever is
controlling nominates the best pair that works; then consent checks (RFC 7675) keep
it, and their answers are the signs of life: the right to send must be confirmed by
the receiver, and only an answer confirms it.

A restart begins another generation of credentials: see `generations`.
"""

import enum
from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final

from trio_sfu.core import Address, Datagram, Entropy
from trio_sfu.errors import WireError
from trio_sfu.ice.candidate import (
    MAX_LOCAL_PREFERENCE,
    RTP,
    Candidate,
    host_candidate,
    priority,
    reflexive_candidate,
)
from trio_sfu.ice.checks import Pair, PairState
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
from trio_sfu.ice.stun import (
    BINDING,
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Class,
    Code,
    ErrorCode,
    Message,
)
from trio_sfu.ice.transactions import (
    LAST_WAIT,
    MAX_SENDS,
    RETRANSMIT_AFTER,
    Transaction,
    Transactions,
)
from trio_sfu.timers import Timers

PACE: Final = 0.05
"""Ta: between two new checks, in seconds (RFC 8445 section 14.2)."""
DISCONNECTED_AFTER: Final = 10.0
"""Seconds without a sign of life; as LiveKit has it."""
LITE_FAILED_AFTER: Final = 15.0
"""Likewise, in all; also the time that a peer has for its first check."""
CONSENT_EXPIRES: Final = 30.0
"""A full agent may not send for longer without an answer (RFC 7675 section 5.1)."""
PATIENCE: Final = 39.5
"""How long a full agent waits for a first path, even if every check that it could make has
failed: the peer's checks may still find a way (RFC 8863)."""
CONSENT_EVERY: Final = 5.0
"""Between two consent checks, times 0.8 to 1.2 (RFC 7675 section 5.1)."""
CONSENT_AGAIN: Final = 0.5
"""Between two consent checks while the last one is unanswered: about ten before the path is
called DISCONNECTED, so that a network that loses every fifth datagram is not."""
NOMINATE_AFTER: Final = 0.2
"""How long a working pair is held back in the hope of a better one."""
ABANDONED_AFTER: Final = 7.0
"""A nominated path that has been silent for so long gives way to any other that works, also
without USE-CANDIDATE: longer than the 6 s that RFC 7675 lets pass between two checks. It
mends a NAT that rebinds, where the peer does not repeat USE-CANDIDATE."""
MAX_LOCALS: Final = 32
"""Addresses of our own; and, apart from those, addresses at which peers saw us."""


class Timer(enum.Enum):
    """Why an agent wakes up."""

    PACE = enum.auto()
    RETRANSMIT = enum.auto()
    NOMINATE = enum.auto()
    CONSENT = enum.auto()
    SILENCE = enum.auto()
    EXPIRY = enum.auto()


class IceAgent:
    """One side of one ICE session; a `Core`. See the module's text."""

    def __init__(self, role: Role, local: Credentials, entropy: Entropy) -> None:
        self.role = role
        self.state = IceState.NEW
        self.refused: Counter[Refusal] = Counter()
        self.answered = 0
        """Checks that were authentic and got a success response."""
        self.reflexive: list[Address] = []
        """Where peers saw us, if that is none of our own addresses: we are behind a NAT."""
        self._entropy = entropy
        self._tie_breaker = int.from_bytes(entropy(8))
        self._generations = Generations(local)
        self._locals: dict[Address, Candidate] = {}
        self._transactions = Transactions()
        self._timers: Timers[Timer] = Timers()
        self._paths = Paths()
        self._selected: tuple[Generation, Path] | None = None
        self._nominated = False
        self._last_check = -PACE
        self._datagrams: list[Datagram] = []
        self._events: list[IceEvent] = []
        self._due: Mapping[Timer, Callable[[float], None]] = {
            Timer.PACE: self._check_next,
            Timer.RETRANSMIT: self._retransmit,
            Timer.NOMINATE: self._nominate,
            Timer.CONSENT: self._ask_consent,
            Timer.SILENCE: self._silence,
            Timer.EXPIRY: self._expiry,
        }

    def __repr__(self) -> str:
        return f"<IceAgent {self.role.name} {self.local.ufrag} {self.state.name}>"

    # What the owner sees and says.

    @property
    def local(self) -> Credentials:
        """Ours, the newest."""
        return self._generations.newest.local

    @property
    def selected(self) -> Path | None:
        """Where to send: the nominated path, before that the last (full: best) that works."""
        return self._selected[1] if self._selected else None

    @property
    def _used(self) -> Generation | None:
        return self._selected[0] if self._selected else None

    @property
    def nominated(self) -> bool:
        """Whether the controlling side has decided on `selected`."""
        return self._nominated

    def proved(self, remote: Address) -> bool:
        """Whether a sealed STUN message came from *remote*: only then may DTLS from there count."""
        return self._paths.proved(remote)

    def set_remote(self, credentials: Credentials, now: float, *, lite: bool = False) -> None:
        """The peer's credentials, from its description; others than before mean that it restarted.

        A full agent whose peer is *lite* is controlling (RFC 8445 section 6.1.1).
        """
        newest = self._generations.newest
        if lite and self.role is Role.CONTROLLED:
            self.role = Role.CONTROLLING
        if newest.remote is None:
            newest.remote = credentials
            self._begin(Happening.STARTED, now)
        elif newest.remote != credentials:
            self._generations.restarted_by_peer(credentials, self._used)
            self._begin(Happening.RESTART, now)

    def restart(self, local: Credentials, now: float) -> None:
        """Begin again with new credentials of ours (RFC 8445 section 9).

        If the peer has just restarted (`set_remote`), this is the reply to it; else its
        new credentials are still to come. Addresses of ours stay; the peer's
        candidates come again. Media stays on the old path until there is a new one.
        """
        self._generations.restarted_by_us(local, self._used, self._locals)
        self._begin(Happening.RESTART, now)

    def add_local_candidate(
        self, address: Address, now: float, local_preference: int = MAX_LOCAL_PREFERENCE
    ) -> Candidate:
        """An address of ours, to be checked from; the candidate is for signalling."""
        candidate = host_candidate(address, local_preference)
        if candidate.address not in self._locals and len(self._locals) < MAX_LOCALS:
            self._locals[candidate.address] = candidate
            if self.role is not Role.LITE:
                checks = self._generations.newest.checks
                self.refused[Refusal.TOO_MANY] += checks.add_local(candidate)
                self._wake(now)
        return candidate

    def add_remote_candidate(self, candidate: str | Candidate, now: float) -> None:
        """A candidate of the peer's; what cannot be used is counted. Lite needs none."""
        if self.role is Role.LITE:
            return
        generation = self._generations.newest
        try:
            candidate = Candidate.decode(candidate) if isinstance(candidate, str) else candidate
        except WireError:
            self.refused[Refusal.CANDIDATE_MALFORMED] += 1
            return
        if candidate.is_name:
            self.refused[Refusal.CANDIDATE_NAME] += 1
        elif candidate.transport != "udp" or candidate.component != RTP or not _usable(candidate):
            self.refused[Refusal.CANDIDATE_UNUSABLE] += 1
        elif generation.complete or not generation.knows(candidate):
            self.refused[Refusal.CANDIDATE_STALE] += 1
        else:
            self.refused[Refusal.TOO_MANY] += generation.checks.add_remote(candidate, self._locals)
            self._wake(now)

    def end_of_candidates(self, now: float) -> None:
        """The peer has said that it has no more (RFC 8838 section 14)."""
        self._generations.newest.complete = True

    def take_events(self) -> list[IceEvent]:
        taken, self._events = self._events, []
        return taken

    # The core.

    @property
    def deadline(self) -> float:
        return self._timers.next()

    def take_datagrams(self) -> list[Datagram]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def handle_timeout(self, now: float) -> None:
        while self._timers.next() <= now:  # what was due may arm PACE for this very moment
            for timer in self._timers.take_due(now):
                self._due[timer](now)

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        for datagram in datagrams:
            try:
                message = Message.decode(datagram.data)
            except WireError:
                self.refused[Refusal.MALFORMED] += 1
                continue
            if message.method != BINDING:
                self.refused[Refusal.METHOD] += 1
            elif message.kind is Class.REQUEST:
                self._asked(message, datagram, now)
            elif message.kind is not Class.INDICATION:  # those only keep NATs awake
                self._answer_came(message, datagram, now)

    # Being asked: the whole of lite, half of full.

    def _asked(self, message: Message, datagram: Datagram, now: float) -> None:
        """RFC 8445 section 7.3. What is not authentic gets no answer at all."""
        username = message.get(USERNAME)
        if username is None or not message.sealed:
            self.refused[Refusal.UNSEALED] += 1
            return
        generation = self._generations.find(username)
        if generation is None:
            self.refused[Refusal.UNKNOWN_UFRAG] += 1
            return
        if not message.authentic(generation.key):
            self.refused[Refusal.WRONG_PASSWORD] += 1
            return
        if message.unknown:
            self.refused[Refusal.UNKNOWN_ATTRIBUTE] += 1
            self._refuse(
                Code.UNKNOWN_ATTRIBUTE,
                message,
                datagram,
                generation,
                UNKNOWN_ATTRIBUTES.of(message.unknown),
            )
            return
        if self._conflicts(message, now):
            self.refused[Refusal.ROLE_CONFLICT] += 1
            self._refuse(Code.ROLE_CONFLICT, message, datagram, generation)
            return
        self.answered += 1
        self._answer(
            Class.SUCCESS, message, datagram, generation, XOR_MAPPED_ADDRESS.of(datagram.remote)
        )
        path = Path(datagram.remote, datagram.local)
        self._prove(path, now)
        nominates = message.get(USE_CANDIDATE) is not None
        if self.role is Role.LITE:
            self._alive(now)
            self._follow(generation, path, nominates, now)
        else:
            self._trigger(generation, path, message.get(PRIORITY), nominates, now)

    def _answer(
        self,
        kind: Class,
        message: Message,
        datagram: Datagram,
        generation: Generation,
        *attributes: tuple[int, object],
    ) -> None:
        """Leaves from the address that was asked (RFC 8445 section 7.2.5.2.1)."""
        data = Message(kind, message.transaction, dict(attributes)).encode(generation.key)
        self._datagrams.append(Datagram(data, datagram.remote, datagram.local))

    def _refuse(
        self,
        code: Code,
        message: Message,
        datagram: Datagram,
        generation: Generation,
        *attributes: tuple[int, object],
    ) -> None:
        error = ERROR_CODE.of(ErrorCode(code, code.name.replace("_", " ").capitalize()))
        self._answer(Class.ERROR, message, datagram, generation, error, *attributes)

    def _conflicts(self, message: Message, now: float) -> bool:
        """Whether the peer has to change its role; if we have to, we do (RFC 8445 7.3.1.1)."""
        if self.role is Role.LITE:
            # The other side of a lite agent is always controlling.
            return message.get(ICE_CONTROLLED) is not None
        controlling = self.role is Role.CONTROLLING
        theirs = message.get(ICE_CONTROLLING if controlling else ICE_CONTROLLED)
        if theirs is None:
            return False
        if controlling == (self._tie_breaker >= theirs):
            return True
        self._switch_role(now)
        return False

    def _follow(self, generation: Generation, path: Path, nominates: bool, now: float) -> None:
        """Use *path*, which works, if it is nominated or nothing better is known."""
        if nominates:
            self._select(generation, path, now, nominated=True)
        elif not self._nominated:
            self._select(generation, path, now)
        elif self._abandoned(now):
            self._select(generation, path, now, nominated=True)

    def _abandoned(self, now: float) -> bool:
        """Whether the selected path has been silent for long."""
        selected = self.selected
        return selected is None or now - self._paths.last_heard(selected) > ABANDONED_AFTER

    def _select(
        self, generation: Generation, path: Path, now: float, *, nominated: bool = False
    ) -> None:
        changed = self._selected is None or self._selected[1] != path
        self._selected = generation, path
        self._nominated = nominated
        if changed:
            self._events.append(Selected(path))
        if nominated and self._generations.concluded(generation):
            self._transactions.keep_only(generation)
        if self.role is not Role.LITE and (changed or not self._timers.armed(Timer.CONSENT)):
            self._timers.arm(Timer.CONSENT, now + self._consent_interval())

    def _prove(self, path: Path, now: float) -> None:
        """Something authentic came by *path*."""
        if self._paths.hear(path, now, keep=self.selected):
            self._events.append(AddressProved(path.remote, path.local))

    # Life and death.

    def _begin(self, happening: Happening, now: float) -> None:
        self._happen(happening)
        patience = LITE_FAILED_AFTER if self.role is Role.LITE else PATIENCE
        if self.state is IceState.CHECKING:
            self._timers.cancel(Timer.SILENCE)
            self._timers.arm(Timer.EXPIRY, now + patience)
        self._wake(now)

    def _happen(self, happening: Happening) -> None:
        state = advance(self.state, happening)
        if state is not self.state:
            self.state = state
            self._events.append(StateChanged(state))

    def _alive(self, now: float) -> None:
        self._timers.arm(Timer.SILENCE, now + DISCONNECTED_AFTER)
        lite = self.role is Role.LITE
        self._timers.arm(Timer.EXPIRY, now + (LITE_FAILED_AFTER if lite else CONSENT_EXPIRES))
        self._happen(Happening.PROOF)

    def _silence(self, now: float) -> None:
        self._happen(Happening.SILENCE)
        if self.role is not Role.LITE:
            self._generations.newest.checks.begin_again()
            self._wake(now)

    def _expiry(self, now: float) -> None:
        self._happen(Happening.EXPIRY)
        self._selected, self._nominated = None, False
        self._paths.clear()
        for timer in Timer:
            self._timers.cancel(timer)
        self._transactions = Transactions()

    # Asking: full roles only.

    def _wake(self, now: float) -> None:
        """Go on checking, if there is something to check and the peer is known."""
        generation = self._generations.newest
        if (
            self.role is not Role.LITE
            and self.state is not IceState.FAILED
            and generation.remote is not None
            and not generation.checks.idle
            and not self._timers.armed(Timer.PACE)
        ):
            self._timers.arm(Timer.PACE, max(now, self._last_check + PACE))

    def _check_next(self, now: float) -> None:
        generation = self._generations.newest
        pair = generation.checks.take_next(self.role)
        if pair is not None and generation.remote is not None:
            if pair.state is not PairState.SUCCEEDED:
                pair.state = PairState.IN_PROGRESS
            self._transactions.quieten(pair)
            self._ask(generation, generation.remote, pair, now, nominates=pair.nominating)
            self._last_check = now
        self._wake(now)

    def _ask(
        self,
        generation: Generation,
        remote: Credentials,
        pair: Pair,
        now: float,
        *,
        nominates: bool = False,
        consent: bool = False,
    ) -> None:
        """Send one check (RFC 8445 section 7.2.2)."""
        local = pair.local
        controlling = self.role is Role.CONTROLLING
        attributes = [
            USERNAME.of(f"{remote.ufrag}:{generation.local.ufrag}"),
            # What a candidate that this check reveals would be worth (section 7.1.1).
            PRIORITY.of(priority("prflx", local.priority >> 8 & 0xFFFF)),
            (ICE_CONTROLLING if controlling else ICE_CONTROLLED).of(self._tie_breaker),
        ]
        if nominates:
            attributes.append(USE_CANDIDATE.of(True))
        identity = self._entropy(12)
        request = Message(Class.REQUEST, identity, dict(attributes)).encode(remote.key)
        self._transactions.add(
            identity,
            Transaction(
                pair,
                generation,
                request,
                remote.key,
                self.role,
                now + (LAST_WAIT if consent else RETRANSMIT_AFTER),
                nominates,
                consent,
                MAX_SENDS if consent else 1,
            ),
        )
        self._datagrams.append(Datagram(request, pair.path.remote, pair.path.local))
        self._timers.arm(Timer.RETRANSMIT, self._transactions.deadline)

    def _retransmit(self, now: float) -> None:
        repeat, over = self._transactions.take_due(now)
        for transaction in repeat:
            path = transaction.pair.path
            self._datagrams.append(Datagram(transaction.request, path.remote, path.local))
        for transaction in over:
            pair = transaction.pair
            # Of a pair that was asked again meanwhile, only the last check decides.
            if not transaction.consent and not self._transactions.open_for(pair):
                self._fail(transaction, now)
        if len(self._transactions):
            self._timers.arm(Timer.RETRANSMIT, self._transactions.deadline)

    def _answer_came(self, message: Message, datagram: Datagram, now: float) -> None:
        """RFC 8445 section 7.2.5."""
        transaction = self._transactions.get(message.transaction)
        if transaction is None:
            self.refused[Refusal.UNKNOWN_TRANSACTION] += 1
            return
        if not message.authentic(transaction.key):
            self.refused[Refusal.UNAUTHENTIC_ANSWER] += 1  # the true one may yet come
            return
        self._transactions.remove(message.transaction)
        mapped = message.get(XOR_MAPPED_ADDRESS)
        if Path(datagram.remote, datagram.local) != transaction.pair.path:
            self.refused[Refusal.ASYMMETRIC] += 1
            self._fail(transaction, now)
        elif message.kind is Class.SUCCESS and mapped is not None and not message.unknown:
            self._succeed(transaction, mapped, now)
        else:
            self._answered_with_error(transaction, message, now)

    def _answered_with_error(self, transaction: Transaction, message: Message, now: float) -> None:
        error = message.get(ERROR_CODE)
        if error is None or error.code != Code.ROLE_CONFLICT:
            self.refused[Refusal.ERROR_ANSWER] += 1
            self._fail(transaction, now)
            return
        # RFC 8445 section 7.2.5.1. The role may have changed since the request was made.
        if self.role is transaction.role:
            self._switch_role(now)
        if not transaction.consent:
            transaction.pair.state = PairState.WAITING
            transaction.generation.checks.trigger(transaction.pair)
            self._wake(now)

    def _switch_role(self, now: float) -> None:
        controlling = self.role is Role.CONTROLLING
        self.role = Role.CONTROLLED if controlling else Role.CONTROLLING
        self._generations.newest.checks.change_roles()
        self._nominate(now)

    def _fail(self, transaction: Transaction, now: float) -> None:
        pair = transaction.pair
        if transaction.consent:
            return  # consent ends by time alone (RFC 7675 section 5.1)
        if pair.state is PairState.IN_PROGRESS or (transaction.nominates and pair.nominating):
            pair.state, pair.nominating, pair.wanted = PairState.FAILED, False, False
            self._nominate(now)

    def _succeed(self, transaction: Transaction, mapped: Address, now: float) -> None:
        """RFC 8445 section 7.2.5.3."""
        pair, generation = transaction.pair, transaction.generation
        if (
            mapped not in self._locals
            and mapped not in self.reflexive
            and len(self.reflexive) < MAX_LOCALS
        ):
            self.reflexive.append(mapped)
        checks = generation.checks
        checks.worked_since = min(checks.worked_since, now)
        pair.state = PairState.SUCCEEDED
        self._prove(pair.path, now)
        self._alive(now)
        if pair.path == self.selected:
            self._timers.arm(Timer.CONSENT, now + self._consent_interval())
        nominated = transaction.nominates if self.role is Role.CONTROLLING else pair.wanted
        self._use(generation, pair, nominated, now)
        self._nominate(now)

    def _use(self, generation: Generation, pair: Pair, nominated: bool, now: float) -> None:
        """*pair* works: use it if it is nominated, or if nothing better is known."""
        checks = generation.checks
        if nominated:
            pair.nominating = pair.wanted = False
            checks.conclude()
        elif not self._nominated:
            pair = checks.best(self.role) or pair
        elif self._abandoned(now) and self.role is Role.CONTROLLING:
            checks.concluded = False  # so that it is nominated, which the peer has to hear
            return
        self._follow(generation, pair.path, nominated, now)

    def _trigger(
        self, generation: Generation, path: Path, told: int | None, nominates: bool, now: float
    ) -> None:
        """The peer checked *path* from its side (RFC 8445 sections 7.3.1.3 to 7.3.1.5)."""
        if self.state is IceState.FAILED:
            return
        checks = generation.checks
        if told is None:
            told = priority("prflx")
        local = self._locals.get(path.local) or host_candidate(path.local)
        remote = checks.meet(reflexive_candidate(path.remote, told))
        pair = checks.add_pair(local, remote) if remote else None
        if pair is None:
            self.refused[Refusal.TOO_MANY] += 1
            return
        nominates = nominates and self.role is Role.CONTROLLED
        if pair.state is PairState.SUCCEEDED:
            self._use(generation, pair, nominates, now)
            self._nominate(now)
            return
        pair.wanted = pair.wanted or nominates
        pair.state = PairState.WAITING
        checks.trigger(pair)
        self._wake(now)

    def _nominate(self, now: float) -> None:
        """Regular nomination (RFC 8445 section 8.1.1): the best pair that works, soon."""
        checks = self._generations.newest.checks
        best = checks.best(self.role)
        if (
            self.role is not Role.CONTROLLING
            or checks.concluded
            or checks.nominating
            or best is None
        ):
            return
        decision = checks.worked_since + NOMINATE_AFTER
        if now < decision and checks.hopes(best, self.role):
            self._timers.arm(Timer.NOMINATE, decision)
            return
        best.nominating = True
        checks.trigger(best)
        self._wake(now)

    def _ask_consent(self, now: float) -> None:
        """Keep the selected path (RFC 7675); like libwebrtc, say with it that it is nominated."""
        if self._selected is None:
            return
        generation, path = self._selected
        pair = generation.checks.pairs.get(path)
        if pair is None or generation.remote is None:
            return
        nominates = self._nominated and self.role is Role.CONTROLLING
        self._ask(generation, generation.remote, pair, now, nominates=nominates, consent=True)
        self._timers.arm(Timer.CONSENT, now + CONSENT_AGAIN)

    def _consent_interval(self) -> float:
        return CONSENT_EVERY * (0.8 + 0.4 * self._entropy(1)[0] / 255)


def _usable(candidate: Candidate) -> bool:
    """Whether checks may be sent there: never to a whole network at a stranger's word."""
    host = ip_address(candidate.host)
    return candidate.port != 0 and not (host.is_multicast or host.is_unspecified)
