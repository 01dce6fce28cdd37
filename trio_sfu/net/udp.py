"""UDP in lists: one wake-up reads all there is, one system call sends a burst.

Trio's own socket calls are a scheduler pass each. Here a task waits until the
socket is readable, once, and then drains it without waiting; sending never waits
at all. Two tasks that wait to write one socket would be an error in Trio, and a
media packet that the kernel refuses now is worth nothing later: it is counted
and forgotten (quinn decided the same).

What Linux adds, and what happens where it lacks (macOS, an old kernel, a network
interface that refuses): each option is tried once, and done without.

* UDP_SEGMENT: the kernel cuts one buffer into datagrams of one size.
* UDP_GRO: the same on the way in.
* IP_PKTINFO: which of our addresses was asked, so that the answer leaves from it.
* SO_RXQ_OVFL: how many datagrams the kernel dropped because we were slow.
"""

import contextlib
import errno
import socket
import struct
import sys
import time
from typing import Final

import structlog
import trio

from trio_sfu.core import Address, Datagram

log = structlog.get_logger(__name__)

BUFFER_SIZE: Final = 4 << 20
"""Bytes asked of the kernel each way: half a second of 60 Mbit/s."""

TURN: Final = 0.002
"""Seconds after which a reader lets others run, even if there is more to read."""

MAX_SEGMENTS: Final = 64
MAX_BURST: Final = 65_000
"""What one UDP_SEGMENT call may carry: UDP_MAX_SEGMENTS, and the IP length field."""

MAX_SOURCES: Final = 4_096
"""Remote hosts of which is remembered whether the kernel must be told where to send from.
All are forgotten when there are more, so what a changed route made wrong does not stay."""

_LINUX: Final = sys.platform == "linux"

# Not in Python 3.11's socket module; values of Linux.
_IP_PKTINFO: Final = 8
_SO_RXQ_OVFL: Final = 40
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_IPV6_PKTINFO: Final = getattr(socket, "IPV6_PKTINFO", 50)
_IPV6_RECVPKTINFO: Final = getattr(socket, "IPV6_RECVPKTINFO", 49)

_NO_SEGMENTS: Final = frozenset({errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EMSGSIZE})
_WOULD_BLOCK: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})

_U16: Final = struct.Struct("=H")
_INT: Final = struct.Struct("=i")

_Ancillary = list[tuple[int, int, bytes]]


class UdpSocket:
    """One bound UDP socket. Many tasks may `send`; one may `receive`."""

    def __init__(self, host: str, port: int, *, segments: bool = _LINUX) -> None:
        """Bind to *host* (numeric; "0.0.0.0" and "::" for all) and *port* (0: any).

        Raises `OSError` when the address is taken or not ours.
        """
        self.refused = 0
        """Datagrams that the kernel would not take."""
        self.overflowed = 0
        """Datagrams that came and were dropped by the kernel, since we were slow."""
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
        with contextlib.ExitStack() as undo:
            undo.callback(self._socket.close)
            self._socket.setblocking(False)
            if self._family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind((host, port))
            undo.pop_all()
        self.address: Address = self._socket.getsockname()[:2]
        self._segments = segments
        self._buffer = bytearray(65_536)
        self._view = memoryview(self._buffer)
        self._locals: dict[bytes, Address] = {}
        self._sources: dict[tuple[str, str], _Ancillary] = {}
        self._ask_for_buffers()
        self._ask_for_options()

    def __enter__(self) -> "UdpSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def _ask_for_buffers(self) -> None:
        for option, name, knob in (
            (socket.SO_RCVBUF, "receive", "net.core.rmem_max"),
            (socket.SO_SNDBUF, "send", "net.core.wmem_max"),
        ):
            self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER_SIZE)
            got = self._socket.getsockopt(socket.SOL_SOCKET, option)
            if got < BUFFER_SIZE:
                log.info(
                    "the kernel gives a smaller UDP buffer than asked for",
                    direction=name,
                    bytes=got,
                    mend=f"sysctl -w {knob}={BUFFER_SIZE}",
                )

    def _ask_for_options(self) -> None:
        v6 = self._family == socket.AF_INET6
        wanted = [
            (socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO) if v6 else (socket.IPPROTO_IP, _IP_PKTINFO)
        ]
        if _LINUX:
            wanted += [(socket.SOL_SOCKET, _SO_RXQ_OVFL)]
        if self._segments:
            wanted += [(socket.IPPROTO_UDP, _UDP_GRO)]
        for level, option in wanted:
            with contextlib.suppress(OSError):  # done without where it lacks
                self._socket.setsockopt(level, option, 1)

    async def receive(self) -> list[Datagram]:
        """All that has arrived: at least one datagram, and no more than `TURN` of work."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            if datagrams := self._drain():
                return datagrams

    def _drain(self) -> list[Datagram]:
        datagrams: list[Datagram] = []
        buffers, view, receive = [self._buffer], self._view, self._socket.recvmsg_into
        end = time.perf_counter() + TURN
        while True:
            try:
                count, ancillary, _, sender = receive(buffers, 128)
            except OSError as error:
                # An ICMP error of an earlier send is reported here; nothing was read.
                if error.errno in _WOULD_BLOCK:
                    return datagrams
                continue
            remote = sender[:2]
            local, size = self._read_ancillary(ancillary, count)
            if size >= count:
                datagrams.append(Datagram(bytes(view[:count]), remote, local))
            else:
                datagrams += [
                    Datagram(bytes(view[start : min(start + size, count)]), remote, local)
                    for start in range(0, count, size)
                ]
            if time.perf_counter() > end:
                return datagrams

    def _read_ancillary(self, ancillary: _Ancillary, count: int) -> tuple[Address, int]:
        """Which of our addresses was asked, and of what size the pieces are."""
        local, size = self.address, count
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_UDP and kind == _UDP_GRO:
                size = _INT.unpack(data[:4])[0] or count
            elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                local = self._local(data[8:12])
            elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
                local = self._local(data[:16])
            elif level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                self.overflowed = struct.unpack("=I", data[:4])[0]
        return local, size

    def _local(self, packed: bytes) -> Address:
        local = self._locals.get(packed)
        if local is None:
            # Bounded: a host has so many addresses, and only ours can come here.
            local = (socket.inet_ntop(self._family, packed), self.address[1])
            self._locals[packed] = local
        return local

    def send(self, datagrams: list[Datagram]) -> None:
        """Send all that the kernel takes now. Neighbours to one address leave as one burst."""
        for burst in bursts(datagrams) if self._segments else [[each] for each in datagrams]:
            first = burst[0]
            remote = first.remote
            ancillary = self._source(first.local, remote)
            try:
                if len(burst) > 1:
                    size = (socket.IPPROTO_UDP, _UDP_SEGMENT, _U16.pack(len(first.data)))
                    self._socket.sendmsg(
                        [each.data for each in burst], [*ancillary, size], 0, remote
                    )
                elif ancillary:
                    self._socket.sendmsg([first.data], ancillary, 0, remote)
                else:
                    self._socket.sendto(first.data, remote)
            except OSError as error:
                if len(burst) > 1 and error.errno in _NO_SEGMENTS:
                    self._segments = False
                    log.info("the kernel does not cut bursts here", error=str(error))
                    self.send(burst)
                else:
                    self.refused += len(burst)

    def _source(self, local: Address, remote: Address) -> _Ancillary:
        """The control message that makes a datagram to *remote* leave from *local*.

        None where the kernel chooses that anyway: to be told costs a tenth of sending.
        """
        key = local[0], remote[0]
        source = self._sources.get(key)
        if source is None:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.clear()
            source = self._make_source(local[0])
            if source and local[0] == self._usual_source(remote):
                source = []
            self._sources[key] = source
        return source

    def _usual_source(self, remote: Address) -> str:
        """Which of our addresses the kernel would send to *remote* from."""
        if self.address[0] not in ("0.0.0.0", "::"):
            return self.address[0]
        with socket.socket(self._family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(remote)
            except OSError:
                return ""
            return str(probe.getsockname()[0])

    def _make_source(self, host: str) -> _Ancillary:
        try:
            packed = socket.inet_pton(self._family, host)
        except OSError:  # not an address of this family: let the kernel choose
            return []
        if not any(packed):  # nor is "all addresses" one to send from
            return []
        if self._family == socket.AF_INET6:
            return [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, packed + bytes(4))]
        return [(socket.IPPROTO_IP, _IP_PKTINFO, bytes(4) + packed + bytes(4))]


def bursts(datagrams: list[Datagram]) -> list[list[Datagram]]:
    """Runs of neighbours that one UDP_SEGMENT call can send.

    One address each way, one size; the last of a run may be shorter.
    """
    if len(datagrams) == 1:
        return [datagrams]
    found: list[list[Datagram]] = []
    burst: list[Datagram] = []
    remote = local = None
    size = room = 0
    for datagram in datagrams:
        length = len(datagram.data)
        if (
            length <= size
            and length <= room
            and datagram.remote == remote
            and datagram.local == local
            and len(burst) < MAX_SEGMENTS
        ):
            burst.append(datagram)
            # A shorter one ends the run.
            room = room - length if length == size else 0
        else:
            burst = [datagram]
            found.append(burst)
            remote, local = datagram.remote, datagram.local
            size, room = length, MAX_BURST - length
    return found
