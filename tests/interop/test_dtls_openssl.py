"""OpenSSL, in this process, on the other end (pyOpenSSL's memory BIOs)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SSL = pytest.importorskip("OpenSSL.SSL", reason="pyOpenSSL is not installed")

from tests.dtls.pair import CLIENTS, SERVERS, certificate, connection  # noqa: E402 after the skip
from tests.interop.openssl_peer import PROFILES, OpensslPeer  # noqa: E402
from trio_sfu.core import Datagram  # noqa: E402
from trio_sfu.dtls import CloseNotified, Drop, DtlsConnection, DtlsState, Role  # noqa: E402
from trio_sfu.dtls.ciphers import CipherSuite  # noqa: E402
from trio_sfu.dtls.connection import LAST_REPEATS  # noqa: E402

pytestmark = pytest.mark.interop

SUITES = {
    CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
    CipherSuite.ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
    CipherSuite.ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
}
EXPORTER = "EXTRACTOR-dtls_srtp"
each_role = pytest.mark.parametrize("role", Role)


def other(role: Role) -> Role:
    return Role.SERVER if role is Role.CLIENT else Role.CLIENT


def theirs(role: Role, **settings: object) -> OpensslPeer:
    """OpenSSL in *role*."""
    own = CLIENTS if role is Role.CLIENT else SERVERS
    return OpensslPeer(role, own, **settings)  # type: ignore[arg-type] # passed through


def talk(ours: DtlsConnection, peer: OpensslPeer, rounds: int = 20) -> None:
    """A perfect network, and time stands still."""
    for _ in range(rounds):
        peer.receive(ours.take_datagrams(), 0.0)
        ours.receive(peer.take_datagrams(), 0.0)


def assert_connected(ours: DtlsConnection, peer: OpensslPeer) -> None:
    assert ours.state is DtlsState.CONNECTED, (ours.failure, peer.failure, ours.drops)
    assert peer.state is DtlsState.CONNECTED
    assert ours.export(EXPORTER, None, 60) == peer.export(EXPORTER, None, 60)
    assert ours.export("other", b"context", 20) == peer.export("other", b"context", 20)
    assert ours.srtp is not None and ours.srtp.profile is peer.profile


@each_role
@pytest.mark.parametrize("suite", CipherSuite)
def test_each_suite_works_with_openssl(role: Role, suite: CipherSuite) -> None:
    ours, peer = connection(role), theirs(other(role), suites=SUITES[suite])
    talk(ours, peer)
    assert_connected(ours, peer)
    assert (ours.suite, peer.suite) == (suite, SUITES[suite])


@each_role
@pytest.mark.parametrize("name", PROFILES)
def test_each_srtp_profile_works_with_openssl(role: Role, name: bytes) -> None:
    ours, peer = connection(role), theirs(other(role), profiles=(name,))
    talk(ours, peer)
    assert_connected(ours, peer)
    assert peer.profile is PROFILES[name]


@each_role
def test_without_srtp_there_is_an_exporter_still(role: Role) -> None:
    ours, peer = connection(role), theirs(other(role), profiles=())
    talk(ours, peer)
    assert ours.srtp is None
    assert ours.export("x", None, 9) == peer.export("x", None, 9)


@each_role
def test_without_the_extended_master_secret_the_keys_are_equal_too(role: Role) -> None:
    """RFC 7627 section 5.3 lets us go on with a peer that never heard of it."""
    no_extended_master_secret = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET
    ours, peer = connection(role), theirs(other(role), options=no_extended_master_secret)
    talk(ours, peer)
    assert_connected(ours, peer)


def test_a_server_that_wants_no_certificate_gets_none() -> None:
    ours = connection(Role.CLIENT)
    peer = theirs(Role.SERVER, request_certificate=False)
    talk(ours, peer)
    assert_connected(ours, peer)


@each_role
@pytest.mark.parametrize("mtu", [300, 500, 1200])
def test_small_datagrams_are_joined_by_both(role: Role, mtu: int) -> None:
    ours, peer = connection(role, mtu=mtu), theirs(other(role), mtu=mtu)
    talk(ours, peer)
    assert_connected(ours, peer)


@each_role
def test_data_travel_both_ways(role: Role) -> None:
    ours, peer = connection(role), theirs(other(role))
    talk(ours, peer)
    ours.send(b"from us")
    peer.send(b"from OpenSSL")
    talk(ours, peer)
    assert peer.received == [b"from us"]
    assert ours.take_application() == [b"from OpenSSL"]


@each_role
def test_good_byes_are_understood(role: Role) -> None:
    ours, peer = connection(role), theirs(other(role))
    talk(ours, peer)
    ours.take_events()
    peer.close()
    talk(ours, peer)
    assert ours.take_events() == [CloseNotified()]
    assert ours.state is DtlsState.CONNECTED
    ours, peer = connection(role), theirs(other(role))
    talk(ours, peer)
    ours.close(1.0)
    talk(ours, peer)
    assert peer.state is DtlsState.CLOSED


@each_role
def test_a_stranger_is_told_so(role: Role) -> None:
    ours = connection(role)
    peer = OpensslPeer(other(role), certificate(55))
    talk(ours, peer)
    assert ours.state is peer.state is DtlsState.FAILED
    assert "bad certificate" in peer.failure


@each_role
def test_no_suite_in_common_is_told(role: Role) -> None:
    ours, peer = connection(role), theirs(other(role), suites="ECDHE-ECDSA-AES128-SHA256")
    talk(ours, peer)
    assert ours.state is peer.state is DtlsState.FAILED


def test_openssl_is_refused_a_renegotiation() -> None:
    """We say no and would go on; OpenSSL takes no for the end."""
    ours, peer = connection(Role.SERVER), theirs(Role.CLIENT)
    talk(ours, peer)
    peer.renegotiate()
    talk(ours, peer)
    assert ours.drops[Drop.RENEGOTIATION] == 1
    assert ours.failure.startswith("the peer says: ")
    assert "no renegotiation" in peer.failure


@each_role
@given(
    accidents=st.lists(
        st.tuples(st.sampled_from(("pass", "drop", "double", "hold")), st.booleans()), max_size=25
    )
)
@settings(max_examples=25)
def test_lost_doubled_and_held_datagrams_do_not_confuse(
    role: Role, accidents: list[tuple[str, bool]]
) -> None:
    """Ours repeat by their own timer; OpenSSL's never runs out, time stands still for it.

    So of ours no more may be stopped than there are unasked repeats of the last flight.
    """
    ours, peer = connection(role), theirs(other(role))
    plans = {end: [what for what, mine in accidents if mine == end] for end in (True, False)}
    stops = [at for at, what in enumerate(plans[True]) if what in ("drop", "hold")]
    del plans[True][stops[LAST_REPEATS] if len(stops) > LAST_REPEATS else len(plans[True]) :]
    held: dict[bool, list[Datagram]] = {True: [], False: []}

    def passed(datagrams: list[Datagram], mine: bool) -> list[Datagram]:
        arriving = []
        for datagram in datagrams:
            what = plans[mine].pop(0) if plans[mine] else "pass"
            if what == "hold":
                held[mine].append(datagram)
            elif what != "drop" or not mine:  # what OpenSSL loses it would repeat in seconds
                arriving += [datagram] * (2 if what == "double" else 1)
                arriving += held[mine]
                held[mine] = []
        return arriving

    now = 0.0
    for _ in range(60):
        peer.receive(passed(ours.take_datagrams(), True), now)
        ours.receive(passed(peer.take_datagrams() + held[False], False), now)
        if ours.deadline <= (now := now + 0.25):
            ours.handle_timeout(now)
        if ours.state is peer.state is DtlsState.CONNECTED:
            break
    assert_connected(ours, peer)
