"""The rule of three: until an address is proven, three bytes out for one byte in."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dtls.pair import connection, give, taken
from tests.dtls.test_negotiation import OFFER, messages
from tests.dtls.vectors import CHROMIUM_HELLO, LIVEKIT_HELLO
from tests.sim import Link, run
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.dtls import DtlsConnection, DtlsState, Role, cookie
from trio_sfu.dtls.connection import HANDSHAKE_TIME
from trio_sfu.dtls.flights import Message
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.groups import NamedGroup
from trio_sfu.dtls.messages import ClientHello
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.wire import Reader


def hello(
    size: int, groups: tuple[int, ...] = tuple(NamedGroup), sequence: int = 0, brought: bytes = b""
) -> bytes:
    """A datagram of about *size* bytes with a ClientHello in it."""
    bare = len(OFFER.encode()) - 1200 + 25
    extensions = attrs.evolve(
        OFFER.extensions, groups=groups, unknown=((0xABCD, bytes(max(0, size - bare))),)
    )
    body = attrs.evolve(OFFER, extensions=extensions, cookie=brought).encode()
    fragment = Fragment(Message.CLIENT_HELLO, sequence, len(body), 0, body)
    return Record(ContentType.HANDSHAKE, 0, sequence, fragment.encode()).encode()


def drain(server: DtlsConnection) -> int:
    """All bytes that a server sends to somebody who never answers."""
    sent = 0
    while server.state is DtlsState.HANDSHAKING:
        server.handle_timeout(server.deadline)
        sent += sum(map(len, taken(server)))
    return sent


@given(st.integers(100, 1400), st.sampled_from(NamedGroup), st.sampled_from((200, 600, 1200)))
def test_to_a_stranger_go_at_most_three_times_its_bytes(
    size: int, group: NamedGroup, mtu: int
) -> None:
    server = connection(Role.SERVER, mtu=mtu)
    question = hello(size, (group,))
    answer = give(server, question)
    assert answer, "every hello is answered, with a flight or with a cookie"
    assert sum(map(len, answer)) + drain(server) <= 3 * len(question)


@given(st.integers(100, 1400), st.sampled_from(NamedGroup), st.sampled_from((200, 600, 1200)))
def test_a_cookie_opens_the_door(size: int, group: NamedGroup, mtu: int) -> None:
    server = connection(Role.SERVER, mtu=mtu)
    (first, *_) = messages(give(server, hello(size, (group,))))
    if first.message is Message.HELLO_VERIFY_REQUEST:
        again = hello(size, (group,), 1, first.body[3:])
        (first, *_) = messages(give(server, again))
        assert first.sequence == 1
    assert first.message is Message.SERVER_HELLO


@pytest.mark.parametrize("datagrams", [CHROMIUM_HELLO, [LIVEKIT_HELLO]])
def test_todays_clients_pay_for_their_answer_and_need_no_cookie(datagrams: list[bytes]) -> None:
    server = connection(Role.SERVER)
    answers = [answer for datagram in datagrams for answer in give(server, datagram)]
    assert messages(answers)[0].message is Message.SERVER_HELLO


@pytest.mark.parametrize("brought", [b"", b"wrong", bytes(cookie.LENGTH)])
def test_a_wrong_cookie_is_no_cookie(brought: bytes) -> None:
    server = connection(Role.SERVER, mtu=200)  # so small that a cookie is always asked for
    (request,) = messages(give(server, hello(150)))
    assert request.message is Message.HELLO_VERIFY_REQUEST
    (again,) = messages(give(server, hello(150, sequence=1, brought=brought)))
    assert again.message is Message.HELLO_VERIFY_REQUEST
    assert again.body == request.body


def test_a_cookie_is_bound_to_the_address_and_to_what_must_not_change() -> None:
    def made(remote: tuple[str, int] = INSIDE, **changes: object) -> bytes:
        return cookie.make(b"secret", remote, attrs.evolve(OFFER, **changes))

    good = made()
    assert cookie.good(b"secret", INSIDE, attrs.evolve(OFFER, cookie=good))
    assert not cookie.good(b"other", INSIDE, attrs.evolve(OFFER, cookie=good))
    assert not cookie.good(b"secret", ("inside", 1), attrs.evolve(OFFER, cookie=good))
    assert len(good) == cookie.LENGTH
    others = [
        made(("192.0.2.1", 0)),
        made(random=bytes(32)),
        made(version=0xFEFF),
        made(session_id=b"x"),
        made(cipher_suites=(0xC02B,)),
        made(compression_methods=b"\0\1"),
    ]
    assert len({good, *others}) == len(others) + 1
    # RFC 6347 section 4.2.1 does not list the extensions among what must stay.
    assert made(extensions=attrs.evolve(OFFER.extensions, unknown=())) == good


@pytest.mark.parametrize("mtu", [200, 1200])
@pytest.mark.parametrize("seed", range(5))
def test_the_rule_holds_at_every_moment_of_a_bad_call(seed: int, mtu: int) -> None:
    """Until the client has brought a cookie or its Finished was heard."""
    client, server = connection(Role.CLIENT, seed=seed), connection(Role.SERVER, mtu=mtu)
    link = Link(delay=0.03, loss=0.4, reorder=0.2, duplicate=0.2, seed=seed)
    heard = said = 0
    proven = False

    def asked(datagram: bytes) -> bool:
        return any(
            each.message is Message.CLIENT_HELLO
            and ClientHello.decode(Reader(each.body)).cookie != b""
            for each in messages([datagram])
        )

    class Watched:
        """The server, with a tally of what goes in and out."""

        @property
        def deadline(self) -> float:
            return server.deadline

        def receive(self, datagrams: list[Datagram], now: float) -> None:
            nonlocal heard, proven
            heard += sum(len(datagram.data) for datagram in datagrams)
            proven = proven or any(asked(datagram.data) for datagram in datagrams)
            server.receive(datagrams, now)

        def handle_timeout(self, now: float) -> None:
            server.handle_timeout(now)

        def take_datagrams(self) -> list[Datagram]:
            nonlocal said
            taken = server.take_datagrams()
            said += sum(len(datagram.data) for datagram in taken)
            assert proven or said <= 3 * heard
            return taken

    run(client, link, Watched(), until=lambda: client.state is not DtlsState.HANDSHAKING)
    assert client.state is DtlsState.CONNECTED
    assert link.now < HANDSHAKE_TIME
