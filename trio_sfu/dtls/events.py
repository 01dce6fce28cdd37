"""What a `DtlsConnection` tells its owner, and why it drops what it drops."""

import enum

import attrs


class DtlsState(enum.Enum):
    """Where a connection stands; it only ever moves downwards in this list."""

    NEW = enum.auto()
    """Nobody called `start` yet."""
    HANDSHAKING = enum.auto()
    CONNECTED = enum.auto()
    """There are keys, and the peer is who the signalling said."""
    CLOSED = enum.auto()
    """We closed it."""
    FAILED = enum.auto()
    """It cannot go on; `DtlsConnection.failure` says why."""


@attrs.frozen
class StateChanged:
    """The connection is in another state."""

    state: DtlsState


@attrs.frozen
class CloseNotified:
    """The peer says that it will send nothing more; what to make of it is the owner's."""


Event = StateChanged | CloseNotified


class Drop(enum.Enum):
    """Why something that arrived was ignored (RFC 6347 section 4.1.2.7)."""

    NOT_STARTED = enum.auto()
    AFTER_THE_END = enum.auto()
    MALFORMED_RECORD = enum.auto()
    TOO_MANY_RECORDS = enum.auto()
    UNKNOWN_EPOCH = enum.auto()
    PLAINTEXT_AFTER_HANDSHAKE = enum.auto()
    TOO_EARLY = enum.auto()
    """Of epoch 1 before there are keys, and more than we keep."""
    REPLAYED = enum.auto()
    NOT_AUTHENTIC = enum.auto()
    MALFORMED_ALERT = enum.auto()
    WARNING = enum.auto()
    """An alert that changes nothing."""
    MALFORMED_FRAGMENT = enum.auto()
    WRONG_EPOCH = enum.auto()
    """Finished in the clear, any other handshake message encrypted, or data in the clear."""
    STALE_FRAGMENT = enum.auto()
    UNWANTED_FRAGMENT = enum.auto()
    """Too far ahead, too long, too many pieces, or at odds with one before."""
    RENEGOTIATION = enum.auto()
    UNSENT = enum.auto()
    """Data that we were given to send when there was no connection."""
