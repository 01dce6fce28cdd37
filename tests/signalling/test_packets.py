import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from trio_sfu.room.data import LOSSY, RELIABLE, Message
from trio_sfu.room.grants import Grants, Kind
from trio_sfu.room.latecomers import Nonces
from trio_sfu.room.participant import Identity
from trio_sfu.room.rpc import Calls, RpcError
from trio_sfu.signalling.packets import plain, stamp

ANYBODY = Identity(identity="alice", grants=Grants())


@attrs.define
class Sender:
    """As much of a participant as a packet is stamped with."""

    sid: str = "PA_alice"
    identity: str = "alice"
    hidden: bool = False
    who: Identity = ANYBODY
    last_sequence: int = 0
    calls: Calls = attrs.Factory(Calls)


@attrs.define
class Kitchen:
    """As much of a room."""

    nonces: Nonces = attrs.Factory(Nonces)


def agent(**fields: object) -> Sender:
    return Sender(who=Identity(identity="alice", grants=Grants(), kind=Kind.AGENT), **fields)


def packet(**fields: object) -> models.DataPacket:
    return models.DataPacket(**(fields or {"user": models.UserPacket(payload=b"hello")}))


def stamped(
    sent: models.DataPacket, sender: Sender | None = None, label: str = RELIABLE
) -> models.DataPacket:
    message = deliver(sent, sender, label)
    assert message is not None
    assert message.wish.label == label
    return models.DataPacket.FromString(message.wish.data)


def deliver(
    sent: models.DataPacket,
    sender: Sender | None = None,
    label: str = RELIABLE,
    room: Kitchen | None = None,
) -> Message | None:
    return stamp(room or Kitchen(), sender or Sender(), label, sent.SerializeToString())


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
    got = models.DataPacket.FromString(delivery.wish.data)
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
    assert deliver(packet(transcription=models.Transcription()), agent()) is not None
    granted = Sender(who=Identity(identity="a", grants=Grants(agent=True)))
    assert deliver(packet(transcription=models.Transcription()), granted) is not None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"chat_message": models.ChatMessage(message="hello")}, True),
        (
            {"stream_header": models.DataStream.Header(text_header=models.DataStream.TextHeader())},
            True,
        ),
        (
            {
                "stream_header": models.DataStream.Header(
                    byte_header=models.DataStream.ByteHeader(name="x")
                )
            },
            False,
        ),
        ({"user": models.UserPacket(payload=b"hello")}, False),
    ],
)
def test_agents_write_in_the_name_of_others_and_it_shows(
    value: dict[str, object], told: bool
) -> None:
    """What is text, that is: transcriptions and what somebody is taken to have said."""
    sent = packet(participant_identity="bob", **value)
    got = stamped(sent, agent())
    assert got.participant_identity == ("bob" if told else "alice")
    assert got.participant_sid == "PA_alice"
    assert got.chat_message.generated or got.stream_header.text_header.generated or not told
    assert stamped(sent).participant_identity == "alice"
    own = stamped(packet(**value), agent())
    assert own.participant_identity == "alice"
    assert not (own.chat_message.generated or own.stream_header.text_header.generated)


def test_a_kind_of_packet_from_the_future_passes() -> None:
    unknown = bytes.fromhex("fa0f03616263")  # field 255, three bytes
    got = stamp(Kitchen(), Sender(), RELIABLE, unknown)
    assert unknown in got.wish.data
    assert models.DataPacket.FromString(got.wish.data).participant_identity == "alice"


@given(st.lists(st.integers(0, 12)))
def test_only_what_is_above_all_before_passes(sequences: list[int]) -> None:
    sender, passed = Sender(), list[int]()
    for number in sequences:
        message = deliver(packet(sequence=number), sender)
        if message is not None:
            assert message.numbered == (number > 0)
            passed.append(number)
        assert sender.last_sequence == max([0, *passed])
    numbered = [number for number in passed if number]
    assert numbered == sorted(set(numbered))
    assert passed.count(0) == sequences.count(0)
    assert set(passed) <= set(sequences)


def test_what_may_be_lost_is_not_counted() -> None:
    sender = Sender(last_sequence=7)
    assert deliver(packet(sequence=3), sender, LOSSY) is not None
    assert sender.last_sequence == 7


def test_a_user_packet_that_is_said_again_is_heard_once() -> None:
    room, sent = Kitchen(), packet(user=models.UserPacket(payload=b"1", nonce=bytes(16)))
    assert deliver(sent, room=room) is not None
    assert deliver(sent, Sender(sid="PA_bob"), room=room) is None
    other = packet(user=models.UserPacket(payload=b"2", nonce=bytes(15) + b"1"))
    assert deliver(other, room=room) is not None


def test_answers_to_the_servers_calls_end_here() -> None:
    sender = Sender()
    call = sender.calls.begin("1", 0.0)
    ack = packet(rpc_ack=models.RpcAck(request_id="1"))
    answer = packet(rpc_response=models.RpcResponse(request_id="1", payload="4"))
    for sent in (ack, answer):
        assert deliver(sent, Sender()) is not None  # not hers to answer
        assert deliver(sent, sender) is None
    assert call.outcome == "4"
    assert deliver(answer, sender) is not None  # nobody waits for it


def test_an_error_is_an_answer() -> None:
    sender = Sender()
    call = sender.calls.begin("1", 0.0)
    error = models.RpcError(code=101, message="no", data="{}")
    assert (
        deliver(packet(rpc_response=models.RpcResponse(request_id="1", error=error)), sender)
        is None
    )
    assert isinstance(call.outcome, RpcError)
    assert (call.outcome.code, call.outcome.message, call.outcome.data) == (101, "no", "{}")
    assert str(call.outcome) == "RpcError 101: no: {}"


def test_an_answer_of_a_kind_that_we_did_not_ask_for_passes() -> None:
    sender = Sender()
    sender.calls.begin("1", 0.0)
    sent = packet(rpc_response=models.RpcResponse(request_id="1", compressed_payload=b"?"))
    assert deliver(sent, sender) is not None


@pytest.mark.parametrize("hidden", [False, True])
def test_other_channels_speak_on_the_reliable_one(hidden: bool) -> None:
    message = plain(Sender(hidden=hidden), b"raw")
    got = models.DataPacket.FromString(message.wish.data)
    assert (message.wish.label, got.user.payload) == (RELIABLE, b"raw")
    assert got.participant_identity == ("" if hidden else "alice")
    assert not message.numbered


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_packet_or_a_stamped_one(data: bytes) -> None:
    message = stamp(Kitchen(), Sender(), RELIABLE, data)
    if message is not None:
        assert models.DataPacket.FromString(message.wish.data).participant_identity == "alice"
