import pytest
import trio

from tests.signalling.house import House
from trio_sfu.peer.events import PeerState, StateChanged
from trio_sfu.room.connection import Target
from trio_sfu.room.grants import Grants, Kind
from trio_sfu.room.info import LeaveReason, ParticipantState
from trio_sfu.room.participant import Identity

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize(
    ("kind", "grants", "dependent"),
    [
        (Kind.STANDARD, Grants(), False),
        (Kind.SIP, Grants(), False),
        (Kind.INGRESS, Grants(), False),
        (Kind.AGENT, Grants(), True),
        (Kind.EGRESS, Grants(), True),
        (Kind.STANDARD, Grants(agent=True), True),
        (Kind.STANDARD, Grants(recorder=True), True),
    ],
)
def test_those_who_serve_the_others_are_dependent(
    kind: Kind, grants: Grants, dependent: bool
) -> None:
    assert Identity(identity="x", grants=grants, kind=kind).dependent == dependent


@pytest.mark.parametrize(
    ("can_subscribe", "downlink"), [(True, Target.SUBSCRIBER), (False, Target.PUBLISHER)]
)
async def test_one_connection_decides_that_one_is_there(
    house: House, can_subscribe: bool, downlink: Target
) -> None:
    await house.enter("alice", can_subscribe=can_subscribe)
    alice = house.participant("alice")
    assert alice.downlink.target is downlink
    assert alice.uplink.target is Target.PUBLISHER
    other = alice.connections[Target(1 - downlink)]
    for connection, state in (
        (other, ParticipantState.JOINED),
        (alice.downlink, ParticipantState.ACTIVE),
    ):
        _tell(house, connection, PeerState.CONNECTED)
        assert alice.state is state


@pytest.mark.parametrize("target", Target)
async def test_a_connection_that_never_was_makes_its_client_rejoin(
    house: House, target: Target
) -> None:
    alice = await house.enter("alice")
    _tell(house, house.participant("alice").connections[target], PeerState.FAILED)
    (leave,) = await alice.hear_of("leave")
    assert leave.reason == LeaveReason.CONNECTION_TIMEOUT.value
    assert leave.can_reconnect
    assert house.room().participants == {}


async def test_a_connection_that_is_lost_for_a_while_changes_nothing(house: House) -> None:
    alice = await house.visit("alice")
    await alice.connected.wait()
    cables = {each for each in house.switch.sockets if each[0].startswith("198.51")}
    house.switch.cut |= cables
    await trio.sleep(11)
    assert house.participant("alice").downlink.state is PeerState.DISCONNECTED
    house.switch.cut -= cables
    await trio.sleep(5)
    assert house.participant("alice").downlink.state is PeerState.CONNECTED
    assert house.participant("alice").state is ParticipantState.ACTIVE


def _tell(house: House, connection: object, state: PeerState) -> None:
    """As the connection's own task does."""
    connection.state = state
    house.participant("alice").hear(connection, StateChanged(state, "for a test"))
