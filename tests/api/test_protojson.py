"""Protobuf as JSON: all fields, as LiveKit's server writes them."""

import json
import random

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from livekit.protocol import agent_dispatch, models, room, rtc

from tests.signalling.filling import fill
from trio_sfu.api import protojson

TYPES = (
    models.ParticipantInfo,
    models.Room,
    room.ListParticipantsResponse,
    room.ListRoomsResponse,
    room.MuteRoomTrackResponse,
    room.PerformRpcResponse,
    agent_dispatch.ListAgentDispatchResponse,
    rtc.SignalResponse,
)


@pytest.mark.parametrize("type_", TYPES, ids=lambda each: each.__name__)
def test_it_says_what_the_library_says_and_null_for_messages_that_are_not(
    type_: type[Message],
) -> None:
    dice = random.Random(type_.__name__)
    for _ in range(4):
        message = fill(type_(), dice, depth=1)
        ours = json.loads(protojson.encode(message))
        theirs = json.loads(
            json_format.MessageToJson(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        )
        assert without_nulls(ours) == theirs


def without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


@pytest.mark.parametrize("type_", TYPES, ids=lambda each: each.__name__)
def test_what_it_writes_can_be_read(type_: type[Message]) -> None:
    dice = random.Random(type_.__name__)
    for _ in range(4):
        message = fill(type_(), dice, depth=1)
        again = type_()
        assert protojson.decode(protojson.encode(message).encode(), again)
        assert again.SerializeToString(deterministic=True) == message.SerializeToString(
            deterministic=True
        )


def test_a_room_has_every_field_and_null_where_there_is_no_message() -> None:
    said = json.loads(protojson.encode(models.Room(name="kitchen")))
    assert set(said) == {field.name for field in models.Room.DESCRIPTOR.fields}
    assert said["version"] is None
    assert said["creation_time"] == "0"
    assert said["enabled_codecs"] == []


def test_of_alternatives_only_the_one_that_is_is_there() -> None:
    said = json.loads(
        protojson.encode(models.DataPacket(user=models.UserPacket(payload=b"\0\xff")))
    )
    assert said["user"]["payload"] == "AP8="
    assert "speaker" not in said
    assert "topic" not in said["user"]


def test_numbers_that_json_does_not_have_are_words() -> None:
    for value, word in ((float("inf"), "Infinity"), (float("-inf"), "-Infinity")):
        said = json.loads(protojson.encode(models.SpeakerInfo(level=value)))
        assert said["level"] == word
    assert json.loads(protojson.encode(models.SpeakerInfo(level=float("nan"))))["level"] == "NaN"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"7",
        b"{",
        b"{} {}",
        b'{"names": 5}',
        b'{"names": ["\\ud800"]}',
        b'{"names": ["\xff"]}',
        b'{"names": [' + b"[" * 5000,
        b'{"names": ["a"], "names": ["b"]}',
        b'{"x": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_such_message_is_not_read(text: bytes) -> None:
    assert not protojson.decode(text, room.ListRoomsRequest())


def test_either_name_of_a_field_will_do_and_unknown_ones_are_passed_over() -> None:
    for name in ("emptyTimeout", "empty_timeout"):
        request = room.CreateRoomRequest()
        assert protojson.decode(b'{"%s": "7", "nope": {}}' % name.encode(), request)
        assert request.empty_timeout == 7
