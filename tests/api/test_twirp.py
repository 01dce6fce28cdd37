"""How calls of the server API travel, whatever they are about."""

import json
from collections.abc import Mapping

import pytest
import structlog
import trio
from google.protobuf.message import Message
from livekit.protocol import models, room

from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response
from trio_sfu.api.tokens import Claims
from trio_sfu.api.twirp import (
    STATUS,
    THREAD_ABOVE,
    Call,
    Code,
    Method,
    Rendered,
    Twirp,
    TwirpError,
)
from trio_sfu.signalling.join import Refused

CLAIMS = Claims(identity="application")


async def echo(call: Call, request: room.CreateRoomRequest) -> Message:
    if request.name == "wrong":
        raise TwirpError(Code.FAILED_PRECONDITION, "not now", {"argument": "name"})
    if request.name == "slow":
        await trio.sleep_forever()
    return models.Room(name=request.name, sid=call.request_id)


async def rendered(call: Call, request: room.ListRoomsRequest) -> Rendered:
    return Rendered(lambda: b"as protobuf", lambda: '"as json"')


SERVICES = {
    "livekit.RoomService": {
        "CreateRoom": Method(room.CreateRoomRequest, lambda claims: claims is CLAIMS, echo),
        "ListRooms": Method(room.ListRoomsRequest, lambda claims: True, rendered),
    }
}


async def call(
    body: bytes = b"{}",
    path: str = "/twirp/livekit.RoomService/CreateRoom",
    content_type: str = "application/json",
    claims: Claims | None = CLAIMS,
    method: str = "POST",
    headers: Mapping[str, str] = {},
) -> Response:
    twirp = Twirp(SERVICES, lambda request: claims)
    headers = {"content-type": content_type, **headers}
    return await twirp.answer(Request(method=method, path=path, headers=headers, body=body))


async def test_the_answer_comes_in_the_language_of_the_call() -> None:
    response = await call(b'{"name": "kitchen"}', headers={"x-livekit-request-id": "7"})
    assert response.content_type == "application/json"
    assert json.loads(response.body)["name"] == "kitchen"
    assert json.loads(response.body)["sid"] == "7"
    request = room.CreateRoomRequest(name="kitchen").SerializeToString()
    response = await call(request, content_type="application/protobuf")
    assert response.content_type == "application/protobuf"
    assert models.Room.FromString(response.body).name == "kitchen"


async def test_an_answer_that_is_written_already_is_passed_on() -> None:
    path = "/twirp/livekit.RoomService/ListRooms"
    assert (await call(path=path)).body == b'"as json"'
    assert (await call(b"", path, "application/protobuf")).body == b"as protobuf"


async def test_a_large_request_is_read_beside_the_loop() -> None:
    response = await call(b" " * THREAD_ABOVE + b'{"name": "kitchen"}')
    assert json.loads(response.body)["name"] == "kitchen"


async def test_an_error_is_json_with_the_status_of_its_code() -> None:
    request = room.CreateRoomRequest(name="wrong").SerializeToString()
    response = await call(request, content_type="application/protobuf")
    assert (response.status, response.content_type) == (412, "application/json")
    assert json.loads(response.body) == {
        "code": "failed_precondition",
        "msg": "not now",
        "meta": {"argument": "name"},
    }


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(Code)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "GET"}, 'unsupported method "GET" (only POST is allowed)'),
        (
            {"path": "/twirp/livekit.RoomService/Nope"},
            'no handler for path "/twirp/livekit.RoomService/Nope"',
        ),
        (
            {"path": "/twirp/livekit.RoomService/"},
            'no handler for path "/twirp/livekit.RoomService/"',
        ),
        ({"content_type": "text/plain"}, 'unexpected Content-Type: "text/plain"'),
        ({"content_type": ""}, 'unexpected Content-Type: ""'),
    ],
)
async def test_a_call_that_leads_nowhere_is_told_so(change: dict[str, str], text: str) -> None:
    response = await call(**change)
    said = json.loads(response.body)
    assert (response.status, said["code"], said["msg"]) == (404, "bad_route", text)
    assert said["meta"]["twirp_invalid_route"].startswith(change.get("method", "POST"))


@pytest.mark.parametrize(
    ("language", "body"),
    [("json", b"{"), ("json", b""), ("json", b"[]"), ("protobuf", b"\xff\xff")],
)
async def test_what_cannot_be_read_is_malformed(language: str, body: bytes) -> None:
    response = await call(body, content_type=f"application/{language}")
    said = json.loads(response.body)
    assert (response.status, said["code"]) == (400, "malformed")
    assert said["msg"] == f"the {language} request could not be decoded"


@pytest.mark.parametrize("claims", [None, Claims(identity="somebody")])
async def test_who_may_not_is_told_so_before_the_body_is_read(claims: Claims | None) -> None:
    response = await call(b"{", claims=claims)
    assert response.status == 401
    assert json.loads(response.body) == {"code": "unauthenticated", "msg": "permissions denied"}


async def test_a_token_that_is_not_believed_is_refused_in_plain_text() -> None:
    def refuse(request: Request) -> Claims | None:
        raise Refused(401, "invalid API key")

    path = "/twirp/livekit.RoomService/CreateRoom"
    response = await Twirp(SERVICES, refuse).answer(Request(method="POST", path=path))
    assert (response.status, response.body) == (401, b"invalid API key")


@pytest.mark.virtual_time
async def test_a_caller_that_waits_no_longer_is_not_worked_for() -> None:
    headers = {"x-twirp-timeout-ms": "250"}
    response = await call(b'{"name": "slow"}', headers=headers)
    assert trio.current_time() == pytest.approx(0.25)
    assert json.loads(response.body)["code"] == "canceled"


def test_the_routes_are_those_of_the_services() -> None:
    assert list(Twirp(SERVICES, lambda request: None).routes()) == ["/twirp/livekit.RoomService/"]


@pytest.mark.virtual_time
async def test_a_call_is_one_line_in_the_log_with_no_word_of_what_was_said() -> None:
    secret = "s3cr3t"
    body = json.dumps({"name": "kitchen", "metadata": secret}).encode()
    headers = {"x-livekit-request-id": "7", "authorization": f"Bearer {secret}"}
    with structlog.testing.capture_logs() as lines:
        await call(body, headers=headers)
    [line] = lines
    assert line == {
        "event": "API call",
        "log_level": "info",
        "method": "livekit.RoomService/CreateRoom",
        "status": 200,
        "code": "ok",
        "room": "kitchen",
        "request_id": "7",
        "milliseconds": 0.0,
    }


@pytest.mark.virtual_time
async def test_a_call_that_fails_is_one_line_that_says_why_and_how_long_it_took() -> None:
    headers = {"x-twirp-timeout-ms": "250", "x-livekit-request-id": "7" * 10_000}
    with structlog.testing.capture_logs() as lines:
        await call(b'{"name": "slow"}', headers=headers)
        await call(claims=None)
    late, denied = lines
    assert (late["status"], late["code"], late["milliseconds"]) == (408, "canceled", 250.0)
    assert len(late["request_id"]) < 1000
    assert (denied["status"], denied["code"]) == (401, "unauthenticated")
