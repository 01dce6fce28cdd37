"""The server API over rooms with people in them: what each call does, and what it says if not."""

import json
import math
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import trio
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.protocol import agent_dispatch, models
from livekit.protocol import room as rooms

from tests.signalling.filling import fill
from tests.signalling.house import Caller, House, open_house
from trio_sfu.api.request import Request
from trio_sfu.api.roomconfig import options_of
from trio_sfu.api.routes import Response
from trio_sfu.api.services import services
from trio_sfu.api.tokens import Claims
from trio_sfu.api.twirp import Twirp
from trio_sfu.config import RoomConfig
from trio_sfu.peer.events import SendData
from trio_sfu.room.grants import Grants
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.quality import Quality
from trio_sfu.signalling.join import Refused

pytestmark = pytest.mark.virtual_time

ADMIN = Grants(
    room="kitchen", room_admin=True, room_create=True, room_list=True, destination_room="hall"
)
METHODS = {
    f"{service.full_name.removeprefix('livekit.')}/{method.name}": method
    for service in (
        rooms.DESCRIPTOR.services_by_name["RoomService"],
        agent_dispatch.DESCRIPTOR.services_by_name["AgentDispatchService"],
    )
    for method in service.methods
}
FROM_WITHIN = "twirp error unknown: "


class Api:
    """Calls as an application makes them; the token's rights are *grants*."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.grants: Grants | None = ADMIN
        self._twirp = Twirp(services(house.node), self._claims, thread_above=math.inf)

    def _claims(self, request: Request) -> Claims | None:
        return None if self.grants is None else Claims(grants=self.grants)

    async def send(
        self, method: str, body: bytes, language: str = "json", headers: Mapping[str, str] = {}
    ) -> Response:
        service = "" if method.startswith("livekit.") else "livekit."
        path = method if method.startswith("/") else f"/twirp/{service}{method}"
        headers = {"content-type": f"application/{language}", **headers}
        return await self._twirp.answer(
            Request(method="POST", path=path, headers=headers, body=body)
        )

    async def __call__(self, method: str, /, **fields: Any) -> Any:
        """The answer as a message, of a call in protobuf: the first half of the SDKs."""
        known = METHODS[method if "/" in method else f"RoomService/{method}"]
        request = GetMessageClass(known.input_type)(**fields)
        path = f"{known.containing_service.full_name}/{known.name}"
        response = await self.send(path, request.SerializeToString(), "protobuf")
        assert response.status == 200, response.body
        assert response.content_type == "application/protobuf"
        return GetMessageClass(known.output_type).FromString(response.body)

    async def fail(self, method: str, /, **fields: object) -> tuple[int, str, str]:
        """Status, code and text of a call in JSON that is refused: the SDKs' other half."""
        method = method if "/" in method else f"RoomService/{method}"
        response = await self.send(method, json.dumps(fields).encode())
        said = json.loads(response.body)
        assert response.content_type == "application/json"
        return response.status, said["code"], said["msg"]


@pytest.fixture
async def api(nursery: trio.Nursery) -> Api:
    return Api(await open_house(nursery))


async def about(identity: str, caller: Caller) -> list[models.ParticipantInfo]:
    updates = await caller.hear_of("update")
    return [each for update in updates for each in update.participants if each.identity == identity]


# --- rooms


async def test_a_room_is_made_and_is_there_until_it_was_empty_for_too_long(api: Api) -> None:
    made = await api(
        "CreateRoom", name="kitchen", empty_timeout=7, metadata="soup", max_participants=2
    )
    assert made.sid.startswith("RM_")
    assert (made.empty_timeout, made.departure_timeout, made.metadata) == (7, 20, "soup")
    listed = await api("ListRooms")
    assert [each.name for each in listed.rooms] == ["kitchen"]
    assert (await api("ListRooms", names=["hall"])).rooms == []
    await trio.sleep(7.1)
    assert (await api("ListRooms")).rooms == []


async def test_making_it_again_changes_it_and_those_in_it_are_told(api: Api) -> None:
    made = await api("CreateRoom", name="kitchen", metadata="soup")
    alice = await api.house.enter("alice")
    again = await api("CreateRoom", name="kitchen", metadata="cake", departure_timeout=3)
    assert (again.sid, again.metadata, again.num_participants) == (made.sid, "cake", 1)
    assert (await alice.hear_of("room_update"))[-1].room.metadata == "cake"
    alice.hang_up()
    await trio.sleep(3.1)
    assert (await api("ListRooms")).rooms == []


async def test_who_deletes_a_room_ends_it_for_everybody(api: Api) -> None:
    alice = await api.house.enter("alice")
    await api("DeleteRoom", room="kitchen")
    assert (await alice.wait_for("leave")).reason == LeaveReason.ROOM_DELETED.value
    assert await api.fail("DeleteRoom", room="kitchen") == (
        404,
        "not_found",
        FROM_WITHIN + "requested room does not exist",
    )


async def test_metadata_of_a_room_reach_those_in_it_and_may_be_taken_away(api: Api) -> None:
    alice = await api.house.enter("alice")
    assert (await api("UpdateRoomMetadata", room="kitchen", metadata="soup")).metadata == "soup"
    assert [each.room.metadata for each in await alice.hear_of("room_update")][-1] == "soup"
    assert (await api("UpdateRoomMetadata", room="kitchen", metadata="")).metadata == ""


async def test_a_token_can_say_what_its_room_is_like(api: Api) -> None:
    house = api.house
    claims = Claims(room_config={"emptyTimeout": 9, "maxParticipants": "1", "metadata": "soup"})
    alice = await house.knock("alice", options=options_of(claims))
    join = await alice.wait_for("join")
    assert (join.room.metadata, join.room.max_participants) == ("soup", 1)
    with pytest.raises(Refused):
        await house.knock("bob")
    for bad in ({"emptyTimeout": "x"}, {"metadata": 5}, {"metadata": "\ud800"}):
        with pytest.raises(Refused, match="no RoomConfiguration"):
            options_of(Claims(room_config=bad))
    with pytest.raises(Refused, match="no room preset"):
        options_of(Claims(room_preset="large"))


PRESET = {
    "small": {
        "max_participants": 1,
        "empty_timeout": 9,
        "metadata": "soup",
        "sync_streams": True,
        "agents": ({"agent_name": "robot", "attributes": {"a": "b"}},),
    }
}


async def test_a_preset_says_what_a_room_is_like_where_the_call_says_nothing(
    nursery: trio.Nursery,
) -> None:
    house = await open_house(nursery, RoomConfig(room_configurations=PRESET))
    api = Api(house)
    room = await api("CreateRoom", name="kitchen", room_preset="small", metadata="salad")
    assert (room.max_participants, room.empty_timeout, room.metadata) == (1, 9, "salad")
    assert house.room().config.sync_streams
    (asked,) = (await api("AgentDispatchService/ListDispatch", room="kitchen")).agent_dispatches
    assert (asked.agent_name, dict(asked.attributes)) == ("robot", {"a": "b"})
    assert await api.fail("CreateRoom", name="hall", room_preset="large") == (
        400,
        "invalid_argument",
        FROM_WITHIN + "unknown room configuration in create room request",
    )
    assert "hall" not in house.rooms


async def test_a_token_can_choose_a_preset_and_say_otherwise(nursery: trio.Nursery) -> None:
    rooms = RoomConfig(room_configurations=PRESET)
    house = await open_house(nursery, rooms)
    claims = Claims(room_preset="small", room_config={"metadata": "salad"})
    alice = await house.knock("alice", options=options_of(claims, rooms))
    join = await alice.wait_for("join")
    assert (join.room.metadata, join.room.max_participants) == ("salad", 1)
    assert join.room.empty_timeout == 9
    with pytest.raises(Refused, match="no room preset 'large'"):
        options_of(Claims(room_preset="large"), rooms)


# --- participants


async def test_everybody_is_listed_the_hidden_too(api: Api) -> None:
    await api.house.enter("alice", metadata="m")
    await api.house.enter("spy", hidden=True)
    listed = await api("ListParticipants", room="kitchen")
    assert [each.identity for each in listed.participants] == ["alice", "spy"]
    assert await api("GetParticipant", room="kitchen", identity="alice") == listed.participants[0]
    said = json.loads((await api.send("RoomService/ListParticipants", b'{"room": "kitchen"}')).body)
    assert [each["metadata"] for each in said["participants"]] == ["m", ""]
    assert said["participants"][0]["joined_at"].isdigit()


async def test_nobody_is_in_a_room_that_is_not_there(api: Api) -> None:
    assert (await api("ListParticipants", room="kitchen")).participants == []


async def test_whoever_is_removed_hears_so_and_may_come_back(api: Api) -> None:
    alice = await api.house.enter("alice")
    await api("RemoveParticipant", room="kitchen", identity="alice")
    assert (await alice.wait_for("leave")).reason == LeaveReason.PARTICIPANT_REMOVED.value
    await api.house.enter("alice")


async def test_whoever_is_removed_for_good_does_not_come_back_with_the_same_token(api: Api) -> None:
    now = int(api.house.node.wall_time())
    await api.house.enter("alice", token_made=now - 10)
    fields = {"room": "kitchen", "identity": "alice", "revoke_token_ts": now}
    await api("RemoveParticipant", **fields)
    with pytest.raises(Refused):
        await api.house.enter("alice", token_made=now - 10)
    await api.house.enter("alice", token_made=now + 1)


async def test_what_somebody_says_and_may_do_is_changed_at_once(api: Api) -> None:
    alice = await api.house.attend("alice", attributes={"a": "1"})
    await alice.publish("audio", "voice")
    info = await api(
        "UpdateParticipant",
        room="kitchen",
        identity="alice",
        name="Alice",
        metadata="m",
        attributes={"a": "", "b": "2"},
        permission=models.ParticipantPermission(can_subscribe=True, can_update_metadata=True),
    )
    assert (info.name, info.metadata, dict(info.attributes)) == ("Alice", "m", {"b": "2"})
    assert not info.permission.can_publish
    assert len(info.tracks) == 0
    assert (await about("alice", alice))[-1] == info
    kept = await api("UpdateParticipant", room="kitchen", identity="alice")
    assert (kept.name, kept.metadata) == ("Alice", "m")


async def test_a_track_is_muted_but_not_unmuted_unless_the_operator_lets_it(
    api: Api, nursery: trio.Nursery
) -> None:
    alice = await api.house.attend("alice")
    sid = await alice.publish("audio", "voice")
    where = {"room": "kitchen", "identity": "alice", "track_sid": sid}
    assert (await api("MutePublishedTrack", **where, muted=True)).track.muted
    assert await api.fail("MutePublishedTrack", **where) == (
        412,
        "failed_precondition",
        FROM_WITHIN + "remote unmute not enabled",
    )
    absent = {**where, "track_sid": "TR_none", "muted": True}
    assert not (await api("MutePublishedTrack", **absent)).HasField("track")


async def test_with_the_operator_s_leave_a_track_is_unmuted(nursery: trio.Nursery) -> None:
    api = Api(await open_house(nursery, RoomConfig(enable_remote_unmute=True)))
    alice = await api.house.attend("alice")
    sid = await alice.publish("audio", "voice", muted=True)
    where = {"room": "kitchen", "identity": "alice", "track_sid": sid}
    assert not (await api("MutePublishedTrack", **where)).track.muted


async def test_subscriptions_are_made_and_ended_for_somebody(api: Api) -> None:
    alice = await api.house.attend("alice")
    sid = await alice.publish("audio", "voice")
    await api.house.attend("bob", auto_subscribe=False)
    bob = api.house.participant("bob")
    where = {"room": "kitchen", "identity": "bob"}
    await api("UpdateSubscriptions", **where, track_sids=[sid], subscribe=True)
    assert list(bob.subscriptions) == [sid]
    tracks = [models.ParticipantTracks(participant_sid="PA_any", track_sids=[sid])]
    await api("UpdateSubscriptions", **where, participant_tracks=tracks, subscribe=False)
    assert bob.subscriptions == {}


async def test_data_are_sent_to_whom_they_are_for(api: Api) -> None:
    for identity in ("alice", "bob"):
        await api.house.attend(identity)
        api.house.participant(identity).downlink.mailbox.take_wishes()
    lossy = {"room": "kitchen", "data": b"x", "kind": models.DataPacket.Kind.LOSSY}
    await api("SendData", **lossy, destination_identities=["bob"], topic="t")
    sent = {
        identity: [
            wish
            for wish in api.house.participant(identity).downlink.mailbox.take_wishes()
            if isinstance(wish, SendData)
        ]
        for identity in ("alice", "bob")
    }
    assert sent["alice"] == []
    (wish,) = sent["bob"]
    assert models.DataPacket.FromString(wish.data).user.topic == "t"
    assert await api.fail("SendData", room="kitchen", nonce="AAAA") == (
        400,
        "invalid_argument",
        "nonce should be 16-bytes or not present, got: 3 bytes",
    )


async def test_a_call_that_nobody_answers_ends_in_time(api: Api) -> None:
    await api.house.attend("alice")
    where = {"room": "kitchen", "destinationIdentity": "alice", "method": "m"}
    assert await api.fail("PerformRpc", **where) == (
        408,
        "canceled",
        FROM_WITHIN + "RpcError 1501: Connection timeout",
    )
    assert await api.fail("PerformRpc", **where, payload="x" * 15_361) == (
        400,
        "invalid_argument",
        FROM_WITHIN + "RpcError 1402: Request payload too large",
    )
    started = trio.current_time()
    body = json.dumps(where).encode()
    response = await api.send("RoomService/PerformRpc", body, headers={"x-twirp-timeout-ms": "50"})
    assert response.status == 408
    assert trio.current_time() - started == pytest.approx(0.05)


async def test_nobody_is_moved_to_another_room(api: Api) -> None:
    await api.house.enter("alice")
    for method in ("MoveParticipant", "ForwardParticipant"):
        where = {"room": "kitchen", "identity": "alice"}
        assert await api.fail(method, **where, destinationRoom="hall") == (
            500,
            "unknown",
            FROM_WITHIN + "not implemented",
        )
        assert (await api.fail(method, **where, destinationRoom="cellar"))[1] == "unauthenticated"


# --- agents, and what is not there


async def test_agents_are_asked_for_and_remembered(api: Api) -> None:
    made = partial(api, "AgentDispatchService/CreateDispatch", room="kitchen")
    dispatch = await made(agent_name="robot", metadata="m")
    assert dispatch.id.startswith("AD_")
    listed = await api("AgentDispatchService/ListDispatch", room="kitchen")
    assert [each.agent_name for each in listed.agent_dispatches] == ["", "robot"]
    where = {"room": "kitchen", "dispatch_id": dispatch.id}
    assert await api("AgentDispatchService/DeleteDispatch", **where) == dispatch
    assert await api.fail(
        "AgentDispatchService/DeleteDispatch", room="kitchen", dispatchId="x"
    ) == (
        404,
        "not_found",
        FROM_WITHIN + "dispatch ID not found",
    )


async def test_a_dispatch_that_is_asked_for_twice_by_one_request_is_one(api: Api) -> None:
    body = b'{"room": "kitchen", "agentName": "robot"}'
    headers = {"x-livekit-request-id": "once"}
    answers = [
        await api.send("AgentDispatchService/CreateDispatch", body, headers=headers) for _ in "12"
    ]
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize(
    ("method", "grants", "answer"),
    [
        (
            "Egress/ListEgress",
            {"room_record": True},
            (500, "egress not connected (redis required)"),
        ),
        ("Egress/StartWebEgress", {"room_record": True}, (503, "no response from servers")),
        (
            "Ingress/CreateIngress",
            {"ingress_admin": True},
            (500, "ingress not connected (redis required)"),
        ),
    ],
)
async def test_what_needs_workers_says_that_there_are_none(
    api: Api, method: str, grants: dict[str, bool], answer: tuple[int, str]
) -> None:
    assert (await api.fail(method))[0] == 401
    api.grants = Grants(**grants)
    status, _, text = await api.fail(method)
    assert (status, text.removeprefix(FROM_WITHIN)) == answer


# --- who may, and what is wrong


NEEDED = {
    "RoomService/CreateRoom": "room_create",
    "RoomService/DeleteRoom": "room_create",
    "RoomService/ListRooms": "room_list",
}


@pytest.mark.parametrize("method", METHODS)
async def test_each_method_needs_its_right_and_no_other_will_do(api: Api, method: str) -> None:
    needed = NEEDED.get(method, "room_admin")
    rights = {"room_create", "room_list", "room_admin", "room_join", "room_record"} - {needed}
    denied = (401, "unauthenticated", "permissions denied")
    api.grants = None
    assert await api.fail(method, room="kitchen") == denied
    api.grants = Grants(room="kitchen", **dict.fromkeys(rights, True))
    assert await api.fail(method, room="kitchen") == denied
    if needed == "room_admin":
        api.grants = Grants(room="hall", room_admin=True)
        assert await api.fail(method, room="kitchen") == denied


PARTICIPANTS = (
    "GetParticipant",
    "RemoveParticipant",
    "MutePublishedTrack",
    "UpdateParticipant",
    "UpdateSubscriptions",
)


@pytest.mark.parametrize("method", PARTICIPANTS)
async def test_whoever_is_not_there_is_not_found(api: Api, method: str) -> None:
    expected = (404, "not_found", FROM_WITHIN + "participant does not exist")
    assert await api.fail(method, room="kitchen", identity="alice") == expected
    await api.house.enter("bob")
    assert await api.fail(method, room="kitchen", identity="alice") == expected


@pytest.mark.parametrize(
    ("method", "fields", "text"),
    [
        ("UpdateParticipant", {"name": "n" * 257}, "name length exceeds limits 256"),
        (
            "UpdateParticipant",
            {"metadata": "m" * ((512 << 10) + 1)},
            "metadata size exceeds limits 524288",
        ),
        (
            "UpdateParticipant",
            {"attributes": {"k": "v" * (64 << 10)}},
            "attribute size exceeds limits 65536",
        ),
        (
            "UpdateRoomMetadata",
            {"metadata": "m" * ((512 << 10) + 1)},
            "metadata size exceeds limits 524288",
        ),
        (
            "CreateRoom",
            {"name": "n" * 257},
            FROM_WITHIN + "room name length exceeds limits: max length 256",
        ),
        (
            "CreateRoom",
            {"roomPreset": "large"},
            FROM_WITHIN + "unknown room configuration in create room request",
        ),
        ("PerformRpc", {}, FROM_WITHIN + "destination identity is required"),
    ],
)
async def test_what_is_too_long_or_lacks_something_is_an_invalid_argument(
    api: Api, method: str, fields: dict[str, object], text: str
) -> None:
    await api.house.enter("alice")
    fields = {"room": "kitchen", **fields}
    assert await api.fail(method, **fields) == (400, "invalid_argument", text)


@pytest.mark.parametrize("language", ["json", "protobuf"])
@pytest.mark.parametrize("method", METHODS)
async def test_any_request_gets_an_answer_and_ends_nobody_who_is_not_meant(
    api: Api, method: str, language: str, log_lines: list[dict[str, object]]
) -> None:
    dice = random.Random(method)
    bob = await api.house.attend("bob")
    for _ in range(6):
        request = fill(GetMessageClass(METHODS[method].input_type)(), dice, depth=1)
        for name in ("room", "name"):
            if name in request.DESCRIPTOR.fields_by_name and dice.random() < 0.7:
                setattr(request, name, "kitchen")
        response = await api.send(method, encoded(request, language), language)
        assert (
            response.status != 500
            or b"not implemented" in response.body
            or b"egress" in (response.body)
        )
    assert "bob" in api.house.room().participants or method == "RoomService/DeleteRoom"
    assert not [line for line in log_lines if "exc_info" in line]
    await bob.hear()


def encoded(message: Message, language: str) -> bytes:
    if language == "protobuf":
        return message.SerializeToString()
    return json_format.MessageToJson(message).encode()


async def answers_of(calls: list[tuple[str, str, bytes]]) -> list[Response]:
    async with trio.open_nursery() as nursery:
        api = Api(await open_house(nursery))
        await api.house.enter("alice")
        found = [await api.send(method, body, language) for method, language, body in calls]
        nursery.cancel_scope.cancel()
    return found


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def calls(draw: Callable[..., Any]) -> tuple[str, str, bytes]:
    method = draw(st.sampled_from(sorted(METHODS)))
    fields = [each.json_name for each in METHODS[method].input_type.fields]
    anything = st.dictionaries(st.sampled_from(fields), JSON_VALUES | st.just("kitchen"))
    body = draw(st.binary(max_size=60) | anything.map(lambda each: json.dumps(each).encode()))
    return method, draw(st.sampled_from(["json", "protobuf"])), body


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(calls(), min_size=1, max_size=6))
def test_whatever_is_sent_a_call_is_answered_or_refused_but_never_by_a_bug(
    sent: list[tuple[str, str, bytes]],
) -> None:
    clock = trio.testing.MockClock(autojump_threshold=0)
    for response in trio.run(answers_of, sent, clock=clock):
        if response.status != 200:
            said = json.loads(response.body)
            assert set(said) <= {"code", "msg", "meta"}
            assert said["code"] != "internal" or "egress" in said["msg"]


# --- a ceiling for the quality of pictures (ours)


async def test_a_ceiling_is_said_where_livekit_passes_it_over(api: Api) -> None:
    await api.house.enter("bob")
    bob = api.house.participant("bob")
    for word, quality in ("low", Quality.LOW), ("medium", Quality.MEDIUM), ("", Quality.HIGH):
        said = {"trio-sfu.max_quality": word}
        await api("UpdateParticipant", room="kitchen", identity="bob", attributes=said)
        assert bob.max_quality is quality
    await api("CreateRoom", name="kitchen", tags={"trio-sfu.max_quality": "medium"})
    assert bob.max_quality is Quality.MEDIUM
    bad = {"trio-sfu.max_quality": "4k"}
    for method, fields in (
        ("UpdateParticipant", {"room": "kitchen", "identity": "bob", "attributes": bad}),
        ("CreateRoom", {"name": "kitchen", "tags": bad}),
    ):
        _, code, words = await api.fail(method, **fields)
        assert (code, "low, medium or high" in words) == ("invalid_argument", True)
    assert bob.max_quality is Quality.MEDIUM


def test_a_tokens_room_may_have_a_ceiling_and_a_wrong_one_is_refused() -> None:
    claims = Claims(room_config={"tags": {"trio-sfu.max_quality": "low"}})
    assert options_of(claims).tags == {"trio-sfu.max_quality": "low"}
    with pytest.raises(Refused, match="must be low, medium or high"):
        options_of(Claims(room_config={"tags": {"trio-sfu.max_quality": "4k"}}))
