import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from tests.dtls.pair import CLIENTS, NOW_UNIX, SERVERS
from tests.sim import entropy
from trio_sfu.dtls.certificate import (
    LIFETIME,
    Fingerprint,
    generate,
    public_key,
    trusted,
)
from trio_sfu.errors import WireError

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def der_of(key: Key) -> bytes:
    """A certificate with *key* in it."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x" * 60)])
    now = datetime.datetime.fromtimestamp(NOW_UNIX, datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1 << 100)
    builder = builder.not_valid_before(now).not_valid_after(now)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def test_a_certificate_is_made_of_the_entropy_and_the_time() -> None:
    assert generate(entropy(7), NOW_UNIX).der == generate(entropy(7), NOW_UNIX).der
    assert generate(entropy(7), NOW_UNIX).der != generate(entropy(8), NOW_UNIX).der
    assert generate(entropy(7), NOW_UNIX).der != generate(entropy(7), NOW_UNIX + 1).der


def test_a_certificate_is_good_for_a_month_and_signed_by_itself() -> None:
    certificate = x509.load_der_x509_certificate(CLIENTS.der)
    certificate.verify_directly_issued_by(certificate)
    now = datetime.datetime.fromtimestamp(NOW_UNIX, datetime.UTC)
    assert certificate.not_valid_before_utc < now < certificate.not_valid_after_utc
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lasts.total_seconds() == LIFETIME
    assert len(CLIENTS.der) < 300


def test_the_key_does_not_show_when_a_certificate_is_printed() -> None:
    assert "key" not in repr(CLIENTS)


@pytest.mark.parametrize("curve", [ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_the_key_of_each_curve_is_found(curve: type[ec.EllipticCurve]) -> None:
    key = ec.generate_private_key(curve())
    assert public_key(der_of(key)) == key.public_key()


def test_an_rsa_key_is_found_if_it_is_long_enough() -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert public_key(der_of(key)) == key.public_key()
    with pytest.raises(WireError, match="kind or size"):
        public_key(der_of(rsa.generate_private_key(65537, 1024)))


@pytest.mark.parametrize(
    "key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())]
)
def test_keys_that_no_suite_of_ours_uses_are_refused(key: Key) -> None:
    with pytest.raises(WireError):
        public_key(der_of(key))


def test_a_certificate_of_the_first_version_has_no_version_field() -> None:
    version = bytes.fromhex("a003020102")
    at = SERVERS.der.index(version)
    fields = SERVERS.der[at + len(version) :]
    inner = b"\x30\x82" + (len(fields) - 80).to_bytes(2, "big") + fields[: len(fields) - 80]
    outer = b"\x30\x82" + len(inner).to_bytes(2, "big") + inner
    assert public_key(outer) == SERVERS.key.public_key()


@given(st.binary(max_size=100))
def test_arbitrary_bytes_hold_no_key(data: bytes) -> None:
    with pytest.raises(WireError):
        public_key(data)


@given(st.integers(0, len(SERVERS.der) - 1), st.integers(0, 255), st.integers(0, 400))
def test_a_damaged_certificate_raises_only_wire_error(at: int, byte: int, end: int) -> None:
    data = bytearray(SERVERS.der)
    data[at] = byte
    try:
        public_key(bytes(data[:end]))
    except WireError:
        pass


def test_a_fingerprint_is_the_sdps() -> None:
    text = str(CLIENTS.fingerprint)
    assert Fingerprint.parse(text) == CLIENTS.fingerprint
    assert Fingerprint.parse(f"  {text.swapcase()} ") == CLIENTS.fingerprint
    assert CLIENTS.fingerprint.matches(CLIENTS.der)
    assert not CLIENTS.fingerprint.matches(SERVERS.der)


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_each_hash_that_we_know_matches(algorithm: str) -> None:
    fingerprint = Fingerprint.of(CLIENTS.der, algorithm)
    assert Fingerprint.parse(str(fingerprint)).matches(CLIENTS.der)
    assert not fingerprint.matches(SERVERS.der)


def test_a_hash_that_is_broken_is_read_and_never_matches() -> None:
    sha1 = Fingerprint.parse("sha-1 " + ":".join(["AB"] * 20))
    assert not sha1.matches(CLIENTS.der)
    assert not trusted(CLIENTS.der, [sha1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha-256",
        "sha-256 AB",
        "sha-256 " + "AB" * 32,
        "sha-256 " + ":".join(["AB"] * 31),
        "sha-256 " + ":".join(["GG"] * 32),
        "sha-1 AB:",
        "two words AB",
        "a\nb AB",
    ],
)
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        Fingerprint.parse(text)


@given(st.text(max_size=100))
def test_arbitrary_text_raises_only_wire_error(text: str) -> None:
    try:
        Fingerprint.parse(text)
    except WireError:
        pass


def test_of_several_fingerprints_the_strongest_hash_decides() -> None:
    good256, bad256 = Fingerprint.of(CLIENTS.der), Fingerprint.of(SERVERS.der)
    good512, bad512 = (Fingerprint.of(end.der, "sha-512") for end in (CLIENTS, SERVERS))
    for fingerprints, expected in [
        ([], False),
        ([good256], True),
        ([bad256, good256], True),
        ([bad256], False),
        ([good256, bad512], False),
        ([bad256, good512], True),
        ([bad512, good512], True),
    ]:
        assert trusted(CLIENTS.der, fingerprints) is expected
