import pytest
import trio
from livekit.protocol import models

from tests.signalling.house import House
from trio_sfu.client.participant import DataPacketReceived
from trio_sfu.client.participant import Participant as Client
from trio_sfu.peer.events import SendData
from trio_sfu.room.data import LOSSY, RELIABLE, Message, deliver
from trio_sfu.room.participant import Participant

pytestmark = pytest.mark.virtual_time


def said(sender: str, label: str = RELIABLE, data: bytes = b"hello", **fields: object) -> Message:
    return Message(wish=SendData(label, data), sender=sender, **fields)


async def crowd(house: House) -> dict[str, Participant]:
    """Alice, bob and carol are connected, dave not yet."""
    for name in ("alice", "bob", "carol"):
        await house.attend(name)
        house.participant(name).on_listening()
    await house.enter("dave")
    people = house.room().participants
    for each in people.values():
        received(each)
    return people


def received(participant: Participant) -> list[SendData]:
    """What its connection has yet to send; what is taken here is not sent."""
    wishes = participant.downlink.mailbox.take_wishes()
    return [each for each in wishes if isinstance(each, SendData)]


@pytest.mark.parametrize(
    ("sids", "identities", "expected"),
    [
        ([], [], ["bob", "carol"]),
        (["bob"], [], ["bob"]),
        ([], ["carol"], ["carol"]),
        (["bob"], ["carol"], ["bob", "carol"]),
        ([], ["alice"], []),  # never to oneself
        ([], ["dave"], []),  # not connected
        ([], ["nobody"], []),
    ],
)
async def test_data_go_to_all_others_or_to_those_that_are_named(
    house: House, sids: list[str], identities: list[str], expected: list[str]
) -> None:
    people = await crowd(house)
    named = [people[name].sid for name in sids]
    message = said(people["alice"].sid, sids=frozenset(named), identities=frozenset(identities))
    count = deliver(house.room(), message, trio.current_time())
    got = {name: received(each) for name, each in people.items()}
    assert {name for name, wishes in got.items() if wishes} == set(expected)
    assert count == len(expected)
    for name in expected:
        assert got[name] == [SendData(RELIABLE, b"hello")]


async def test_what_the_server_says_goes_to_everybody(house: House) -> None:
    people = await crowd(house)
    assert deliver(house.room(), said("", LOSSY), trio.current_time()) == 3
    assert received(people["alice"]) == [SendData(LOSSY, b"hello")]


# --- in a whole call


async def heard(client: Client, seconds: float = 5.0) -> models.DataPacket:
    with trio.fail_after(seconds):
        async for event in client.events:
            if isinstance(event, DataPacketReceived):
                return event.packet
    raise AssertionError("gone")


@pytest.mark.parametrize("reliable", [True, False])
async def test_data_arrive_with_their_sender_and_kind(house: House, reliable: bool) -> None:
    alice, bob = [await house.visit(name) for name in ("alice", "bob")]
    await bob.connected.wait()
    await trio.sleep(1)
    await alice.send_data(b"hello", topic="chat", reliable=reliable)
    packet = await heard(bob)
    assert packet.participant_identity == packet.user.participant_identity == "alice"
    assert packet.kind == (models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY)
    assert (packet.user.payload, packet.user.topic) == (b"hello", "chat")


async def test_who_may_not_subscribe_talks_and_listens_on_one_connection(house: House) -> None:
    """Its publishing connection is the primary one, and data come back on it."""
    alice = await house.visit("alice")
    carol = await house.visit("carol", can_subscribe=False)
    await alice.connected.wait()
    await trio.sleep(1)
    await carol.send_data(b"anybody there?")
    assert (await heard(alice)).user.payload == b"anybody there?"
    assert house.participant("carol").state.name == "ACTIVE"
    await alice.send_data(b"yes")
    assert (await heard(carol)).user.payload == b"yes"


async def test_who_may_not_publish_data_is_not_heard(house: House) -> None:
    alice = await house.visit("alice")
    mute = await house.visit("mute", can_publish_data=False)
    for each in (alice, mute):
        await each.connected.wait()
    await mute.send_data(b"?")
    with pytest.raises(trio.TooSlowError):
        await heard(alice)


async def test_a_reader_that_is_too_slow_delays_nobody_else(house: House) -> None:
    alice, bob, slow = [await house.visit(name) for name in ("alice", "bob", "slow")]
    for each in (alice, bob, slow):
        await each.connected.wait()
    await trio.sleep(1)
    house.switch.cut |= {each for each in house.switch.sockets if each[0] == "198.51.100.3"}
    for number in range(200):
        await alice.send_data(bytes(10_000), topic=str(number))
        await trio.sleep(0.02)
    with trio.fail_after(5):
        while (await heard(bob)).user.topic != "199":
            pass
