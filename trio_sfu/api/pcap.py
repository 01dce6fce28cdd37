"""What one participant's connections carry, decrypted, as a file that Wireshark opens.

Somebody whose picture is broken has a browser that says little, and on the network
everything is encrypted. Only here is it open, for the moment between two keys. So for a
few seconds a copy of each packet of RTP and RTCP is kept, with an IP and a UDP header
made for it, so that Wireshark finds its way: "Decode As RTP" on the port of the server.

It is other people's conversation. So it is taken only for whoever may administer that
very room, only where `/debug` is served at all, only of a named participant, and not
longer nor larger than the limits here say. With end-to-end encryption it is ciphertext.

The format is the old one of libpcap, with raw IP as the link layer (LINKTYPE_RAW, 101).
"""

import struct
from ipaddress import ip_address
from typing import Final

from trio_sfu.core import Address

SECONDS_LIMIT: Final = 60.0
BYTES_LIMIT: Final = 32 << 20
"""Of one capture: a minute of 4 Mbit/s."""

_HEADER: Final = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
_RECORD: Final = struct.Struct("=IIII")
_UDP: Final = 17
_HOPS: Final = 64


class Capture:
    """Takes copies of datagrams until it is full."""

    def __init__(self, wall: float) -> None:
        """*wall* is what to add to the times for seconds since 1970."""
        self.packets = 0
        self.missed = 0
        """Packets for which there was no more room."""
        self._wall = wall
        self._records: list[bytes] = [_HEADER]
        self._size = len(_HEADER)

    def take(self, data: bytes, source: Address, destination: Address, now: float) -> None:
        if self._size + len(data) > BYTES_LIMIT:
            self.missed += 1
            return
        packet = ip_packet(data, source, destination)
        seconds, rest = divmod(self._wall + now, 1)
        head = _RECORD.pack(int(seconds), int(rest * 1e6), len(packet), len(packet))
        self._records += (head, packet)
        self._size += len(head) + len(packet)
        self.packets += 1

    def file(self) -> bytes:
        """All that was taken, as a pcap file."""
        return b"".join(self._records)


def ip_packet(data: bytes, source: Address, destination: Address) -> bytes:
    """*data* in UDP in IP, with checksums left out, as capturing on a host often shows them.

    Where the addresses are of two families, or are none, IPv4's zeros stand for them.
    """
    hosts = [_host(address[0]) for address in (source, destination)]
    udp = struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0) + data
    if all(len(host) == 16 for host in hosts):
        return struct.pack("!IHBB", 6 << 28, len(udp), _UDP, _HOPS) + b"".join(hosts) + udp
    hosts = [host if len(host) == 4 else bytes(4) for host in hosts]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, _HOPS, _UDP, 0)
    return head + b"".join(hosts) + udp


def _host(host: str) -> bytes:
    try:
        return ip_address(host).packed
    except ValueError:
        return bytes(4)
