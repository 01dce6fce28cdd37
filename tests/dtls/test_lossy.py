"""Two of ours over bad networks, in virtual time. `tests.interop.dtls_matrix` does more of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dtls.pair import both_connected, connect, connection, give, pair, taken
from tests.sim import Link, entropy, run
from trio_sfu.core import Datagram
from trio_sfu.dtls import DtlsConnection, DtlsState, Role
from trio_sfu.dtls.connection import HANDSHAKE_TIME


def finish(client: DtlsConnection, link: Link, server: DtlsConnection) -> bool:
    """Whether both connect; if not, both must have ended by their limit."""

    def over() -> bool:
        return DtlsState.HANDSHAKING not in (client.state, server.state)

    run(client, link, server, until=over, limit=2 * HANDSHAKE_TIME + 1)
    if not both_connected(client, server):
        return False
    assert client.srtp is not None and server.srtp is not None
    assert client.srtp.local_key == server.srtp.remote_key
    assert client.srtp.remote_salt == server.srtp.local_salt
    assert client.export("label", None, 32) == server.export("label", None, 32)
    return True


@pytest.mark.parametrize("mtu", [300, 600, 1200, 1500])
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("reorder", [0.0, 0.3])
def test_a_handshake_ends_well_over_a_bad_network(mtu: int, loss: float, reorder: float) -> None:
    for seed in range(4):
        client, server = pair(seed, mtu)
        link = Link(
            delay=0.03,
            jitter=0.02,
            loss=loss,
            reorder=reorder,
            duplicate=loss / 2,
            mtu=mtu,
            seed=seed,
        )
        assert finish(client, link, server), f"{link} {client.failure} {server.failure}"


@pytest.mark.parametrize("delay", [0.001, 0.3, 1.0, 3.0])
def test_a_long_way_costs_repeats_and_nothing_else(delay: float) -> None:
    client, server = pair()
    link = Link(delay=delay)
    assert finish(client, link, server)
    assert link.now == pytest.approx(6 * delay)
    # Ours repeat too early here, by design, and each repeat draws another: still few.
    assert link.counters["sent"] < 40 + 40 * delay


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(("drop", "double", "hold"))), max_size=30)
)
@settings(max_examples=30)
def test_whatever_happens_to_the_first_datagrams(accidents: list[tuple[int, str]]) -> None:
    client, server = pair()
    link = Link(delay=0.02)
    plans = {side: [what for where, what in accidents if where == side] for side in (0, 1)}
    held: dict[int, list[Datagram]] = {0: [], 1: []}

    def through(side: int, datagram: Datagram) -> Datagram | None:
        what = plans[side].pop(0) if plans[side] else "pass"
        if what == "drop":
            return None
        if what == "hold":
            held[side].append(datagram)
            return held[side].pop(0) if len(held[side]) > 1 else None
        if what == "double":
            link.send(side, [datagram])
        return datagram

    for side in (0, 1):
        link.through[side] = lambda datagram, side=side: through(side, datagram)
    assert finish(client, link, server)


@given(st.data())
@settings(max_examples=60)
def test_a_damaged_datagram_never_breaks_us_and_keys_never_differ(data: st.DataObject) -> None:
    """The first datagrams of a handshake, changed in a few places on their way."""
    client, server = pair()
    link = Link(delay=0.02)
    damaged = data.draw(st.integers(0, 8))
    places = data.draw(
        st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), min_size=1, max_size=4)
    )
    count = 0

    def through(datagram: Datagram) -> Datagram:
        nonlocal count
        count += 1
        if count - 1 != damaged:
            return datagram
        changed = bytearray(datagram.data)
        for place, mask in places:
            changed[place % len(changed)] ^= mask
        return Datagram(bytes(changed), datagram.remote, datagram.local)

    link.through[0] = link.through[1] = through
    finish(client, link, server)


@given(st.lists(st.binary(max_size=80), max_size=10), st.sampled_from(Role))
def test_arbitrary_datagrams_never_raise(datagrams: list[bytes], role: Role) -> None:
    end = connection(role)
    taken(end)
    for data in datagrams:
        give(end, data)
    assert end.state is DtlsState.HANDSHAKING
    assert sum(end.drops.values()) >= sum(map(bool, datagrams))


@given(st.lists(st.binary(min_size=14, max_size=80), max_size=10), st.sampled_from(Role))
@settings(max_examples=30)
def test_arbitrary_datagrams_do_not_disturb_who_is_connected(
    datagrams: list[bytes], role: Role
) -> None:
    client, server = connect()
    end, other = (client, server) if role is Role.CLIENT else (server, client)
    for data in datagrams:
        head = bytes((20 + data[0] % 4, 0xFE, 0xFD, 0, data[1] % 3))
        give(end, head + data[5:11] + (len(data) - 13).to_bytes(2, "big") + data[13:])
    other.send(b"data")
    end.receive(other.take_datagrams(), 1.0)
    assert end.take_application() == [b"data"]
    assert end.state is DtlsState.CONNECTED


def test_noise_during_the_handshake_does_not_stop_it() -> None:
    client, server = pair()
    noise = entropy(5)
    for step in range(50):
        for end in (client, server):
            give(end, noise(30), step / 1000)
    assert finish(client, Link(delay=0.02), server)
