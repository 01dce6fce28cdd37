"""The readable transform against the RFCs; `test_srtp` holds it against libsrtp."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import srtp as vectors
from trio_sfu.rtp.srtp_transform import (
    CounterMode,
    Gcm,
    Inbound,
    Outbound,
    Rejected,
    SessionKeys,
    SrtpProfile,
    derive,
    guess,
)


def test_keys_are_derived_as_in_rfc_3711_appendix_b3() -> None:
    keys = derive(SrtpProfile.AES128_CM_SHA1_80, vectors.B3_KEY, vectors.B3_SALT)
    assert keys == SessionKeys(
        cipher=vectors.B3_CIPHER,
        salt=vectors.B3_SESSION_SALT,
        authentication=vectors.B3_AUTHENTICATION,
    )


def test_the_key_stream_is_that_of_rfc_3711_appendix_b2() -> None:
    keys = SessionKeys(vectors.B2_KEY, vectors.B2_SALT, b"")
    blocks = max(vectors.B2_KEY_STREAM) + 1
    stream = CounterMode(keys, keys).seal(b"", bytes(16 * blocks), ssrc=0, index=0)
    for number, block in vectors.B2_KEY_STREAM.items():
        assert stream[16 * number : 16 * number + 16] == block


@pytest.mark.parametrize("key", vectors.GCM_KEYS.values(), ids=len)
def test_gcm_seals_and_opens_srtp_as_in_rfc_7714_section_16(key: bytes) -> None:
    keys = SessionKeys(key, vectors.GCM_SALT, b"")
    gcm, header, sealed = Gcm(keys, keys), vectors.GCM_RTP_HEADER, vectors.GCM_RTP_SEALED[len(key)]
    ssrc, index = 0x5501A0B2, 0xF17B
    assert gcm.seal(header, vectors.GCM_RTP_PAYLOAD, ssrc, index) == sealed
    assert gcm.open(header, sealed, ssrc, index) == vectors.GCM_RTP_PAYLOAD


@pytest.mark.parametrize("key", vectors.GCM_KEYS.values(), ids=len)
def test_gcm_seals_and_opens_srtcp_as_in_rfc_7714_section_17(key: bytes) -> None:
    keys = SessionKeys(key, vectors.GCM_SALT, b"")
    gcm, header = Gcm(keys, keys), vectors.GCM_RTCP_HEADER
    sealed, ssrc, index = vectors.GCM_RTCP_SEALED[len(key)], 0x4D617273, vectors.GCM_RTCP_INDEX
    assert gcm.seal_rtcp(header, vectors.GCM_RTCP_PAYLOAD, ssrc, index) == sealed
    assert gcm.rtcp_index(sealed) == index
    assert gcm.open_rtcp(header, sealed, ssrc, index) == vectors.GCM_RTCP_PAYLOAD


def test_gcm_opens_what_is_only_authenticated_as_in_rfc_7714_section_17() -> None:
    keys = SessionKeys(vectors.GCM_KEYS[16], vectors.GCM_SALT, b"")
    sealed = vectors.GCM_RTCP_PAYLOAD + vectors.GCM_RTCP_TAG_ONLY
    ssrc, index = 0x4D617273, vectors.GCM_RTCP_INDEX
    opened = Gcm(keys, keys).open_rtcp(vectors.GCM_RTCP_HEADER, sealed, ssrc, index)
    assert opened == vectors.GCM_RTCP_PAYLOAD


def test_keys_of_the_wrong_length_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="AEAD_AES_256_GCM"):
        derive(SrtpProfile.AEAD_AES_256_GCM, bytes(16), bytes(12))


@given(
    st.integers(0x10000, 1 << 40),
    st.integers(-0x7FFF, 0x7FFF),
)
def test_any_index_within_half_a_round_is_guessed(highest: int, away: int) -> None:
    assert guess(highest, (highest + away) & 0xFFFF) == highest + away


def test_half_a_round_away_is_ahead_of_a_low_number_and_behind_a_high_one() -> None:
    """As in appendix A: numbers below 2**15 look back, those above look forward."""
    assert guess(0x10000, 0x8000) == 0x18000
    assert guess(0x18000, 0) == 0x10000
    assert guess(0x17FFF, 0xFFFF) == 0x1FFFF
    assert guess(0x1FFFF, 0x7FFF) == 0x17FFF


def test_no_index_before_the_first_round_is_guessed() -> None:
    assert guess(5, 0xFFFF) == 0xFFFF
    assert guess(0xFFFF, 5) == 0x10005


@pytest.mark.parametrize("profile", SrtpProfile)
def test_a_packet_that_lies_about_its_stream_leaves_no_trace(profile: SrtpProfile) -> None:
    key, salt = bytes(profile.key_length), bytes(profile.salt_length)
    outbound, inbound = Outbound(profile, key, salt), Inbound(profile, key, salt)
    true = outbound.protect(b"\x80\x60\0\1" + bytes(8) + b"voice")
    ahead = true[:2] + b"\x7f\xff" + true[4:]  # would move the window far ahead
    with pytest.raises(Rejected, match="BAD_TAG"):
        inbound.unprotect(ahead)
    assert inbound.unprotect(true).endswith(b"voice")
