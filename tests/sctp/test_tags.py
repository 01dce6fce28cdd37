"""Whose packets an association believes."""

import pytest

from tests.sctp.puppet import TAG, Puppet, data, in_state
from trio_sfu.sctp.chunks import (
    Abort,
    Chunk,
    CookieAck,
    Heartbeat,
    Shutdown,
    ShutdownComplete,
)
from trio_sfu.sctp.states import Ignored, State


def up() -> Puppet:
    return in_state(State.ESTABLISHED)


@pytest.mark.parametrize(
    "chunk", [data(0), Abort(), Shutdown(0), Heartbeat(), ShutdownComplete(), CookieAck()]
)
def test_a_wrong_tag_makes_a_packet_nothing(chunk: Chunk) -> None:
    puppet = up()
    assert puppet.say(chunk, tag=puppet.tag ^ 1) == []
    assert puppet.ours.ignored[Ignored.WRONG_TAG] == 1
    assert puppet.ours.state is State.ESTABLISHED


def test_a_reflected_abort_carries_the_peers_own_tag() -> None:
    puppet = up()
    puppet.say(Abort((), True), tag=puppet.tag)
    assert puppet.ours.state is State.ESTABLISHED
    puppet.say(Abort((), True), tag=TAG)
    assert puppet.ours.state is State.ENDED


def test_an_init_in_company_is_ignored() -> None:
    puppet = Puppet()
    assert puppet.say(puppet.init(), Heartbeat(), tag=0) == []
    assert puppet.ours.ignored[Ignored.WRONG_TAG] == 1
