"""More of it is tested by the forwarder's scenarios."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.room.timeline import Timeline
from trio_sfu.rtp.packet import RtpPacket

RATE = 90_000
u32 = st.integers(0, 2**32 - 1)


def packet(timestamp: int, arrival: float) -> RtpPacket:
    return RtpPacket(96, False, 0, timestamp & 0xFFFFFFFF, 1, {}, b"x", 0, arrival)


def ntp(seconds: float) -> int:
    return round((3_900_000_000 + seconds) * 2**32)


def step(timeline: Timeline, last: RtpPacket, first: RtpPacket) -> int:
    """How much later the subscriber sees *first*, of layer 1, than *last*, of layer 0."""
    seen = (last.timestamp + timeline.offset) & 0xFFFFFFFF
    timeline.switch((0, last), (1, first))
    return (first.timestamp + timeline.offset - seen) & 0xFFFFFFFF


@given(u32, u32, st.floats(-60, 60), st.floats(-60, 60), st.floats(0, 1))
def test_pictures_are_as_far_apart_as_they_were_taken(
    old: int, new: int, old_report: float, new_report: float, apart: float
) -> None:
    """Whenever the reports came: before or after the packets, here or there of a wrap."""
    timeline = Timeline(RATE)
    timeline.report(0, ntp(old_report), (old + round(old_report * RATE)) & 0xFFFFFFFF)
    timeline.report(1, ntp(new_report + apart), (new + round(new_report * RATE)) & 0xFFFFFFFF)
    taken = step(timeline, packet(old, 0.0), packet(new, 0.9))
    assert taken == pytest.approx(max(1, apart * RATE), abs=2)


@given(u32, u32, st.floats(-5, 5))
def test_time_never_goes_back(old: int, new: int, later: float) -> None:
    timeline = Timeline(RATE)
    assert step(timeline, packet(old, 10.0), packet(new, 10.0 + later)) == pytest.approx(
        max(1, later * RATE), abs=2
    )


def test_the_first_source_keeps_its_timestamps() -> None:
    assert Timeline(RATE).offset == 0
