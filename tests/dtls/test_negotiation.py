"""What two ends agree on, and how it ends where they cannot."""

from collections.abc import Callable

import attrs
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.dtls.pair import (
    CLIENTS,
    both_connected,
    certificate,
    connection,
    give,
    taken,
)
from tests.dtls.puppet import Puppet
from tests.dtls.vectors import CHROMIUM_HELLO, CHROMIUM_HELLO_AGAIN, LIVEKIT_HELLO
from tests.sim import Link, run
from trio_sfu.core import Datagram
from trio_sfu.dtls import DtlsConnection, DtlsState, Role
from trio_sfu.dtls.alert import Description
from trio_sfu.dtls.ciphers import SCSV, CipherSuite
from trio_sfu.dtls.extensions import Extensions, SrtpProfile, UseSrtp
from trio_sfu.dtls.flights import Message
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.groups import NamedGroup
from trio_sfu.dtls.handshake import Outbound
from trio_sfu.dtls.messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    ClientKeyExchange,
    HelloVerifyRequest,
    ServerHello,
    ServerKeyExchange,
    Signature,
)
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.dtls.signatures import SCHEMES
from trio_sfu.wire import Reader

OFFER = ClientHello(
    0xFEFD,
    bytes(range(32)),
    tuple(CipherSuite),
    Extensions(
        groups=tuple(NamedGroup),
        point_formats=b"\0",
        signature_schemes=SCHEMES,
        use_srtp=UseSrtp(tuple(SrtpProfile)),
        extended_master_secret=True,
        renegotiation_info=b"",
        # As long as a post-quantum key share, so that no cookie is asked for.
        unknown=((0xABCD, bytes(1200)),),
    ),
)


def offer(**extensions: object) -> ClientHello:
    return attrs.evolve(OFFER, extensions=attrs.evolve(OFFER.extensions, **extensions))


def hello(body: ClientHello) -> bytes:
    encoded = body.encode()
    fragment = Fragment(Message.CLIENT_HELLO, 0, len(encoded), 0, encoded)
    return Record(ContentType.HANDSHAKE, 0, 0, fragment.encode()).encode()


def messages(datagrams: list[bytes]) -> list[Fragment]:
    found = []
    for datagram in datagrams:
        reader = Reader(datagram)
        while reader:
            record = Record.decode(reader)
            if record.content_type is ContentType.HANDSHAKE:
                found.append(Fragment.decode(Reader(record.payload)))
    return found


def server_hello(datagrams: list[bytes]) -> ServerHello:
    return ServerHello.decode(Reader(messages(datagrams)[0].body))


@pytest.mark.parametrize("suite", CipherSuite)
def test_each_suite_is_taken_when_it_is_the_only_one(suite: CipherSuite) -> None:
    body = attrs.evolve(OFFER, cipher_suites=(0x1301, suite, 0xC013))
    assert server_hello(give(connection(Role.SERVER), hello(body))).cipher_suite == suite


@pytest.mark.parametrize("group", NamedGroup)
def test_each_curve_is_taken_when_it_is_the_only_one(group: NamedGroup) -> None:
    flight = messages(give(connection(Role.SERVER), hello(offer(groups=(0x11EC, group)))))
    assert ServerKeyExchange.decode(Reader(flight[2].body)).group == group


def test_a_client_that_names_no_curves_gets_p_256() -> None:
    flight = messages(give(connection(Role.SERVER), hello(offer(groups=None))))
    assert ServerKeyExchange.decode(Reader(flight[2].body)).group == NamedGroup.SECP256R1


def test_the_server_takes_its_own_favourites() -> None:
    backwards = attrs.evolve(
        offer(groups=tuple(reversed(NamedGroup))), cipher_suites=tuple(reversed(CipherSuite))
    )
    answer = give(connection(Role.SERVER), hello(backwards))
    assert server_hello(answer).cipher_suite == CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    exchange = ServerKeyExchange.decode(Reader(messages(answer)[2].body))
    assert exchange.group == NamedGroup.X25519


def test_only_what_was_asked_is_answered() -> None:
    answer = server_hello(give(connection(Role.SERVER), hello(OFFER)))
    assert answer.extensions == Extensions(
        point_formats=b"\0",
        use_srtp=UseSrtp((SrtpProfile.AEAD_AES_128_GCM,)),
        extended_master_secret=True,
        renegotiation_info=b"",
    )
    assert (answer.version, answer.session_id, answer.compression_method) == (0xFEFD, b"", 0)
    bare = offer(
        point_formats=None,
        use_srtp=None,
        extended_master_secret=False,
        renegotiation_info=None,
        versions=(0xFEFC, 0xFEFD),
    )
    assert server_hello(give(connection(Role.SERVER), hello(bare))).extensions == Extensions()


def test_the_promise_of_rfc_5746_may_come_as_a_cipher_suite() -> None:
    body = attrs.evolve(offer(renegotiation_info=None), cipher_suites=(*CipherSuite, SCSV))
    answer = server_hello(give(connection(Role.SERVER), hello(body)))
    assert answer.extensions.renegotiation_info == b""


@pytest.mark.parametrize(
    ("body", "description", "words"),
    [
        (attrs.evolve(OFFER, version=0xFEFF), Description.PROTOCOL_VERSION, "DTLS 1.2"),
        (offer(versions=(0xFEFC,)), Description.PROTOCOL_VERSION, "DTLS 1.2"),
        (
            attrs.evolve(OFFER, compression_methods=b"\1"),
            Description.ILLEGAL_PARAMETER,
            "compression",
        ),
        (
            offer(renegotiation_info=bytes(12)),
            Description.HANDSHAKE_FAILURE,
            "renegotiation",
        ),
        (offer(point_formats=b"\1\2"), Description.ILLEGAL_PARAMETER, "uncompressed"),
        (offer(signature_schemes=(0x0203, 0x0201)), Description.HANDSHAKE_FAILURE, "SHA-256"),
        (offer(signature_schemes=None), Description.HANDSHAKE_FAILURE, "SHA-256"),
        (
            attrs.evolve(OFFER, cipher_suites=(0xC009, 0xC013, 0x002F, 0x1301)),
            Description.HANDSHAKE_FAILURE,
            "suite",
        ),
        (offer(groups=(0x11EC, 25)), Description.HANDSHAKE_FAILURE, "curve"),
    ],
)
def test_an_offer_that_we_cannot_take_ends_it(
    body: ClientHello, description: Description, words: str
) -> None:
    server = connection(Role.SERVER)
    (alert,) = give(server, hello(body))
    assert Record.decode(Reader(alert)).payload == bytes((2, description))
    assert server.state is DtlsState.FAILED
    assert words in server.failure


# A client that hears nonsense.


def twisted(kind: Message, change: Callable[[bytes], bytes]) -> Callable[[Outbound], Outbound]:
    """One message replaced on its way out; the puppet itself believes the original."""

    def twist(outbound: Outbound) -> Outbound:
        fragment = outbound.payload
        if not isinstance(fragment, Fragment) or fragment.message is not kind:
            return outbound
        body = change(fragment.body)
        return attrs.evolve(outbound, payload=attrs.evolve(fragment, length=len(body), body=body))

    return twist


def changed_hello(**changes: object) -> Callable[[bytes], bytes]:
    return lambda body: attrs.evolve(ServerHello.decode(Reader(body)), **changes).encode()


def changed_extensions(**changes: object) -> Callable[[bytes], bytes]:
    def change(body: bytes) -> bytes:
        answer = ServerHello.decode(Reader(body))
        extensions = attrs.evolve(answer.extensions, **changes)
        return attrs.evolve(answer, extensions=extensions).encode()

    return change


def changed_exchange(**changes: object) -> Callable[[bytes], bytes]:
    return lambda body: attrs.evolve(ServerKeyExchange.decode(Reader(body)), **changes).encode()


NONSENSE_OF_SERVERS = [
    (Message.SERVER_HELLO, changed_hello(version=0xFEFF), "version 0xfeff"),
    (Message.SERVER_HELLO, changed_hello(cipher_suite=0xC013), "suite that was not offered"),
    (Message.SERVER_HELLO, changed_hello(compression_method=1), "compresses"),
    (Message.SERVER_HELLO, changed_extensions(versions=(0xFEFC,)), "not offered"),
    (Message.SERVER_HELLO, changed_extensions(unknown=((35, b""),)), "not offered"),
    (Message.SERVER_HELLO, changed_extensions(renegotiation_info=bytes(24)), "renegotiation"),
    (Message.SERVER_HELLO, changed_extensions(point_formats=b"\1"), "uncompressed"),
    (Message.SERVER_HELLO, changed_extensions(use_srtp=UseSrtp((2,))), "profile"),
    (Message.SERVER_HELLO, changed_extensions(use_srtp=UseSrtp((7, 8))), "profile"),
    (Message.SERVER_HELLO, changed_extensions(use_srtp=UseSrtp((7,), b"x")), "profile"),
    (Message.SERVER_HELLO, changed_hello(random=bytes(32)), "wrong signature"),
    (Message.CERTIFICATE, lambda _: Certificate(()).encode(), "no certificate"),
    (Message.CERTIFICATE, lambda _: Certificate((CLIENTS.der,)).encode(), "not the one"),
    (Message.SERVER_KEY_EXCHANGE, changed_exchange(public=bytes(32)), "wrong signature"),
    (
        Message.SERVER_KEY_EXCHANGE,
        changed_exchange(signature=Signature(0x0203, b"")),
        "not offered",
    ),
]


@pytest.mark.parametrize(("kind", "change", "words"), NONSENSE_OF_SERVERS)
def test_a_client_does_not_take_what_it_did_not_offer(
    kind: Message, change: Callable[[bytes], bytes], words: str
) -> None:
    client, puppet = connection(Role.CLIENT), Puppet(Role.SERVER)
    puppet.twist = twisted(kind, change)
    puppet.connect(client)
    assert client.state is DtlsState.FAILED
    assert words in client.failure


def test_two_different_master_secrets_do_not_connect() -> None:
    """The answer to extended_master_secret was taken out on the way."""
    client, server = connection(Role.CLIENT), connection(Role.SERVER)
    link = Link()

    def through(datagram: Datagram) -> Datagram:
        without = datagram.data.replace(bytes.fromhex("00170000"), bytes.fromhex("00180000"))
        return Datagram(without, datagram.remote, datagram.local)

    link.through[1] = through
    run(client, link, server, until=lambda: client.state is DtlsState.FAILED)
    assert server.state is not DtlsState.CONNECTED


def test_a_client_takes_no_second_cookie() -> None:
    client = connection(Role.CLIENT)
    taken(client)
    request = HelloVerifyRequest(0xFEFF, b"cookie").encode()
    for sequence in (0, 1):
        fragment = Fragment(Message.HELLO_VERIFY_REQUEST, sequence, len(request), 0, request)
        record = Record(ContentType.HANDSHAKE, 0, sequence, fragment.encode(), 0xFEFF)
        answer = give(client, record.encode())
        if sequence == 0:
            (again,) = messages(answer)
            assert ClientHello.decode(Reader(again.body)).cookie == b"cookie"
            assert again.sequence == 1
    assert client.state is DtlsState.FAILED
    assert "cookie asked for twice" in client.failure


def test_a_server_that_takes_no_signature_of_ours_ends_it() -> None:
    client, puppet = connection(Role.CLIENT), Puppet(Role.SERVER)
    puppet.twist = twisted(
        Message.CERTIFICATE_REQUEST, lambda _: CertificateRequest(b"\1", (0x0401,)).encode()
    )
    puppet.connect(client)
    assert "no signature that we can make" in client.failure


# A server that hears nonsense.


NONSENSE_OF_CLIENTS = [
    (Message.CERTIFICATE, lambda _: Certificate(()).encode(), "no certificate"),
    (
        Message.CERTIFICATE,
        lambda _: Certificate((certificate(77).der,)).encode(),
        "not the one",
    ),
    (Message.CLIENT_KEY_EXCHANGE, lambda _: ClientKeyExchange(bytes(32)).encode(), "no point"),
    (Message.CLIENT_KEY_EXCHANGE, lambda _: ClientKeyExchange(b"").encode(), "no point"),
    (
        Message.CERTIFICATE_VERIFY,
        lambda _: CertificateVerify(Signature(0x0403, b"x")).encode(),
        "wrong signature",
    ),
    (
        Message.CERTIFICATE_VERIFY,
        lambda _: CertificateVerify(
            Signature(0x0203, CLIENTS.key.sign(b"", ec.ECDSA(hashes.SHA1())))
        ).encode(),
        "not offered",
    ),
]


@pytest.mark.parametrize(("kind", "change", "words"), NONSENSE_OF_CLIENTS)
def test_a_server_does_not_believe_a_client_that_proves_nothing(
    kind: Message, change: Callable[[bytes], bytes], words: str
) -> None:
    server, puppet = connection(Role.SERVER), Puppet(Role.CLIENT)
    puppet.twist = twisted(kind, change)
    puppet.connect(server)
    assert server.state is DtlsState.FAILED
    assert words in server.failure
    assert server.srtp is None


# Recorded hellos.


def answered(server: DtlsConnection, datagrams: list[bytes]) -> list[bytes]:
    answers = []
    for datagram in datagrams:
        answers += give(server, datagram)
    return answers


@pytest.mark.parametrize(
    "datagrams",
    [
        CHROMIUM_HELLO,
        CHROMIUM_HELLO[::-1],
        [CHROMIUM_HELLO[0], CHROMIUM_HELLO_AGAIN[1]],
        [CHROMIUM_HELLO[1], CHROMIUM_HELLO_AGAIN[0]],
        [CHROMIUM_HELLO[0], CHROMIUM_HELLO_AGAIN[0], CHROMIUM_HELLO_AGAIN[1]],
        [CHROMIUM_HELLO[1], CHROMIUM_HELLO[1], CHROMIUM_HELLO[0]],
    ],
)
def test_chromiums_hello_in_two_datagrams_is_answered_at_once(datagrams: list[bytes]) -> None:
    (flight,) = answered(connection(Role.SERVER), datagrams)
    assert server_hello([flight]).cipher_suite == 0xC02B
    assert len(flight) < 700


@pytest.mark.parametrize("cut", [1, 700, 1163, 1188, 1412])
def test_a_hello_that_is_cut_anew_is_joined_with_its_first_half(cut: int) -> None:
    """As Firefox does after two timeouts."""
    first = Fragment.decode(Reader(Record.decode(Reader(CHROMIUM_HELLO[0])).payload))
    second = Fragment.decode(Reader(Record.decode(Reader(CHROMIUM_HELLO[1])).payload))
    body = first.body + second.body
    server = connection(Role.SERVER)
    assert give(server, CHROMIUM_HELLO[0]) == []
    late = Fragment(Message.CLIENT_HELLO, 0, len(body), cut, body[cut:])
    answer = give(server, Record(ContentType.HANDSHAKE, 0, 7, late.encode()).encode())
    assert bool(answer) == (cut <= len(first.body))


def test_livekits_hello_is_answered_at_once() -> None:
    (flight,) = give(connection(Role.SERVER), LIVEKIT_HELLO)
    assert messages([flight])[0].message is Message.SERVER_HELLO
    assert len(flight) <= 3 * len(LIVEKIT_HELLO)


def test_a_client_of_ours_meets_a_server_of_ours_over_any_curve() -> None:
    client, server = connection(Role.CLIENT), connection(Role.SERVER)
    run(client, Link(), server, until=lambda: both_connected(client, server))
    assert client.suite is server.suite is CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
