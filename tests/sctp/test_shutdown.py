"""How an association ends in order."""

from tests.sctp.puppet import in_state, message, only, sack
from trio_sfu.sctp.chunks import Shutdown, ShutdownAck, ShutdownComplete
from trio_sfu.sctp.shutdown import T2_ATTEMPTS
from trio_sfu.sctp.states import State

MASK = 0xFFFFFFFF


def test_a_shutdown_of_the_peers_waits_for_what_we_have_sent() -> None:
    puppet = in_state(State.SHUTDOWN_RECEIVED)
    assert not puppet.ours.send(message(), puppet.now)
    assert puppet.say(sack(puppet, 1)) == [ShutdownAck()]
    puppet.say(ShutdownComplete())
    assert puppet.ours.state is State.ENDED


def test_a_shutdown_that_is_never_answered_ends_all_the_same() -> None:
    puppet = in_state(State.SHUTDOWN_SENT)
    assert len(only(Shutdown, puppet.wait(60))) == T2_ATTEMPTS - 1
    assert puppet.ours.state is State.ENDED
    assert puppet.ours.deadline == float("inf")


def test_two_shutdowns_may_cross() -> None:
    puppet = in_state(State.SHUTDOWN_SENT)
    assert puppet.say(Shutdown(puppet.first_tsn - 1 & MASK)) == [ShutdownAck()]
    assert puppet.say(ShutdownAck()) == [ShutdownComplete()]


def test_the_shutdown_of_an_association_that_is_forgotten_is_completed() -> None:
    puppet = in_state(State.ENDED)
    assert puppet.say(ShutdownAck(), tag=99) == [ShutdownComplete(reflected=True)]
    assert puppet.sent[-1].tag == 99
