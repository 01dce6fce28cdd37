"""The chunks that an SCTP packet is made of: one frozen class each, one table of types.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |      type     |     flags     |            length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                value, padded with zeros to 32 bits            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Section numbers are those of RFC 9260 unless another is named. ``encode`` gives a
whole chunk with its padding; ``decode`` takes the flags and a reader over the value.
What may come when is not known here, see `trio_sfu.sctp.states`.
"""

import enum
import struct
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol, Self

import attrs

from trio_sfu.sctp import parameters
from trio_sfu.sctp.parameters import Parameters, Request
from trio_sfu.wire import Reader, WireError

_HEADER: Final = struct.Struct("!BBH")
_DATA: Final = struct.Struct("!BBHLHHL")
_DATA_VALUE: Final = struct.Struct("!LHHL")
_INIT: Final = struct.Struct("!LLHHL")
_SACK: Final = struct.Struct("!LLHH")

DATA_HEADER: Final = _DATA.size
"""16 bytes before a DATA chunk's payload."""


class Chunk(Protocol):
    """Anything that a packet can carry."""

    def encode(self) -> bytes:
        """The whole chunk, header and padding included."""


def _frame(kind: int, flags: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return _HEADER.pack(kind, flags, length) + value + bytes(-length & 3)


@attrs.frozen
class Data:
    """A message, or a piece of one (3.3.1). An empty payload decodes: it costs an ABORT."""

    TYPE: ClassVar[int] = 0
    END: ClassVar[int] = 1
    BEGIN: ClassVar[int] = 2
    UNORDERED: ClassVar[int] = 4
    IMMEDIATE: ClassVar[int] = 8

    tsn: int
    stream: int
    ssn: int
    """Stream sequence number; means nothing in an unordered chunk."""
    ppid: int
    payload: bytes
    flags: int = BEGIN | END

    def encode(self) -> bytes:
        length = DATA_HEADER + len(self.payload)
        header = _DATA.pack(
            self.TYPE, self.flags, length, self.tsn, self.stream, self.ssn, self.ppid
        )
        return header + self.payload + bytes(-length & 3)

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        tsn, stream, ssn, ppid = _DATA_VALUE.unpack(value.take(12))
        return cls(tsn, stream, ssn, ppid, value.rest(), flags & 15)


@attrs.frozen
class Init:
    """The first word of an association (3.3.2)."""

    TYPE: ClassVar[int] = 1
    tag: int
    """What packets to the sender of this must carry from now on; never 0."""
    window: int
    outbound: int
    inbound: int
    tsn: int
    """Of the first DATA chunk to come."""
    parameters: Parameters = ()

    def encode(self) -> bytes:
        fixed = _INIT.pack(self.tag, self.window, self.outbound, self.inbound, self.tsn)
        return _frame(self.TYPE, 0, fixed + parameters.encode_all(self.parameters))

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        tag, window, outbound, inbound, tsn = _INIT.unpack(value.take(16))
        return cls(tag, window, outbound, inbound, tsn, parameters.decode_all(value))

    def find(self, kind: int) -> bytes | None:
        """The value of the first parameter of a type; None where there is none."""
        for parameter in self.parameters:
            if parameter.type == kind:
                return parameter.value
        return None


@attrs.frozen
class InitAck(Init):
    """The answer, with the state cookie among its parameters (3.3.3)."""

    TYPE: ClassVar[int] = 2


@attrs.frozen
class Sack:
    """What has arrived (3.3.4): all up to *cumulative*, and *gaps* counted from there."""

    TYPE: ClassVar[int] = 3
    cumulative: int
    window: int
    gaps: tuple[tuple[int, int], ...] = ()
    """(first, last) above *cumulative*, both included."""
    duplicates: tuple[int, ...] = ()

    def encode(self) -> bytes:
        fixed = _SACK.pack(self.cumulative, self.window, len(self.gaps), len(self.duplicates))
        gaps = [edge for gap in self.gaps for edge in gap]
        return _frame(
            self.TYPE,
            0,
            fixed
            + struct.pack(f"!{len(gaps)}H", *gaps)
            + struct.pack(f"!{len(self.duplicates)}L", *self.duplicates),
        )

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        cumulative, window, gap_count, duplicate_count = _SACK.unpack(value.take(12))
        gaps: tuple[tuple[int, int], ...] = ()
        if gap_count:
            edges = struct.unpack(f"!{2 * gap_count}H", value.take(4 * gap_count))
            gaps = tuple(zip(edges[::2], edges[1::2], strict=True))
            if any(not 0 < first <= last for first, last in gaps):
                raise WireError("a gap block that ends before it begins")
        duplicates = struct.unpack(f"!{duplicate_count}L", value.take(4 * duplicate_count))
        value.end()
        return cls(cumulative, window, gaps, duplicates)


@attrs.frozen
class _Opaque:
    """A chunk whose value means something to its author only."""

    TYPE: ClassVar[int] = -1
    value: bytes = b""

    def encode(self) -> bytes:
        return _frame(self.TYPE, 0, self.value)

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        return cls(value.rest())


@attrs.frozen
class Heartbeat(_Opaque):
    """Are you there (3.3.5)? The value comes back as it is."""

    TYPE: ClassVar[int] = 4


@attrs.frozen
class HeartbeatAck(_Opaque):
    """I am (3.3.6)."""

    TYPE: ClassVar[int] = 5


@attrs.frozen
class CookieEcho(_Opaque):
    """The state cookie, brought back (3.3.11)."""

    TYPE: ClassVar[int] = 10


@attrs.frozen
class _Causes:
    """A chunk that gives reasons."""

    TYPE: ClassVar[int] = -1
    causes: Parameters = ()
    reflected: bool = False
    """The T bit: the tag is the receiver's own, for want of the other (8.5.1)."""

    def encode(self) -> bytes:
        return _frame(self.TYPE, self.reflected, parameters.encode_all(self.causes))

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        return cls(parameters.decode_all(value), bool(flags & 1))


@attrs.frozen
class Abort(_Causes):
    """The association is over, at once (3.3.7)."""

    TYPE: ClassVar[int] = 6


@attrs.frozen
class Error(_Causes):
    """Something was wrong, the association goes on (3.3.10)."""

    TYPE: ClassVar[int] = 9


@attrs.frozen
class Shutdown:
    """I have nothing more to say, and have heard you up to here (3.3.8)."""

    TYPE: ClassVar[int] = 7
    cumulative: int

    def encode(self) -> bytes:
        return _frame(self.TYPE, 0, self.cumulative.to_bytes(4, "big"))

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        cumulative = value.u32()
        value.end()
        return cls(cumulative)


@attrs.frozen
class _Bare:
    """A chunk without a value."""

    TYPE: ClassVar[int] = -1

    def encode(self) -> bytes:
        return _frame(self.TYPE, 0, b"")

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        value.end()
        return cls()


@attrs.frozen
class ShutdownAck(_Bare):
    """Nor have I (3.3.9)."""

    TYPE: ClassVar[int] = 8


@attrs.frozen
class CookieAck(_Bare):
    """The association is up (3.3.12)."""

    TYPE: ClassVar[int] = 11


@attrs.frozen
class ShutdownComplete:
    """Farewell (3.3.13)."""

    TYPE: ClassVar[int] = 14
    reflected: bool = False

    def encode(self) -> bytes:
        return _frame(self.TYPE, self.reflected, b"")

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        value.end()
        return cls(bool(flags & 1))


@attrs.frozen
class ReConfig:
    """Requests about streams, and answers to them (RFC 6525 section 3.1)."""

    TYPE: ClassVar[int] = 130
    requests: tuple[Request, ...]

    def encode(self) -> bytes:
        encoded = [
            request if isinstance(request, parameters.Parameter) else request.encode()
            for request in self.requests
        ]
        return _frame(self.TYPE, 0, parameters.encode_all(encoded))

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        found = parameters.decode_all(value)
        if not 0 < len(found) <= 2:
            raise WireError(f"{len(found)} parameters in a RE-CONFIG chunk")
        return cls(tuple(parameters.decode_request(parameter) for parameter in found))


@attrs.frozen
class ForwardTsn:
    """Wait no longer for anything up to here (RFC 3758 section 3.2)."""

    TYPE: ClassVar[int] = 192
    cumulative: int
    skipped: tuple[tuple[int, int], ...] = ()
    """(stream, SSN) of the last ordered message given up on each stream."""

    def encode(self) -> bytes:
        numbers = [number for pair in self.skipped for number in pair]
        return _frame(self.TYPE, 0, struct.pack(f"!L{len(numbers)}H", self.cumulative, *numbers))

    @classmethod
    def decode(cls, flags: int, value: Reader) -> Self:
        cumulative = value.u32()
        skipped: list[tuple[int, int]] = []
        while value:
            skipped.append((value.u16(), value.u16()))
        return cls(cumulative, tuple(skipped))


@attrs.frozen
class UnknownChunk:
    """A type that is in no table of ours; its two high bits say what to do (3.2)."""

    type: int
    flags: int
    value: bytes

    def encode(self) -> bytes:
        return _frame(self.type, self.flags, self.value)


class Unknown(enum.IntFlag):
    """The two high bits of a chunk type, or of a parameter type (3.2 and 3.2.1)."""

    SKIP = 2
    """Go on with what comes after it; without this: stop here."""
    REPORT = 1
    """Tell the sender."""


class _Decodable(Chunk, Protocol):
    @classmethod
    def decode(cls, flags: int, value: Reader) -> Chunk: ...


CHUNKS: Final[Mapping[int, type[_Decodable]]] = {
    Data.TYPE: Data,
    Init.TYPE: Init,
    InitAck.TYPE: InitAck,
    Sack.TYPE: Sack,
    Heartbeat.TYPE: Heartbeat,
    HeartbeatAck.TYPE: HeartbeatAck,
    Abort.TYPE: Abort,
    Shutdown.TYPE: Shutdown,
    ShutdownAck.TYPE: ShutdownAck,
    Error.TYPE: Error,
    CookieEcho.TYPE: CookieEcho,
    CookieAck.TYPE: CookieAck,
    ShutdownComplete.TYPE: ShutdownComplete,
    ReConfig.TYPE: ReConfig,
    ForwardTsn.TYPE: ForwardTsn,
}
"""The one table of chunk types."""


def decode_chunk(reader: Reader) -> Chunk:
    """The next chunk and its padding."""
    kind, flags, length = _HEADER.unpack(reader.take(4))
    if length < 4:
        raise WireError(f"a chunk of {length} bytes")
    value = reader.block(length - 4)
    reader.take(min(-length & 3, len(reader)))
    known = CHUNKS.get(kind)
    if known is None:
        return UnknownChunk(kind, flags, value.rest())
    return known.decode(flags, value)
