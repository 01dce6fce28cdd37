"""What a client asks for in the URL of its join: `join_request`, above all."""

import base64
import gzip
import time
import tracemalloc
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from tests.api.conftest import Sessions, token
from tests.api.test_rtc import UPGRADE
from trio_sfu.api import parameters
from trio_sfu.api.parameters import ANNOUNCED_LIMIT, JOIN_REQUEST_LIMIT, decode_join_request
from trio_sfu.api.request import Request
from trio_sfu.room.grants import Grants
from trio_sfu.signalling.join import Refused, Sdk

JOIN = rtc.JoinRequest(
    client_info=models.ClientInfo(
        sdk=models.ClientInfo.SDK.JS,
        protocol=17,
        client_protocol=2,
        capabilities=[models.ClientInfo.CAP_PACKET_TRAILER],
    ),
    connection_settings=rtc.ConnectionSettings(auto_subscribe=True, adaptive_stream=True),
    add_track_requests=[rtc.AddTrackRequest(cid="camera"), rtc.AddTrackRequest(cid="microphone")],
    publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0", id=1),
)
GZIP = rtc.WrappedJoinRequest.GZIP


def encoded(inner: bytes, compression: int = rtc.WrappedJoinRequest.NONE) -> str:
    wrapped = rtc.WrappedJoinRequest(compression=compression, join_request=inner)
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def metadata_of(size: int) -> bytes:
    """A JoinRequest of *size* bytes, which is at least ten."""
    return rtc.JoinRequest(metadata="x" * (size - 4)).SerializeToString()


PLAIN = JOIN.SerializeToString()


@pytest.mark.parametrize("strip", [False, True], ids=["padded", "unpadded"])
@pytest.mark.parametrize(
    ("inner", "compression"),
    [
        (PLAIN, rtc.WrappedJoinRequest.NONE),
        (gzip.compress(PLAIN), GZIP),
        (gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:]), GZIP),
        (PLAIN, 7),
    ],
    ids=["as it is", "gzip", "gzip in two members", "in a way that is not invented yet"],
)
def test_a_join_request_is_read(inner: bytes, compression: int, strip: bool) -> None:
    text = encoded(inner, compression)
    assert decode_join_request(text.rstrip("=") if strip else text) == JOIN


REFUSALS = {
    "": "join_request is required",
    encoded(gzip.compress(b""), GZIP): "join_request is required",
    "!!!!": "cannot base64 decode wrapped join request",
    "++//": "cannot base64 decode wrapped join request",
    "é": "cannot base64 decode wrapped join request",
    "____": "cannot unmarshal wrapped join request",
    encoded(b"\xff\xff\xff"): "cannot unmarshal join request",
    encoded(b"hello", GZIP): "cannot read decompressed join request",
    encoded(gzip.compress(PLAIN)[:-6], GZIP): "cannot read decompressed join request",
    encoded(gzip.compress(PLAIN)[:-6] + b"sixsix", GZIP): "cannot read decompressed join request",
    encoded(gzip.compress(PLAIN) + b"more", GZIP): "cannot read decompressed join request",
    encoded(gzip.compress(metadata_of(JOIN_REQUEST_LIMIT + 1)), GZIP): "join request too large",
}


@pytest.mark.parametrize("path", ["/rtc/v1/validate", "/rtc/v1"])
@pytest.mark.parametrize(("text", "words"), REFUSALS.items(), ids=map(str, range(len(REFUSALS))))
async def test_what_is_no_join_request_is_refused_in_livekits_words(
    get, sessions: Sessions, path: str, text: str, words: str
) -> None:
    query = f"access_token={token()}&join_request={quote(text)}"
    answer = await get(f"{path}?{query}", UPGRADE if path == "/rtc/v1" else "")
    assert (answer.status, answer.body.decode()) == (400, words)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert sessions.joins == []


def test_a_join_request_may_be_as_large_as_it_may_be() -> None:
    text = encoded(gzip.compress(metadata_of(JOIN_REQUEST_LIMIT)), GZIP)
    assert len(decode_join_request(text).metadata) == JOIN_REQUEST_LIMIT - 4


def test_a_bomb_is_not_inflated() -> None:
    text = encoded(gzip.compress(bytes(1 << 26)), GZIP)
    tracemalloc.start()
    try:
        started = time.thread_time()
        with pytest.raises(Refused, match="too large"):
            decode_join_request(text)
        assert time.thread_time() - started < 0.5
        assert tracemalloc.get_traced_memory()[1] < 4 * JOIN_REQUEST_LIMIT
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200), st.sampled_from([0, 1, 5]))
def test_whatever_comes_is_a_join_request_or_refused(inner: bytes, compression: int) -> None:
    for text in (encoded(inner, compression), base64.urlsafe_b64encode(inner).decode()):
        with suppress(Refused):
            assert isinstance(decode_join_request(text), rtc.JoinRequest)


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_a_join_request_asks_for_one_connection_on_either_path(
    get, sessions: Sessions, path: str
) -> None:
    sessions.refusal = Refused(503, "the test ends here")
    await get(f"{path}?access_token={token()}&join_request={encoded(PLAIN)}", UPGRADE)
    (join,) = sessions.joins
    assert join.one_connection
    assert (join.client.sdk, join.protocol, join.client_protocol) == (Sdk.JS, 17, 2)
    assert join.client.capabilities == {"CAP_PACKET_TRAILER"}
    assert (join.auto_subscribe, join.adaptive_stream) == (True, True)
    assert join.subscriber_allow_pause is None
    assert [each.WhichOneof("message") for each in join.requests] == [
        "add_track",
        "add_track",
        "offer",
    ]
    assert [each.add_track.cid for each in join.requests[:2]] == ["camera", "microphone"]
    assert join.requests[2].offer.id == 1


async def test_without_a_join_request_there_are_two_connections(get, sessions: Sessions) -> None:
    sessions.refusal = Refused(503, "the test ends here")
    await get(f"/rtc?access_token={token()}&join_request=", UPGRADE)
    assert not sessions.joins[0].one_connection
    assert sessions.joins[0].requests == ()


async def test_what_a_join_request_says_of_oneself_needs_the_right_to(
    get, sessions: Sessions
) -> None:
    said = rtc.JoinRequest(metadata="new", participant_attributes={"a": "b", "empty": ""})
    text = encoded(said.SerializeToString())
    bare = token(grants=Grants(room_join=True, room="kitchen"))
    answer = await get(f"/rtc/v1/validate?access_token={bare}&join_request={text}")
    assert answer.status == 401
    assert answer.body.startswith(b"no permissions to access the room")
    sessions.refusal = Refused(503, "the test ends here")
    mine = token(metadata="old", attributes={"c": "d", "empty": "kept"})
    await get(f"/rtc/v1?access_token={mine}&join_request={text}", UPGRADE)
    (join,) = sessions.joins
    assert join.metadata == "new"
    assert join.attributes == {"a": "b", "c": "d", "empty": "kept"}
    assert not join.auto_subscribe  # what is not said is no


async def test_the_token_is_looked_at_before_the_join_request_and_its_rights_after_it(get) -> None:
    assert (await get("/rtc/v1/validate?join_request=!!!!")).status == 401
    rightless = token(grants=Grants(room="kitchen"))
    answer = await get(f"/rtc/v1/validate?access_token={rightless}&join_request=!!!!")
    assert answer.status == 400
    answer = await get(f"/rtc/v1/validate?access_token={rightless}&join_request={encoded(PLAIN)}")
    assert (answer.status, answer.body[:18]) == (401, b"permissions denied")


async def test_a_room_in_the_query_does_not_count_on_v1(get) -> None:
    roomless = token(grants=Grants(room_join=True))
    query = f"access_token={roomless}&join_request={encoded(PLAIN)}&room=kitchen"
    answer = await get(f"/rtc/v1/validate?{query}")
    assert (answer.status, answer.body) == (400, b"no room name")


def test_more_announcements_than_anybody_makes_are_not_looked_at() -> None:
    many = rtc.JoinRequest(add_track_requests=[rtc.AddTrackRequest(cid="x")] * 10_000)
    asked = parameters.read_join_request(many, Request(method="GET", path="/rtc/v1"))
    assert len(asked.requests) == ANNOUNCED_LIMIT


def request(query: dict[str, str], agent: str) -> Request:
    return Request(method="GET", path="/", query=query, headers={"user-agent": agent})


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/150.0.0.0 Safari/537.36"
)
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"


@pytest.mark.parametrize(
    ("agent", "browser", "os"),
    [
        (FIREFOX, "Firefox", "Linux"),
        (PHONE, "Firefox", "Android"),
        (CHROME, "Chrome", "Mac OS X"),
        (CHROME.replace("Chrome/150.0.0.0 ", ""), "Safari", "Mac OS X"),
        (CHROME + " Edg/150", "Edge", "Mac OS X"),
        ("curl/8", "", ""),
        ("", "", ""),
    ],
)
@pytest.mark.parametrize("v1", [False, True])
def test_a_browser_is_known_by_what_it_calls_itself(
    agent: str, browser: str, os: str, v1: bool
) -> None:
    query = {"join_request": encoded(PLAIN)} if v1 else {"sdk": "js"}
    asked = parameters.read(request(query, agent), v1=v1, strict=False)
    assert (asked.client.browser, asked.client.os) == (browser, os)


def test_what_a_client_says_of_itself_goes_before_its_user_agent() -> None:
    query = {"sdk": "js", "browser": "ours", "os": "BeOS"}
    asked = parameters.read(request(query, FIREFOX), v1=False, strict=False)
    assert (asked.client.browser, asked.client.os) == ("ours", "BeOS")
    native = request({"sdk": "python"}, FIREFOX)
    assert parameters.read(native, v1=False, strict=False).client.browser == ""
