import errno
import socket
from collections.abc import Iterator

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.core import Address, Datagram
from trio_sfu.net import udp
from trio_sfu.net.udp import MAX_BURST, MAX_SEGMENTS, UdpSocket


@pytest.fixture(params=["segments", "plain"])
def engine(request: pytest.FixtureRequest) -> bool:
    """With the kernel's help, and without (macOS, old kernels)."""
    return request.param == "segments"


@pytest.fixture
def ours(engine: bool) -> Iterator[UdpSocket]:
    with UdpSocket("127.0.0.1", 0, segments=engine) as sock:
        yield sock


@pytest.fixture
def theirs() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(30)
        yield sock


def to(sock: socket.socket, local: Address, *payloads: bytes) -> list[Datagram]:
    return [Datagram(each, sock.getsockname(), local) for each in payloads]


async def test_one_wake_up_reads_all_there_is(ours: UdpSocket, theirs: socket.socket) -> None:
    sent = [bytes((number,)) * (100 + number) for number in range(20)]
    for payload in sent:
        theirs.sendto(payload, ours.address)
    datagrams = await ours.receive()
    while len(datagrams) < len(sent):
        datagrams += await ours.receive()
    assert [each.data for each in datagrams] == sent
    assert {each.remote for each in datagrams} == {theirs.getsockname()}
    assert {each.local for each in datagrams} == {ours.address}


async def test_a_burst_arrives_as_the_datagrams_that_were_sent(
    ours: UdpSocket, theirs: socket.socket
) -> None:
    sent = [bytes((number,)) * 1150 for number in range(9)] + [
        b"short",
        b"another",
        b"a longer one",
    ]
    ours.send(to(theirs, ours.address, *sent))
    assert [theirs.recv(2000) for _ in sent] == sent


async def test_a_burst_between_two_of_ours_is_put_apart_again(engine: bool) -> None:
    sent = [bytes((number,)) * 1150 for number in range(40)] + [b"the last is shorter"]
    with (
        UdpSocket("127.0.0.1", 0, segments=engine) as one,
        UdpSocket("127.0.0.1", 0, segments=engine) as other,
    ):
        one.send([Datagram(each, other.address, one.address) for each in sent])
        datagrams: list[Datagram] = []
        with trio.fail_after(30):
            while len(datagrams) < len(sent):
                datagrams += await other.receive()
    assert [each.data for each in datagrams] == sent


async def test_an_answer_leaves_from_the_address_that_was_asked(theirs: socket.socket) -> None:
    with UdpSocket("0.0.0.0", 0) as ours:
        theirs.sendto(b"who is there?", ("127.0.0.3", ours.address[1]))
        (asked,) = await ours.receive()
        assert asked.local == ("127.0.0.3", ours.address[1])
        ours.send([Datagram(b"me", asked.remote, asked.local)])
        assert theirs.recvfrom(100) == (b"me", asked.local)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 on this machine")
async def test_ipv6_answers_from_the_address_that_was_asked() -> None:
    with UdpSocket("::", 0) as ours, UdpSocket("::1", 0) as theirs:
        theirs.send([Datagram(b"ping", ("::1", ours.address[1]), theirs.address)])
        (asked,) = await ours.receive()
        assert asked.local == ("::1", ours.address[1])
        ours.send([Datagram(b"pong", asked.remote, asked.local)])
        (answer,) = await theirs.receive()
        assert (answer.data, answer.remote) == (b"pong", asked.local)


async def test_what_the_kernel_refuses_is_counted_and_forgotten(
    ours: UdpSocket, theirs: socket.socket
) -> None:
    ours.send([Datagram(b"x" * 70_000, theirs.getsockname(), ours.address)])
    assert ours.refused == 1
    ours.send(to(theirs, ours.address, b"the next one"))
    assert theirs.recv(100) == b"the next one"


async def test_a_kernel_that_cuts_no_bursts_is_done_without(
    theirs: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(socket.socket):
        def sendmsg(self, buffers, ancillary=(), *rest):  # type: ignore[no-untyped-def,override]
            if len(buffers) > 1:
                raise OSError(errno.EIO, "no offload on this interface")
            return super().sendmsg(buffers, ancillary, *rest)

    monkeypatch.setattr(udp.socket, "socket", Refusing)
    with UdpSocket("127.0.0.1", 0, segments=True) as ours:
        for _ in range(2):
            ours.send(to(theirs, ours.address, b"one", b"two"))
    assert [theirs.recv(10) for _ in range(4)] == [b"one", b"two"] * 2
    assert ours.refused == 0


async def test_nobody_listening_there_does_not_stop_the_reader(theirs: socket.socket) -> None:
    with UdpSocket("127.0.0.1", 0) as ours:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            closed = gone.getsockname()
        ours.send([Datagram(b"hello?", closed, ours.address)] * 2)
        theirs.sendto(b"still here", ours.address)
        with trio.fail_after(30):
            assert [each.data for each in await ours.receive()] == [b"still here"]


def test_a_taken_port_is_an_error_of_the_caller(ours: UdpSocket) -> None:
    with pytest.raises(OSError, match="in use"):
        UdpSocket(*ours.address)


ADDRESSES = st.sampled_from([("192.0.2.1", 1), ("192.0.2.1", 2)])


@given(st.lists(st.tuples(st.integers(1, 3), ADDRESSES, ADDRESSES), max_size=200))
def test_bursts_keep_the_order_and_fit_one_call(
    wanted: list[tuple[int, Address, Address]],
) -> None:
    datagrams = [Datagram(b"x" * (600 * size), remote, local) for size, remote, local in wanted]
    found = list(udp.bursts(datagrams))
    assert [each for burst in found for each in burst] == datagrams
    for burst in found:
        sizes = [len(each.data) for each in burst]
        assert len(burst) <= MAX_SEGMENTS and sum(sizes) <= MAX_BURST
        assert set(sizes[:-1]) <= {sizes[0]} and sizes[-1] <= sizes[0]
        assert len({(each.remote, each.local) for each in burst}) == 1
