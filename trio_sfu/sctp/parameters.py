"""What stands inside chunks as type, length, value: parameters and error causes.

INIT, ERROR, ABORT and RE-CONFIG carry lists of the same shape (RFC 9260 section
3.2.1), padded to 32 bits each. A length counts its own header, so one below four is
refused here, once: a reader that believed it would never come to an end.
"""

import enum
import struct
from collections.abc import Iterable
from typing import ClassVar, Final, Self

import attrs

from trio_sfu.wire import Reader, WireError

_HEADER: Final = struct.Struct("!HH")


class ParameterType(enum.IntEnum):
    """Parameters of INIT and INIT ACK that we know (RFC 9260, 3758, 5061)."""

    STATE_COOKIE = 7
    UNRECOGNIZED = 8
    SUPPORTED_EXTENSIONS = 0x8008
    FORWARD_TSN_SUPPORTED = 0xC000


class CauseCode(enum.IntEnum):
    """Error causes (RFC 9260 section 3.3.10)."""

    INVALID_STREAM = 1
    STALE_COOKIE = 3
    UNRECOGNIZED_CHUNK = 6
    INVALID_MANDATORY_PARAMETER = 7
    UNRECOGNIZED_PARAMETERS = 8
    NO_USER_DATA = 9
    USER_INITIATED_ABORT = 12
    PROTOCOL_VIOLATION = 13


@attrs.frozen
class Parameter:
    """One parameter or error cause, its value as it stood."""

    type: int
    value: bytes = b""

    def encode(self) -> bytes:
        length = 4 + len(self.value)
        return _HEADER.pack(self.type, length) + self.value + bytes(-length & 3)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        kind, length = reader.u16(), reader.u16()
        if length < 4:
            raise WireError(f"a parameter of {length} bytes")
        value = reader.take(length - 4)
        # The last one's padding may be missing, where the chunk's length left it out.
        reader.take(min(-length & 3, len(reader)))
        return cls(kind, value)


Parameters = tuple[Parameter, ...]


def decode_all(reader: Reader) -> Parameters:
    """All parameters to the end of *reader*."""
    found: list[Parameter] = []
    while reader:
        found.append(Parameter.decode(reader))
    return tuple(found)


def encode_all(parameters: Iterable[Parameter]) -> bytes:
    """One after the other, padded; but not after the last, which the chunk itself pads.

    A chunk's length counts the padding between its parameters and not that at its end
    (RFC 9260 section 3.2).
    """
    encoded, last = [], 0
    for parameter in parameters:
        encoded.append(parameter.encode())
        last = -len(parameter.value) & 3
    joined = b"".join(encoded)
    return joined[:-last] if last else joined


class ResetResult(enum.IntEnum):
    """What became of a request (RFC 6525 section 4.4)."""

    NOTHING_TO_DO = 0
    PERFORMED = 1
    DENIED = 2
    WRONG_SSN = 3
    ALREADY_IN_PROGRESS = 4
    BAD_SEQUENCE = 5
    IN_PROGRESS = 6


@attrs.frozen
class OutgoingReset:
    """Outgoing SSN Reset Request (RFC 6525 section 4.1): "my streams start again at 0".

    *last_tsn* is the last that its sender assigned before; the streams are reset when
    everything up to there has arrived. No *streams* means all of them.
    """

    TYPE: ClassVar[int] = 13
    sequence: int
    answers: int
    """The incoming reset request that this one is the answer to; else the peer's last."""
    last_tsn: int
    streams: tuple[int, ...] = ()

    def encode(self) -> Parameter:
        return Parameter(
            self.TYPE,
            struct.pack(
                f"!LLL{len(self.streams)}H",
                self.sequence,
                self.answers,
                self.last_tsn,
                *self.streams,
            ),
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        sequence, answers, last_tsn = reader.u32(), reader.u32(), reader.u32()
        streams: list[int] = []
        while reader:
            streams.append(reader.u16())
        return cls(sequence, answers, last_tsn, tuple(streams))


@attrs.frozen
class ReconfigurationResponse:
    """The answer to any request (RFC 6525 section 4.4)."""

    TYPE: ClassVar[int] = 16
    sequence: int
    result: int
    tsns: tuple[int, ...] = ()
    """Sender's and receiver's next TSN, only after an SSN/TSN reset."""

    def encode(self) -> Parameter:
        return Parameter(
            self.TYPE,
            struct.pack(f"!{2 + len(self.tsns)}L", self.sequence, self.result, *self.tsns),
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        sequence, result = reader.u32(), reader.u32()
        tsns = (reader.u32(), reader.u32()) if reader else ()
        reader.end()
        return cls(sequence, result, tsns)


@attrs.frozen
class OtherRequest:
    """A request that we do not grant: 14 incoming reset, 15 SSN/TSN reset, 17 and 18 add streams.

    All begin with their sequence number, which is all that a refusal needs.
    """

    TYPES: ClassVar[frozenset[int]] = frozenset((14, 15, 17, 18))
    type: int
    sequence: int
    value: bytes = b""

    def encode(self) -> Parameter:
        return Parameter(self.type, self.sequence.to_bytes(4, "big") + self.value)


Request = OutgoingReset | ReconfigurationResponse | OtherRequest | Parameter
"""What a RE-CONFIG chunk may carry; a bare `Parameter` is one that we do not know."""


def decode_request(parameter: Parameter) -> Request:
    """What a parameter of a RE-CONFIG chunk asks or answers."""
    reader = Reader(parameter.value)
    if parameter.type == OutgoingReset.TYPE:
        return OutgoingReset.decode(reader)
    if parameter.type == ReconfigurationResponse.TYPE:
        return ReconfigurationResponse.decode(reader)
    if parameter.type in OtherRequest.TYPES:
        return OtherRequest(parameter.type, reader.u32(), reader.rest())
    return parameter
