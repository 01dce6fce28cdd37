"""Which addresses clients are told to send their media to.

A socket that is bound to every address has none of its own to tell. So the kernel is
asked what addresses this machine has, and those are told that a client elsewhere could
use: not loopback, not an address that holds on one link only. Where nothing is left,
as on a laptop in a train, loopback is: then the clients are on this machine too.

The standard library cannot list addresses, but it can open the socket on which Linux
answers that question (rtnetlink, RTM_GETADDR): one request, some datagrams back. The
trick that many use instead, to look at the local end of a UDP socket "connected" to
some far address, finds only the one address of the default route; it is our answer
where the kernel gives none.
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import attrs

from trio_sfu.config import RtcConfig

IpAddress = IPv4Address | IPv6Address


@attrs.frozen
class InterfaceAddress:
    """An address that this machine has, and on which interface."""

    interface: str
    address: IpAddress


def advertised(config: RtcConfig, own: Iterable[InterfaceAddress]) -> tuple[str, ...]:
    """What to tell clients, IPv4 first. *own* is what `own_addresses` says.

    The operator's word is the last one: `node_ip` stands alone, whatever this machine has.
    """
    if config.node_ip:
        return tuple(config.node_ip.split(","))
    wanted = [item.address for item in own if _is_wanted(config, item)]
    far = [address for address in wanted if _is_reachable_from_afar(address)]
    near = [address for address in wanted if address.is_loopback]
    chosen = [*far, *near] if config.enable_loopback_candidate else far or near
    return tuple(str(item) for item in sorted(dict.fromkeys(chosen), key=lambda item: item.version))


def _is_wanted(config: RtcConfig, item: InterfaceAddress) -> bool:
    return config.interfaces.lets_through(lambda name: name == item.interface) and (
        config.ips.lets_through(lambda network: item.address in ip_network(network))
    )


def _is_reachable_from_afar(address: IpAddress) -> bool:
    # Link-local ones (fe80::) mean nothing without the name of a link, which no
    # candidate can carry.
    return not (address.is_loopback or address.is_link_local or address.is_multicast)


def own_addresses() -> list[InterfaceAddress]:
    """The addresses of this machine's interfaces that are up, as the kernel lists them."""
    try:
        return list(_ask_kernel())
    except OSError:  # no rtnetlink: another system, or a sandbox without it
        routes = [
            _ask_route(socket.AF_INET, "192.0.2.1"),
            _ask_route(socket.AF_INET6, "2001:db8::1"),
        ]
        return [InterfaceAddress("", address) for address in routes if address is not None] or [
            InterfaceAddress("lo", IPv4Address("127.0.0.1"))
        ]


# linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
_HEADER: Final = struct.Struct("=IHHII")
"""Length with this header, type, flags, sequence number, port."""
_ADDRESS: Final = struct.Struct("=BBBBI")
"""Family, prefix length, flags, scope, index of the interface."""
_ATTRIBUTE: Final = struct.Struct("=HH")
"""Length with this header, type."""
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
RTM_NEWADDR: Final = 20
RTM_GETADDR: Final = 22
NLM_F_REQUEST: Final = 0x001
NLM_F_DUMP: Final = 0x300
IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
"""On a link with two ends, IFA_ADDRESS is the other end's and this one ours."""
IFA_F_DADFAILED: Final = 0x08
IFA_F_DEPRECATED: Final = 0x20
IFA_F_TENTATIVE: Final = 0x40
UNUSABLE: Final = IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE


def _ask_kernel() -> Iterator[InterfaceAddress]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(1)  # it answers at once or never
        question = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        size = _HEADER.size + len(question)
        flags = NLM_F_REQUEST | NLM_F_DUMP
        kernel.send(_HEADER.pack(size, RTM_GETADDR, flags, 1, 0) + question)
        while True:
            for kind, body in _messages(kernel.recv(65536)):
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    raise OSError("rtnetlink refuses to list addresses")
                if kind == RTM_NEWADDR and (found := _read_address(body)) is not None:
                    yield found


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        size, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : size]
        data = data[max(_align(size), _HEADER.size) :]


def _read_address(body: bytes) -> InterfaceAddress | None:
    _, _, flags, _, index = _ADDRESS.unpack_from(body)
    attributes: dict[int, bytes] = {}
    rest = body[_ADDRESS.size :]
    while len(rest) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(rest)
        attributes[kind] = rest[_ATTRIBUTE.size : size]
        rest = rest[max(_align(size), _ATTRIBUTE.size) :]
    packed = attributes.get(IFA_LOCAL, attributes.get(IFA_ADDRESS, b""))
    if flags & UNUSABLE or len(packed) not in (4, 16):
        return None
    return InterfaceAddress(_name(index), ip_address(packed))


def _align(size: int) -> int:
    """Netlink pads everything to four bytes."""
    return (size + 3) & ~3


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # it went away while we asked
        return ""


def _ask_route(family: socket.AddressFamily, far: str) -> IpAddress | None:
    """The address from which *far* would be reached; nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))
        except OSError:
            return None
        return ip_address(probe.getsockname()[0])
