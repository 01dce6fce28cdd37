"""An association's life as tables (RFC 9260 section 4): what may come when, and what follows.

Everything that decides the order of things is here, and nothing else: no bytes, no
tags, no timers. `ACCEPTED` says which chunks are looked at in which state; the rest
is counted and forgotten. `NEXT` says where an event leads. The events are what is
left when a chunk was believed: a COOKIE ECHO that fails its signature is no event.

    CLOSED ──start──> COOKIE_WAIT ──INIT ACK──> COOKIE_ECHOED ──COOKIE ACK──┐
      └───────────────────┴──────── COOKIE ECHO ────┴──────────────> ESTABLISHED
                                                                 │          │
                       SHUTDOWN_PENDING <──shutdown(), peer still┘  SHUTDOWN│
                              │ all acknowledged                    SHUTDOWN_RECEIVED
                       SHUTDOWN_SENT ──SHUTDOWN──> SHUTDOWN_ACK_SENT <──────┘ all acked
                              └──SHUTDOWN ACK──> ENDED <──SHUTDOWN COMPLETE─┘

Unlike the RFC's, this machine does not come back to CLOSED: an association that is
over stays ENDED, because a second one would need a second DTLS connection.
"""

import enum
from collections import Counter
from collections.abc import Mapping
from typing import Final

from trio_sfu.errors import WireError
from trio_sfu.sctp.chunks import (
    Abort,
    CookieAck,
    CookieEcho,
    Data,
    Error,
    ForwardTsn,
    Heartbeat,
    HeartbeatAck,
    Init,
    InitAck,
    ReConfig,
    Sack,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    UnknownChunk,
)


class State(enum.Enum):
    """Where an association stands; the RFC's names, and ENDED."""

    CLOSED = enum.auto()
    COOKIE_WAIT = enum.auto()
    COOKIE_ECHOED = enum.auto()
    ESTABLISHED = enum.auto()
    SHUTDOWN_PENDING = enum.auto()
    SHUTDOWN_SENT = enum.auto()
    SHUTDOWN_RECEIVED = enum.auto()
    SHUTDOWN_ACK_SENT = enum.auto()
    ENDED = enum.auto()


OPENING: Final = frozenset((State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED))
"""Before it is up."""
SENDING: Final = frozenset((State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED))
"""In which DATA leaves."""


class Event(enum.Enum):
    """What can move an association."""

    START = enum.auto()
    INIT_ACK = enum.auto()
    COOKIE_ECHO = enum.auto()
    COOKIE_ACK = enum.auto()
    STALE_COOKIE = enum.auto()
    CLOSE = enum.auto()
    """The owner wants an orderly end."""
    SHUTDOWN = enum.auto()
    ALL_ACKNOWLEDGED = enum.auto()
    """While closing: everything queued has arrived."""
    SHUTDOWN_ACK = enum.auto()
    SHUTDOWN_COMPLETE = enum.auto()
    ABORT = enum.auto()
    """From either side."""


class Timer(enum.Enum):
    """What an association waits for (RFC 9260 section 16 names the first three)."""

    T1 = enum.auto()
    """INIT or COOKIE ECHO was not answered."""
    T2 = enum.auto()
    """SHUTDOWN or SHUTDOWN ACK was not answered."""
    T3 = enum.auto()
    """DATA or FORWARD TSN was not acknowledged."""
    SACK = enum.auto()
    """An acknowledgement has waited long enough for company."""
    HEARTBEAT = enum.auto()
    RECONFIGURE = enum.auto()
    """A stream reset was not answered."""
    BURST = enum.auto()
    """There was more to send than leaves at once."""
    HOLD = enum.auto()
    """The peer was held back for long enough."""


class Ignored(enum.Enum):
    """Why something that the peer sent had no effect: the keys of one counter."""

    MALFORMED = enum.auto()
    WRONG_PORT = enum.auto()
    WRONG_TAG = enum.auto()
    OUT_OF_PLACE = enum.auto()
    """A chunk that its state has no use for."""
    UNKNOWN_CHUNK = enum.auto()
    BAD_INIT = enum.auto()
    BAD_COOKIE = enum.auto()
    STALE_COOKIE = enum.auto()
    DUPLICATE = enum.auto()
    """DATA that was here before."""
    BEYOND_WINDOW = enum.auto()
    """DATA for which there was no room."""
    WRONG_STREAM = enum.auto()
    TORN_MESSAGE = enum.auto()
    """Pieces that fit no message."""
    OVERSIZED = enum.auto()
    """A message over `MAX_MESSAGE_RECEIVED`."""
    WRONG_SSN = enum.auto()
    """An ordered message out of a past that is over."""
    OLD_SACK = enum.auto()
    IMPOSSIBLE_SACK = enum.auto()
    """Acknowledges what was never sent."""
    SURPLUS = enum.auto()
    """More of a costly chunk than one packet has need of."""
    OLD_FORWARD_TSN = enum.auto()
    BAD_REQUEST = enum.auto()
    """A RE-CONFIG that answers nothing or comes out of turn."""
    BAD_HEARTBEAT = enum.auto()
    BAD_DCEP = enum.auto()
    """An unreadable or unexpected data channel message."""
    NO_CHANNEL = enum.auto()
    """A message for a stream on which no channel is open."""
    WRONG_PARITY = enum.auto()
    """A channel opened on a stream id of ours (RFC 8832 section 6); it opens all the same."""


_ALWAYS: Final = frozenset((Init, Abort, Error, Heartbeat, UnknownChunk))
_MEETING: Final = _ALWAYS | {CookieEcho}
_TALKING: Final = _MEETING | {
    CookieAck,
    Data,
    Sack,
    HeartbeatAck,
    ForwardTsn,
    ReConfig,
    Shutdown,
}
_LISTENING: Final = _ALWAYS | {Sack, HeartbeatAck, Shutdown}

ACCEPTED: Final[Mapping[State, frozenset[type]]] = {
    State.CLOSED: frozenset((Init, CookieEcho, ShutdownAck)),
    State.COOKIE_WAIT: _MEETING | {InitAck, ShutdownAck},
    State.COOKIE_ECHOED: _MEETING | {CookieAck, ShutdownAck},
    State.ESTABLISHED: _TALKING,
    State.SHUTDOWN_PENDING: _TALKING,
    State.SHUTDOWN_SENT: _TALKING | {ShutdownAck},
    State.SHUTDOWN_RECEIVED: _LISTENING,
    State.SHUTDOWN_ACK_SENT: _LISTENING | {ShutdownAck, ShutdownComplete},
    State.ENDED: frozenset((ShutdownAck,)),
}

_UP: Final = State.ESTABLISHED
NEXT: Final[Mapping[State, Mapping[Event, State]]] = {
    State.CLOSED: {
        Event.START: State.COOKIE_WAIT,
        Event.COOKIE_ECHO: _UP,
        Event.ABORT: State.ENDED,
    },
    State.COOKIE_WAIT: {
        Event.INIT_ACK: State.COOKIE_ECHOED,
        Event.COOKIE_ECHO: _UP,
        Event.ABORT: State.ENDED,
    },
    State.COOKIE_ECHOED: {
        Event.COOKIE_ACK: _UP,
        Event.COOKIE_ECHO: _UP,
        Event.STALE_COOKIE: State.COOKIE_WAIT,
        Event.ABORT: State.ENDED,
    },
    State.ESTABLISHED: {
        Event.COOKIE_ECHO: _UP,
        Event.CLOSE: State.SHUTDOWN_PENDING,
        Event.SHUTDOWN: State.SHUTDOWN_RECEIVED,
        Event.ABORT: State.ENDED,
    },
    State.SHUTDOWN_PENDING: {
        Event.COOKIE_ECHO: _UP,
        Event.ALL_ACKNOWLEDGED: State.SHUTDOWN_SENT,
        Event.SHUTDOWN: State.SHUTDOWN_RECEIVED,
        Event.ABORT: State.ENDED,
    },
    State.SHUTDOWN_SENT: {
        Event.COOKIE_ECHO: _UP,
        Event.SHUTDOWN: State.SHUTDOWN_ACK_SENT,
        Event.SHUTDOWN_ACK: State.ENDED,
        Event.ABORT: State.ENDED,
    },
    State.SHUTDOWN_RECEIVED: {
        Event.ALL_ACKNOWLEDGED: State.SHUTDOWN_ACK_SENT,
        Event.ABORT: State.ENDED,
    },
    State.SHUTDOWN_ACK_SENT: {
        Event.SHUTDOWN_ACK: State.ENDED,
        Event.SHUTDOWN_COMPLETE: State.ENDED,
        Event.ABORT: State.ENDED,
    },
    State.ENDED: {},
}
"""COOKIE_ECHO leads to ESTABLISHED even from there: the peer has begun anew (5.2.4 A)."""


def advance(state: State, event: Event) -> State:
    """Where *event* leads; `WireError` if it may not happen in *state*."""
    try:
        return NEXT[state][event]
    except KeyError:
        raise WireError(f"{event.name} is not allowed in {state.name}") from None


class Standing:
    """Where one association stands; *ignored* counts what had no place there."""

    def __init__(self, ignored: Counter[Ignored]) -> None:
        self.state = State.CLOSED
        self._ignored = ignored

    def step(self, event: Event) -> bool:
        """Follow the table; False if there is no such step from here."""
        if event not in NEXT[self.state]:
            self._ignored[Ignored.OUT_OF_PLACE] += 1
            return False
        self.state = advance(self.state, event)
        return True

    def end(self) -> None:
        """From wherever it is: for good."""
        self.state = State.ENDED
