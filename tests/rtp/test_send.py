import pytest

from trio_sfu import ntp
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.receive import ReceiveStream
from trio_sfu.rtp.send import SendStream

WALL = 1.7e9


def test_a_report_counts_what_was_sent_and_tells_the_time() -> None:
    stream = SendStream(7, 90_000, WALL)
    assert not stream.started
    stream.sent(packets=3, octets=3000, timestamp=0xFFFFFFFF, now=10.0)
    assert stream.unreported
    report = stream.report(10.5)
    assert (report.ssrc, report.packet_count, report.octet_count) == (7, 3, 3000)
    assert report.rtp_timestamp == 44_999
    assert ntp.to_unix(report.ntp) == pytest.approx(WALL + 10.5, abs=1e-5)
    assert not stream.unreported


def test_an_aligned_stream_tells_the_sources_time() -> None:
    stream = SendStream(7, 48_000, WALL)
    stream.align(timestamp=1000, at=9.0)
    stream.sent(packets=1, octets=100, timestamp=5000, now=10.0)
    assert stream.report(10.0).rtp_timestamp == 49_000


def test_a_late_packet_does_not_turn_back_the_clock() -> None:
    stream = SendStream(7, 90_000, WALL)
    stream.sent(packets=1, octets=100, timestamp=5, now=10.0)
    stream.sent(packets=1, octets=100, timestamp=0xFFFFFFF0, now=10.4)
    assert stream.report(10.5).rtp_timestamp == 45_005


def test_two_reports_tell_the_round_trip() -> None:
    sender, receiver = SendStream(7, 90_000, WALL), ReceiveStream(7, 90_000)
    receiver.receive(RtpPacket(96, False, 1, 0, 7, {}, b""), 100.0)
    receiver.receive(RtpPacket(96, False, 3, 0, 7, {}, b""), 100.0)
    sender.hear(receiver.report(100.0), 0.5)
    assert sender.rtt is None
    receiver.hear(sender.report(1.0), 100.04)
    sender.hear(receiver.report(102.04), 3.1)
    assert sender.rtt == pytest.approx(0.1, abs=1e-3)
    statistics = sender.statistics()
    assert (statistics.lost, statistics.fraction_lost) == (1, 0.0)
