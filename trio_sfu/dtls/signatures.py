"""Signatures in a handshake: which schemes we believe, and how they are checked.

In DTLS 1.2 a scheme names a hash and an algorithm; the curve is the certificate's
own business (RFC 5246 section 7.4.1.4.1; RFC 8446 tied the two together later).
SHA-1 is in no table here, so nothing can be signed with it.
"""

import enum
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from trio_sfu.wire import WireError

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

RSA_BITS: Final = range(2048, 8193)
"""Shorter is broken, longer only costs us time."""


class SignatureScheme(enum.IntEnum):
    """Hash and algorithm, by the numbers of RFC 8446 section 4.2.3."""

    ECDSA_SHA256 = 0x0403
    ECDSA_SHA384 = 0x0503
    ECDSA_SHA512 = 0x0603
    RSA_PSS_SHA256 = 0x0804
    RSA_PKCS1_SHA256 = 0x0401


SCHEMES: Final = tuple(SignatureScheme)
"""What we verify, in the order that we name it to a peer."""

_ECDSA: Final[Mapping[SignatureScheme, hashes.HashAlgorithm]] = {
    SignatureScheme.ECDSA_SHA256: hashes.SHA256(),
    SignatureScheme.ECDSA_SHA384: hashes.SHA384(),
    SignatureScheme.ECDSA_SHA512: hashes.SHA512(),
}

_RSA: Final[Mapping[SignatureScheme, padding.AsymmetricPadding]] = {
    # The salt is as long as the hash (RFC 8446 section 4.2.3).
    SignatureScheme.RSA_PSS_SHA256: padding.PSS(padding.MGF1(hashes.SHA256()), 32),
    SignatureScheme.RSA_PKCS1_SHA256: padding.PKCS1v15(),
}


def _ecdsa(algorithm: hashes.HashAlgorithm) -> ec.ECDSA:
    """Deterministic (RFC 6979) where OpenSSL can: no dice, and no nonce to lose a key by."""
    try:
        return ec.ECDSA(algorithm, deterministic_signing=True)
    except UnsupportedAlgorithm:
        return ec.ECDSA(algorithm)


_SIGN: Final = _ecdsa(hashes.SHA256())
"""What we sign with: our certificates are P-256."""


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """*data* under `SignatureScheme.ECDSA_SHA256`."""
    return key.sign(data, _SIGN)


def verify(key: PublicKey, scheme: int, signature: bytes, data: bytes) -> None:
    """`WireError` unless *signature* is the key's own, under a scheme that we offered."""
    try:
        known = SignatureScheme(scheme)
    except ValueError:
        raise WireError(f"signature scheme {scheme:#06x} was not offered") from None
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and known in _ECDSA:
            key.verify(signature, data, ec.ECDSA(_ECDSA[known]))
        elif isinstance(key, rsa.RSAPublicKey) and known in _RSA:
            key.verify(signature, data, _RSA[known], hashes.SHA256())
        else:
            raise WireError(f"{known.name} does not fit the certificate's key")
    except InvalidSignature:
        raise WireError("wrong signature") from None
