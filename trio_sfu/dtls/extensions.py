"""What hangs on the end of a ClientHello and a ServerHello (RFC 5246 section 7.4.1.4).

Only what a WebRTC peer needs is understood; everything else is kept as bytes,
because a client may offer what it likes and a server may not answer with it.
"""

import enum
from typing import Final, Self

import attrs

from trio_sfu.wire import Reader, WireError


class ExtensionType(enum.IntEnum):
    """The extensions that we understand."""

    SUPPORTED_GROUPS = 10
    """RFC 8422 section 5.1.1."""
    EC_POINT_FORMATS = 11
    """RFC 8422 section 5.1.2."""
    SIGNATURE_ALGORITHMS = 13
    """RFC 5246 section 7.4.1.4.1."""
    USE_SRTP = 14
    """RFC 5764 section 4.1.1."""
    EXTENDED_MASTER_SECRET = 23
    """RFC 7627 section 5.1."""
    SUPPORTED_VERSIONS = 43
    """RFC 8446 section 4.2.1: read, so that a client of 1.3 only is told so."""
    RENEGOTIATION_INFO = 0xFF01
    """RFC 5746 section 3.2."""


class SrtpProfile(enum.IntEnum):
    """SRTP protection profiles by their IANA numbers (RFC 5764 section 4.1.2, RFC 7714)."""

    AES128_CM_HMAC_SHA1_80 = 0x0001
    AEAD_AES_128_GCM = 0x0007
    AEAD_AES_256_GCM = 0x0008

    @property
    def key_length(self) -> int:
        return 32 if self is SrtpProfile.AEAD_AES_256_GCM else 16

    @property
    def salt_length(self) -> int:
        return 14 if self is SrtpProfile.AES128_CM_HMAC_SHA1_80 else 12


UNCOMPRESSED: Final = 0
"""The one point format that RFC 8422 left alive."""


def vector(width: int, body: bytes) -> bytes:
    """A TLS vector: *body* behind its length in *width* bytes (RFC 5246 section 4.3)."""
    return len(body).to_bytes(width, "big") + body


def numbers(values: tuple[int, ...]) -> bytes:
    """16-bit numbers, one after the other."""
    return b"".join(value.to_bytes(2, "big") for value in values)


def read_numbers(reader: Reader) -> tuple[int, ...]:
    """All that is left, as 16-bit numbers."""
    values = []
    while reader:
        values.append(reader.u16())
    return tuple(values)


@attrs.frozen
class UseSrtp:
    """Offered profiles, or the one chosen; and the master key identifier, never used."""

    profiles: tuple[int, ...]
    mki: bytes = b""

    def encode(self) -> bytes:
        return vector(2, numbers(self.profiles)) + vector(1, self.mki)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        profiles = read_numbers(reader.block(reader.u16()))
        return cls(profiles, reader.take(reader.u8()))


@attrs.frozen
class Extensions:
    """The extensions of one hello; None, or False, for those that are not there."""

    groups: tuple[int, ...] | None = None
    point_formats: bytes | None = None
    signature_schemes: tuple[int, ...] | None = None
    use_srtp: UseSrtp | None = None
    extended_master_secret: bool = False
    versions: tuple[int, ...] | None = None
    renegotiation_info: bytes | None = None
    unknown: tuple[tuple[int, bytes], ...] = ()
    """Type and body, in the order they came."""

    def encode(self) -> bytes:
        """The whole block with its length; nothing at all if there are none."""
        known: list[tuple[int, bytes]] = []
        if self.extended_master_secret:
            known.append((ExtensionType.EXTENDED_MASTER_SECRET, b""))
        if self.renegotiation_info is not None:
            known.append((ExtensionType.RENEGOTIATION_INFO, vector(1, self.renegotiation_info)))
        if self.groups is not None:
            known.append((ExtensionType.SUPPORTED_GROUPS, vector(2, numbers(self.groups))))
        if self.point_formats is not None:
            known.append((ExtensionType.EC_POINT_FORMATS, vector(1, self.point_formats)))
        if self.signature_schemes is not None:
            schemes = vector(2, numbers(self.signature_schemes))
            known.append((ExtensionType.SIGNATURE_ALGORITHMS, schemes))
        if self.use_srtp is not None:
            known.append((ExtensionType.USE_SRTP, self.use_srtp.encode()))
        if self.versions is not None:
            known.append((ExtensionType.SUPPORTED_VERSIONS, vector(1, numbers(self.versions))))
        every = [*known, *self.unknown]
        if not every:
            return b""
        return vector(2, b"".join(numbers((kind,)) + vector(2, body) for kind, body in every))

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        """What is left of a hello: nothing, or a block of extensions."""
        if not reader:
            return cls()
        block = reader.block(reader.u16())
        bodies: dict[int, bytes] = {}
        while block:
            kind = block.u16()
            if kind in bodies:
                raise WireError(f"extension {kind} twice")
            bodies[kind] = block.take(block.u16())

        def known(kind: ExtensionType) -> Reader | None:
            body = bodies.pop(kind, None)
            return None if body is None else Reader(body)

        groups = point_formats = schemes = use_srtp = versions = renegotiation = None
        if (body := known(ExtensionType.SUPPORTED_GROUPS)) is not None:
            groups = read_numbers(body.block(body.u16()))
            body.end()
        if (body := known(ExtensionType.EC_POINT_FORMATS)) is not None:
            point_formats = body.take(body.u8())
            body.end()
        if (body := known(ExtensionType.SIGNATURE_ALGORITHMS)) is not None:
            schemes = read_numbers(body.block(body.u16()))
            body.end()
        if (body := known(ExtensionType.USE_SRTP)) is not None:
            use_srtp = UseSrtp.decode(body)
            body.end()
        if (master_secret := known(ExtensionType.EXTENDED_MASTER_SECRET)) is not None:
            master_secret.end()
        if (body := known(ExtensionType.SUPPORTED_VERSIONS)) is not None:
            versions = read_numbers(body.block(body.u8()))
            body.end()
        if (body := known(ExtensionType.RENEGOTIATION_INFO)) is not None:
            renegotiation = body.take(body.u8())
            body.end()
        return cls(
            groups,
            point_formats,
            schemes,
            use_srtp,
            master_secret is not None,
            versions,
            renegotiation,
            tuple(bodies.items()),
        )
