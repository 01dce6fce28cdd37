"""Joining, over real sockets, with a session that is played by the test."""

import base64
import json
import time

import attrs
import pytest
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse
from trio_websocket import connect_websocket_url

from tests.api.conftest import GRANTS, JOINED, SECRET, Sessions, routes_to, token
from tests.api.test_http import ask
from trio_sfu.api.rtc import FIRST_RESPONSE_SECONDS, Gate
from trio_sfu.api.tokens import LIFETIME
from trio_sfu.config import RoomConfig
from trio_sfu.room.grants import Grants, Kind
from trio_sfu.signalling.join import JoinRequest, Refused, Sdk

UPGRADE = (
    "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)).decode()
)
BOTH = [("/rtc/validate", ""), ("/rtc", UPGRADE)]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 401, "no permissions to access the room"),
        ("access_token=nonsense", 401, "this is no JSON Web Token"),
        (f"access_token={token('wrong secret of more than 32 bytes')}", 401, "is it the right"),
        (f"access_token={token(grants=None)}", 401, "no permissions to access the room"),
        (f"access_token={token(grants=Grants(room='r'))}", 401, "the token lacks roomJoin"),
        (f"access_token={token(identity='')}", 400, "identity cannot be empty"),
        (f"access_token={token(identity='é' * 129)}", 400, "identity length exceeds limits"),
        (f"access_token={token(grants=Grants(room_join=True))}", 400, "no room name"),
        (
            f"access_token={token(grants=Grants(room_join=True, room='r' * 257))}",
            400,
            "room name length exceeds limits: max length 256",
        ),
        (
            "publish=cam&access_token=" + token(grants=attrs.evolve(GRANTS, can_publish=False)),
            401,
            "the token lacks canPublish",
        ),
        (
            "attributes=eyJhIjoiYiJ9&access_token="
            + token(grants=Grants(room_join=True, room="kitchen")),
            401,
            "need canUpdateOwnMetadata",
        ),
    ],
)
@pytest.mark.parametrize(("path", "headers"), BOTH, ids=["validate", "connect"])
async def test_whoever_may_not_join_is_told_why(
    get, sessions: Sessions, path: str, headers: str, query: str, status: int, words: str
) -> None:
    answer = await get(f"{path}?{query}", headers)
    assert answer.status == status
    assert words in answer.body.decode()
    assert answer.headers["access-control-allow-origin"] == "*"
    assert sessions.joins == []


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {token()}", 200),
        (f"bearer {token()}", 200),
        (f"Bearer {token(grants=None)}", 401),
        (token(), 401),
        ("Basic a2V5OnNlY3JldA==", 401),
    ],
)
async def test_the_header_counts_for_more_than_the_parameter(
    get, authorization: str, status: int
) -> None:
    answer = await get(
        f"/rtc/validate?access_token={token()}", f"\r\nAuthorization: {authorization}"
    )
    assert answer.status == status


async def test_whoever_may_join_is_told_so(get) -> None:
    answer = await get(f"/rtc/validate?access_token={token()}")
    assert (answer.status, answer.body) == (200, b"success")


@pytest.mark.parametrize("attributes", ["!", "e30", "W10=", "eyJhIjoxfQ==", "eyJhIjoiXHVkODAwIn0"])
async def test_attributes_that_cannot_be_read_fail_only_where_one_asks(
    get, sessions: Sessions, attributes: str
) -> None:
    query = f"access_token={token()}&attributes={attributes}"
    expected = 200 if attributes == "e30" else 400
    assert (await get(f"/rtc/validate?{query}")).status == expected
    sessions.refusal = Refused(503, "the test ends here")
    assert (await get(f"/rtc?{query}", UPGRADE)).status == 503
    assert sessions.joins[0].attributes == {}


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1", "/rtc/v1?access_token=", "/rtc/nothing"])
async def test_without_a_websocket_there_is_nothing_to_be_found(get, path) -> None:
    answer = await get(path)
    assert answer.status == 404
    assert b"requested room does not exist" not in answer.body


@pytest.mark.parametrize(
    ("refusal", "status", "words"),
    [
        (Refused(404, "requested room does not exist"), 404, "requested room does not exist"),
        (Refused(503, "the node is full"), 503, "the node is full"),
        (RuntimeError("a bug"), 500, "internal error\n"),
    ],
    ids=str,
)
async def test_a_refusal_of_the_session_is_an_http_status(
    get, sessions: Sessions, refusal: Exception, status: int, words: str
) -> None:
    sessions.refusal = refusal
    answer = await get(f"/rtc?access_token={token()}", UPGRADE)
    assert (answer.status, answer.body.decode()) == (status, words)


async def test_a_session_that_ends_before_its_first_words_is_a_500(serve) -> None:
    async def connect(join, requests, responses) -> None:
        responses.close()

    async with await (await serve(routes_to(connect)))() as stream:
        answer = await ask(stream, f"GET /rtc?access_token={token()} HTTP/1.1{UPGRADE}")
        assert (answer.status, answer.body) == (500, b"the session ended before it began")


async def test_a_session_that_says_nothing_is_not_waited_for(
    autojump_clock, enter, sessions: Sessions
) -> None:
    from trio_sfu.api.frontdoor import FrontDoor

    sessions.silent = True
    stream = enter(FrontDoor(routes_to(sessions.connect)))
    answer = await ask(stream, f"GET /rtc?access_token={token()} HTTP/1.1{UPGRADE}")
    assert answer.status == 503
    assert trio.current_time() == pytest.approx(FIRST_RESPONSE_SECONDS, abs=1)
    with pytest.raises(trio.EndOfChannel):  # and the session learns that nobody waits for it
        await sessions.requests.receive()


async def test_what_the_url_and_the_token_say_reaches_the_session(get, sessions) -> None:
    sessions.refusal = Refused(503, "the test ends here")
    attributes = base64.urlsafe_b64encode(json.dumps({"b": "2", "c": ""}).encode()).decode()
    said = token(name="Alice", metadata="m", attributes={"a": "1", "c": "3"}, kind=Kind.AGENT)
    await get(
        f"/rtc?access_token={said}&protocol=17&client_protocol=2&sdk=ios&version=2.1&os=iOS"
        "&os_version=18&browser=Safari&browser_version=18.3&device_model=iPhone&network=wifi"
        "&capabilities=CAP_PACKET_TRAILER,CAP_COMPRESSION_DEFLATE_RAW&auto_subscribe=0"
        "&auto_subscribe_data_track=true&adaptive_stream=1&disable_ice_lite=true"
        f"&subscriber_allow_pause=0&attributes={attributes}"
        "&reconnect=1&reconnect_reason=2&sid=PA_abc",
        UPGRADE + "\r\nX-Real-IP: 192.0.2.1",
    )
    (join,) = sessions.joins
    assert join == JoinRequest(
        room="kitchen",
        identity="alice",
        grants=GRANTS,
        client=attrs.evolve(
            join.client,
            sdk=Sdk.SWIFT,
            version="2.1",
            os="iOS",
            os_version="18",
            browser="Safari",
            browser_version="18.3",
            device_model="iPhone",
            network="wifi",
            address="192.0.2.1",
            capabilities=frozenset({"CAP_PACKET_TRAILER", "CAP_COMPRESSION_DEFLATE_RAW"}),
        ),
        protocol=17,
        client_protocol=2,
        name="Alice",
        metadata="m",
        attributes={"a": "1", "b": "2", "c": "3"},
        kind=Kind.AGENT,
        auto_subscribe=False,
        auto_subscribe_data_track=True,
        adaptive_stream=True,
        disable_ice_lite=True,
        subscriber_allow_pause=False,
        token_made=join.token_made,
        token_expires=join.token_made + LIFETIME,
        reconnect=True,
        reconnect_reason=2,
        participant_sid="PA_abc",
    )


async def test_what_the_rooms_have_against_somebody_is_told_by_validate(serve) -> None:
    def check(join: JoinRequest) -> None:
        raise Refused(401, f"{join.identity} was removed")

    visit = await serve(Gate({"key": SECRET}, None, time.time, check).routes())
    async with await visit() as stream:
        answer = await ask(stream, f"GET /rtc/validate?access_token={token()} HTTP/1.1")
    assert (answer.status, answer.body) == (401, b"alice was removed")


async def test_nonsense_in_numbers_and_names_is_passed_over(get, sessions: Sessions) -> None:
    sessions.refusal = Refused(503, "the test ends here")
    await get(
        f"/rtc?access_token={token()}&protocol=99999999999&client_protocol=-1"
        "&reconnect_reason=x&sdk=of-future&auto_subscribe=perhaps",
        UPGRADE,
    )
    (join,) = sessions.joins
    assert (join.protocol, join.client_protocol, join.reconnect_reason) == (0, 0, 0)
    assert (join.client.sdk, join.auto_subscribe) == (Sdk.UNKNOWN, False)


async def test_a_second_connection_that_only_publishes_has_a_name_of_its_own(
    get, sessions: Sessions
) -> None:
    sessions.refusal = Refused(503, "the test ends here")
    await get(f"/rtc?access_token={token()}&publish=cam", UPGRADE)
    (join,) = sessions.joins
    assert (join.identity, join.auto_subscribe, join.grants.can_subscribe) == (
        "alice#cam",
        False,
        False,
    )


async def test_a_token_appears_in_no_log_line_and_no_repr(get, sessions, log_lines) -> None:
    said = token()
    await get(f"/rtc/validate?access_token={said}")
    await get(f"/rtc?access_token={token('wrong secret of more than 32 bytes')}", UPGRADE)
    sessions.refusal = RuntimeError("a bug")
    await get(f"/rtc?access_token={said}", UPGRADE)
    everything = repr(log_lines) + repr(sessions.joins) + repr(Gate({"k": SECRET}, None, time.time))
    assert len(log_lines) >= 4
    assert said.split(".")[2] not in everything
    assert SECRET not in everything


async def test_trio_websockets_client_talks_to_a_session(serve, sessions, nursery) -> None:
    visit = await serve(routes_to(sessions.connect))
    async with await visit() as stream:
        port = stream.socket.getpeername()[1]
    url = f"ws://127.0.0.1:{port}//rtc?access_token={token()}"
    websocket = await connect_websocket_url(nursery, url)
    assert SignalResponse.FromString(await websocket.get_message()) == JOINED
    request = SignalRequest(ping=7)
    await websocket.send_message(request.SerializeToString())
    pong = SignalResponse.FromString(await websocket.get_message())
    assert abs(pong.pong / 1000 - time.time()) < 60
    await websocket.aclose()
    with pytest.raises(trio.EndOfChannel):
        await sessions.requests.receive()


async def test_a_tokens_preset_is_looked_up_in_the_configuration_of_now(
    serve, sessions: Sessions
) -> None:
    rooms = RoomConfig(room_configurations={"small": {"empty_timeout": 9}})
    visit = await serve(
        Gate({"key": SECRET}, sessions.connect, time.time, rooms=lambda: rooms).routes()
    )
    sessions.refusal = Refused(503, "the test ends here")
    for preset, status in (("small", 503), ("large", 500)):
        async with await visit() as stream:
            request = f"GET /rtc?access_token={token(room_preset=preset)} HTTP/1.1{UPGRADE}"
            assert (await ask(stream, request)).status == status
    assert [each.options.empty_timeout for each in sessions.joins] == [9]
