import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu import ntp


def test_the_epoch_of_unix_is_seventy_years_after_that_of_ntp() -> None:
    assert ntp.from_unix(0.0) == 2_208_988_800 << 32
    assert ntp.from_unix(0.5) & 0xFFFF_FFFF == 1 << 31


@given(st.floats(0, 2e9))
def test_a_time_of_day_survives_both_ways_to_the_microsecond(seconds: float) -> None:
    assert ntp.to_unix(ntp.from_unix(seconds)) == pytest.approx(seconds, abs=1e-6)


def test_the_round_trip_of_rfc_3550_figure_2() -> None:
    """LSR 0xb705:2000, DLSR 5.25 s, heard at 0xb710:8000: a round trip of 6.125 s."""
    assert ntp.round_trip(0xB710_8000, 0xB705_2000, 0x0005_4000) == 6.125


@given(st.floats(1e9, 2e9), st.floats(0, 30), st.floats(0, 30))
def test_any_round_trip_is_found(start: float, rtt: float, delay: float) -> None:
    last = ntp.middle(ntp.from_unix(start)) or 1
    now = ntp.middle(ntp.from_unix(start + rtt + delay))
    assert ntp.round_trip(now, last, round(delay * 65536)) == pytest.approx(rtt, abs=1e-4)


@pytest.mark.parametrize(
    ("now", "last", "delay"),
    [(0x10000, 0, 0), (0x10000, 0x40000, 0), (0x400_0000, 1, 0)],
    ids=["no report yet", "from the future", "an hour ago"],
)
def test_what_is_no_round_trip_is_none(now: int, last: int, delay: int) -> None:
    assert ntp.round_trip(now, last, delay) is None


def test_a_peers_fast_clock_makes_no_negative_round_trip() -> None:
    assert ntp.round_trip(0x10000, 0x8000, 0x8010) == 0.0
