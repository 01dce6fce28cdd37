"""Data and calls that the server's API sends: see `trio_sfu.signalling.server_data`."""

import pytest
import trio
from livekit.protocol import models

from tests.signalling.house import House
from tests.sim import entropy
from trio_sfu.client.events import DataPacketReceived
from trio_sfu.client.participant import Participant as Client
from trio_sfu.peer.events import SendData
from trio_sfu.room.data import LOSSY
from trio_sfu.room.participant import Participant
from trio_sfu.room.rpc import MAX_PAYLOAD, RpcCode, RpcError
from trio_sfu.signalling import packets
from trio_sfu.signalling.server_data import perform_rpc, send_data

pytestmark = pytest.mark.virtual_time


async def listening(house: House, name: str) -> Participant:
    await house.attend(name)
    participant = house.participant(name)
    participant.on_listening()
    participant.downlink.mailbox.take_wishes()
    return participant


def received(participant: Participant) -> list[models.DataPacket]:
    wishes = participant.downlink.mailbox.take_wishes()
    return [models.DataPacket.FromString(w.data) for w in wishes if isinstance(w, SendData)]


@pytest.mark.parametrize("reliable", [True, False])
async def test_data_of_the_api_have_no_sender(house: House, reliable: bool) -> None:
    alice, bob = [await listening(house, name) for name in ("alice", "bob")]
    count = send_data(house.room(), b"hello", reliable=reliable, topic="t", identities=["bob"])
    assert count == 1
    assert received(alice) == []
    (packet,) = received(bob)
    assert packet.kind == (models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY)
    assert (packet.user.payload, packet.user.topic) == (b"hello", "t")
    assert packet.participant_identity == packet.user.participant_identity == ""
    assert (
        list(packet.destination_identities) == list(packet.user.destination_identities) == ["bob"]
    )


async def test_a_nonce_is_for_clients_and_api_alike(house: House) -> None:
    alice, bob = [await listening(house, name) for name in ("alice", "bob")]
    nonce = bytes(range(16))
    assert send_data(house.room(), b"1", reliable=True, nonce=nonce) == 2
    assert send_data(house.room(), b"1", reliable=True, nonce=nonce) == 0
    again = models.DataPacket(user=models.UserPacket(payload=b"1", nonce=nonce))
    packets.hear(house.room(), alice, LOSSY, again.SerializeToString(), trio.current_time())
    assert len(received(bob)) == 1


async def test_what_the_server_says_waits_for_the_channel(house: House) -> None:
    await house.enter("alice")
    alice = house.participant("alice")
    assert send_data(house.room(), b"early", reliable=True) == 0
    assert send_data(house.room(), b"lost", reliable=False) == 0
    await trio.sleep(30)
    alice.downlink.mailbox.take_wishes()
    alice.on_listening()
    assert [each.user.payload for each in received(alice)] == [b"early"]


async def call(
    participant: Participant, outcome: list[object], payload: str = "2", **fields: float
) -> None:
    try:
        outcome.append(
            await perform_rpc(participant, "double", payload, entropy=entropy(5), **fields)
        )
    except RpcError as error:
        outcome.append(error.code)


async def heard(client: Client) -> models.DataPacket:
    with trio.fail_after(5):
        async for event in client.events:
            if isinstance(event, DataPacketReceived):
                return event.packet
    raise AssertionError("gone")


async def test_a_call_is_answered(house: House, nursery: trio.Nursery) -> None:
    alice, bob = [await house.visit(name) for name in ("alice", "bob")]
    outcome: list[object] = []
    nursery.start_soon(call, house.participant("alice"), outcome)
    asked = await heard(alice)
    request = asked.rpc_request
    assert asked.participant_identity == request.id
    assert (request.method, request.payload, request.version) == ("double", "2", 1)
    assert 0 < request.response_timeout_ms <= 10_000
    await alice.send_packet(models.DataPacket(rpc_ack=models.RpcAck(request_id=request.id)))
    await trio.sleep(9)
    answer = models.RpcResponse(request_id=request.id, payload="4")
    await alice.send_packet(models.DataPacket(rpc_response=answer))
    await trio.sleep(1)
    assert outcome == ["4"]
    assert len(house.participant("alice").calls) == 0
    with pytest.raises(trio.TooSlowError):
        await heard(bob)  # these were nobody else's


async def test_the_client_is_told_what_the_way_leaves_of_its_time(
    house: House, nursery: trio.Nursery
) -> None:
    """A round trip takes 20 ms here, and its client may acknowledge 200 ms later."""
    alice = await house.visit("alice")
    await alice.connected.wait()
    await trio.sleep(1)
    nursery.start_soon(call, house.participant("alice"), [])
    assert 9_780 <= (await heard(alice)).rpc_request.response_timeout_ms <= 9_980


async def test_a_call_fails_by_and_by(house: House, nursery: trio.Nursery) -> None:
    alice = await house.visit("alice")
    await alice.send_data(b"hello")
    participant = house.participant("alice")
    outcome: list[object] = []
    start = trio.current_time()
    await call(participant, outcome)
    assert trio.current_time() - start == pytest.approx(2)
    await heard(alice)
    nursery.start_soon(call, participant, outcome)
    number = (await heard(alice)).rpc_request.id
    await alice.send_packet(models.DataPacket(rpc_ack=models.RpcAck(request_id=number)))
    await trio.sleep(11)
    nursery.start_soon(call, participant, outcome)
    await trio.sleep(1)
    alice.leave()
    await trio.sleep(0.5)
    await call(participant, outcome)
    assert outcome == [
        RpcCode.CONNECTION_TIMEOUT,
        RpcCode.RESPONSE_TIMEOUT,
        RpcCode.RECIPIENT_DISCONNECTED,
        RpcCode.RECIPIENT_DISCONNECTED,
    ]


async def test_a_call_that_is_too_large_does_not_leave(house: House) -> None:
    alice = await listening(house, "alice")
    outcome: list[object] = []
    await call(alice, outcome, "ü" * (MAX_PAYLOAD // 2) + "x")
    assert outcome == [RpcCode.REQUEST_PAYLOAD_TOO_LARGE]
    assert received(alice) == []


async def test_a_caller_who_gives_up_leaves_nothing_behind(house: House) -> None:
    alice = await listening(house, "alice")
    with trio.move_on_after(1):
        await perform_rpc(alice, "double", "2", entropy=entropy(5))
    assert len(alice.calls) == 0
