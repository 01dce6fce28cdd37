"""What a client says by signalling and on data channels: protobuf, and JSON within."""

import base64
import gzip
import json
import math
from collections.abc import Mapping
from typing import Final

import trio
import trio.testing
from google.protobuf import json_format
from livekit.protocol import models, rtc

from tests.dtls.pair import SERVERS
from tests.fuzz.decoder import Decoder, Script, words
from tests.sdp import captures
from tests.sim import entropy
from trio_sfu.api.conversation import decode_request
from trio_sfu.api.parameters import decode_join_request, read_join_request
from trio_sfu.api.request import Request
from trio_sfu.config import RoomConfig
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.room.data import DATA_TRACK, LOSSY, RELIABLE
from trio_sfu.room.grants import Grants, Kind
from trio_sfu.room.node import Node, NodeConfig
from trio_sfu.room.room import Room
from trio_sfu.signalling import packets, translate
from trio_sfu.signalling.join import ClientInfo, JoinRequest, Refused
from trio_sfu.signalling.session import Session

NOW: Final = 1_790_000_000.0


def request(data: bytes) -> None:
    """A client's message, as protobuf or (with a brace before it) as protobuf's JSON."""
    if data[:1] == b"{":
        decode_request(data.decode("utf-8", "surrogateescape"))
    else:
        decode_request(data)


def join_request(data: bytes) -> None:
    """The parameter of `/rtc/v1`: its text, or (so that what is inside is reached, too) the
    message in it, as it is or compressed."""
    how, data = data[:1], data[1:]
    if how == b"t":
        text = data.decode("utf-8", "surrogateescape")
    else:
        compressed = data if how == b"g" else gzip.compress(data)
        wrapped = rtc.WrappedJoinRequest(
            compression=int(how != b"p"), join_request=data if how == b"p" else compressed
        )
        text = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
    read_join_request(decode_join_request(text), Request(method="GET", path="/rtc/v1"))


def _session(
    node: Node, nursery: trio.Nursery, name: str, sources: bool, one_connection: bool
) -> Session:
    dice = entropy(1)
    room = Room("RM_a", "kitchen", RoomConfig(), dice, nursery)
    grants = Grants(room_join=True, room="kitchen", can_publish=sources)
    join = JoinRequest(
        room="kitchen",
        identity=name,
        grants=grants,
        client=ClientInfo(),
        one_connection=one_connection,
    )
    return Session(node, room, join, trio.current_time)


async def _converse(data: bytes) -> None:
    script = Script(data)
    config = NodeConfig(
        certificate=SERVERS,
        candidates=("candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host",),
        entropy=entropy(0),
        wall=NOW,
        data_blobs=True,
    )
    async with trio.open_nursery() as nursery:
        node = Node(config, Endpoint(()), nursery)
        how = script.byte()
        session = _session(node, nursery, "alice", not how & 1, bool(how & 2))
        session.room.participants["alice"] = session.participant
        session.begin()
        while script:
            pause = script.byte()
            if pause & 0x80:
                await trio.sleep(pause & 0x7F)
            if session.deadline <= trio.current_time():
                session.handle_timeout(trio.current_time())
            length = script.u16()
            message = decode_request(script.take(length))
            if message is not None:
                session.receive(message)
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
    rtc.SignalRequest(trickle=rtc.TrickleRequest(candidateInit="{}", target=7)),
    rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_x", muted=True)),
    rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="z", sid="TR_x")),
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
    rtc.SignalRequest(track_setting=rtc.UpdateTrackSettings(track_sids=["TR_" * 100])),
    rtc.SignalRequest(
        add_track=rtc.AddTrackRequest(cid="n", name="n" * 5000, type=models.TrackType.VIDEO)
    ),
    rtc.SignalRequest(leave=rtc.LeaveRequest(reason=1)),
    rtc.SignalRequest(leave=rtc.LeaveRequest()),
    rtc.SignalRequest(leave=rtc.LeaveRequest(reason=99)),
    rtc.SignalRequest(update_metadata=rtc.UpdateParticipantMetadata(metadata="{}")),
    rtc.SignalRequest(ping=1),
    rtc.SignalRequest(
        publish_data_track_request=rtc.PublishDataTrackRequest(
            pub_handle=1,
            name="n",
            frame_encoding=models.DataTrackFrameEncoding(well_known=1),
            schema=models.DataTrackSchemaId(
                name="s", encoding=models.DataTrackSchemaEncoding(custom="c")
            ),
        )
    ),
    *(
        rtc.SignalRequest(publish_data_track_request=each)
        for each in (
            rtc.PublishDataTrackRequest(pub_handle=1 << 20),
            rtc.PublishDataTrackRequest(pub_handle=2),
            rtc.PublishDataTrackRequest(pub_handle=1, name="again"),
            rtc.PublishDataTrackRequest(pub_handle=2, name="n"),
            rtc.PublishDataTrackRequest(
                pub_handle=2,
                name="m",
                frame_encoding=models.DataTrackFrameEncoding(custom="c" * 99),
            ),
        )
    ),
    rtc.SignalRequest(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=9)),
    rtc.SignalRequest(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=1)),
    rtc.SignalRequest(
        update_data_subscription=rtc.UpdateDataSubscription(
            updates=[
                rtc.UpdateDataSubscription.Update(track_sid="DTR_x", subscribe=True),
                rtc.UpdateDataSubscription.Update(track_sid="DTR_x"),
            ]
        )
    ),
    rtc.SignalRequest(
        store_data_blob_request=rtc.StoreDataBlobRequest(
            request_id=1,
            blob=models.DataBlob(key=models.DataBlobKey(generic="k"), contents=b"c"),
        )
    ),
    *(
        rtc.SignalRequest(store_data_blob_request=rtc.StoreDataBlobRequest(blob=each))
        for each in (
            models.DataBlob(),
            models.DataBlob(key=models.DataBlobKey(generic="k")),
            models.DataBlob(key=models.DataBlobKey(generic="k" * 999), contents=b"c"),
            models.DataBlob(key=models.DataBlobKey(generic="l"), contents=b"c" * 65_000),
            models.DataBlob(
                key=models.DataBlobKey(
                    schema_id=models.DataTrackSchemaId(
                        name="s", encoding=models.DataTrackSchemaEncoding(custom="c" * 99)
                    )
                ),
                contents=b"c",
            ),
        )
    ),
    *(
        rtc.SignalRequest(get_data_blob_request=each)
        for each in (
            rtc.GetDataBlobRequest(
                participant_identity="alice", key=models.DataBlobKey(generic="k")
            ),
            rtc.GetDataBlobRequest(participant_identity="alice"),
            rtc.GetDataBlobRequest(
                participant_identity="nobody", key=models.DataBlobKey(generic="k")
            ),
        )
    ),
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
        sender.calls.begin("1", 0.0)
        sender.last_sequence = 1
        room.nonces.is_new(bytes(16))
        label = (RELIABLE, LOSSY, "other", DATA_TRACK)[how >> 3 & 3]
        packets.hear(room, sender, label, script.take(len(data)), 0.0)


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
    b"\4"
    + models.DataPacket(
        participant_identity="bob", chat_message=models.ChatMessage(message="m")
    ).SerializeToString(),
    b"\4"
    + models.DataPacket(
        participant_identity="bob",
        stream_header=models.DataStream.Header(text_header=models.DataStream.TextHeader()),
    ).SerializeToString(),
    b"\0" + models.DataPacket(rpc_ack=models.RpcAck(request_id="1")).SerializeToString(),
    b"\0"
    + models.DataPacket(
        rpc_response=models.RpcResponse(request_id="1", error=models.RpcError(code=1))
    ).SerializeToString(),
    b"\0"
    + models.DataPacket(
        sequence=3, rpc_response=models.RpcResponse(request_id="1", payload="a")
    ).SerializeToString(),
    b"\0"
    + models.DataPacket(
        rpc_response=models.RpcResponse(request_id="1", error=models.RpcError(code=1500))
    ).SerializeToString(),
    b"\4"
    + models.DataPacket(
        participant_identity="bob", chat_message=models.ChatMessage(message="hi")
    ).SerializeToString(),
    b"\4" + models.DataPacket(participant_identity="bob").SerializeToString(),
    b"\0"
    + models.DataPacket(
        sequence=3, rpc_response=models.RpcResponse(request_id="1")
    ).SerializeToString(),
    b"\0" + models.DataPacket(user=models.UserPacket(nonce=bytes(16))).SerializeToString(),
    b"\0" + models.DataPacket(sequence=1).SerializeToString(),
    b"\1",
    b"\x10",
    b"\x18" + bytes(12),
    b"\0\xff",
)


_JOIN: Final = rtc.JoinRequest(
    client_info=models.ClientInfo(sdk=models.ClientInfo.SDK.PYTHON, capabilities=[1, 99]),
    connection_settings=rtc.ConnectionSettings(auto_subscribe=True, subscriber_allow_pause=True),
    add_track_requests=[rtc.AddTrackRequest(cid="c")],
    publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0", id=1),
)

SIGNALLING: Final[Mapping[str, Decoder]] = {
    "signal request": Decoder(
        request,
        (
            *(each.SerializeToString() for each in _REQUESTS[:8]),
            *(json_format.MessageToJson(each, indent=None).encode() for each in _REQUESTS[6:12]),
            b"{" + b"[" * 200,
            b"\xff",
        ),
        ("api.conversation:decode_request",),
        share=0.5,
    ),
    "join request": Decoder(
        join_request,
        (
            *(how + _JOIN.SerializeToString() for how in (b"p", b"z")),
            b"g" + gzip.compress(_JOIN.SerializeToString()),
            b"g" + gzip.compress(_JOIN.SerializeToString())[:-5],
            b"z" + rtc.JoinRequest(metadata="m" * (1 << 20)).SerializeToString(),
            b"tEgA=",
            b"t!",
            b"t+/",
            b"t____",
            b"p",
            b"p\xff",
        ),
        (
            "api.parameters:decode_join_request",
            "api.parameters:_gunzip",
            "api.parameters:read_join_request",
        ),
        refusals=(Refused,),
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
            _script(*_REQUESTS[:1] * 22),
            _script(*(each for each in _REQUESTS if "data" in (each.WhichOneof("message") or ""))),
            _script(*_REQUESTS[:2], *_REQUESTS[3:4], *_REQUESTS[5:8]),
            b"\x01" + _script(_REQUESTS[0])[1:],
            b"\x02" + _script(*_REQUESTS[:2], *_REQUESTS[3:6])[1:],
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
            "signalling.data_requests",
            "signalling.translate:data_track",
            "signalling.translate:source",
            "signalling.translate:layers",
            "signalling.translate:codecs",
            "signalling.translate:track_settings",
            "signalling.translate:candidate_line",
            "signalling.announcements:make_info",
            "signalling.announcements:_layer_mode",
            "signalling.session:Session.receive",
            "signalling.publishing:Publishing.announce",
            "signalling.subscribing:Subscribing.change_settings",
            "signalling.session:Session.offer",
        ),
        refusals=(),
        share=0.02,
    ),
    "data packet": Decoder(stamped, _DATA, ("signalling.packets",), refusals=(), share=0.05),
}
