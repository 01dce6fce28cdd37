"""The file opens in libpcap's format, whatever the addresses are."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from trio_sfu.api.pcap import BYTES_LIMIT, Capture, ip_packet

SERVER, CLIENT = ("192.0.2.1", 7882), ("198.51.100.7", 40000)
RTP = bytes.fromhex("80e0 0001 0000 0010 0000 00ff") + b"payload"


def test_a_packet_has_headers_of_its_addresses() -> None:
    packet = ip_packet(b"data", CLIENT, SERVER)
    assert len(packet) == 20 + 8 + 4
    assert (packet[0], packet[9]) == (0x45, 17)
    assert struct.unpack("!H", packet[2:4]) == (len(packet),)
    assert packet[12:20] == bytes([198, 51, 100, 7, 192, 0, 2, 1])
    assert struct.unpack("!HHH", packet[20:26]) == (40000, 7882, 12)
    assert packet[28:] == b"data"


def test_of_ipv6_too() -> None:
    packet = ip_packet(b"data", ("2001:db8::1", 1), ("2001:db8::2", 2))
    assert len(packet) == 40 + 8 + 4
    assert (packet[0] >> 4, packet[6]) == (6, 17)


@pytest.mark.parametrize("host", ["", "inside", "2001:db8::1"])
def test_an_address_that_does_not_fit_is_zeros(host: str) -> None:
    packet = ip_packet(b"", (host, 1), SERVER)
    assert packet[12:16] == bytes(4)


def test_it_stops_taking_at_its_limit() -> None:
    capture = Capture(0.0)
    big = bytes(60_000)
    for _ in range(BYTES_LIMIT // len(big) + 10):
        capture.take(big, CLIENT, SERVER, 1.0)
    assert capture.missed > 0
    assert len(capture.file()) <= BYTES_LIMIT + 100


@pytest.mark.interop
def test_tshark_reads_rtp_and_rtcp_from_it(tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("it needs tshark")
    capture = Capture(1.7e9)
    capture.take(RTP, CLIENT, SERVER, 1.5)
    report = bytes.fromhex("80c9 0001 0000 00ff")
    capture.take(report, SERVER, CLIENT, 1.6)
    file = tmp_path / "call.pcap"
    file.write_bytes(capture.file())
    # fmt: off
    shown = subprocess.run(
        [
            "tshark", "-r", str(file), "-d", "udp.port==7882,rtp", "-T", "fields",
            "-e", "frame.time_epoch", "-e", "ip.src", "-e", "rtp.ssrc", "-e", "rtp.seq",
            "-e", "rtcp.pt",
        ],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout.splitlines()
    # fmt: on
    first, second = (line.split("\t") for line in shown)
    assert float(first[0]) == pytest.approx(1.7e9 + 1.5)
    assert first[1:4] == ["198.51.100.7", "0x000000ff", "1"]
    assert (second[1], second[4]) == ("192.0.2.1", "201")
