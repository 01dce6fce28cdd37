"""What shares a packet, and when it leaves."""

from tests.sctp.puppet import data, in_state, message, only, sack
from trio_sfu.sctp.chunks import Data, ForwardTsn, Sack
from trio_sfu.sctp.outbound import MAX_PAYLOAD
from trio_sfu.sctp.states import State


def test_a_full_packet_of_data_does_not_wait_behind_a_sack() -> None:
    """It finds no room beside the SACK, and once waited for the next thing to happen."""
    puppet = in_state(State.ESTABLISHED)
    assert puppet.ours.send(message(bytes(MAX_PAYLOAD)), puppet.now)
    said = puppet.say(data(0), data(1, ssn=1, flags=3 | Data.IMMEDIATE))
    assert [type(chunk) for chunk in said] == [Sack, Data]


def test_what_is_given_up_while_sending_is_told_at_once() -> None:
    puppet = in_state(State.ESTABLISHED)
    sent = puppet.send(message(bytes(100 * MAX_PAYLOAD // 2), expires=puppet.now + 1.0))
    puppet.now += 2.0
    said = puppet.say(sack(puppet, len(sent)))
    assert len(only(ForwardTsn, said)) == 1
    assert not puppet.ours.take_datagrams()
