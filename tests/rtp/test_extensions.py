import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.rtp import extensions
from trio_sfu.rtp.extensions import AbsCaptureTime, AudioLevel, PlayoutDelay
from trio_sfu.wire import Reader

u12 = st.integers(0, 0xFFF)
i64 = st.integers(-(2**63), 2**63 - 1)


@given(
    st.one_of(
        st.builds(AudioLevel, st.integers(0, 127), st.booleans()),
        st.builds(AbsCaptureTime, st.integers(0, 2**64 - 1), st.none() | i64),
        st.builds(PlayoutDelay, u12, u12),
    )
)
def test_values_survive_a_round_trip(value: AudioLevel | AbsCaptureTime | PlayoutDelay) -> None:
    assert type(value).decode(Reader(value.encode())) == value


def test_an_audio_level_says_speech_in_its_top_bit() -> None:
    assert AudioLevel.decode(Reader(b"\x9e")) == AudioLevel(30, True)


def test_a_longer_audio_level_is_one_with_padding() -> None:
    assert AudioLevel.decode(Reader(b"\x1e\x00")) == AudioLevel(30, False)


@given(st.floats(0, 1e7))
def test_send_times_wrap_after_64_seconds(now: float) -> None:
    time = extensions.decode_abs_send_time(Reader(extensions.encode_abs_send_time(now)))
    assert 0 <= (now - time + 1e-6) % 64 < 1e-5


@given(st.integers(0, 2**40))
def test_transport_sequence_numbers_are_the_low_sixteen_bits(sequence: int) -> None:
    encoded = extensions.encode_transport_sequence(sequence)
    assert extensions.decode_transport_sequence(Reader(encoded)) == sequence & 0xFFFF


def test_identifiers_are_read() -> None:
    for uri in (extensions.MID, extensions.RID, extensions.REPAIRED_RID):
        assert extensions.DECODERS[uri](Reader(extensions.encode_identifier("q"))) == "q"


@pytest.mark.parametrize("wrong", [b"", b"x" * 33, b"\xff", b"a\0", "é".encode()])
def test_an_identifier_is_a_short_token(wrong: bytes) -> None:
    with pytest.raises(WireError):
        extensions.decode_identifier(Reader(wrong))
