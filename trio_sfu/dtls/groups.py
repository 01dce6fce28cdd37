"""Elliptic-curve key agreement: X25519, P-256 and P-384 (RFC 8422, RFC 7748).

The three are one table, `KEY_SHARES`: an ephemeral key is made, gives its public
half as it goes on the wire, and makes the shared secret with the peer's half.
"""

import enum
from collections.abc import Mapping
from typing import Final, Protocol, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from trio_sfu.core import Entropy
from trio_sfu.wire import WireError


class NamedGroup(enum.IntEnum):
    """Curves by their IANA numbers (RFC 8422 section 5.1.1), best first."""

    X25519 = 29
    SECP256R1 = 23
    SECP384R1 = 24


class KeyShare(Protocol):
    """One end's ephemeral key in one group."""

    public: bytes

    @classmethod
    def generate(cls, entropy: Entropy) -> Self: ...

    def exchange(self, public: bytes) -> bytes:
        """The shared secret; `WireError` if *public* is no point of the curve."""


_ORDERS: Final[Mapping[str, int]] = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
}
"""How many points each curve has (FIPS 186-4 appendix D.1.2)."""


def private_key(entropy: Entropy, curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
    """A key made of *entropy* and of nothing else (FIPS 186-4 appendix B.4.1).

    Eight bytes more than the curve needs make the remainder as good as even.
    """
    order = _ORDERS[curve.name]
    seed = int.from_bytes(entropy(curve.key_size // 8 + 8), "big")
    return ec.derive_private_key(seed % (order - 1) + 1, curve)


class X25519Share:
    """RFC 8422 section 5.11."""

    def __init__(self, private: x25519.X25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(x25519.X25519PrivateKey.from_private_bytes(entropy(32)))

    def exchange(self, public: bytes) -> bytes:
        # A point of small order would give all zeros, whatever our key: that raises too.
        try:
            return self._private.exchange(x25519.X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise WireError("no point of X25519") from None


class _CurveShare:
    """Curves of NIST, uncompressed points (RFC 8422 section 5.4.1)."""

    curve: ec.EllipticCurve

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        return cls(private_key(entropy, cls.curve))

    def exchange(self, public: bytes) -> bytes:
        if len(public) != len(self.public):  # a compressed point: nobody offered those
            raise WireError(f"a point of {len(public)} bytes on {self.curve.name}")
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, public)
        except ValueError:
            raise WireError(f"no point of {self.curve.name}") from None
        return self._private.exchange(ec.ECDH(), peer)


class P256Share(_CurveShare):
    """An ephemeral key on P-256."""

    curve = ec.SECP256R1()


class P384Share(_CurveShare):
    """An ephemeral key on P-384."""

    curve = ec.SECP384R1()


KEY_SHARES: Final[Mapping[NamedGroup, type[KeyShare]]] = {
    NamedGroup.X25519: X25519Share,
    NamedGroup.SECP256R1: P256Share,
    NamedGroup.SECP384R1: P384Share,
}
