"""`IceAgent`: finds a path to one peer, and notices when it is gone (RFC 8445).

Towards the agent's owner there is one life for all roles: give it the peer's
credentials (and, in a full role, candidates), pump datagrams and timeouts, read
`state`, `selected` and the events. What the roles do inside differs:

*Lite* has an address that everybody can reach, so it makes no checks. It believes
an address once a check from there was sealed with our password, follows the
controlling side's USE-CANDIDATE, and takes authentic checks as signs of life.

*Full* also asks (`asking`). Its checks go out one each 50 ms, the best pair first,
are repeated until answered, and an answer proves the pair. Whoever is controlling
nominates the best pair that works; then consent checks (RFC 7675) keep it, and
their answers are the signs of life: the right to send must be confirmed by the
receiver, and only an answer confirms it.

A restart begins another generation of credentials: see `generations`.
"""

from collections import Counter
from ipaddress import ip_address
from typing import Final

from trio_sfu.core import Address, Datagram, Entropy
from trio_sfu.errors import WireError
from trio_sfu.ice.asking import Asking
from trio_sfu.ice.candidate import MAX_LOCAL_PREFERENCE, RTP, Candidate, host_candidate
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.generations import Generation
from trio_sfu.ice.session import Session, Timer
from trio_sfu.ice.states import Happening, IceEvent, IceState, Path, Refusal, Role
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

MAX_LOCALS: Final = 32
"""Addresses of our own; each multiplies the pairs."""


class IceAgent:
    """One side of one ICE session; a `Core`. See the module's text."""

    def __init__(self, role: Role, local: Credentials, entropy: Entropy) -> None:
        self.answered = 0
        """Checks that were authentic and got a success response."""
        self._session = Session(role, local, entropy)
        self._asking = None if role is Role.LITE else Asking(self._session)

    def __repr__(self) -> str:
        return f"<IceAgent {self.role.name} {self.local.ufrag} {self.state.name}>"

    # What the owner sees and says.

    @property
    def role(self) -> Role:
        """A role conflict may exchange the two full ones."""
        return self._session.role

    @property
    def state(self) -> IceState:
        """What may be relied on just now, see `states`."""
        return self._session.state

    @property
    def local(self) -> Credentials:
        """Ours, the newest."""
        return self._session.generations.newest.local

    @property
    def ufrags(self) -> frozenset[str]:
        """Of ours, all that checks are still answered under."""
        return self._session.generations.ufrags

    @property
    def selected(self) -> Path | None:
        """Where to send: the nominated path, before that the last (full: best) that works."""
        return self._session.selected

    @property
    def nominated(self) -> bool:
        """Whether the controlling side has decided on `selected`."""
        return self._session.nominated

    @property
    def reflexive(self) -> list[Address]:
        """Where peers saw us, if that is none of our own addresses: we are behind a NAT."""
        return list(self._asking.reflexive) if self._asking else []

    @property
    def refused(self) -> Counter[Refusal]:
        """What came and was not used, by reason."""
        return self._session.refused

    def proved(self, remote: Address) -> bool:
        """Whether a sealed STUN message came from *remote*: only then may DTLS from there count."""
        return self._session.paths.proved(remote)

    def set_remote(self, credentials: Credentials, now: float, *, lite: bool = False) -> None:
        """The peer's credentials, from its description; others than before mean that it restarted.

        A full agent whose peer is *lite* is controlling (RFC 8445 section 6.1.1).
        """
        session = self._session
        newest = session.generations.newest
        if lite and session.role is Role.CONTROLLED:
            session.role = Role.CONTROLLING
        if newest.remote is None:
            newest.remote = credentials
            self._begin(Happening.STARTED, now)
        elif newest.remote != credentials:
            session.generations.restarted_by_peer(credentials, session.used)
            self._begin(Happening.RESTART, now)

    def restart(self, local: Credentials, now: float) -> None:
        """Begin again with new credentials of ours (RFC 8445 section 9).

        If the peer has just restarted (`set_remote`), this is the reply to it; else its
        new credentials are still to come. Addresses of ours stay; the peer's
        candidates come again. Media stays on the old path until there is a new one.
        """
        session = self._session
        session.generations.restarted_by_us(local, session.used, session.locals)
        self._begin(Happening.RESTART, now)

    def add_local_candidate(
        self, address: Address, now: float, local_preference: int = MAX_LOCAL_PREFERENCE
    ) -> Candidate:
        """An address of ours, to be checked from; the candidate is for signalling."""
        session = self._session
        candidate = host_candidate(address, local_preference)
        if candidate.address not in session.locals and len(session.locals) < MAX_LOCALS:
            session.locals[candidate.address] = candidate
            if self._asking:
                checks = session.generations.newest.checks
                session.refused[Refusal.TOO_MANY] += checks.add_local(candidate)
                self._asking.wake(now)
        return candidate

    def add_remote_candidate(self, candidate: str | Candidate, now: float) -> None:
        """A candidate of the peer's; what cannot be used is counted. Lite needs none."""
        session = self._session
        if self._asking is None:
            return
        generation = session.generations.newest
        try:
            candidate = Candidate.decode(candidate) if isinstance(candidate, str) else candidate
        except WireError:
            session.refused[Refusal.CANDIDATE_MALFORMED] += 1
            return
        if candidate.is_name:
            session.refused[Refusal.CANDIDATE_NAME] += 1
        elif candidate.transport != "udp" or candidate.component != RTP or not _usable(candidate):
            session.refused[Refusal.CANDIDATE_UNUSABLE] += 1
        elif generation.complete or not generation.knows(candidate):
            session.refused[Refusal.CANDIDATE_STALE] += 1
        else:
            over = generation.checks.add_remote(candidate, session.locals)
            session.refused[Refusal.TOO_MANY] += over
            self._asking.wake(now)

    def end_of_candidates(self, now: float) -> None:
        """The peer has said that it has no more (RFC 8838 section 14)."""
        self._session.generations.newest.complete = True

    def take_events(self) -> list[IceEvent]:
        session = self._session
        taken, session.events = session.events, []
        return taken

    # The core.

    @property
    def deadline(self) -> float:
        return self._session.timers.next()

    def take_datagrams(self) -> list[Datagram]:
        session = self._session
        taken, session.datagrams = session.datagrams, []
        return taken

    def handle_timeout(self, now: float) -> None:
        session = self._session
        while session.timers.next() <= now:  # what was due may arm PACE for this very moment
            for timer in session.timers.take_due(now):
                self._on(timer, now)

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        session = self._session
        for datagram in datagrams:
            try:
                message = Message.decode(datagram.data)
            except WireError:
                session.refused[Refusal.MALFORMED] += 1
                continue
            if message.method != BINDING:
                session.refused[Refusal.METHOD] += 1
            elif message.kind is Class.REQUEST:
                self._asked(message, datagram, now)
            elif message.kind is Class.INDICATION:
                pass  # those only keep NATs awake (RFC 8445 section 11)
            elif self._asking:
                self._asking.answer_came(message, datagram, now)
            else:
                session.refused[Refusal.UNKNOWN_TRANSACTION] += 1

    def _begin(self, happening: Happening, now: float) -> None:
        self._session.begin(happening, now)
        if self._asking:
            self._asking.wake(now)

    def _on(self, timer: Timer, now: float) -> None:
        if timer is Timer.SILENCE:
            self._session.silence()
            if self._asking:
                self._asking.begin_again(now)
        elif timer is Timer.EXPIRY:
            self._session.expire()
            if self._asking:
                self._asking.forget()
        elif self._asking:
            self._asking.due[timer](now)

    # Being asked: the whole of lite, half of full.

    def _asked(self, message: Message, datagram: Datagram, now: float) -> None:
        """RFC 8445 section 7.3. What is not authentic gets no answer at all."""
        session = self._session
        generation = self._verify(message)
        if isinstance(generation, Refusal):
            session.refused[generation] += 1
            return
        if message.unknown:
            session.refused[Refusal.UNKNOWN_ATTRIBUTE] += 1
            unknown = UNKNOWN_ATTRIBUTES.of(message.unknown)
            self._refuse(Code.UNKNOWN_ATTRIBUTE, message, datagram, generation, unknown)
            return
        if self._conflicts(message, now):
            session.refused[Refusal.ROLE_CONFLICT] += 1
            self._refuse(Code.ROLE_CONFLICT, message, datagram, generation)
            return
        self.answered += 1
        mapped = XOR_MAPPED_ADDRESS.of(datagram.remote)
        self._answer(Class.SUCCESS, message, datagram, generation, mapped)
        path = Path(datagram.remote, datagram.local)
        session.prove(path, now)
        nominates = message.get(USE_CANDIDATE) is not None
        if self._asking:
            self._asking.trigger(generation, path, message.get(PRIORITY), nominates, now)
        else:
            session.alive(now)
            session.follow(generation, path, nominates, now)

    def _verify(self, message: Message) -> Generation | Refusal:
        """To which generation an authentic request belongs (RFC 8489 section 9.1.3)."""
        username = message.get(USERNAME)
        if username is None or not message.sealed:
            return Refusal.UNSEALED
        generation = self._session.generations.find(username)
        if generation is None:
            return Refusal.UNKNOWN_UFRAG
        if not message.authentic(generation.key):
            return Refusal.WRONG_PASSWORD
        return generation

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
        self._session.datagrams.append(Datagram(data, datagram.remote, datagram.local))

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
        session = self._session
        if self._asking is None:
            # The other side of a lite agent is always controlling.
            return message.get(ICE_CONTROLLED) is not None
        controlling = session.role is Role.CONTROLLING
        theirs = message.get(ICE_CONTROLLING if controlling else ICE_CONTROLLED)
        if theirs is None:
            return False
        if controlling == (session.tie_breaker >= theirs):
            return True
        self._asking.switch_role(now)
        return False


def _usable(candidate: Candidate) -> bool:
    """Whether checks may be sent there: never to a whole network at a stranger's word."""
    host = ip_address(candidate.host)
    return candidate.port != 0 and not (host.is_multicast or host.is_unspecified)
