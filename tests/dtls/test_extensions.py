import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.dtls.extensions import Extensions, ExtensionType, SrtpProfile, UseSrtp
from trio_sfu.errors import WireError
from trio_sfu.wire import Reader

NUMBERS = st.lists(st.integers(0, 0xFFFF), max_size=5).map(tuple)
UNKNOWN = st.dictionaries(
    st.integers(0, 0xFFFF).filter(lambda kind: kind not in set(ExtensionType)),
    st.binary(max_size=20),
    max_size=3,
).map(lambda bodies: tuple(bodies.items()))

EXTENSIONS = st.builds(
    Extensions,
    groups=st.none() | NUMBERS,
    point_formats=st.none() | st.binary(max_size=3),
    signature_schemes=st.none() | NUMBERS,
    use_srtp=st.none() | st.builds(UseSrtp, NUMBERS, st.binary(max_size=4)),
    extended_master_secret=st.booleans(),
    versions=st.none() | NUMBERS,
    renegotiation_info=st.none() | st.binary(max_size=12),
    unknown=UNKNOWN,
)


@given(EXTENSIONS)
def test_extensions_are_read_as_they_were_written(extensions: Extensions) -> None:
    reader = Reader(extensions.encode())
    assert Extensions.decode(reader) == extensions
    reader.end()


def test_no_extensions_are_no_bytes() -> None:
    assert Extensions().encode() == b""
    assert Extensions.decode(Reader(b"")) == Extensions()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("0008 00170000 00170000", "twice"),
        ("0005 0017000100", "too many"),
        ("0007 000a0003 0001 1d", "too many|asked"),
        ("0009 000e0005 0002 0001 02", "asked"),
        ("0004 000b0000", "asked"),
        ("00ff 00170000", "asked"),
    ],
)
def test_a_broken_block_is_refused(data: str, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        Extensions.decode(Reader(bytes.fromhex(data)))


@pytest.mark.parametrize(
    ("profile", "key", "salt"),
    [
        (SrtpProfile.AES128_CM_HMAC_SHA1_80, 16, 14),
        (SrtpProfile.AEAD_AES_128_GCM, 16, 12),
        (SrtpProfile.AEAD_AES_256_GCM, 32, 12),
    ],
)
def test_profiles_know_the_lengths_of_their_keys(profile: SrtpProfile, key: int, salt: int) -> None:
    assert (profile.key_length, profile.salt_length) == (key, salt)
