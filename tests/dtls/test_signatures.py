import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.dtls.pair import CLIENTS, SERVERS
from trio_sfu.dtls.signatures import SignatureScheme, sign, verify
from trio_sfu.errors import WireError

RSA = rsa.generate_private_key(65537, 2048)
ECDSA_HASHES = {
    SignatureScheme.ECDSA_SHA256: hashes.SHA256(),
    SignatureScheme.ECDSA_SHA384: hashes.SHA384(),
    SignatureScheme.ECDSA_SHA512: hashes.SHA512(),
}
RSA_PADDINGS = {
    SignatureScheme.RSA_PSS_SHA256: padding.PSS(padding.MGF1(hashes.SHA256()), 32),
    SignatureScheme.RSA_PKCS1_SHA256: padding.PKCS1v15(),
}


def test_what_we_sign_is_verified_and_nothing_else() -> None:
    signature = sign(CLIENTS.key, b"data")
    verify(CLIENTS.key.public_key(), SignatureScheme.ECDSA_SHA256, signature, b"data")
    for key, data in ((CLIENTS, b"date"), (SERVERS, b"data")):
        with pytest.raises(WireError, match="wrong signature"):
            verify(key.key.public_key(), SignatureScheme.ECDSA_SHA256, signature, data)
    with pytest.raises(WireError, match="wrong signature"):
        verify(CLIENTS.key.public_key(), SignatureScheme.ECDSA_SHA256, b"junk", b"data")


def test_the_same_words_have_the_same_signature() -> None:
    assert sign(CLIENTS.key, b"data") == sign(CLIENTS.key, b"data")


@pytest.mark.parametrize("curve", [ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
@pytest.mark.parametrize("scheme", ECDSA_HASHES)
def test_each_curve_goes_with_each_hash(
    curve: type[ec.EllipticCurve], scheme: SignatureScheme
) -> None:
    key = ec.generate_private_key(curve())
    verify(key.public_key(), scheme, key.sign(b"data", ec.ECDSA(ECDSA_HASHES[scheme])), b"data")


@pytest.mark.parametrize("scheme", RSA_PADDINGS)
def test_both_paddings_of_rsa_are_verified(scheme: SignatureScheme) -> None:
    signature = RSA.sign(b"data", RSA_PADDINGS[scheme], hashes.SHA256())
    verify(RSA.public_key(), scheme, signature, b"data")
    with pytest.raises(WireError, match="wrong signature"):
        verify(RSA.public_key(), scheme, signature, b"date")


@pytest.mark.parametrize("scheme", SignatureScheme)
def test_a_scheme_must_fit_the_key(scheme: SignatureScheme) -> None:
    other = RSA.public_key() if scheme in ECDSA_HASHES else CLIENTS.key.public_key()
    with pytest.raises(WireError, match="does not fit"):
        verify(other, scheme, b"", b"")


@pytest.mark.parametrize("scheme", [0x0203, 0x0201, 0x0303, 0x0000, 0xFFFF])
def test_sha_1_is_not_believed_and_neither_is_the_unknown(scheme: int) -> None:
    signature = CLIENTS.key.sign(b"data", ec.ECDSA(hashes.SHA1()))
    with pytest.raises(WireError, match="not offered"):
        verify(CLIENTS.key.public_key(), scheme, signature, b"data")
