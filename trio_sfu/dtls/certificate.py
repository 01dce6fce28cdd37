"""Certificates that nobody signed, and the fingerprints that make them good.

In WebRTC a certificate proves no name. Each end makes one for itself, tells its
fingerprint over the signalling channel (`a=fingerprint`, RFC 8122), and each end
checks that the certificate it sees on the media path is the one it was told of
(RFC 8827 section 6.5). So issuer, validity and names are never read: of a peer's
certificate we want the public key and nothing else, and `public_key` walks to it
past everything that could be strange about it.
"""

import datetime
import hashlib
import re
from typing import Final

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from trio_sfu.core import Entropy
from trio_sfu.dtls.groups import private_key
from trio_sfu.dtls.signatures import RSA_BITS, PublicKey
from trio_sfu.wire import Reader, WireError

HASHES: Final = ("sha-512", "sha-384", "sha-256")
"""The hashes that we compute, strongest first. RFC 8122 section 5 knows SHA-1 and
MD5 as well, for history; a fingerprint of those is read and never matches."""

MAX_FINGERPRINTS: Final = 16
"""Of one description; clients send one."""

LIFETIME: Final = 30 * 24 * 3600.0
"""Seconds that a certificate says it is good for; as browsers do. Nobody checks."""
BACKDATED: Final = 24 * 3600.0
"""Its start lies so far back, for peers whose clock is slow and who check after all."""

_VALUE: Final = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){0,127}")
_TOKEN: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`{|}~-]{1,64}")

CURVES: Final = (ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
"""Of a peer's certificate. FFmpeg on GnuTLS makes P-224 ones unless told otherwise."""


def _lower(text: str) -> str:
    return text.lower()


def _upper(text: str) -> str:
    return text.upper()


@attrs.frozen
class Fingerprint:
    """A certificate's hash, as an SDP says it (RFC 8122 section 5)."""

    algorithm: str = attrs.field(converter=_lower)
    value: str = attrs.field(converter=_upper)
    """Pairs of hex digits with colons between."""

    @classmethod
    def parse(cls, text: str) -> "Fingerprint":
        """The value of an `a=fingerprint` line; `WireError` if it is none."""
        algorithm, _, value = text.strip().partition(" ")
        parsed = cls(algorithm, value.strip())
        if not _TOKEN.fullmatch(parsed.algorithm) or not _VALUE.fullmatch(parsed.value):
            raise WireError("not a fingerprint")
        if parsed.algorithm in HASHES:
            bits = int(parsed.algorithm.removeprefix("sha-"))
            if len(parsed.value) != bits // 8 * 3 - 1:
                raise WireError(f"a {parsed.algorithm} fingerprint of another length")
        return parsed

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"

    @classmethod
    def of(cls, der: bytes, algorithm: str = "sha-256") -> "Fingerprint":
        digest = hashlib.new(algorithm.replace("-", ""), der).digest()
        return cls(algorithm, digest.hex(":"))

    def matches(self, der: bytes) -> bool:
        """Whether *der* is the certificate meant; never, for a hash that we do not trust."""
        return self.algorithm in HASHES and Fingerprint.of(der, self.algorithm) == self


def trusted(der: bytes, fingerprints: list[Fingerprint]) -> bool:
    """Whether *der* is what the fingerprints say.

    Of several, only those of the strongest hash that we know count, and one of
    them must match (RFC 8122 section 5): a forged weaker one buys nothing.
    """
    known = {fingerprint.algorithm for fingerprint in fingerprints}
    for algorithm in HASHES:
        if algorithm in known:
            return Fingerprint.of(der, algorithm) in fingerprints
    return False


@attrs.frozen
class Certificate:
    """Our own certificate with its key. A whole server shares one."""

    key: ec.EllipticCurvePrivateKey = attrs.field(repr=False)
    der: bytes = attrs.field(repr=lambda der: f"{len(der)} bytes")

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint.of(self.der)


def generate(entropy: Entropy, now_unix: float) -> Certificate:
    """A self-signed ECDSA P-256 certificate, valid from yesterday for 30 days.

    All of it comes from *entropy* and *now_unix*, where OpenSSL can sign without
    dice (RFC 6979); an older one mixes the operating system's randomness into the
    certificate's own signature.
    """
    key = private_key(entropy, ec.SECP256R1())
    # The same name for everybody: a certificate must not tell clients apart.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WebRTC")])
    start = datetime.datetime.fromtimestamp(now_unix - BACKDATED, datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(entropy(8), "big") | 1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(seconds=LIFETIME))
    )
    try:
        signed = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    except UnsupportedAlgorithm:
        signed = builder.sign(key, hashes.SHA256())
    return Certificate(key, signed.public_bytes(serialization.Encoding.DER))


_SEQUENCE: Final = 0x30
_EXPLICIT_VERSION: Final = 0xA0


def _element(reader: Reader) -> tuple[int, bytes]:
    """Tag and contents of one DER element."""
    tag, length = reader.u8(), reader.u8()
    if length == 0x81:
        length = reader.u8()
    elif length == 0x82:
        length = reader.u16()
    elif length > 0x7F:
        raise WireError("DER length of a form that no certificate needs")
    return tag, reader.take(length)


def _sequence(reader: Reader) -> Reader:
    tag, body = _element(reader)
    if tag != _SEQUENCE:
        raise WireError(f"DER tag {tag:#04x} where a sequence belongs")
    return Reader(body)


def public_key(der: bytes) -> PublicKey:
    """The key in an X.509 certificate (RFC 5280 section 4.1); `WireError` if unusable.

    TBSCertificate is version (if not 1), serial number, signature algorithm,
    issuer, validity, subject and then the subjectPublicKeyInfo that we are after.
    """
    fields = _sequence(_sequence(Reader(der)))
    tag, _ = _element(fields)
    for _ in range(5 if tag == _EXPLICIT_VERSION else 4):
        _element(fields)
    tag, body = _element(fields)
    if tag != _SEQUENCE:
        raise WireError("no public key where a certificate has it")
    size = len(body)
    length = bytes((size,)) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    if 0x80 <= size < 0x100:  # DER wants the shortest form
        length = bytes((0x81, size))
    try:
        key = serialization.load_der_public_key(bytes((_SEQUENCE,)) + length + body)
    except (ValueError, UnsupportedAlgorithm):
        raise WireError("a public key that cannot be read") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, CURVES):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in RSA_BITS:
        return key
    raise WireError("a public key of a kind or size that we do not take")
