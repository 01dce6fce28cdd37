"""Descriptions, tokens, requests, settings: what is read as text, JSON or protobuf."""

import json
from collections.abc import Mapping
from typing import Final

import jwt
import trio
import trio.testing

from tests.fuzz.decoder import Decoder, words
from tests.sdp import captures, exchange
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, text
from trio_sfu.api.rtc import Gate, read_join
from trio_sfu.api.tokens import Claims as TokenClaims
from trio_sfu.api.tokens import InvalidToken, sign, verify
from trio_sfu.config import ConfigError
from trio_sfu.room.grants import Grants
from trio_sfu.sdp import attributes
from trio_sfu.sdp.agreement import CLIENT, SERVER, Receiving, SectionPlan, Sending
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.attributes import Setup
from trio_sfu.settings import load
from trio_sfu.signalling.join import Refused

# --- SDP

_ATTRIBUTES: Final = (
    attributes.Setup,
    attributes.RtpMap,
    attributes.Fmtp,
    attributes.RtcpFeedback,
    attributes.ExtMap,
    attributes.Rid,
    attributes.Simulcast,
    attributes.Msid,
    attributes.SsrcLine,
    attributes.SsrcGroup,
    attributes.Fingerprint,
    attributes.Group,
)


def attribute(line: str) -> None:
    """One line's value: a letter that says of which attribute, and the text."""
    kind = _ATTRIBUTES[ord(line[:1] or "a") % len(_ATTRIBUTES)]
    kind.parse(line[1:])


_ATTRIBUTE_SEEDS: Final = (
    b"actpass",
    b"111 opus/48000/2",
    b"97 apt=96",
    b"* nack pli",
    b"9/sendonly urn:ietf:params:rtp-hdrext:sdes:mid some more",
    b"q send max-width=320",
    b"send q;h,h2;~f recv 1",
    b"- track",
    b"1234 cname:abc",
    b"FID 1 2",
    b"sha-256 " + b":".join([b"AB"] * 32),
    b"BUNDLE 0 1",
)


_HEAD: Final = b"v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\n"
_MEDIA: Final = b"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
_LIMITS: Final = (
    # More of everything than may be.
    _HEAD + _MEDIA * 257,
    _HEAD + _MEDIA + b"a=rid:q send\r\n" * 33,
    _HEAD + _MEDIA + b"".join(b"a=ssrc:%d cname:a\r\n" % ssrc for ssrc in range(65)),
    _HEAD + _MEDIA + b"a=ssrc-group:SIM" + b" 1" * 65,
    _HEAD + _MEDIA + b"a=sendonly\r\na=recvonly\r\n",
    _HEAD + _MEDIA.replace(b"111", b"111 111"),
    b"v=0\r\ns=-\r\n",
)


_SENT: Final = (
    Sending("video", "PA_a|TR_b", "TR_b", "PA_a|TR_b", "video/H264", 1, 2),
    Sending("audio", "PA_a|TR_c", "TR_c", "PA_a|TR_c", "audio/red", 3, fallbacks=("audio/opus",)),
    Sending("video", "PA_a|TR_d", "TR_d", "PA_a|TR_d", "video/VP8", 4, rids=("q", "h")),
)
_RECEIVED: Final = (
    None,
    Receiving(red=True, dtx=True, stereo=True),
    Receiving(prefer="video/vp9", only=True),
    Receiving(prefer="audio/opus", only=True, stereo=False),
)


def answered(data: bytes) -> None:
    """An offer, and in the byte before it what we want of each section."""
    how = data[0] if data else 0
    offer = exchange.parsed(data[1:])
    plans = {}
    for section in offer.sections if not how & 1 else ():
        sending = next((each for each in _SENT if each.kind == section.kind), None)
        if how & 32 and section.kind == "video":
            sending = _SENT[2]
        if section.mid:
            plans[section.mid] = SectionPlan(_RECEIVED[how >> 1 & 3], None if how & 8 else sending)
    agreement = answer(
        offer,
        captures.OURS,
        captures.ORIGIN,
        plans,
        role=CLIENT if how & 16 else SERVER,
        setup=Setup.ACTIVE if how & 16 else Setup.PASSIVE,
        data=not how & 64,
    )
    assert exchange.parsed(str(agreement.description).encode()) == agreement.description


def described(data: bytes) -> None:
    """A description, all that it says, and that nothing of it is lost."""
    description = exchange.parsed(data)
    description.transport
    for section in description.sections:
        description.extensions_mixed(section)
    assert exchange.parsed(str(description).encode()) == description


# --- tokens and the requests that bring them

API_KEY, SECRET = "key", "a secret of more than thirty-two bytes"
NOW: Final = 1_790_000_000.0
CLAIMS: Final = {
    "iss": API_KEY,
    "sub": "alice",
    "exp": int(NOW) + 600,
    "nbf": int(NOW),
    "name": "Alice",
    "attributes": {"a": "b"},
    "kind": "standard",
    "kindDetails": ["x"],
    "roomConfig": {},
    "video": {"room": "kitchen", "roomJoin": True, "canPublishSources": ["camera"]},
}


def token(data: bytes) -> None:
    """A token; or, where a brace comes first, what one says, signed by who knows the secret."""
    if data[:1] in (b"{", b"["):
        data = jwt.PyJWS().encode(data, SECRET, algorithm="HS256").encode()
    verify(data.decode("utf-8", "surrogateescape"), {API_KEY: SECRET}, NOW)


def join(said: str) -> None:
    """A query's parameters, one a line, of somebody whose token is good."""
    lines = [line.partition("=") for line in said.split("\n")]
    query = {name: value for name, _, value in lines}
    grants = Grants(
        room="" if "room" in query else "kitchen",
        room_join=True,
        can_publish="mute" not in query,
        can_update_own_metadata="fixed" not in query,
    )
    believed = TokenClaims(identity=query.get("identity", "alice"), grants=grants)
    if "stranger" in query:
        believed = TokenClaims(grants=Grants() if query["stranger"] else None)
    read_join(Request(method="GET", path="/rtc", query=query), believed, strict="strict" in query)


# --- HTTP


class Wire(trio.abc.HalfCloseableStream):
    """A connection on which everything has been said: one piece after the other, and the end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self.heard = b""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._pieces.pop(0) if self._pieces else b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.heard += data

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def _echo(request: Request) -> Response:
    return text(200, repr(request.body))


async def _refuse(*_: object) -> None:
    raise Refused(503, "no room")


def http(data: bytes) -> None:
    """Bytes on a connection, in two pieces, from its first to its last."""
    cut = data[0] if data else 0
    wire = Wire([piece for piece in (data[1:][:cut], data[1:][cut:]) if piece])
    gate = Gate({API_KEY: SECRET}, _refuse, lambda: NOW)
    door = FrontDoor(
        {
            "/echo": Route(_echo, frozenset({"GET", "POST"}), takes_body=True),
            "/files/": Route(_echo),
            **gate.routes(),
        }
    )
    trio.run(door.greet, wire, clock=trio.testing.MockClock(autojump_threshold=0))
    assert not door.counters.failed, wire.heard


def _request(head: bytes, *headers: bytes, body: bytes = b"", cut: int = 5) -> bytes:
    lines = (head + b" HTTP/1.1", b"Host: a", *headers, b"", body)
    return bytes((cut,)) + b"\r\n".join(lines)


_TOKEN: Final = sign(
    TokenClaims(identity="alice", grants=Grants(room_join=True, room="kitchen")),
    API_KEY,
    SECRET,
    NOW,
).encode()
_HANDSHAKE: Final = (
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)

# --- settings


def settings(said: str) -> None:
    load(said, "sfu.yaml", development=not said.startswith("#"))


TEXTS: Final[Mapping[str, Decoder]] = {
    "sdp attribute": Decoder(
        words(attribute),
        # The letters are chosen so that each is read by its own class.
        tuple(
            bytes((96 + place % len(_ATTRIBUTES),)) + seed
            for place, seed in enumerate(_ATTRIBUTE_SEEDS)
        ),
        tuple(f"sdp.attributes:{each.__name__}.parse" for each in _ATTRIBUTES)
        + tuple(
            f"sdp.attributes:{name}" for name in ("_direction", "check_rid", "_parse_encodings")
        )
        + ("sdp.lines:number",),
        share=2.0,
    ),
    "sdp": Decoder(
        described,
        (*exchange.OFFERS, *exchange.ANSWERS, *_LIMITS),
        (
            "sdp.lines:parse_lines",
            "sdp.lines:_parse_line",
            "sdp.lines:_one_line",
            "sdp.lines:number",
            "sdp.session",
            "-sdp.session:SessionDescription.tagged",
            "-sdp.session:MediaSection.rejected",
        ),
        share=0.5,
    ),
    "sdp offer": Decoder(
        answered,
        (
            *(bytes((how,)) + offer for how in (0, 1, 2, 4, 9) for offer in exchange.OFFERS),
            *(bytes((how,)) + exchange.OFFERS[0] for how in (10, 12, 22, 36, 38, 64)),
            *(
                bytes((how,)) + exchange.OFFERS[1].replace(b"actpass", setup)
                for how in (2, 48)
                for setup in (b"active", b"passive")
            ),
            b"\2" + exchange.OFFERS[0].replace(b"a=rtcp-mux\r\n", b""),
            b"\2" + exchange.OFFERS[0].replace(b"m=application", b"m=image"),
            b"\4" + exchange.OFFERS[0].replace(b"VP9", b"VP0"),
            b"\x0a" + exchange.OFFERS[1].replace(b"sendrecv", b"sendonly"),
        ),
        ("sdp.answer", "sdp.formats:read_formats", "sdp.formats:parse_parameters"),
        share=0.2,
    ),
    "sdp answer": Decoder(
        exchange.accepted,
        (
            *exchange.ANSWERS,
            *(
                exchange.ANSWERS[0].replace(old, new)
                for old, new in (
                    (b"setup:active", b"setup:passive"),
                    (b"setup:active", b"setup:actpass"),
                    (b"setup:passive", b"setup:active"),
                    (b"setup:passive", b"setup:actpass"),
                    (b"m=video 9", b"m=video 0"),
                    (b"m=application 9", b"m=application 0"),
                    (b"a=mid:1", b"a=mid:9"),
                    (b"m=audio", b"m=text"),
                )
            ),
            exchange.ANSWERS[0][: exchange.ANSWERS[0].rindex(b"m=")],
        ),
        ("sdp.offer:Offerer.accept", "sdp.offer:_check_matching", "sdp.offer:_settle"),
        share=0.2,
    ),
    "token": Decoder(
        token,
        (
            _TOKEN,
            _TOKEN[:-2] + b"AA",
            jwt.encode(CLAIMS, SECRET * 2, algorithm="HS512").encode(),
            jwt.encode({**CLAIMS, "iss": "nobody"}, SECRET, algorithm="HS256").encode(),
            jwt.encode({"sub": "alice"}, SECRET, algorithm="HS256").encode(),
            b"a.b.c",
            b"a" * 70_000,
            json.dumps(CLAIMS).encode(),
            json.dumps({"iss": API_KEY, "exp": int(NOW) + 9, "jti": "bob"}).encode(),
            *(
                json.dumps({**CLAIMS, name: value}).encode()
                for name, value in (
                    ("iss", "nobody" * 20),
                    ("iss", 7),
                    ("exp", "tomorrow"),
                    ("exp", None),
                    ("exp", 1),
                    ("nbf", int(NOW) + 600),
                    ("video", []),
                    ("video", None),
                    ("video", {"roomJoin": "yes"}),
                    ("video", {"canPublishSources": ["mic"]}),
                    ("video", {"canPublishSources": "mic"}),
                    ("roomConfig", 1),
                    ("attributes", {"a": 1}),
                    ("name", "\ud83d"),
                    ("name", 7),
                    ("kindDetails", "x"),
                    ("sip", 7),
                    ("video", {"maxQuality": "best"}),
                )
            ),
            b"[]",
        ),
        (
            "api.tokens",
            "-api.tokens:sign",
            "-api.tokens:renew",
            "-api.tokens:sign_body",
            "-api.tokens:_written",
            "-api.tokens:_Hs256.__init__",
        ),
        refusals=(InvalidToken,),
        share=1.0,
    ),
    "join parameters": Decoder(
        words(join, "replace"),  # as the front door reads a URL
        (
            b"auto_subscribe=1\nprotocol=17\nsdk=js\nattributes=eyJhIjoiYiJ9\nadaptive_stream=0",
            b"publish=screen\nsubscriber_allow_pause=1\ncapabilities=CAP_PACKET_TRAILER",
            b"strict=\nattributes=eyJ\nfixed=",
            b"attributes=eyJhIjoxfQ",
            b"attributes=eyJhIjoiXHVkODNkIn0",
            b"strict=\nattributes=W10\nidentity=",
            b"mute=\npublish=a",
            b"stranger=",
            b"stranger=1",
            b"room=",
            b"room=" + b"r" * 300,
            b"identity=",
            b"identity=" + b"i" * 300,
            b"fixed=\nattributes=eyJhIjoiYiJ9",
        ),
        (
            "api.rtc:read_join",
            "api.rtc:_client_info",
            "api.rtc:_flag",
            "api.rtc:_number",
            "api.rtc:_attributes",
            "api.tokens:is_text",
        ),
        refusals=(Refused,),
        share=0.5,
    ),
    "http": Decoder(
        http,
        (
            _request(b"GET /rtc/validate?access_token=" + _TOKEN + b"&protocol=17"),
            _request(b"GET //rtc/validate", b"Authorization: Bearer " + _TOKEN),
            _request(b"GET /rtc", b"Authorization: Basic a", *_HANDSHAKE),
            _request(b"GET /rtc?access_token=" + _TOKEN, *_HANDSHAKE),
            _request(b"POST /rtc", *_HANDSHAKE, b"Content-Length: 0"),
            _request(b"GET /rtc", *_HANDSHAKE[:2]),
            _request(b"GET /rtc", *_HANDSHAKE[:3], b"Sec-WebSocket-Key: a"),
            _request(b"POST /echo", b"Content-Length: 3", b"Expect: 100-continue", body=b"abc"),
            _request(b"POST /echo", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
            _request(b"POST /echo", b"Content-Length: 99999999"),
            _request(b"GET http://a/files/%41?a=b", b"X-Forwarded-For: 192.0.2.7, 10.0.0.1"),
            _request(b"GET http://a", b"X-Real-IP: nobody", b"X-Real-IP: 2"),
            _request(b"DELETE /echo"),
            _request(b"OPTIONS /echo", b"Access-Control-Request-Method: POST")
            + b"OPTIONS /rtc HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: GET\r\n"
            b"Access-Control-Request-Headers: authorization\r\n\r\n",
            _request(b"GET /echo?" + b"a&" * 101),
            b"\0GET / HTTP/1.1\r\n",
            b"\0\x16\x03\x01",
        ),
        (
            "api.http:Connection._receive_head",
            "api.http:Connection._receive",
            "api.http:Connection._receive_body",
            "api.routes:find_route",
            "api.request:read_request",
            "api.request:_client_address",
            "api.routes:preflight",
            "api.rtc:Gate.claims",
            "api.websocket:refuse_handshake",
            "api.websocket:_is_key",
        ),
        refusals=(),
        share=0.05,
    ),
    "settings": Decoder(
        words(settings),
        (
            b"port: 7880\nkeys: {a: b}\nrtc:\n  udp_port: 7882-7885\n  ips: {includes: ['::/0']}",
            b"#\nkeys: {a: b}\nlogging: {level: info, json: on}\nredis: {}\nbind_addresses: ['']",
            b"rtc: {node_ip: 192.0.2.1, use_external_ip: true, interfaces: {excludes: [eth0]}}",
            b"room: {auto_create: no, empty_timeout: 5}\nregion: x\ndevelopment: yes\nredis:",
            *(
                line.encode()
                for line in (
                    "port: []",
                    "port: 65536",
                    "rtc: {udp_port: 9-1}",
                    "rtc: {udp_port: 1-}",
                    "rtc: {node_ip: here}",
                    "rtc: {ips: {excludes: [x]}}",
                    "rtc: {ips: 1}",
                    "rtc: {interfaces: {includes: eth0}}",
                    "rtc: {interfaces: {includes: [[]]}}",
                    "bind_addresses: [127.0.0.1]",
                    "development: perhaps",
                    "log_level: loud",
                    "keys: []",
                    "webhook: {api_key: nobody}",
                    "tls: {cert_file: here}",
                    "tls: {key_file: here}",
                    "port: *a",
                    "keys: &a [*a]",
                    "rtc: {turn_servers: [{host: a, port: 1, protocol: udp}]}",
                    "rtc: {turn_servers: [{host: a, port: 1, protocol: udp, secret: s}]}",
                    "rtc: {turn_servers: [{host: a, port: 1, protocol: udp, secret_file: /no}]}",
                    "a: &a [x, x]\nb: [*a, *a]",
                    "keys: {a: []}",
                    "keys: {a: ''}",
                    "region: {}",
                    "region: a\nregion: b",
                    "redis: 1\nrtc: {tcp_port: 1}",
                    "unheard: ",
                    "tcp_port: 7",
                    "[",
                    "\x00",
                    "#",
                    "#\nkeys: {a: b}\nlogging: {level: debug}",
                    "development: true\nlog_level: WARN\nroom: {empty_timeout: 12345678901234}",
                )
            ),
            b"prot: 1",
            b"timeout: 1",
            b"- 1",
            b"? [a]\n: b",
        ),
        (
            "settings",
            "-settings:read_file",
            "-settings:_read_key_file",
            "-settings:_read_flag",
            "-settings:_read_text",
            "-settings:read_private",
            "-settings:_as_keys",
            "-settings:_Document.tree",
        ),
        refusals=(ConfigError,),
        share=0.05,
    ),
}
