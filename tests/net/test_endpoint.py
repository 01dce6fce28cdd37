import pytest
import trio

from trio_sfu.core import Address, Datagram
from trio_sfu.ice import stun
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.net.mailbox import Mailbox
from trio_sfu.net.udp import UdpSocket

OURS: Address = ("192.0.2.1", 7882)
ALICE: Address = ("198.51.100.1", 40_000)
BOB: Address = ("198.51.100.2", 40_000)
DTLS, RTP = b"\x16\xfe\xfd", b"\x80\x60"


def check(ufrag: str, transaction: bytes = b"t" * 12) -> bytes:
    message = stun.Message(
        stun.Class.REQUEST, transaction, dict([stun.USERNAME.of(f"{ufrag}:theirs")])
    )
    return message.encode(b"a password of the peer")


def response(transaction: bytes) -> bytes:
    return stun.Message(stun.Class.SUCCESS, transaction).encode(b"a password of the peer")


class Party:
    """An endpoint with two peers behind it, and what reached each."""

    def __init__(self) -> None:
        self.endpoint = Endpoint(())
        self.alice: Mailbox[object] = Mailbox()
        self.bob: Mailbox[object] = Mailbox()
        self.endpoint.expect("alice", self.alice)
        self.endpoint.expect("bob", self.bob)

    def send(self, remote: Address, *payloads: bytes) -> None:
        self.endpoint.route([Datagram(each, remote, OURS) for each in payloads])

    @property
    def heard(self) -> tuple[list[bytes], list[bytes]]:
        alice, bob = (
            [each.data for each in box.take_datagrams()] for box in (self.alice, self.bob)
        )
        return alice, bob


@pytest.fixture
def party() -> Party:
    return Party()


def test_a_check_finds_its_peer_by_the_name_in_it(party: Party) -> None:
    party.send(BOB, check("alice"), check("bob"), check("nobody"))
    assert party.heard == ([check("alice")], [check("bob")])
    assert party.endpoint.statistics().unknown == 1


def test_nothing_else_passes_before_an_address_has_proved_itself(party: Party) -> None:
    party.send(ALICE, check("alice"), DTLS, RTP)
    assert party.heard == ([check("alice")], [])
    party.endpoint.bind(ALICE, party.alice)
    party.send(ALICE, DTLS, RTP)
    assert party.heard == ([DTLS, RTP], [])


def test_a_check_for_another_peer_is_heard_even_from_a_known_address(party: Party) -> None:
    party.endpoint.bind(ALICE, party.alice)
    party.send(ALICE, check("bob"), RTP)
    assert party.heard == ([RTP], [check("bob")])


def test_an_address_moves_to_the_peer_that_proved_it_last(party: Party) -> None:
    party.endpoint.bind(ALICE, party.alice)
    party.endpoint.bind(ALICE, party.bob)
    party.send(ALICE, RTP)
    assert party.heard == ([], [RTP])


def test_an_answer_finds_who_asked(party: Party) -> None:
    asked = Datagram(check("theirs", b"0123456789ab"), BOB, OURS)
    party.endpoint.sender(party.bob)([asked])
    party.send(ALICE, response(b"0123456789ab"), response(b"never asked "))
    assert party.heard == ([], [response(b"0123456789ab")])


def test_who_is_gone_hears_nothing(party: Party) -> None:
    party.endpoint.bind(ALICE, party.alice)
    party.endpoint.sender(party.alice)([Datagram(check("x", b"0123456789ab"), BOB, OURS)])
    party.endpoint.forget(party.alice)
    party.send(ALICE, check("alice"), RTP, response(b"0123456789ab"))
    assert party.heard == ([], [])


def test_what_is_nothing_is_counted(party: Party) -> None:
    party.send(ALICE, b"", b"\x00", b"\x01", b"\xff")
    assert party.heard == ([], [])
    assert party.endpoint.statistics().unknown == 4


async def test_what_many_say_in_one_turn_leaves_together_and_nothing_stays_behind(
    party: Party,
) -> None:
    with UdpSocket("127.0.0.1", 0) as sock, UdpSocket("127.0.0.1", 0) as sink:
        endpoint = Endpoint([sock])

        def say(mailbox: Mailbox[object], words: bytes) -> None:
            endpoint.sender(mailbox)([Datagram(words, sink.address, sock.address)])
            endpoint.turns.ask(mailbox)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(endpoint.run)
            for mailbox, words in ((party.alice, b"from alice"), (party.bob, b"from bob")):
                say(mailbox, words)
            with trio.fail_after(5):
                heard = [each.data for each in await sink.receive()]
                while len(heard) < 2:
                    heard += [each.data for each in await sink.receive()]
            assert heard == [b"from alice", b"from bob"]
            say(party.alice, b"the last words")
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            assert [each.data for each in await sink.receive()] == [b"the last words"]
