"""Cipher suites, the pseudo-random function, and the protection of records.

Three suites, all of one family: ephemeral elliptic curves, ECDSA certificates and
an AEAD. There is no CBC to be padded wrongly, no RSA key exchange to be recorded
and decrypted later, and no suite whose hash is SHA-1.
"""

import enum
import hmac
import struct
from collections.abc import Mapping
from typing import Final

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from trio_sfu.dtls.record import Record
from trio_sfu.wire import WireError

MASTER_SECRET_LENGTH: Final = 48
TAG: Final = 16
"""Bytes that each of our AEADs adds."""
_EXPLICIT_NONCE: Final = 8
_SALT: Final = 4
_ADDITIONAL_DATA: Final = struct.Struct("!QBHH")


class CipherSuite(enum.IntEnum):
    """What we speak, best first (RFC 5289, RFC 7905)."""

    ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xC02B
    ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xC02C
    ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA9


@attrs.frozen
class Strength:
    """What a suite's name stands for."""

    key_length: int
    iv_length: int
    """Of the part that the handshake agrees on."""
    hash_name: str
    explicit_nonce: bool
    """Whether each record carries eight bytes of its nonce (GCM does, RFC 5288)."""


SUITES: Final[Mapping[CipherSuite, Strength]] = {
    CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: Strength(16, _SALT, "sha256", True),
    CipherSuite.ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: Strength(32, _SALT, "sha384", True),
    CipherSuite.ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: Strength(32, 12, "sha256", False),
}

SCSV: Final = 0x00FF
"""TLS_EMPTY_RENEGOTIATION_INFO_SCSV: no cipher, but a promise (RFC 5746 section 3.3)."""


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The pseudo-random function of TLS 1.2 (RFC 5246 section 5).

    A(0) is the seed, A(i) = HMAC(secret, A(i-1)), and the output is
    HMAC(secret, A(1) + seed) + HMAC(secret, A(2) + seed) + ..., cut to *length*.
    """
    seed = label + seed
    a, output = seed, b""
    while len(output) < length:
        a = hmac.digest(secret, a, hash_name)
        output += hmac.digest(secret, a + seed, hash_name)
    return output[:length]


class Protection:
    """The keys of one direction in epoch 1 (RFC 5246 section 6.2.3.3).

    GCM puts half of its nonce on the wire, ChaCha20 computes all of it (RFC 7905
    section 2). Both take the record's own 64-bit number, so no nonce comes twice.
    """

    def __init__(self, suite: CipherSuite, key: bytes, iv: bytes) -> None:
        strength = SUITES[suite]
        self._explicit = strength.explicit_nonce
        self._iv = iv
        self._aead = AESGCM(key) if self._explicit else ChaCha20Poly1305(key)
        self.overhead = TAG + (_EXPLICIT_NONCE if self._explicit else 0)
        """How much longer a record gets."""

    def _nonce(self, number: int) -> bytes:
        mask = int.from_bytes(self._iv, "big")
        return (mask ^ number).to_bytes(len(self._iv), "big")

    def seal(self, record: Record) -> Record:
        """The same record with its payload encrypted."""
        additional = _ADDITIONAL_DATA.pack(
            record.number, record.content_type, record.version, len(record.payload)
        )
        if self._explicit:
            explicit = record.number.to_bytes(_EXPLICIT_NONCE, "big")
            payload = explicit + self._aead.encrypt(self._iv + explicit, record.payload, additional)
        else:
            payload = self._aead.encrypt(self._nonce(record.number), record.payload, additional)
        return Record(record.content_type, record.epoch, record.sequence, payload, record.version)

    def open(self, record: Record) -> bytes:
        """The payload decrypted; `WireError` if anything about the record was changed."""
        length = len(record.payload) - self.overhead
        if length < 0:
            raise WireError("record shorter than its tag")
        additional = _ADDITIONAL_DATA.pack(
            record.number, record.content_type, record.version, length
        )
        if self._explicit:
            nonce = self._iv + record.payload[:_EXPLICIT_NONCE]
            sealed = record.payload[_EXPLICIT_NONCE:]
        else:
            nonce, sealed = self._nonce(record.number), record.payload
        try:
            return self._aead.decrypt(nonce, sealed, additional)
        except InvalidTag:
            raise WireError("wrong tag") from None


def key_block(
    suite: CipherSuite, master_secret: bytes, server_random: bytes, client_random: bytes
) -> tuple[Protection, Protection]:
    """The protections of client and server, in this order (RFC 5246 section 6.3)."""
    strength = SUITES[suite]
    key, iv = strength.key_length, strength.iv_length
    block = prf(
        strength.hash_name,
        master_secret,
        b"key expansion",
        server_random + client_random,
        2 * (key + iv),
    )
    ivs = block[2 * key :]
    return (
        Protection(suite, block[:key], ivs[:iv]),
        Protection(suite, block[key : 2 * key], ivs[iv:]),
    )
