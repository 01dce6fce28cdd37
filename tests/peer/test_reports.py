import math

import pytest

from trio_sfu.peer.reports import FIRST_REPORT, LONGEST_COMPOUND, ReportSchedule, compounds
from trio_sfu.rtp.feedback import Nack, Pli
from trio_sfu.rtp.rtcp import (
    RtcpPacket,
    SdesChunk,
    SenderReport,
    SourceDescription,
    decode_compound,
)


def test_the_first_report_is_early_and_the_next_ones_keep_the_interval() -> None:
    schedule, taken = ReportSchedule(1.0), []
    for tick in range(500):
        now = tick / 100
        schedule.news(now)
        if schedule.take_due(now):
            taken.append(now)
    assert taken == pytest.approx([0.1, 1.1, 2.1, 3.1, 4.1])


def test_silence_makes_no_reports() -> None:
    schedule = ReportSchedule(1.0)
    assert schedule.deadline == math.inf
    schedule.news(0.0)
    assert schedule.take_due(5.0)
    assert schedule.deadline == math.inf
    schedule.news(100.0)
    assert schedule.deadline == 100.0 + FIRST_REPORT


def test_what_is_new_need_not_wait_for_the_interval() -> None:
    schedule = ReportSchedule(3.0)
    schedule.news(0.0)
    assert schedule.take_due(0.1)
    schedule.news(0.2)
    schedule.hurry(1.0)
    assert schedule.deadline == 1.1


def test_compounds_are_full_but_not_too_long_and_lose_nothing() -> None:
    packets: list[RtcpPacket] = []
    for ssrc in range(60):
        packets.append(SenderReport(ssrc, 0, 0, 0, 0))
        packets.append(SourceDescription((SdesChunk(ssrc, ((1, b"a longer name"),)),)))
        packets.append(Pli(1, ssrc))
    made = compounds(packets)
    assert all(len(compound) <= LONGEST_COMPOUND for compound in made)
    assert len(made) == 4
    decoded = [decode_compound(compound) for compound in made]
    assert [packet for compound in decoded for packet in compound] == packets
    assert not any(isinstance(compound[0], SourceDescription) for compound in decoded)


def test_nothing_makes_no_compound() -> None:
    assert compounds([]) == []


def test_one_packet_that_is_too_long_leaves_alone() -> None:
    long: list[RtcpPacket] = [Nack(1, 2, tuple(range(0, 60_000, 100)))]
    assert len(compounds([Pli(1, 2), *long, Pli(1, 2)])) == 3
