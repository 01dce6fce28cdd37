"""Alerts: how one end tells the other that something is over (RFC 5246 section 7.2)."""

import enum
from typing import Self

import attrs

from trio_sfu.wire import Reader, WireError


class Level(enum.IntEnum):
    """Whether the connection survives the alert."""

    WARNING = 1
    FATAL = 2


class Description(enum.IntEnum):
    """The reasons that we give; a peer may know others."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    ILLEGAL_PARAMETER = 47
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    NO_RENEGOTIATION = 100
    UNSUPPORTED_EXTENSION = 110


@attrs.frozen
class Alert:
    """Two bytes: how bad, and what."""

    level: Level
    description: int

    def encode(self) -> bytes:
        return bytes((self.level, self.description))

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        try:
            level = Level(reader.u8())
        except ValueError:
            raise WireError("unknown alert level") from None
        return cls(level, reader.u8())

    def __str__(self) -> str:
        try:
            return Description(self.description).name.lower()
        except ValueError:
            return f"alert {self.description}"


class HandshakeError(WireError):
    """The peer broke the handshake for good: *description* is what to tell it."""

    def __init__(self, description: Description, reason: str) -> None:
        super().__init__(reason)
        self.description = description
