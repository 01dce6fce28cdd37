import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from trio_sfu.room.data import DATA_TRACK, LOSSY, RELIABLE
from trio_sfu.room.grants import Grants, Kind
from trio_sfu.room.participant import Identity
from trio_sfu.signalling.packets import Delivery, stamp

ANYBODY = Identity(identity="alice", grants=Grants())


@attrs.frozen
class Sender:
    """As much of a participant as a packet is stamped with."""

    sid: str = "PA_alice"
    identity: str = "alice"
    hidden: bool = False
    who: Identity = ANYBODY


ALICE = Sender()


def packet(**fields: object) -> models.DataPacket:
    return models.DataPacket(**(fields or {"user": models.UserPacket(payload=b"hello")}))


def stamped(
    sent: models.DataPacket, sender: Sender = ALICE, label: str = RELIABLE
) -> models.DataPacket:
    delivery = stamp(sender, label, sent.SerializeToString())
    assert delivery is not None
    return models.DataPacket.FromString(delivery.data)


def deliver(
    sent: models.DataPacket, sender: Sender = ALICE, label: str = RELIABLE
) -> Delivery | None:
    return stamp(sender, label, sent.SerializeToString())


@pytest.mark.parametrize(
    ("label", "kind"), [(RELIABLE, models.DataPacket.RELIABLE), (LOSSY, models.DataPacket.LOSSY)]
)
def test_nobody_speaks_in_anothers_name(label: str, kind: int) -> None:
    forged = packet(
        kind=models.DataPacket.LOSSY,
        participant_sid="PA_bob",
        participant_identity="bob",
        user=models.UserPacket(participant_sid="PA_bob", participant_identity="bob", topic="chat"),
    )
    got = stamped(forged, label=label)
    assert (got.participant_sid, got.participant_identity) == ("PA_alice", "alice")
    assert (got.user.participant_sid, got.user.participant_identity) == ("PA_alice", "alice")
    assert got.kind == kind
    assert got.user.topic == "chat"


def test_the_hidden_speak_in_no_name() -> None:
    got = stamped(packet(), Sender(hidden=True))
    assert (got.participant_sid, got.participant_identity) == ("", "")
    assert (got.user.participant_sid, got.user.participant_identity) == ("", "")


@pytest.mark.parametrize("where", ["packet", "user"])
def test_whom_it_is_for_stands_in_both_places(where: str) -> None:
    """Older clients read the one, newer ones the other."""
    fields = {"destination_identities": ["bob", "carol"]}
    sent = (
        packet(user=models.UserPacket(**fields))
        if where == "user"
        else packet(user=models.UserPacket(), **fields)
    )
    delivery = deliver(sent)
    assert delivery.identities == frozenset({"bob", "carol"})
    got = models.DataPacket.FromString(delivery.data)
    assert list(got.destination_identities) == ["bob", "carol"]
    assert list(got.user.destination_identities) == ["bob", "carol"]


def test_sids_are_a_users_only() -> None:
    delivery = deliver(packet(user=models.UserPacket(destination_sids=["PA_bob"])))
    assert (delivery.sids, delivery.identities) == (frozenset({"PA_bob"}), frozenset())


@pytest.mark.parametrize(
    "value",
    [
        {"chat_message": models.ChatMessage(message="hello")},
        {"rpc_request": models.RpcRequest(id="1", method="double", payload="2")},
        {"rpc_ack": models.RpcAck(request_id="1")},
        {"rpc_response": models.RpcResponse(request_id="1", payload="4")},
        {"stream_header": models.DataStream.Header(stream_id="s")},
        {"stream_chunk": models.DataStream.Chunk(stream_id="s", content=b"...")},
        {"stream_trailer": models.DataStream.Trailer(stream_id="s")},
        {"sip_dtmf": models.SipDTMF(code=1)},
        {"encrypted_packet": models.EncryptedPacket(encrypted_value=b"?")},
    ],
)
def test_what_clients_tell_each_other_passes_unread(value: dict[str, object]) -> None:
    sent = packet(sequence=7, **value)
    got = stamped(sent)
    name = next(iter(value))
    assert getattr(got, name) == getattr(sent, name)
    assert (got.sequence, got.participant_identity) == (7, "alice")


@pytest.mark.parametrize(
    "value",
    [
        {"metrics": models.DataPacket().metrics},
        {"speaker": models.ActiveSpeakerUpdate()},
        {"transcription": models.Transcription()},
    ],
)
def test_what_is_not_for_clients_to_say_goes_nowhere(value: dict[str, object]) -> None:
    assert deliver(packet(**value)) is None


def test_agents_transcribe() -> None:
    agent = Sender(who=Identity(identity="a", grants=Grants(), kind=Kind.AGENT))
    assert deliver(packet(transcription=models.Transcription()), agent) is not None


def test_who_may_not_publish_data_does_not() -> None:
    mute = Sender(who=Identity(identity="a", grants=Grants(can_publish_data=False)))
    assert deliver(packet(), mute) is None
    silent = Sender(who=Identity(identity="a", grants=Grants(can_publish=False)))
    assert deliver(packet(), silent) is None  # unless a token says otherwise


@pytest.mark.parametrize("label", [DATA_TRACK, "", "chat"])
def test_other_channels_carry_nothing_yet(label: str) -> None:
    assert deliver(packet(), label=label) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_packet_or_a_stamped_one(data: bytes) -> None:
    delivery = stamp(ALICE, RELIABLE, data)
    if delivery is not None:
        assert models.DataPacket.FromString(delivery.data).participant_identity == "alice"
