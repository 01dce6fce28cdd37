import contextlib

import pytest
from aioice.candidate import candidate_priority
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.ice.candidate import (
    MAX_LINE,
    Candidate,
    foundation,
    host_candidate,
    host_candidates,
    pair_priority,
    priority,
    reflexive_candidate,
)

CHROMIUM = (
    "candidate:842163049 1 udp 1677729535 203.0.113.5 46154 typ srflx raddr 192.0.2.1 rport 46154"
    " generation 0 ufrag 7L8Z network-id 1 network-cost 10"
)
MDNS = (
    "candidate:0 1 UDP 2122252543 4F1c8a11-5c7b-4ea1-93c0-b06a7ab2a6b5.local 53001 typ host"
    " generation 0"
)
TCP = "candidate:1 1 TCP 1518280447 192.0.2.1 9 typ host tcptype active"


def test_a_line_of_chromium_is_read_whole() -> None:
    candidate = Candidate.decode(CHROMIUM)
    assert candidate.address == ("203.0.113.5", 46154)
    assert (candidate.foundation, candidate.component, candidate.transport) == (
        "842163049",
        1,
        "udp",
    )
    assert (candidate.kind, candidate.priority) == ("srflx", 1677729535)
    assert candidate.related == ("192.0.2.1", 46154)
    assert candidate.extension("network-cost") == "10" and candidate.extension("nothing") is None
    assert candidate.encode() == CHROMIUM


@pytest.mark.parametrize("prefix", ["", "a=", " "])
def test_the_prefix_does_not_matter(prefix: str) -> None:
    assert Candidate.decode(prefix + CHROMIUM) == Candidate.decode(
        CHROMIUM.removeprefix("candidate:")
    )


def test_a_hidden_address_is_a_name() -> None:
    candidate = Candidate.decode(MDNS)
    assert candidate.is_name and candidate.host.endswith(".local")
    assert candidate.transport == "udp"
    assert not Candidate.decode(CHROMIUM).is_name


def test_tcp_candidates_keep_their_type() -> None:
    candidate = Candidate.decode(TCP)
    assert (candidate.transport, candidate.tcp_type) == ("tcp", "active")
    assert candidate.encode() == TCP.replace("TCP", "tcp")


@pytest.mark.parametrize("host", ["2001:DB8:0:0::1", "2001:db8::1"])
def test_addresses_have_one_form(host: str) -> None:
    candidate = Candidate.decode(f"1 1 udp 1 {host} 1 typ host")
    assert candidate.host == "2001:db8::1" and candidate.ipv6


MALFORMED = [
    "",
    "candidate:1 1 udp 1 192.0.2.1 1",
    "candidate:1 1 udp 1 192.0.2.1 1 host typ",
    "candidate:1 one udp 1 192.0.2.1 1 typ host",
    "candidate:1 0 udp 1 192.0.2.1 1 typ host",
    "candidate:1 257 udp 1 192.0.2.1 1 typ host",
    "candidate:1 1 udp -1 192.0.2.1 1 typ host",
    "candidate:1 1 udp 4294967296 192.0.2.1 1 typ host",
    "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
    "candidate:1 1 udp 1 192.0.2.1 1 typ guest",
    "candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport 99999",
    "candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport x",
    "candidate:ä 1 udp 1 192.0.2.1 1 typ host",
    f"candidate:{'1' * 33} 1 udp 1 192.0.2.1 1 typ host",
    "candidate:1 1 udp 1 bad_name 1 typ host",
    "candidate:1 1 udp 1 ü.local 1 typ host",
    f"candidate:1 1 udp 1 192.0.2.1 1 typ host {'x' * MAX_LINE}",
    f"candidate:1 1 udp {'9' * 900} 192.0.2.1 1 typ host",
]


@pytest.mark.parametrize("line", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_lines_are_refused(line: str) -> None:
    with pytest.raises(WireError):
        Candidate.decode(line)


@given(
    st.text(max_size=200) | st.lists(st.sampled_from(CHROMIUM.split()), max_size=24).map(" ".join)
)
def test_arbitrary_text_raises_only_wire_error(line: str) -> None:
    with contextlib.suppress(WireError):
        candidate = Candidate.decode(line)
        assert Candidate.decode(candidate.encode()) == candidate


candidates = st.builds(
    Candidate,
    st.text("abcXYZ019+/", min_size=1, max_size=32),
    st.integers(1, 256),
    st.sampled_from(["udp", "tcp"]),
    st.integers(0, 2**32 - 1),
    st.ip_addresses().map(str) | st.just("abc-1.local"),
    st.integers(0, 65535),
    st.sampled_from(["host", "srflx", "prflx", "relay"]),
    st.none() | st.tuples(st.ip_addresses().map(str), st.integers(0, 65535)),
    st.none() | st.sampled_from(["active", "passive", "so"]),
    st.lists(st.tuples(st.sampled_from(["ufrag", "x-y"]), st.text("a1:=", min_size=1))).map(tuple),
)


@given(candidates)
def test_what_is_written_is_read(candidate: Candidate) -> None:
    assert Candidate.decode(candidate.encode()) == candidate


@given(
    st.sampled_from(["host", "srflx", "prflx", "relay"]),
    st.integers(0, 65535),
    st.integers(1, 256),
)
def test_priorities_are_those_of_aioice(kind: str, preference: int, component: int) -> None:
    assert priority(kind, preference, component) == candidate_priority(component, kind, preference)


@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
def test_a_pairs_priority_orders_by_the_weaker_side_and_is_below_two_to_the_63(
    controlling: int, controlled: int
) -> None:
    value = pair_priority(controlling, controlled)
    assert value >> 32 >= min(controlling, controlled) and value < 2**64
    assert value != pair_priority(controlled, controlling) or controlling == controlled


def test_a_server_prefers_its_addresses_in_the_order_given() -> None:
    first, second = host_candidates([("10.0.0.1", 7882), ("2001:DB8::1", 7882)])
    assert first.priority > second.priority == priority("host", 65534)
    assert second.encode().startswith(
        f"candidate:{foundation('host', '2001:db8::1')} 1 udp {second.priority} 2001:db8::1 7882"
    )
    assert first.foundation != second.foundation


def test_a_host_candidate_needs_an_address() -> None:
    with pytest.raises(ValueError, match="localhost"):
        host_candidate(("localhost", 1))


def test_a_reflexive_candidate_shares_no_foundation() -> None:
    one, two = (reflexive_candidate(("192.0.2.1", port), 5) for port in (1, 2))
    assert one.kind == "prflx" and one.priority == 5 and one.foundation != two.foundation
