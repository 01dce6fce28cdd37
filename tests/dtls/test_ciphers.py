import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.dtls.ciphers import SUITES, CipherSuite, Protection, key_block, prf
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.errors import WireError

# Published on the IETF's TLS mailing list in 2009 ("Test vectors for TLS 1.2 PRF").
PRF_VECTORS = [
    (
        "sha256",
        "9bbe436ba940f017b17652849a71db35",
        "a0ba9f936cda311827a6f796ffd5198c",
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
        "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
        "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
        "87347b66",
    ),
    (
        "sha384",
        "b80b733d6ceefcdc71566ea48e5567df",
        "cd665cf6a8447dd6ff8b27555edb7465",
        "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cd"
        "e9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd"
        "8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d918425"
        "9b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee6"
        "91c8f3a26854308d5eaa3be85e0990703d73e56f",
    ),
]


@pytest.mark.parametrize(("hash_name", "secret", "seed", "output"), PRF_VECTORS)
def test_the_pseudo_random_function_gives_the_published_bytes(
    hash_name: str, secret: str, seed: str, output: str
) -> None:
    expected = bytes.fromhex(output)
    found = prf(hash_name, bytes.fromhex(secret), b"test label", bytes.fromhex(seed), len(expected))
    assert found == expected


def protection(suite: CipherSuite) -> Protection:
    return key_block(suite, bytes(48), bytes(32), bytes(32))[0]


@pytest.mark.parametrize("suite", CipherSuite)
@given(payload=st.binary(max_size=100), sequence=st.integers(0, 1 << 47))
def test_what_is_sealed_is_opened(suite: CipherSuite, payload: bytes, sequence: int) -> None:
    sealing = protection(suite)
    record = Record(ContentType.APPLICATION_DATA, 1, sequence, payload)
    sealed = sealing.seal(record)
    assert len(sealed.payload) == len(payload) + sealing.overhead
    assert payload not in sealed.payload or len(payload) < 4
    assert protection(suite).open(sealed) == payload


@pytest.mark.parametrize("suite", CipherSuite)
def test_nothing_about_a_record_may_be_changed(suite: CipherSuite) -> None:
    sealed = protection(suite).seal(Record(ContentType.ALERT, 1, 5, b"payload"))
    changed = [
        Record(ContentType.HANDSHAKE, 1, 5, sealed.payload),
        Record(ContentType.ALERT, 2, 5, sealed.payload),
        Record(ContentType.ALERT, 1, 6, sealed.payload),
        Record(ContentType.ALERT, 1, 5, sealed.payload, 0xFEFF),
        Record(ContentType.ALERT, 1, 5, sealed.payload[:-1]),
        Record(ContentType.ALERT, 1, 5, b""),
        *(
            Record(ContentType.ALERT, 1, 5, bytes(flipped))
            for at in range(len(sealed.payload))
            for flipped in [bytearray(sealed.payload)]
            if not flipped.__setitem__(at, flipped[at] ^ 1)
        ),
    ]
    for record in changed:
        with pytest.raises(WireError):
            protection(suite).open(record)


@pytest.mark.parametrize("suite", CipherSuite)
def test_both_directions_have_keys_of_their_own(suite: CipherSuite) -> None:
    client, server = key_block(suite, b"m" * 48, b"s" * 32, b"c" * 32)
    record = Record(ContentType.ALERT, 1, 0, b"payload")
    assert client.seal(record) != server.seal(record)


def test_gcm_says_half_of_its_nonce_and_chacha_none() -> None:
    assert {suite: protection(suite).overhead for suite in SUITES} == {
        CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 24,
        CipherSuite.ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 24,
        CipherSuite.ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 16,
    }
    record = Record(ContentType.ALERT, 1, 7, b"payload")
    gcm = protection(CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)
    assert gcm.seal(record).payload[:8] == record.number.to_bytes(8, "big")
