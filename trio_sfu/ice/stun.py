"""STUN messages (RFC 8489) with the attributes that ICE needs (RFC 8445 section 16).

A message is a header, attributes, and two seals at the end: MESSAGE-INTEGRITY says
that the sender knows a password, FINGERPRINT that this is STUN at all. The rule of
this module: what `Message.decode` returns is well formed and its fingerprint, if it
had one, was right; but it is *believed* only after `Message.authentic(key)`.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |0 0|     STUN Message Type     |         Message Length        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                   Magic Cookie = 0x2112A442                   |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                     Transaction ID (96 bits)                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     Type of an attribute      |            Length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                Value, padded to 4 bytes               ....    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Both seals cover everything before them *and* the header's length, which must for
that purpose end with the seal itself. That is why MESSAGE-INTEGRITY is computed
over a header that does not yet count FINGERPRINT, and why a receiver has to put
another length into a copy of the header before it can check.
"""

import enum
import hmac
import ipaddress
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Self, TypeVar, cast

import attrs

from trio_sfu.core import Address
from trio_sfu.errors import WireError

T = TypeVar("T")

BINDING: Final = 0x001
"""The only method of ICE."""

COOKIE: Final = 0x2112A442
COOKIE_BYTES: Final = COOKIE.to_bytes(4, "big")
FINGERPRINT_XOR: Final = 0x5354554E
"""So that the CRC of a protocol that also ends with one is never ours (RFC 8489 section 14.7)."""

HEADER_LENGTH: Final = 20
INTEGRITY_LENGTH: Final = 24
"""MESSAGE-INTEGRITY with its attribute header; an HMAC-SHA1 is 20 bytes."""
FINGERPRINT_LENGTH: Final = 8

MAX_MESSAGE: Final = 1500
"""A STUN message stays within the path's MTU (RFC 8489 section 6.1); libwebrtc's largest,
with a ClientHello inside, is near 1100. Nothing longer is worth an HMAC."""
MAX_USERNAME: Final = 513
"""Bytes (RFC 8489 section 14.3 asks for less than 509; RFC 5389 had 513)."""
MAX_TEXT: Final = 763
"""Bytes of SOFTWARE and of a reason phrase (RFC 8489 sections 14.8, 14.14)."""
MAX_UNKNOWN: Final = 16
"""How many unknown attributes are reported; the answer must not grow with the question."""

_HEADER: Final = struct.Struct("!HHL")
_ATTRIBUTE: Final = struct.Struct("!HH")
_FAMILIES: Final = {4: b"\0\1", 6: b"\0\2"}


class Class(enum.IntEnum):
    """The two bits of the message type that say what a message is (RFC 8489 section 5)."""

    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS = 0x100
    ERROR = 0x110


_CLASSES: Final[Mapping[int, Class]] = {int(kind): kind for kind in Class}
_CLASS_BITS: Final = 0x0110
_METHOD_BITS: Final = 0x3EEF


class Code(enum.IntEnum):
    """The error codes that a connectivity check can meet."""

    BAD_REQUEST = 400
    UNAUTHENTICATED = 401
    UNKNOWN_ATTRIBUTE = 420
    ROLE_CONFLICT = 487


@attrs.frozen
class ErrorCode:
    """Why a request was refused (RFC 8489 section 14.8)."""

    code: int
    """300 to 699."""
    reason: str = ""


@attrs.frozen(eq=False)
class Attribute(Generic[T]):
    """A row of the table: how one kind of attribute is written and read.

    Both functions also get the transaction id, because an address is hidden with it.
    """

    code: int
    """The type on the wire; below 0x8000 whoever does not know it must refuse the message."""
    name: str
    encode: Callable[[T, bytes], bytes]
    decode: Callable[[bytes, bytes], T]

    def of(self, value: T) -> tuple[int, object]:
        """An item for a message's attributes, with the right type."""
        return self.code, value


def _encode_address(address: Address, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS: hidden from routers that rewrite any address they find in a packet."""
    host = ipaddress.ip_address(address[0])
    pad = COOKIE_BYTES + transaction
    packed = host.packed
    hidden = int.from_bytes(packed, "big") ^ int.from_bytes(pad[: len(packed)], "big")
    return (
        _FAMILIES[host.version]
        + (address[1] ^ COOKIE >> 16).to_bytes(2, "big")
        + hidden.to_bytes(len(packed), "big")
    )


def _decode_address(value: bytes, transaction: bytes) -> Address:
    if len(value) not in (8, 20) or value[1] != (1 if len(value) == 8 else 2):
        raise WireError(f"an address of {len(value)} bytes, family {value[1:2].hex()}")
    pad = COOKIE_BYTES + transaction
    size = len(value) - 4
    shown = int.from_bytes(value[4:], "big") ^ int.from_bytes(pad[:size], "big")
    port = int.from_bytes(value[2:4], "big") ^ COOKIE >> 16
    if size == 4:
        return ".".join(map(str, shown.to_bytes(4, "big"))), port
    return str(ipaddress.IPv6Address(shown)), port


def _text(limit: int) -> tuple[Callable[[str, bytes], bytes], Callable[[bytes, bytes], str]]:
    def encode(value: str, _: bytes) -> bytes:
        return value.encode()

    def decode(value: bytes, _: bytes) -> str:
        if len(value) > limit:
            raise WireError(f"{len(value)} bytes of text, {limit} are allowed")
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise WireError("text is not UTF-8") from None

    return encode, decode


def _unsigned(size: int) -> tuple[Callable[[int, bytes], bytes], Callable[[bytes, bytes], int]]:
    def encode(value: int, _: bytes) -> bytes:
        return value.to_bytes(size, "big")

    def decode(value: bytes, _: bytes) -> int:
        if len(value) != size:
            raise WireError(f"a number of {len(value)} bytes instead of {size}")
        return int.from_bytes(value, "big")

    return encode, decode


def _encode_flag(value: bool, _: bytes) -> bytes:
    return b""


def _decode_flag(value: bytes, _: bytes) -> bool:
    if value:
        raise WireError(f"a flag with {len(value)} bytes of value")
    return True


def _encode_bytes(value: bytes, _: bytes) -> bytes:
    return value


def _decode_integrity(value: bytes, _: bytes) -> bytes:
    if len(value) != INTEGRITY_LENGTH - 4:
        raise WireError(f"MESSAGE-INTEGRITY of {len(value)} bytes")
    return value


def _encode_error(error: ErrorCode, _: bytes) -> bytes:
    return bytes((0, 0, error.code // 100, error.code % 100)) + error.reason.encode()


def _decode_error(value: bytes, transaction: bytes) -> ErrorCode:
    if len(value) < 4:
        raise WireError(f"ERROR-CODE of {len(value)} bytes")
    hundreds, rest = value[2] & 0x07, value[3]
    if not 3 <= hundreds <= 6 or rest > 99:
        raise WireError(f"error code {hundreds}/{rest}")
    return ErrorCode(100 * hundreds + rest, _text(MAX_TEXT)[1](value[4:], transaction))


def _encode_types(types: tuple[int, ...], _: bytes) -> bytes:
    return struct.pack(f"!{len(types)}H", *types)


def _decode_types(value: bytes, _: bytes) -> tuple[int, ...]:
    if len(value) % 2 or len(value) > MAX_TEXT:
        raise WireError(f"UNKNOWN-ATTRIBUTES of {len(value)} bytes")
    return struct.unpack(f"!{len(value) // 2}H", value)


USERNAME: Final = Attribute[str](0x0006, "USERNAME", *_text(MAX_USERNAME))
MESSAGE_INTEGRITY: Final = Attribute[bytes](
    0x0008, "MESSAGE-INTEGRITY", _encode_bytes, _decode_integrity
)
ERROR_CODE: Final = Attribute[ErrorCode](0x0009, "ERROR-CODE", _encode_error, _decode_error)
UNKNOWN_ATTRIBUTES: Final = Attribute[tuple[int, ...]](
    0x000A, "UNKNOWN-ATTRIBUTES", _encode_types, _decode_types
)
XOR_MAPPED_ADDRESS: Final = Attribute[Address](
    0x0020, "XOR-MAPPED-ADDRESS", _encode_address, _decode_address
)
PRIORITY: Final = Attribute[int](0x0024, "PRIORITY", *_unsigned(4))
USE_CANDIDATE: Final = Attribute[bool](0x0025, "USE-CANDIDATE", _encode_flag, _decode_flag)
SOFTWARE: Final = Attribute[str](0x8022, "SOFTWARE", *_text(MAX_TEXT))
FINGERPRINT: Final = Attribute[int](0x8028, "FINGERPRINT", *_unsigned(4))
ICE_CONTROLLED: Final = Attribute[int](0x8029, "ICE-CONTROLLED", *_unsigned(8))
ICE_CONTROLLING: Final = Attribute[int](0x802A, "ICE-CONTROLLING", *_unsigned(8))

# `Any`, because the rows of a table of attributes differ in just this.
ATTRIBUTES: Final[Mapping[int, Attribute[Any]]] = {
    attribute.code: attribute
    for attribute in (
        USERNAME,
        MESSAGE_INTEGRITY,
        ERROR_CODE,
        UNKNOWN_ATTRIBUTES,
        XOR_MAPPED_ADDRESS,
        PRIORITY,
        USE_CANDIDATE,
        SOFTWARE,
        FINGERPRINT,
        ICE_CONTROLLED,
        ICE_CONTROLLING,
    )
}
"""Everything that is understood. The two seals are in the table for their names and
shapes; a message does not hold them among its attributes."""


@attrs.frozen
class Message:
    """One STUN message; equal to another if it says the same, whatever its seals."""

    kind: Class
    transaction: bytes
    """12 bytes, chosen by whoever asks."""
    attributes: Mapping[int, object] = attrs.Factory(dict)
    """By type, in the order of the wire; of several with one type the first counts."""
    method: int = BINDING
    """As its bits stand in the message type, with the class taken out."""
    unknown: tuple[int, ...] = ()
    """Types below 0x8000 that we do not know: a request that has some is answered with 420."""
    _integrity: bytes = attrs.field(default=b"", eq=False, repr=False)
    _covered: bytes = attrs.field(default=b"", eq=False, repr=False)

    def get(self, attribute: Attribute[T]) -> T | None:
        """The value of *attribute*; None if the message has none."""
        # Values came through this very row's `decode` or `of`, so they have its type.
        return cast("T | None", self.attributes.get(attribute.code))

    def encode(self, key: bytes | None = None) -> bytes:
        """The whole message: with MESSAGE-INTEGRITY if there is a *key*, FINGERPRINT always."""
        transaction = self.transaction
        parts = [b""]
        for code, value in self.attributes.items():
            encoded = ATTRIBUTES[code].encode(value, transaction)
            size = len(encoded)
            parts.append(_ATTRIBUTE.pack(code, size) + encoded + bytes(-size & 3))
        length = sum(map(len, parts))
        kind = self.method | self.kind
        if key is not None:
            length += INTEGRITY_LENGTH
            parts[0] = _HEADER.pack(kind, length, COOKIE) + transaction
            integrity = hmac.digest(key, b"".join(parts), "sha1")
            parts.append(b"\x00\x08\x00\x14" + integrity)
        length += FINGERPRINT_LENGTH
        parts[0] = _HEADER.pack(kind, length, COOKIE) + transaction
        sealed = b"".join(parts)
        return sealed + b"\x80\x28\x00\x04" + (zlib.crc32(sealed) ^ FINGERPRINT_XOR).to_bytes(4)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """One whole datagram; `WireError` if it is no STUN message or its FINGERPRINT is wrong."""
        end = len(data)
        if not HEADER_LENGTH <= end <= MAX_MESSAGE:
            raise WireError(f"a STUN message of {end} bytes")
        kind, length, cookie = _HEADER.unpack_from(data)
        if kind & 0xC000 or cookie != COOKIE:
            raise WireError("not STUN")
        if length & 3 or length + HEADER_LENGTH != end:
            raise WireError(f"a STUN length of {length} in {end} bytes")
        transaction = data[8:HEADER_LENGTH]
        attributes: dict[int, object] = {}
        unknown: list[int] = []
        integrity = covered = b""
        position = HEADER_LENGTH
        while position < end:  # lengths are multiples of four, so a header is there
            code, size = _ATTRIBUTE.unpack_from(data, position)
            start = position + 4
            following = start + (size + 3 & ~3)
            if following > end:
                raise WireError(f"STUN attribute {code:#06x} cut short")
            if code == 0x8028:  # FINGERPRINT
                _check_fingerprint(data, position, size)
            elif integrity:
                pass  # not protected, so it does not count (RFC 8489 section 14.5)
            elif code == 0x0008:  # MESSAGE-INTEGRITY
                integrity = _decode_integrity(data[start : start + size], transaction)
                reached = position + INTEGRITY_LENGTH - HEADER_LENGTH
                covered = data[:2] + reached.to_bytes(2) + data[4:position]
            elif code not in attributes:
                row = ATTRIBUTES.get(code)
                if row is not None:
                    attributes[code] = row.decode(data[start : start + size], transaction)
                elif code < 0x8000 and len(unknown) < MAX_UNKNOWN and code not in unknown:
                    unknown.append(code)
            position = following
        return cls(
            _CLASSES[kind & _CLASS_BITS],
            transaction,
            attributes,
            kind & _METHOD_BITS,
            tuple(unknown),
            integrity,
            covered,
        )

    @property
    def sealed(self) -> bool:
        """Whether it has a MESSAGE-INTEGRITY at all, right or wrong."""
        return self._integrity != b""

    def authentic(self, key: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY was made with *key* (a short-term password's bytes).

        Compared in constant time. A message that was built here and never encoded
        has no seal, and is not authentic.
        """
        if not self._integrity:
            return False
        return hmac.compare_digest(self._integrity, hmac.digest(key, self._covered, "sha1"))


def _check_fingerprint(data: bytes, position: int, size: int) -> None:
    """Insist that FINGERPRINT is right and last, and so the header's length as it must be."""
    if size != 4 or position + FINGERPRINT_LENGTH != len(data):
        raise WireError("FINGERPRINT is not the last attribute")
    told = int.from_bytes(data[position + 4 :], "big")
    if told != zlib.crc32(data[:position]) ^ FINGERPRINT_XOR:
        raise WireError("FINGERPRINT is wrong")


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN and nothing else that shares the socket (RFC 7983)."""
    return len(data) >= HEADER_LENGTH and data[0] < 4 and data[4:8] == COOKIE_BYTES


def is_response(data: bytes) -> bool:
    """Whether STUN *data* answers something: then its transaction tells whom it is for."""
    return is_stun(data) and bool(data[0] & 0x01)


def transaction_of(data: bytes) -> bytes | None:
    """The transaction id of a STUN message, asked or answered; None if it is not STUN."""
    return data[8:HEADER_LENGTH] if is_stun(data) else None


def ufrag_of(data: bytes) -> str | None:
    """Whom a Binding request is for: what stands before ":" in its USERNAME.

    None for anything else. Nothing is verified: it tells who may be asked to verify.
    """
    if not is_stun(data) or data[:2] != b"\x00\x01":
        return None
    position, end = HEADER_LENGTH, min(len(data), MAX_MESSAGE)
    while position + 4 <= end:
        code, size = _ATTRIBUTE.unpack_from(data, position)
        position += 4
        if code == 0x0006:  # USERNAME
            ufrag, colon, _ = data[position : position + size].partition(b":")
            return ufrag.decode("ascii", "replace") if colon else None
        position += size + 3 & ~3
    return None
