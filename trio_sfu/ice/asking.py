"""Asking: what a full agent does of its own accord (RFC 8445 sections 6 to 8, RFC 7675).

`CheckList` says which pair is next; here that becomes a request, its repeats, and
what its answer means: a pair that works, a role to be changed, a nomination, consent.
"""

from collections.abc import Callable, Mapping
from typing import Final

from trio_sfu.core import Address, Datagram
from trio_sfu.ice.candidate import host_candidate, priority, reflexive_candidate
from trio_sfu.ice.checks import Pair, PairState
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.generations import Generation
from trio_sfu.ice.session import Session, Timer
from trio_sfu.ice.states import IceState, Path, Refusal, Role
from trio_sfu.ice.stun import (
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Class,
    Code,
    Message,
)
from trio_sfu.ice.transactions import (
    LAST_WAIT,
    MAX_SENDS,
    RETRANSMIT_AFTER,
    Transaction,
    Transactions,
)

PACE: Final = 0.05
"""Ta: between two new checks, in seconds (RFC 8445 section 14.2)."""
CONSENT_EVERY: Final = 5.0
"""Between two consent checks, times 0.8 to 1.2 (RFC 7675 section 5.1)."""
CONSENT_AGAIN: Final = 0.5
"""Between two consent checks while the last one is unanswered: about ten before the path is
called DISCONNECTED, so that a network that loses every fifth datagram is not."""
NOMINATE_AFTER: Final = 0.2
"""How long a working pair is held back in the hope of a better one."""
MAX_REFLEXIVE: Final = 32
"""Addresses at which peers saw us; each authentic answer may name another one."""


class Asking:
    """The asking half of a full agent; both halves work on one `Session`."""

    def __init__(self, session: Session) -> None:
        self.reflexive: list[Address] = []
        """Where peers saw us, if that is none of our own addresses."""
        self.due: Mapping[Timer, Callable[[float], None]] = {
            Timer.PACE: self._check_next,
            Timer.RETRANSMIT: self._retransmit,
            Timer.NOMINATE: self._nominate,
            Timer.CONSENT: self._ask_consent,
        }
        self._session = session
        self._transactions = Transactions()
        self._last_check = -PACE

    def begin_again(self, now: float) -> None:
        """The path in use has gone silent: perhaps another one works by now."""
        session = self._session
        session.generations.newest.checks.begin_again()
        self.wake(now)

    def forget(self) -> None:
        """All is over: no answer counts any more."""
        self._transactions = Transactions()

    def wake(self, now: float) -> None:
        """Go on checking, if there is something to check and the peer is known."""
        session = self._session
        generation = session.generations.newest
        if (
            session.state is not IceState.FAILED
            and generation.remote is not None
            and not generation.checks.idle
            and not session.timers.armed(Timer.PACE)
        ):
            session.timers.arm(Timer.PACE, max(now, self._last_check + PACE))

    def _check_next(self, now: float) -> None:
        session = self._session
        generation = session.generations.newest
        pair = generation.checks.take_next(session.role)
        if pair is not None and generation.remote is not None:
            if pair.state is not PairState.SUCCEEDED:
                pair.state = PairState.IN_PROGRESS
            self._transactions.quieten(pair, now)
            self._ask(generation, generation.remote, pair, now, nominates=pair.nominating)
            self._last_check = now
        self.wake(now)

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
        session = self._session
        local = pair.local
        controlling = session.role is Role.CONTROLLING
        attributes = [
            USERNAME.of(f"{remote.ufrag}:{generation.local.ufrag}"),
            # What a candidate that this check reveals would be worth (section 7.1.1).
            PRIORITY.of(priority("prflx", local.priority >> 8 & 0xFFFF)),
            (ICE_CONTROLLING if controlling else ICE_CONTROLLED).of(session.tie_breaker),
        ]
        if nominates:
            attributes.append(USE_CANDIDATE.of(True))
        identity = session.entropy(12)
        request = Message(Class.REQUEST, identity, dict(attributes)).encode(remote.key)
        self._transactions.add(
            identity,
            Transaction(
                pair,
                generation,
                request,
                remote.key,
                session.role,
                now + (LAST_WAIT if consent else RETRANSMIT_AFTER),
                nominates,
                consent,
                MAX_SENDS if consent else 1,
            ),
        )
        session.datagrams.append(Datagram(request, pair.path.remote, pair.path.local))
        session.timers.arm(Timer.RETRANSMIT, self._transactions.deadline)

    def _retransmit(self, now: float) -> None:
        session = self._session
        repeat, over = self._transactions.take_due(now)
        for transaction in repeat:
            path = transaction.pair.path
            session.datagrams.append(Datagram(transaction.request, path.remote, path.local))
        for transaction in over:
            pair = transaction.pair
            # Of a pair that was asked again meanwhile, only the last check decides.
            if not transaction.consent and not self._transactions.open_for(pair):
                self._fail(transaction, now)
        if len(self._transactions):
            session.timers.arm(Timer.RETRANSMIT, self._transactions.deadline)

    def answer_came(self, message: Message, datagram: Datagram, now: float) -> None:
        """RFC 8445 section 7.2.5."""
        session = self._session
        transaction = self._transactions.get(message.transaction)
        if transaction is None:
            session.refused[Refusal.UNKNOWN_TRANSACTION] += 1
            return
        if not message.authentic(transaction.key):
            session.refused[Refusal.UNAUTHENTIC_ANSWER] += 1  # the true one may yet come
            return
        self._transactions.remove(message.transaction)
        mapped = message.get(XOR_MAPPED_ADDRESS)
        if Path(datagram.remote, datagram.local) != transaction.pair.path:
            session.refused[Refusal.ASYMMETRIC] += 1
            self._fail(transaction, now)
        elif message.kind is Class.SUCCESS and mapped is not None and not message.unknown:
            self._succeed(transaction, mapped, now)
        else:
            self._answered_with_error(transaction, message, now)

    def _answered_with_error(self, transaction: Transaction, message: Message, now: float) -> None:
        session = self._session
        error = message.get(ERROR_CODE)
        if error is None or error.code != Code.ROLE_CONFLICT:
            session.refused[Refusal.ERROR_ANSWER] += 1
            self._fail(transaction, now)
            return
        # RFC 8445 section 7.2.5.1. The role may have changed since the request was made.
        if session.role is transaction.role:
            self.switch_role(now)
        if not transaction.consent:
            transaction.pair.state = PairState.WAITING
            transaction.generation.checks.trigger(transaction.pair)
            self.wake(now)

    def switch_role(self, now: float) -> None:
        """The other side keeps its role, so ours changes (RFC 8445 section 7.3.1.1)."""
        session = self._session
        controlling = session.role is Role.CONTROLLING
        session.role = Role.CONTROLLED if controlling else Role.CONTROLLING
        session.generations.newest.checks.change_roles()
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
        session = self._session
        pair, generation = transaction.pair, transaction.generation
        if (
            mapped not in session.locals
            and mapped not in self.reflexive
            and len(self.reflexive) < MAX_REFLEXIVE
        ):
            self.reflexive.append(mapped)
        checks = generation.checks
        checks.worked_since = min(checks.worked_since, now)
        pair.state = PairState.SUCCEEDED
        session.prove(pair.path, now)
        session.alive(now)
        if pair.path == session.selected:
            session.timers.arm(Timer.CONSENT, now + self._consent_interval())
        nominated = transaction.nominates if session.role is Role.CONTROLLING else pair.wanted
        self._use(generation, pair, nominated, now)
        self._nominate(now)

    def _use(self, generation: Generation, pair: Pair, nominated: bool, now: float) -> None:
        """*pair* works: use it if it is nominated, or if nothing better is known."""
        session = self._session
        checks = generation.checks
        if nominated:
            pair.nominating = pair.wanted = False
            checks.conclude()
        elif not session.nominated:
            pair = checks.best(session.role) or pair
        elif session.abandoned(now) and session.role is Role.CONTROLLING:
            # It has to be nominated, which the peer must hear; and the silent pair, though it
            # may have a higher priority, must not be chosen again.
            checks.concluded = False
            if silent := checks.pairs.get(session.selected) if session.selected else None:
                silent.state = PairState.FAILED
            return
        if session.follow(generation, pair.path, nominated, now):
            if nominated and generation is session.generations.newest:
                self._transactions.keep_only(generation)
            if not session.timers.armed(Timer.CONSENT):
                session.timers.arm(Timer.CONSENT, now + self._consent_interval())

    def trigger(
        self, generation: Generation, path: Path, told: int | None, nominates: bool, now: float
    ) -> None:
        """The peer checked *path* from its side (RFC 8445 sections 7.3.1.3 to 7.3.1.5)."""
        session = self._session
        if session.state is IceState.FAILED:
            return
        checks = generation.checks
        if told is None:
            told = priority("prflx")
        local = session.locals.get(path.local) or host_candidate(path.local)
        remote = checks.meet(reflexive_candidate(path.remote, told))
        pair = checks.add_pair(local, remote) if remote else None
        if pair is None:
            session.refused[Refusal.TOO_MANY] += 1
            return
        nominates = nominates and session.role is Role.CONTROLLED
        if pair.state is PairState.SUCCEEDED:
            self._use(generation, pair, nominates, now)
            self._nominate(now)
            return
        pair.wanted = pair.wanted or nominates
        pair.state = PairState.WAITING
        checks.trigger(pair)
        self.wake(now)

    def _nominate(self, now: float) -> None:
        """Regular nomination (RFC 8445 section 8.1.1): the best pair that works, soon."""
        session = self._session
        checks = session.generations.newest.checks
        best = checks.best(session.role)
        if (
            session.role is not Role.CONTROLLING
            or checks.concluded
            or checks.nominating
            or best is None
        ):
            return
        decision = checks.worked_since + NOMINATE_AFTER
        if now < decision and checks.hopes(best, session.role):
            session.timers.arm(Timer.NOMINATE, decision)
            return
        best.nominating = True
        checks.trigger(best)
        self.wake(now)

    def _ask_consent(self, now: float) -> None:
        """Keep the selected path (RFC 7675); like libwebrtc, say with it that it is nominated."""
        session = self._session
        generation, path = session.used, session.selected
        if generation is None or path is None or generation.remote is None:
            return
        pair = generation.checks.pairs.get(path)
        if pair is None:
            return
        nominates = session.nominated and session.role is Role.CONTROLLING
        self._ask(generation, generation.remote, pair, now, nominates=nominates, consent=True)
        session.timers.arm(Timer.CONSENT, now + CONSENT_AGAIN)

    def _consent_interval(self) -> float:
        session = self._session
        return CONSENT_EVERY * (0.8 + 0.4 * session.entropy(1)[0] / 255)
