import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from trio_sfu.config import CODECS
from trio_sfu.room.grants import Grants, Kind, Source
from trio_sfu.room.info import (
    CodecInfo,
    Layer,
    LeaveReason,
    Quality,
    TrackInfo,
    TrackKind,
    TrackSettings,
)
from trio_sfu.signalling import translate


@pytest.mark.parametrize("source", Source)
def test_sources_have_their_numbers_both_ways(source: Source) -> None:
    number = models.TrackSource.Value(source.name)
    assert translate.source(number) is source


@pytest.mark.parametrize("number", [-1, 5, 99])
def test_an_unknown_source_is_unknown(number: int) -> None:
    assert translate.source(number) is Source.UNKNOWN


def test_kinds_and_reasons_have_livekits_names() -> None:
    assert {each.name for each in Kind} <= set(models.ParticipantInfo.Kind.keys())
    for reason in LeaveReason:
        assert models.DisconnectReason.Value(reason.name) == reason.value


def test_all_that_is_known_of_a_track_is_told() -> None:
    layer = Layer(quality=Quality.LOW, width=320, height=180, bitrate=1, ssrc=2, spatial=0, rid="q")
    info = TrackInfo(
        sid="TR_VC",
        kind=TrackKind.VIDEO,
        source=Source.CAMERA,
        name="camera",
        muted=True,
        width=1280,
        height=720,
        simulcast=True,
        layers=(layer,),
        codecs=(CodecInfo(mime="video/VP8", cid="cid", mid="1", layers=(layer,), layer_mode=1),),
        mime="video/VP8",
        mid="1",
        stream="camera",
        encryption=1,
        version=3,
    )
    message = translate.track_info(info)
    assert message.muted
    assert (message.sid, message.type, message.mid) == ("TR_VC", models.TrackType.VIDEO, "1")
    assert message.layers[0] == message.codecs[0].layers[0]
    assert (message.layers[0].rid, message.layers[0].width) == ("q", 320)
    assert message.version.ticks == 3
    assert message.encryption == models.Encryption.GCM


def test_enum_numbers_that_nobody_knows_pass_through() -> None:
    info = TrackInfo(
        sid="TR_A",
        kind=TrackKind.AUDIO,
        encryption=99,
        backup_codec_policy=-1,
        audio_features=(99, -1),
        codecs=(CodecInfo(mime="", layer_mode=77),),
    )
    message = models.TrackInfo.FromString(translate.track_info(info).SerializeToString())
    assert (message.encryption, message.backup_codec_policy) == (99, -1)
    assert list(message.audio_features) == [99, -1]


@given(st.lists(st.sampled_from([-1, 0, 1, 2, 3, 99, -(2**31)]), max_size=40))
def test_layers_are_the_known_ones_lowest_first(qualities: list[int]) -> None:
    layers = translate.layers([models.VideoLayer(quality=each) for each in qualities])
    assert len(layers) <= translate.MAX_LIST
    assert [each.quality for each in layers] == sorted(each.quality for each in layers)
    known = {each for each in qualities[: translate.MAX_LIST] if 0 <= each <= 2}
    assert {each.quality for each in layers} == known


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ({}, TrackSettings(quality=Quality.LOW)),
        ({"quality": "HIGH"}, TrackSettings(quality=Quality.HIGH)),
        ({"quality": "OFF"}, TrackSettings(disabled=True)),
        ({"quality": 99}, TrackSettings()),
        ({"quality": -1}, TrackSettings()),
        ({"disabled": True, "quality": "LOW"}, TrackSettings(disabled=True, quality=Quality.LOW)),
        (
            {"width": 640, "height": 360, "fps": 15, "priority": 7, "quality": "MEDIUM"},
            TrackSettings(quality=Quality.MEDIUM, width=640, height=360, fps=15, priority=7),
        ),
    ],
)
def test_settings_are_read(asked: dict[str, object], got: TrackSettings) -> None:
    assert translate.track_settings(rtc.UpdateTrackSettings(**asked)) == got


def test_codecs_are_named_in_full_and_once() -> None:
    request = rtc.AddTrackRequest(
        cid="cid",
        simulcast_codecs=[
            rtc.SimulcastCodec(codec="vp9", cid="a"),
            rtc.SimulcastCodec(codec="video/VP8", cid="b"),
            rtc.SimulcastCodec(codec="VP9", cid="c"),
        ],
    )
    found = translate.codecs(request, TrackKind.VIDEO, CODECS)
    assert [(each.mime, each.cid) for each in found] == [("video/vp9", "a"), ("video/VP8", "b")]


def test_a_track_without_codecs_has_one_without_a_name() -> None:
    (codec,) = translate.codecs(rtc.AddTrackRequest(cid="cid"), TrackKind.AUDIO, CODECS)
    assert (codec.mime, codec.cid) == ("", "cid")


def test_a_candidate_can_be_read_by_those_who_do_not_check() -> None:
    """libwebrtc's Rust core takes three fields for granted."""
    text = translate.candidate_init("candidate:1 1 udp 1 192.0.2.1 9 typ host", "ufrag")
    assert {"candidate", "sdpMid", "sdpMLineIndex"} <= json.loads(text).keys()
    assert translate.candidate_line(text) == "candidate:1 1 udp 1 192.0.2.1 9 typ host"


@given(
    st.text(max_size=50) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(json.dumps)
)
def test_arbitrary_text_is_no_candidate_or_a_line(text: str) -> None:
    line = translate.candidate_line(text)
    assert line is None or isinstance(line, str)


def test_our_version_is_one_that_clients_can_parse() -> None:
    """Strictly x.y.z, at least 1.8.0 (RPC), at most 1.13.6 (VP9 as SVC)."""
    version = tuple(map(int, translate.server_info("ND_x").version.split(".")))
    assert len(version) == 3
    assert (1, 8, 0) <= version <= (1, 13, 6)


def test_rights_are_told_in_livekits_order() -> None:
    grants = Grants(can_publish_sources=frozenset(Source))
    numbers = list(translate.permission(grants).can_publish_sources)
    assert numbers == sorted(numbers)
