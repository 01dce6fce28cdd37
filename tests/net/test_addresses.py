import socket
from ipaddress import ip_address

import pytest

from trio_sfu.config import Filter, RtcConfig
from trio_sfu.net.addresses import InterfaceAddress, advertised, own_addresses


def machine(*addresses: str) -> list[InterfaceAddress]:
    """From texts such as "eth0 192.0.2.1"."""
    pairs = (address.split() for address in addresses)
    return [InterfaceAddress(name, ip_address(address)) for name, address in pairs]


SERVER = machine(
    "lo 127.0.0.1",
    "lo ::1",
    "eth0 fe80::1",
    "eth0 2001:db8::2",
    "eth0 192.0.2.2",
    "eth1 10.0.0.2",
    "docker0 172.17.0.1",
)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (RtcConfig(), "192.0.2.2 10.0.0.2 172.17.0.1 2001:db8::2"),
        (RtcConfig(node_ip="198.51.100.1"), "198.51.100.1"),
        (RtcConfig(interfaces=Filter(includes=("eth0",))), "192.0.2.2 2001:db8::2"),
        (RtcConfig(interfaces=Filter(excludes=("docker0", "eth0"))), "10.0.0.2"),
        (RtcConfig(ips=Filter(includes=("10.0.0.0/8", "192.0.2.0/24"))), "192.0.2.2 10.0.0.2"),
        (RtcConfig(ips=Filter(excludes=("::/0", "172.16.0.0/12"))), "192.0.2.2 10.0.0.2"),
        (
            RtcConfig(enable_loopback_candidate=True, ips=Filter(excludes=("::/0",))),
            "192.0.2.2 10.0.0.2 172.17.0.1 127.0.0.1",
        ),
        (RtcConfig(interfaces=Filter(includes=("lo",))), "127.0.0.1 ::1"),
        (RtcConfig(interfaces=Filter(includes=("wlan0",))), ""),
    ],
    ids=str,
)
def test_clients_are_told_what_they_could_reach(config: RtcConfig, told: str) -> None:
    assert advertised(config, SERVER) == tuple(told.split())


def test_with_nothing_but_loopback_loopback_is_told() -> None:
    assert advertised(RtcConfig(), machine("lo 127.0.0.1", "lo ::1", "eth0 fe80::1")) == (
        "127.0.0.1",
        "::1",
    )


def test_an_address_on_two_interfaces_is_told_once() -> None:
    assert advertised(RtcConfig(), machine("a 192.0.2.1", "b 192.0.2.1")) == ("192.0.2.1",)


def test_this_machine_has_loopback_and_every_address_can_be_bound() -> None:
    own = own_addresses()
    assert any(str(item.address) == "127.0.0.1" for item in own)
    for item in own:
        if item.address.is_link_local:
            continue  # it would need the name of its link
        family = socket.AF_INET if item.address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(item.address), 0))
