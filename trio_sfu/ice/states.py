"""Which roles and states an ICE agent has, what moves it between them, and what it reports.

Nothing here knows bytes, timers or addresses' meaning. The table is the whole state
machine: `docs/assumptions/ice.md` explains it, the tests walk through all of it. When
you edit it, think of a state as *what the owner may rely on*:

    NEW            nothing is known of the peer
    CHECKING       the peer is known, no path is
    CONNECTED      a path works; media may flow
    DISCONNECTED   it worked, and has been silent for a while; media may still flow
    FAILED         silent for too long; nothing is sent any more
"""

import enum
from collections.abc import Mapping
from typing import Final

import attrs

from trio_sfu.core import Address


class Role(enum.Enum):
    """What an agent does; the two full roles may be exchanged by a role conflict."""

    LITE = enum.auto()
    """Answers checks and makes none (RFC 8445 section 2.5)."""
    CONTROLLING = enum.auto()
    """Checks, and decides which pair is used."""
    CONTROLLED = enum.auto()
    """Checks, and follows."""


class IceState(enum.Enum):
    """See the module's text; the names are those of RTCIceTransportState, more or less."""

    NEW = enum.auto()
    CHECKING = enum.auto()
    CONNECTED = enum.auto()
    DISCONNECTED = enum.auto()
    FAILED = enum.auto()


class Happening(enum.Enum):
    """What can change a state."""

    STARTED = enum.auto()
    """The peer's credentials became known."""
    PROOF = enum.auto()
    """A path has just been seen to work: lite by a check answered, full by an answer."""
    SILENCE = enum.auto()
    """No proof for a while."""
    EXPIRY = enum.auto()
    """No proof for too long."""
    RESTART = enum.auto()
    """New credentials, by us or by the peer."""


STATES: Final[Mapping[IceState, Mapping[Happening, IceState]]] = {
    IceState.NEW: {
        Happening.STARTED: IceState.CHECKING,
        # A check may overtake the signalling that tells us the peer's credentials.
        Happening.PROOF: IceState.CONNECTED,
    },
    IceState.CHECKING: {
        Happening.PROOF: IceState.CONNECTED,
        Happening.EXPIRY: IceState.FAILED,
    },
    IceState.CONNECTED: {
        # A restart does not disturb media: it stays on the old path until the new one works.
        Happening.SILENCE: IceState.DISCONNECTED,
        Happening.EXPIRY: IceState.FAILED,
    },
    IceState.DISCONNECTED: {
        Happening.PROOF: IceState.CONNECTED,
        Happening.EXPIRY: IceState.FAILED,
        Happening.RESTART: IceState.CHECKING,
    },
    IceState.FAILED: {
        # A peer that comes back is welcome; who is done with it has thrown the agent away.
        Happening.PROOF: IceState.CONNECTED,
        Happening.RESTART: IceState.CHECKING,
    },
}
"""What is not in the table changes nothing."""


def advance(state: IceState, happening: Happening) -> IceState:
    """The state after *happening*."""
    return STATES[state].get(happening, state)


@attrs.frozen
class Path:
    """From which address of ours to which of theirs datagrams go."""

    remote: Address
    local: Address


@attrs.frozen
class StateChanged:
    """`IceAgent.state` is another one."""

    state: IceState


@attrs.frozen
class AddressProved:
    """Somebody at *remote* knows our password: the address may be bound to this peer."""

    remote: Address
    local: Address


@attrs.frozen
class Selected:
    """Send there from now on."""

    path: Path


IceEvent = StateChanged | AddressProved | Selected


class Refusal(enum.Enum):
    """Why something that came was not used; `IceAgent.refused` counts them."""

    MALFORMED = "not a STUN message, or its fingerprint is wrong"
    METHOD = "a method other than Binding"
    UNSEALED = "a request without USERNAME or MESSAGE-INTEGRITY"
    UNKNOWN_UFRAG = "a request for somebody else, or from somebody else"
    WRONG_PASSWORD = "MESSAGE-INTEGRITY of a request is wrong"
    UNKNOWN_ATTRIBUTE = "a request with attributes that must be understood and are not"
    ROLE_CONFLICT = "a request from a peer that thinks it has our role"
    UNKNOWN_TRANSACTION = "an answer to nothing that we asked, or too late"
    UNAUTHENTIC_ANSWER = "MESSAGE-INTEGRITY of an answer is wrong or missing"
    ASYMMETRIC = "an answer from or to another address than was asked"
    ERROR_ANSWER = "an authentic answer that is an error, or lacks what it must have"
    CANDIDATE_MALFORMED = "a candidate line that is none"
    CANDIDATE_NAME = "a candidate whose host is a name (mDNS)"
    CANDIDATE_UNUSABLE = "a candidate with a transport, component or address not used here"
    CANDIDATE_STALE = "a candidate of other credentials, or after the end of candidates"
    TOO_MANY = "a candidate or pair over the limit"
