from trio_sfu.core import Datagram
from trio_sfu.net.mailbox import Mailbox


def datagram(number: int) -> Datagram:
    return Datagram(bytes((number,)), ("192.0.2.2", 40000), ("192.0.2.1", 7882))


def test_everything_is_taken_at_once_and_only_once() -> None:
    mailbox: Mailbox[str] = Mailbox()
    first, second = datagram(1), datagram(2)
    mailbox.put([first])
    mailbox.put([second])
    mailbox.wish("a key frame")
    assert (mailbox.take_datagrams(), mailbox.take_wishes()) == ([first, second], ["a key frame"])
    assert (mailbox.take_datagrams(), mailbox.take_wishes()) == ([], [])


def test_the_oldest_datagrams_make_room_and_no_wish_is_lost() -> None:
    mailbox: Mailbox[int] = Mailbox(limit=3)
    for number in range(5):
        mailbox.put([datagram(number)])
        mailbox.wish(number)
    assert [each.data[0] for each in mailbox.take_datagrams()] == [2, 3, 4]
    assert mailbox.take_wishes() == [0, 1, 2, 3, 4]
    assert mailbox.dropped == 2
