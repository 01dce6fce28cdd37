"""Offers and answers of a client's PeerConnections.

What a client offers we answer at once: `Answerer`. On `/rtc` it offers what it
publishes only; what it subscribes to we offer there, and it answers: `Downlink`,
where the art is in not offering too often. Tracks come and go in bursts, every offer costs a round
trip, and there may be only one at a time:

    want() --> debounce (10 or 150 ms) --> offer --> answer --> want()ed again? offer at once
                                            |
                                            +--> none within 15 s: the client must rejoin

Neither knows a room or a socket; what was agreed is handed on as the values that
a peer takes.
"""

import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import attrs

from trio_sfu.core import Entropy
from trio_sfu.dtls.certificate import Fingerprint
from trio_sfu.ice import credentials
from trio_sfu.peer.events import Configure, DtlsRole, SetRemote
from trio_sfu.peer.media import Format, ReceiveSection, SendSection
from trio_sfu.sdp.agreement import AgreedSection, Agreement, SectionPlan, Sending
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.attributes import Setup
from trio_sfu.sdp.offer import Offerer
from trio_sfu.sdp.session import MediaSection, Origin, SessionDescription, Transport

QUIET: Final = 0.150
"""Seconds between offers that count as calm: then the next may come soon."""
DEBOUNCE_CALM: Final = 0.010
DEBOUNCE_BUSY: Final = 0.150
"""Seconds to gather what else changes, before an offer (LiveKit's numbers)."""
ANSWER_TIMEOUT: Final = 15.0
"""Seconds after which a client that does not answer is lost."""


Restart = Callable[[], Transport]
"""Begins ICE again on one connection; our end of it with the new credentials."""


class Answerer:
    """Answers the offers of a client."""

    def __init__(self, ours: Transport, restart: Restart, entropy: Entropy) -> None:
        self._ours = ours
        self._restart = restart
        self._theirs: tuple[str, str] | None = None
        self._origin = Origin(int.from_bytes(entropy(7), "big"), 0)

    def answer(
        self, offer: str, plan: Callable[[Sequence[MediaSection]], Mapping[str, SectionPlan]]
    ) -> Agreement:
        """The agreement on *offer*; *plan* says by mid what is wanted of its sections.

        Other credentials than before mean that the client begins ICE again, and are answered
        with new ones of ours (RFC 8839 section 4.4.1.1). `WireError` if there is no answering it.
        """
        description = SessionDescription.parse(offer)
        theirs = description.transport.ufrag, description.transport.password
        if self._theirs not in (None, theirs):
            self._ours = self._restart()
        self._theirs = theirs
        plans = plan(description.sections)
        self._origin = attrs.evolve(self._origin, version=self._origin.version + 1)
        return answer(description, self._ours, self._origin, plans)


class Phase(enum.Enum):
    """What a downlink is doing about its next offer."""

    IDLE = enum.auto()
    DEBOUNCING = enum.auto()
    WAITING = enum.auto()
    """For the client's answer."""
    RETRY = enum.auto()
    """For the answer, and something changed meanwhile: offer again when it is there."""


class Downlink:
    """Offers a client what it subscribes to, one offer at a time."""

    def __init__(self, ours: Transport, restart: Restart, entropy: Entropy) -> None:
        self.phase = Phase.IDLE
        self.deadline = math.inf
        """When `due` has something to say."""
        self._ours = ours
        self._restart = restart
        self._offerer = Offerer(int.from_bytes(entropy(7), "big"))
        self._id = entropy(1)[0]  # the first offer has 1 to 256
        self._offered_at = -math.inf

    def want(self, now: float, *, at_once: bool = False) -> None:
        """What is to be sent changed."""
        if self.phase is Phase.WAITING:
            self.phase = Phase.RETRY
        elif self.phase is Phase.IDLE or at_once:
            if self.phase is Phase.RETRY:
                return
            self.phase = Phase.DEBOUNCING
            calm = now - self._offered_at > QUIET
            self.deadline = now if at_once else now + (DEBOUNCE_CALM if calm else DEBOUNCE_BUSY)

    def restart(self, now: float) -> None:
        """Begin ICE again, if it ever began: with an offer that goes out at once.

        It takes the place of one that waits for an answer. Either was lost, or the answer
        will be: it came before the client heard of this, and names an offer that is no more.
        """
        if self._offered_at == -math.inf:
            return
        self._ours = self._restart()
        self.phase, self.deadline = Phase.DEBOUNCING, now

    def offer_due(self, now: float) -> bool:
        return self.phase is Phase.DEBOUNCING and now >= self.deadline

    def timed_out(self, now: float) -> bool:
        """Whether the client has not answered for too long."""
        return self.phase in (Phase.WAITING, Phase.RETRY) and now >= self.deadline

    def wait_on(self, now: float) -> None:
        """Give the client as long again."""
        self.deadline = now + ANSWER_TIMEOUT

    @property
    def offered(self) -> Mapping[str, str]:
        """By mid, which track our last offer says that it carries."""
        return self._offerer.track_ids

    def offer(self, sending: Iterable[Sending], now: float) -> tuple[str, int, Mapping[str, str]]:
        """The next offer: its text, its id, and which mid carries which track."""
        self.phase, self.deadline = Phase.WAITING, now + ANSWER_TIMEOUT
        self._offered_at = now
        self._id = self._id % 0xFFFF_FFFF + 1
        description = self._offerer.offer(self._ours, sending)
        return str(description), self._id, self._offerer.track_ids

    def accept(self, text: str, number: int, now: float) -> Agreement | None:
        """The agreement that the client's answer makes; None for one that nobody waits for.

        *number* is the id of the offer that it answers; 0 from clients that do not
        say. `WireError` if it does not fit the offer.
        """
        if self.phase not in (Phase.WAITING, Phase.RETRY) or number not in (0, self._id):
            return None
        agreement = self._offerer.accept(SessionDescription.parse(text))
        again = self.phase is Phase.RETRY
        self.phase, self.deadline = Phase.IDLE, math.inf
        if again:
            self.want(now, at_once=True)
        return agreement


# --- what was agreed, in a peer's words


def set_remote(agreement: Agreement) -> SetRemote:
    """What a peer must know of the other end; `WireError` for what is no credential."""
    theirs = agreement.transport
    return SetRemote(
        credentials=credentials.parse(theirs.ufrag, theirs.password),
        fingerprints=tuple(Fingerprint.parse(str(each)) for each in theirs.fingerprints),
        dtls_role=DtlsRole.CLIENT if agreement.setup is Setup.ACTIVE else DtlsRole.SERVER,
        ice_lite=theirs.lite,
    )


def configure(agreement: Agreement) -> Configure:
    """The sections that carry something."""
    return Configure(
        receive=tuple(
            receive_section(each) for each in agreement.sections if each.direction.receives
        ),
        send=tuple(
            send_section(each)
            for each in agreement.sections
            if each.direction.sends and each.sending is not None
        ),
    )


def formats(section: AgreedSection) -> dict[int, Format]:
    """By payload type, in the order of the answer."""
    return {
        payload_type: Format(
            mime=each.mime,
            clock_rate=each.clock_rate,
            channels=each.channels,
            parameters=each.parameters,
            repairs=each.repairs,
            feedback=each.feedback,
        )
        for payload_type, each in section.formats.items()
    }


def receive_section(section: AgreedSection) -> ReceiveSection:
    """What the client sends in a section."""
    return ReceiveSection(
        mid=section.mid,
        kind=section.kind,
        formats=formats(section),
        extensions=section.extensions,
        rids=section.rids,
        ssrcs=section.ssrcs,
        repairs=section.repairs,
    )


def send_section(section: AgreedSection) -> SendSection:
    """What we send in a section."""
    sending = section.sending
    assert sending is not None, "asked for sections that send"
    assert sending.ssrc is not None, "we declare what we send"
    return SendSection(
        mid=section.mid,
        kind=section.kind,
        ssrc=sending.ssrc,
        cname=sending.cname,
        formats=formats(section),
        extensions=section.extensions,
        rtx_ssrc=sending.rtx_ssrc,
    )
