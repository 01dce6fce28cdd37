"""Descriptions, tokens, requests, settings: what is read as text, JSON or protobuf."""

import json
import math
from collections.abc import Mapping
from typing import Final

import jwt
import trio
import trio.testing
from google.protobuf import json_format
from livekit.protocol import models, rtc

from tests.dtls.pair import SERVERS
from tests.fuzz.decoder import Decoder, Script, words
from tests.sdp import captures, exchange
from tests.sim import entropy
from trio_sfu.api.conversation import decode_request
from trio_sfu.api.http import FrontDoor, Request, Response, Route, text
from trio_sfu.api.rtc import Gate, read_join
from trio_sfu.api.tokens import Claims as TokenClaims
from trio_sfu.api.tokens import InvalidToken, sign, verify
from trio_sfu.config import ConfigError, RoomConfig
from trio_sfu.errors import WireError
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.room.data import LOSSY, RELIABLE
from trio_sfu.room.grants import Grants, Kind
from trio_sfu.room.node import Node, NodeConfig
from trio_sfu.room.room import Room
from trio_sfu.sdp import attributes
from trio_sfu.settings import load
from trio_sfu.signalling import packets, translate
from trio_sfu.signalling.join import ClientInfo, JoinRequest, Refused
from trio_sfu.signalling.session import Session

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


def token(said: str) -> None:
    verify(said, {API_KEY: SECRET}, NOW)


def claims(data: bytes) -> None:
    """The same for whatever somebody signed who knows the secret."""
    signed = jwt.PyJWS().encode(data, SECRET, algorithm="HS256")
    token(signed)


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


# --- signalling


def request_of(data: bytes) -> rtc.SignalRequest:
    """A client's message in binary; `WireError` stands for the end of the conversation."""
    request = decode_request(data)
    if request is None:
        raise WireError("no request")
    return request


def request_in_json(said: str) -> rtc.SignalRequest:
    request = decode_request(said)
    if request is None:
        raise WireError("no request")
    return request


def _session(node: Node, nursery: trio.Nursery, name: str, sources: bool) -> Session:
    dice = entropy(1)
    room = Room("RM_a", "kitchen", RoomConfig(), dice, nursery)
    grants = Grants(room_join=True, room="kitchen", can_publish=sources)
    join = JoinRequest(room="kitchen", identity=name, grants=grants, client=ClientInfo())
    return Session(node, room, join, trio.current_time)


async def _converse(data: bytes) -> None:
    script = Script(data)
    config = NodeConfig(
        certificate=SERVERS,
        candidates=("candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host",),
        entropy=entropy(0),
        wall=NOW,
    )
    async with trio.open_nursery() as nursery:
        node = Node(config, Endpoint(()), nursery)
        session = _session(node, nursery, "alice", sources=not script.byte() & 1)
        session.begin()
        while script:
            pause = script.byte()
            if pause & 0x80:
                await trio.sleep(pause & 0x7F)
            if session.deadline <= trio.current_time():
                session.handle_timeout(trio.current_time())
            length = script.u16()
            request = decode_request(script.take(length))
            if request is not None:
                session.receive(request)
            for connection in session.participant.connections.values():
                for wish in connection.mailbox.take_wishes():
                    connection.peer.grant(wish, trio.current_time())
            for response in session.take_responses():
                response.SerializeToString()
        nursery.cancel_scope.cancel()


def session(data: bytes) -> None:
    """A client's requests, one after the other, to a session that is alone in its room."""
    trio.run(_converse, data, clock=trio.testing.MockClock(autojump_threshold=0))


_OFFER: Final = captures.text("chromium-156-offer")
_REQUESTS: Final = (
    rtc.SignalRequest(
        add_track=rtc.AddTrackRequest(
            cid="c",
            type=models.TrackType.VIDEO,
            source=models.TrackSource.CAMERA,
            width=640,
            height=480,
            layers=[models.VideoLayer(quality=each, width=160 << each) for each in (0, 1, 2, 3)],
            simulcast_codecs=[
                rtc.SimulcastCodec(codec="vp8", cid="c"),
                rtc.SimulcastCodec(codec="video/vp9", cid="d"),
                rtc.SimulcastCodec(codec="", cid="e"),
            ],
        )
    ),
    rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="m", type=models.TrackType.AUDIO)),
    rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="m", type=models.TrackType.DATA)),
    rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=_OFFER, id=1)),
    rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp="v=0", id=2)),
    rtc.SignalRequest(answer=rtc.SessionDescription(type="answer", sdp="v=0", id=1)),
    rtc.SignalRequest(
        trickle=rtc.TrickleRequest(
            candidateInit=json.dumps({"candidate": "candidate:1 1 udp 1 192.0.2.9 9 typ host"})
        )
    ),
    rtc.SignalRequest(trickle=rtc.TrickleRequest(candidateInit="[")),
    rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_x", muted=True)),
    rtc.SignalRequest(
        subscription=rtc.UpdateSubscription(
            track_sids=["TR_x"],
            subscribe=True,
            participant_tracks=[models.ParticipantTracks(track_sids=["TR_y"])],
        )
    ),
    rtc.SignalRequest(subscription=rtc.UpdateSubscription(track_sids=["TR_x"])),
    rtc.SignalRequest(track_setting=rtc.UpdateTrackSettings(track_sids=["TR_x"], quality=2)),
    rtc.SignalRequest(track_setting=rtc.UpdateTrackSettings(track_sids=["TR_x"], quality=3)),
    rtc.SignalRequest(leave=rtc.LeaveRequest(reason=1)),
    rtc.SignalRequest(leave=rtc.LeaveRequest()),
    rtc.SignalRequest(leave=rtc.LeaveRequest(reason=99)),
    rtc.SignalRequest(update_metadata=rtc.UpdateParticipantMetadata(metadata="{}")),
    rtc.SignalRequest(ping=1),
)


def _script(*requests: rtc.SignalRequest) -> bytes:
    found = b"\0"
    for each in requests:
        data = each.SerializeToString()
        found += b"\x81" + len(data).to_bytes(2, "big") + data
    return found


async def _stamp(data: bytes) -> None:
    script = Script(data)
    how = script.byte()
    async with trio.open_nursery() as nursery:
        config = NodeConfig(certificate=SERVERS, candidates=(), entropy=entropy(0), wall=NOW)
        node = Node(config, Endpoint(()), nursery)
        dice = entropy(1)
        room = Room("RM_a", "kitchen", RoomConfig(), dice, nursery)
        grants = Grants(room_join=True, can_publish_data=not how & 1, hidden=bool(how & 2))
        join = JoinRequest(
            room="kitchen",
            identity="alice",
            grants=grants,
            client=ClientInfo(),
            kind=Kind.AGENT if how & 4 else Kind.STANDARD,
        )
        sender = Session(node, room, join, lambda: math.inf).participant
        label = (RELIABLE, LOSSY, "other", RELIABLE)[how >> 3 & 3]
        packets.stamp(sender, label, script.take(len(data)))


def stamped(data: bytes) -> None:
    """What somebody says on a data channel, on its way to others."""
    trio.run(_stamp, data)


_DATA: Final = (
    b"\0"
    + models.DataPacket(
        destination_identities=["bob"],
        user=models.UserPacket(payload=b"hi", topic="t", destination_sids=["PA_b"]),
    ).SerializeToString(),
    b"\0" + models.DataPacket(transcription=models.Transcription(track_id="t")).SerializeToString(),
    b"\6" + models.DataPacket(transcription=models.Transcription(track_id="t")).SerializeToString(),
    b"\0"
    + models.DataPacket(
        speaker=models.ActiveSpeakerUpdate(speakers=[models.SpeakerInfo()])
    ).SerializeToString(),
    b"\1",
    b"\x10",
    b"\0\xff",
)


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
        (*exchange.OFFERS, *exchange.ANSWERS),
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
        exchange.answered,
        exchange.OFFERS,
        ("sdp.answer", "sdp.formats:read_formats", "sdp.formats:parse_parameters"),
        share=0.2,
    ),
    "sdp answer": Decoder(
        exchange.accepted,
        exchange.ANSWERS,
        ("sdp.offer:Offerer.accept", "sdp.offer:_check_matching", "sdp.offer:_settle"),
        share=0.2,
    ),
    "token": Decoder(
        words(token),
        (_TOKEN, jwt.encode(CLAIMS, SECRET * 2, algorithm="HS512").encode(), b"a.b.c"),
        ("api.tokens:verify", "api.tokens:_issuer", "api.tokens:_not_a_token"),
        refusals=(InvalidToken,),
        share=0.5,
    ),
    "token's claims": Decoder(
        claims,
        (
            json.dumps(CLAIMS).encode(),
            json.dumps({"iss": API_KEY, "exp": int(NOW) + 9, "jti": "bob"}).encode(),
        ),
        (
            "api.tokens",
            "-api.tokens:sign",
            "-api.tokens:_written",
            "-api.tokens:verify",
            "-api.tokens:_issuer",
            "-api.tokens:_Hs256.__init__",
        ),
        refusals=(InvalidToken,),
        share=0.5,
    ),
    "join parameters": Decoder(
        words(join, "replace"),  # as the front door reads a URL
        (
            b"auto_subscribe=1\nprotocol=17\nsdk=js\nattributes=eyJhIjoiYiJ9\nadaptive_stream=0",
            b"publish=screen\nsubscriber_allow_pause=1\ncapabilities=CAP_PACKET_TRAILER",
            b"strict=\nattributes=eyJ\nfixed=",
            b"mute=\npublish=a",
            b"stranger=",
            b"stranger=1",
            b"room=",
            b"room=" + b"r" * 300,
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
            "api.http:_Connection._receive_head",
            "api.http:_Connection._receive",
            "api.http:_Connection._receive_body",
            "api.http:find_route",
            "api.http:_request",
            "api.http:_client_address",
            "api.http:_preflight",
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
            b"port: 7880\nkeys: {a: b}\nrtc:\n  udp_port: 7882-7885\n  ips: {includes: [::/0]}",
            b"#\nkeys: {a: b}\nlogging: {level: info, json: on}\nredis: {}\nbind_addresses: ['']",
            b"rtc: {node_ip: 192.0.2.1, use_external_ip: true, interfaces: {excludes: [eth0]}}",
            b"room: {auto_create: no, empty_timeout: 5}\nregion: x\ndevelopment: yes\nredis:",
            b"prot: 1",
            b"timeout: 1",
            b"- 1",
            b"? [a]\n: b",
        ),
        (
            "settings",
            "-settings:read_file",
            "-settings:_read_key_file",
            "-settings:_node_of",
        ),
        refusals=(ConfigError,),
        share=0.05,
    ),
    "signal request": Decoder(
        request_of,
        tuple(each.SerializeToString() for each in _REQUESTS[:8]),
        ("api.conversation:decode_request",),
        share=0.5,
    ),
    "signal request in json": Decoder(
        words(request_in_json),
        tuple(json_format.MessageToJson(each, indent=None).encode() for each in _REQUESTS[6:12]),
        ("api.conversation:decode_request",),
        share=0.2,
    ),
    "candidate in json": Decoder(
        words(translate.candidate_line),
        (b'{"candidate": "candidate:1 1 udp 1 192.0.2.9 9 typ host", "sdpMid": "0"}', b"[]"),
        ("signalling.translate:candidate_line",),
        share=0.2,
    ),
    "signal session": Decoder(
        session,
        (
            *tuple(map(_script, _REQUESTS)),
            _script(*_REQUESTS[:2], *_REQUESTS[3:4], *_REQUESTS[5:8]),
            b"\x01" + _script(_REQUESTS[0])[1:],
        ),
        (
            *(
                f"signalling.requests:{name}"
                for name in (
                    "offer",
                    "answer",
                    "trickle",
                    "add_track",
                    "leave",
                    "track_setting",
                    "update_metadata",
                )
            ),
            "signalling.translate:source",
            "signalling.translate:layers",
            "signalling.translate:codecs",
            "signalling.translate:track_settings",
            "signalling.translate:candidate_line",
            "signalling.publishing:make_info",
            "signalling.publishing:_layer_mode",
            "signalling.session:Session.receive",
            "signalling.session:Session.announce",
            "signalling.session:Session.change_settings",
            "signalling.session:Session.add_candidate",
            "signalling.session:Session.answer",
        ),
        refusals=(),
        share=0.02,
    ),
    "data packet": Decoder(stamped, _DATA, ("signalling.packets:stamp",), refusals=(), share=0.05),
}
