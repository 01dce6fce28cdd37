"""LiveKit's messages there, the room's values here. Protobuf stops in this folder.

Every function is pure: a message in, a value out, or the other way round. What a
client sends may be anything: unknown enum numbers become "unknown", and lists are
cut at a limit, for nobody has a hundred simulcast layers.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs
from livekit.protocol import agent_dispatch, models, rtc
from livekit.protocol import room as models_room

from trio_sfu.room.datatracks import DataSubscription, DataTrackInfo, Encoding
from trio_sfu.room.grants import Grants, Source
from trio_sfu.room.info import (
    CodecInfo,
    Layer,
    LeaveReason,
    Quality,
    TrackInfo,
    TrackKind,
    TrackSettings,
)
from trio_sfu.room.options import AgentOrder, RoomOptions
from trio_sfu.room.participant import Participant
from trio_sfu.room.permission import Permitted
from trio_sfu.room.room import Room
from trio_sfu.room.speakers import Speaker
from trio_sfu.room.track import PublishedTrack
from trio_sfu.room.wanted import Failure

SERVER_VERSION: Final = "1.13.5"
"""Of LiveKit's server that we are compatible with, not ours. Clients switch features
by it, and the Rust core panics where it is no plain x.y.z (see docs/assumptions)."""

PROTOCOL: Final = 17
AGENT_PROTOCOL: Final = 1
PING_INTERVAL: Final = 5
PING_TIMEOUT: Final = 15
"""Seconds; clients send, and give up, at these."""

MAX_LIST: Final = 16
"""Layers and codecs that are looked at in one request."""
MAX_TRACKS: Final = 1_000
"""Tracks that a publisher lists for one subscriber, and then some: nobody has as many."""

Action = rtc.LeaveRequest.Action
"""What a client that is sent away shall do: DISCONNECT, RESUME, RECONNECT (join anew)."""

_SOURCES: Final = {
    Source.UNKNOWN: models.TrackSource.UNKNOWN,
    Source.CAMERA: models.TrackSource.CAMERA,
    Source.MICROPHONE: models.TrackSource.MICROPHONE,
    Source.SCREEN_SHARE: models.TrackSource.SCREEN_SHARE,
    Source.SCREEN_SHARE_AUDIO: models.TrackSource.SCREEN_SHARE_AUDIO,
}
_SOURCES_BACK: Final[Mapping[int, Source]] = {number: source for source, number in _SOURCES.items()}
_FAILURES: Final = {
    Failure.NOT_FOUND: models.SubscriptionError.SE_TRACK_NOTFOUND,
    Failure.CODEC_UNSUPPORTED: models.SubscriptionError.SE_CODEC_UNSUPPORTED,
    Failure.UNKNOWN: models.SubscriptionError.SE_UNKNOWN,
}
_KIND_DETAILS: Final = frozenset(models.ParticipantInfo.KindDetail.keys())
"""A token has them in small letters: "cloud_agent"."""


# --- what we say


def participant_info(participant: Participant) -> models.ParticipantInfo:
    """All that others may know of *participant*."""
    who = participant.who
    info = models.ParticipantInfo(
        sid=participant.sid,
        identity=who.identity,
        state=participant.state.name,
        metadata=who.metadata,
        joined_at=int(participant.joined_at),
        joined_at_ms=int(participant.joined_at * 1000),
        name=who.name,
        version=participant.version,
        permission=permission(who.grants),
        is_publisher=participant.is_publisher,
        kind=who.kind.name,
        attributes=dict(who.attributes),
        disconnect_reason=participant.leave_reason.name,
        client_protocol=who.client_protocol,
        kind_details=[each.upper() for each in who.kind_details if each.upper() in _KIND_DETAILS],
    )
    info.tracks.extend(track_info(track.info) for track in participant.tracks.values())
    info.data_tracks.extend(
        data_track_info(track.info) for track in participant.data_tracks.published.values()
    )
    for name in who.capabilities & set(models.ClientInfo.Capability.keys()):
        info.capabilities.append(getattr(models.ClientInfo, name))
    return info


def permission(grants: Grants) -> models.ParticipantPermission:
    """What a participant may do, as everybody is told."""
    return models.ParticipantPermission(
        can_subscribe=grants.can_subscribe,
        can_publish=grants.can_publish,
        can_publish_data=grants.can_publish_data,
        can_publish_sources=[_SOURCES[source] for source in sorted_sources(grants)],
        hidden=grants.hidden,
        recorder=grants.recorder,
        can_update_metadata=grants.can_update_own_metadata,
        agent=grants.agent,
        can_subscribe_metrics=grants.can_subscribe_metrics,
        can_manage_agent_session=grants.can_manage_agent_session,
    )


def permitted(message: models.ParticipantPermission, grants: Grants) -> Grants:
    """*grants* with the rights that *message* gives and takes; what it does not name stays."""
    return attrs.evolve(
        grants,
        can_subscribe=message.can_subscribe,
        can_publish=message.can_publish,
        can_publish_data=message.can_publish_data,
        can_publish_sources=frozenset(map(source, message.can_publish_sources)),
        hidden=message.hidden,
        recorder=message.recorder,
        can_update_own_metadata=message.can_update_metadata,
        agent=message.agent,
        can_subscribe_metrics=message.can_subscribe_metrics,
        can_manage_agent_session=message.can_manage_agent_session,
    )


def sorted_sources(grants: Grants) -> list[Source]:
    """The only sources that may be published, in LiveKit's order; [] for all."""
    return sorted(grants.can_publish_sources, key=lambda source: _SOURCES[source])


def track_info(info: TrackInfo) -> models.TrackInfo:
    """All that others may know of a track."""
    message = models.TrackInfo(
        sid=info.sid,
        type=models.TrackType.AUDIO if info.kind is TrackKind.AUDIO else models.TrackType.VIDEO,
        name=info.name,
        muted=info.muted,
        width=info.width,
        height=info.height,
        simulcast=info.simulcast,
        disable_dtx=info.disable_dtx,
        source=_SOURCES[info.source],
        mime_type=info.mime,
        mid=info.mid,
        stereo=info.stereo,
        disable_red=info.disable_red,
        encryption=info.encryption,  # type: ignore[arg-type]  # a number of LiveKit's enum
        stream=info.stream,
        version=models.TimedVersion(ticks=info.version),
        audio_features=info.audio_features,  # type: ignore[arg-type]
        backup_codec_policy=info.backup_codec_policy,  # type: ignore[arg-type]
    )
    message.layers.extend(map(video_layer, info.layers))
    for codec in info.codecs:
        message.codecs.append(
            models.SimulcastCodecInfo(
                mime_type=codec.mime,
                mid=codec.mid,
                cid=codec.cid,
                layers=map(video_layer, codec.layers),
                video_layer_mode=codec.layer_mode,  # type: ignore[arg-type]
            )
        )
    return message


def data_track_info(info: DataTrackInfo) -> models.DataTrackInfo:
    """All that others may know of a data track."""
    message = models.DataTrackInfo(
        pub_handle=info.handle,
        sid=info.sid,
        name=info.name,
        encryption=info.encryption,  # type: ignore[arg-type]  # a number of LiveKit's enum
    )
    if info.encoding is not None:
        _set_encoding(message.frame_encoding, info.encoding)
    if info.schema is not None:
        message.schema.name, encoding = info.schema
        if encoding is not None:
            _set_encoding(message.schema.encoding, encoding)
    return message


def data_track_handles(heard: Iterable[DataSubscription]) -> rtc.SignalResponse:
    """By which handle a client hears which data track."""
    handles = {
        each.handle: rtc.DataTrackSubscriberHandles.PublishedDataTrack(
            publisher_identity=each.track.publisher.identity,
            publisher_sid=each.track.publisher.sid,
            track_sid=each.track.info.sid,
        )
        for each in heard
    }
    return rtc.SignalResponse(
        data_track_subscriber_handles=rtc.DataTrackSubscriberHandles(sub_handles=handles)
    )


def video_layer(layer: Layer) -> models.VideoLayer:
    """One size in which a track is published."""
    return models.VideoLayer(
        quality=layer.quality.name,
        width=layer.width,
        height=layer.height,
        bitrate=layer.bitrate,
        ssrc=layer.ssrc,
        spatial_layer=layer.spatial,
        rid=layer.rid,
    )


def room_info(room: Room) -> models.Room:
    """What a room says of itself."""
    return models.Room(
        sid=room.sid,
        name=room.name,
        metadata=room.metadata,
        empty_timeout=room.config.empty_timeout,
        departure_timeout=room.config.departure_timeout,
        max_participants=room.config.max_participants,
        creation_time=int(room.created_at),
        creation_time_ms=int(room.created_at * 1000),
        num_participants=room.occupants,
        num_publishers=room.publishers,
        active_recording=room.recorded,
        enabled_codecs=codecs_of(room),
    )


def codecs_of(room: Room) -> list[models.Codec]:
    """What may be published in *room*."""
    return [models.Codec(mime=mime) for mime in room.enabled_codecs]


def server_info(node: str, region: str = "") -> models.ServerInfo:
    """Who we are, as far as clients ask: which LiveKit we are like."""
    return models.ServerInfo(
        edition=models.ServerInfo.Edition.Standard,
        version=SERVER_VERSION,
        protocol=PROTOCOL,
        agent_protocol=AGENT_PROTOCOL,
        region=region,
        node_id=node,
    )


def leave(reason: LeaveReason, action: "rtc.LeaveRequest.Action") -> rtc.SignalResponse:
    """The last thing that a client hears on a socket. Clients of an old protocol know of
    *action* only whether they may come back at all."""
    return rtc.SignalResponse(
        leave=rtc.LeaveRequest(
            reason=reason.name, action=action, can_reconnect=action is not Action.DISCONNECT
        )
    )


def client_configuration(unpublishable: Iterable[str]) -> models.ClientConfiguration | None:
    """What a client shall do otherwise than by itself; None if nothing."""
    codecs = [models.Codec(mime=mime) for mime in unpublishable]
    if not codecs:
        return None
    return models.ClientConfiguration(disabled_codecs=models.DisabledCodecs(publish=codecs))


def subscription_failed(sid: str, failure: Failure) -> rtc.SignalResponse:
    """That a client does not get a track that it asked for."""
    return rtc.SignalResponse(
        subscription_response=rtc.SubscriptionResponse(track_sid=sid, err=_FAILURES[failure])
    )


def subscription_allowed(track: PublishedTrack, *, allowed: bool) -> rtc.SignalResponse:
    """Whether a track's publisher lets a client hear it."""
    return rtc.SignalResponse(
        subscription_permission_update=rtc.SubscriptionPermissionUpdate(
            participant_sid=track.publisher.sid, track_sid=track.sid, allowed=allowed
        )
    )


def speakers_changed(speakers: Iterable[Speaker]) -> rtc.SignalResponse:
    """Who speaks, how loud, and who does no longer."""
    return rtc.SignalResponse(
        speakers_changed=rtc.SpeakersChanged(
            speakers=[
                models.SpeakerInfo(sid=each.sid, level=each.level, active=each.active)
                for each in speakers
            ]
        )
    )


def candidate_init(line: str, ufrag: str) -> str:
    """A candidate as browsers write it, an RTCIceCandidateInit; *line* without "a="."""
    init = {"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": ufrag}
    return json.dumps(init)


# --- what clients, and applications, say


def agent_order(
    message: agent_dispatch.RoomAgentDispatch | agent_dispatch.CreateAgentDispatchRequest,
) -> AgentOrder:
    """Which agent is asked for."""
    return AgentOrder(
        agent_name=message.agent_name,
        metadata=message.metadata,
        attributes=dict(message.attributes),
        restart_policy=message.restart_policy,
        deployment=message.deployment,
    )


def room_options(
    message: models_room.CreateRoomRequest | models_room.RoomConfiguration,
) -> RoomOptions:
    """What a room shall be like: the API and a token say it by the same names."""
    return RoomOptions(
        empty_timeout=message.empty_timeout,
        departure_timeout=message.departure_timeout,
        max_participants=message.max_participants,
        metadata=message.metadata,
        sync_streams=message.sync_streams,
        min_playout_delay=message.min_playout_delay,
        max_playout_delay=message.max_playout_delay,
        tags=dict(message.tags),
        agents=tuple(map(agent_order, message.agents)),
    )


def source(number: int) -> Source:
    """Where a track comes from, by LiveKit's number."""
    return _SOURCES_BACK.get(number, Source.UNKNOWN)


def layers(messages: Iterable[models.VideoLayer]) -> tuple[Layer, ...]:
    """As the client announced them, lowest quality first."""
    found = [
        Layer(
            quality=Quality(each.quality),
            width=each.width,
            height=each.height,
            bitrate=each.bitrate,
            ssrc=each.ssrc,
        )
        for each in list(messages)[:MAX_LIST]
        if Quality.LOW <= each.quality <= Quality.HIGH
    ]
    return tuple(sorted(found, key=lambda layer: layer.quality))


def codecs(
    request: rtc.AddTrackRequest, kind: TrackKind, enabled: Sequence[str]
) -> tuple[CodecInfo, ...]:
    """The codecs in which a track is announced; one without a name where none is.

    Of those that are not *enabled* each becomes the first that is, of its kind.
    """
    prefix = f"{kind.value}/"
    known = {mime.lower() for mime in enabled}
    fallback = next((mime for mime in enabled if mime.startswith(prefix)), "")
    found: dict[str, CodecInfo] = {}
    for each in list(request.simulcast_codecs)[:MAX_LIST]:
        mime = each.codec if each.codec.startswith(prefix) else prefix + each.codec
        mime = mime if mime.lower() in known else fallback
        info = CodecInfo(
            mime=mime if each.codec else "",
            cid=each.cid,
            layers=layers(each.layers) or layers(request.layers),
            layer_mode=each.video_layer_mode,
        )
        found.setdefault(info.mime.lower(), info)
    return tuple(found.values()) or (
        CodecInfo(mime="", cid=request.cid, layers=layers(request.layers)),
    )


def data_track(request: rtc.PublishDataTrackRequest, sid: str) -> DataTrackInfo:
    """A data track as its publisher wants it."""
    schema = request.schema
    return DataTrackInfo(
        sid=sid,
        handle=request.pub_handle,
        name=request.name,
        encryption=request.encryption,
        encoding=_encoding(request.frame_encoding) if request.HasField("frame_encoding") else None,
        schema=(schema.name, _encoding(schema.encoding)) if request.HasField("schema") else None,
    )


def blob_key(key: models.DataBlobKey) -> bytes:
    """The name of a data blob; empty for none."""
    return key.SerializeToString(deterministic=True)


def _encoding(
    message: models.DataTrackFrameEncoding | models.DataTrackSchemaEncoding,
) -> Encoding:
    match message.WhichOneof("value"):
        case "custom":
            return message.custom
        case "well_known":
            return message.well_known
    return None


def _set_encoding(
    message: models.DataTrackFrameEncoding | models.DataTrackSchemaEncoding, encoding: int | str
) -> None:
    if isinstance(encoding, str):
        message.custom = encoding
    else:
        message.well_known = encoding  # type: ignore[assignment]  # a number of LiveKit's enum


def track_settings(request: rtc.UpdateTrackSettings) -> TrackSettings:
    """What a subscriber asks for."""
    try:
        quality, off = Quality(request.quality), False
    except ValueError:  # OFF, or a number that we do not know
        quality, off = Quality.HIGH, request.quality == models.VideoQuality.OFF
    return TrackSettings(
        disabled=request.disabled or off,
        quality=quality,
        width=request.width,
        height=request.height,
        fps=request.fps,
        priority=request.priority,
    )


def listeners(request: rtc.SubscriptionPermission) -> list[Permitted] | None:
    """Whom a publisher lets hear it; None for everybody."""
    if request.all_participants:
        return None
    return [
        Permitted(
            identity=each.participant_identity,
            sid=each.participant_sid,
            all_tracks=each.all_tracks,
            tracks=frozenset(each.track_sids[:MAX_TRACKS]),
        )
        for each in request.track_permissions
    ]


def candidate_line(candidate_init: str) -> str | None:
    """The candidate line of an RTCIceCandidateInit in JSON; None if it is none of that."""
    try:
        init = json.loads(candidate_init)
    except (ValueError, RecursionError):
        return None
    line = init.get("candidate") if isinstance(init, dict) else None
    return line if isinstance(line, str) else None
