"""Who may say what, when: the DTLS 1.2 handshake as tables, for both roles.

RFC 6347 section 4.2.4 draws the handshake as six flights:

    client                                             server

    ClientHello                         -------->                       flight 1
                                        <--------   HelloVerifyRequest  flight 2, rarely
    ClientHello with the cookie         -------->                       flight 3, rarely
                                                           ServerHello
                                                           Certificate
                                                     ServerKeyExchange
                                                    CertificateRequest
                                        <--------      ServerHelloDone  flight 4
    Certificate
    ClientKeyExchange
    CertificateVerify
    [ChangeCipherSpec]
    Finished                            -------->                       flight 5
                                                    [ChangeCipherSpec]
                                        <--------             Finished  flight 6

This module holds everything that decides the order of messages, and nothing else:
no bytes, no keys, no timers. Two rules for who edits it: whatever is not in a
table is refused, and nothing outside this file asks which message may come next.

ChangeCipherSpec is missing on purpose. It is no handshake message, has no number
and so cannot be put in order; in DTLS the epoch of a record says what it said.
"""

import enum
from collections.abc import Mapping
from typing import Final

from trio_sfu.errors import WireError


class Role(enum.Enum):
    """Who sends the first ClientHello: `a=setup` decides (RFC 8842)."""

    CLIENT = enum.auto()
    SERVER = enum.auto()


class Message(enum.IntEnum):
    """Handshake message types (RFC 5246 section 7.4, RFC 6347 section 4.3.2)."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20


class State(enum.Enum):
    """What an end is waiting for."""

    WAIT_CLIENT_HELLO = enum.auto()
    WAIT_CLIENT_CERTIFICATE = enum.auto()
    WAIT_CLIENT_KEY_EXCHANGE = enum.auto()
    WAIT_CERTIFICATE_VERIFY = enum.auto()
    WAIT_CLIENT_FINISHED = enum.auto()
    WAIT_SERVER_HELLO = enum.auto()
    WAIT_SERVER_CERTIFICATE = enum.auto()
    WAIT_SERVER_KEY_EXCHANGE = enum.auto()
    WAIT_CERTIFICATE_REQUEST = enum.auto()
    WAIT_SERVER_HELLO_DONE = enum.auto()
    WAIT_SERVER_FINISHED = enum.auto()
    CONNECTED = enum.auto()


_Table = Mapping[State, Mapping[Message, State]]

SERVER: Final[_Table] = {
    State.WAIT_CLIENT_HELLO: {Message.CLIENT_HELLO: State.WAIT_CLIENT_CERTIFICATE},
    State.WAIT_CLIENT_CERTIFICATE: {Message.CERTIFICATE: State.WAIT_CLIENT_KEY_EXCHANGE},
    State.WAIT_CLIENT_KEY_EXCHANGE: {Message.CLIENT_KEY_EXCHANGE: State.WAIT_CERTIFICATE_VERIFY},
    State.WAIT_CERTIFICATE_VERIFY: {Message.CERTIFICATE_VERIFY: State.WAIT_CLIENT_FINISHED},
    State.WAIT_CLIENT_FINISHED: {Message.FINISHED: State.CONNECTED},
    State.CONNECTED: {},
}
"""A ClientHello that has to fetch a cookie first does not count: the server that
asks for one forgets that it ever heard the question (RFC 6347 section 4.2.1)."""

CLIENT: Final[_Table] = {
    State.WAIT_SERVER_HELLO: {
        Message.HELLO_VERIFY_REQUEST: State.WAIT_SERVER_HELLO,
        Message.SERVER_HELLO: State.WAIT_SERVER_CERTIFICATE,
    },
    State.WAIT_SERVER_CERTIFICATE: {Message.CERTIFICATE: State.WAIT_SERVER_KEY_EXCHANGE},
    State.WAIT_SERVER_KEY_EXCHANGE: {Message.SERVER_KEY_EXCHANGE: State.WAIT_CERTIFICATE_REQUEST},
    # A server of WebRTC always asks for a certificate; others may do without.
    State.WAIT_CERTIFICATE_REQUEST: {
        Message.CERTIFICATE_REQUEST: State.WAIT_SERVER_HELLO_DONE,
        Message.SERVER_HELLO_DONE: State.WAIT_SERVER_FINISHED,
    },
    State.WAIT_SERVER_HELLO_DONE: {Message.SERVER_HELLO_DONE: State.WAIT_SERVER_FINISHED},
    State.WAIT_SERVER_FINISHED: {Message.FINISHED: State.CONNECTED},
    State.CONNECTED: {},
}

TABLES: Final[Mapping[Role, _Table]] = {Role.SERVER: SERVER, Role.CLIENT: CLIENT}

START: Final[Mapping[Role, State]] = {
    Role.SERVER: State.WAIT_CLIENT_HELLO,
    Role.CLIENT: State.WAIT_SERVER_HELLO,
}

FLIGHT_ENDS: Final[Mapping[Role, frozenset[Message]]] = {
    Role.SERVER: frozenset({Message.CLIENT_HELLO, Message.FINISHED}),
    Role.CLIENT: frozenset(
        {Message.HELLO_VERIFY_REQUEST, Message.SERVER_HELLO_DONE, Message.FINISHED}
    ),
}
"""The messages with which a flight of the *peer* of a role ends: then we speak."""


def advance(role: Role, state: State, message: Message) -> State:
    """What to wait for after *message*; `WireError` if it may not come in *state*."""
    try:
        return TABLES[role][state][message]
    except KeyError:
        raise WireError(f"{message.name} is not allowed in {state.name}") from None


def epoch_of(message: Message) -> int:
    """In which epoch a message travels: only Finished is under the new keys."""
    return 1 if message is Message.FINISHED else 0
