"""What a heartbeat measures."""

from tests.sctp.puppet import Puppet, in_state, only
from trio_sfu.sctp.chunks import Heartbeat, HeartbeatAck
from trio_sfu.sctp.states import Ignored, State


def up() -> Puppet:
    return in_state(State.ESTABLISHED)


def test_a_heartbeat_comes_back_as_it_was() -> None:
    assert up().say(Heartbeat(b"\0\1\0\7abc\0")) == [HeartbeatAck(b"\0\1\0\7abc\0")]


def test_a_heartbeat_measures_the_round_trip_once() -> None:
    puppet = up()
    (beat,) = only(Heartbeat, puppet.wait(31))
    puppet.now = puppet.now + 0.25
    puppet.say(HeartbeatAck(b"forged"))
    assert puppet.ours.statistics().round_trip == 0
    puppet.say(HeartbeatAck(beat.value))
    assert puppet.ours.statistics().round_trip > 0.25
    puppet.say(HeartbeatAck(beat.value))
    assert puppet.ours.ignored[Ignored.BAD_HEARTBEAT] == 2
