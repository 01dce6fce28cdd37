"""Two connections of ours, ready to be put on a link."""

from collections.abc import Sequence
from functools import cache

from tests.sim import Link, entropy, run
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.dtls import Certificate, DtlsConnection, DtlsState, Role, SrtpProfile, generate
from trio_sfu.dtls.connection import PROFILES

NOW_UNIX = 1_790_000_000.0


@cache
def certificate(seed: int = 0) -> Certificate:
    return generate(entropy(seed), NOW_UNIX)


CLIENTS = certificate(1)
SERVERS = certificate(2)


def connection(
    role: Role,
    *,
    seed: int = 0,
    mtu: int = 1200,
    profiles: Sequence[SrtpProfile] = PROFILES,
    trusting: bool = True,
    start: bool = True,
) -> DtlsConnection:
    """One end, that knows the other's fingerprint unless it is not *trusting* yet."""
    own, other = (CLIENTS, SERVERS) if role is Role.CLIENT else (SERVERS, CLIENTS)
    dice = entropy(2 * seed + (role is Role.CLIENT) + 100)
    made = DtlsConnection(role, own, dice, mtu=mtu, profiles=profiles)
    if trusting:
        made.set_remote_fingerprints([other.fingerprint])
    if start:
        made.start(0.0)
    return made


def pair(seed: int = 0, mtu: int = 1200) -> tuple[DtlsConnection, DtlsConnection]:
    """Client and server, started."""
    return connection(Role.CLIENT, seed=seed, mtu=mtu), connection(Role.SERVER, seed=seed, mtu=mtu)


def both_connected(a: DtlsConnection, b: DtlsConnection) -> bool:
    return a.state is b.state is DtlsState.CONNECTED


def connect(seed: int = 0, mtu: int = 1200) -> tuple[DtlsConnection, DtlsConnection]:
    """Client and server that have done with it, over a perfect link."""
    client, server = pair(seed, mtu)
    run(client, Link(), server, until=lambda: both_connected(client, server))
    return client, server


def give(connection: DtlsConnection, data: bytes, now: float = 0.0) -> list[bytes]:
    """One datagram in; what comes out."""
    connection.receive([Datagram(data, INSIDE, INSIDE)], now)
    return [datagram.data for datagram in connection.take_datagrams()]


def taken(connection: DtlsConnection) -> list[bytes]:
    return [datagram.data for datagram in connection.take_datagrams()]
