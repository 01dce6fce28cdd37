import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from tests.signalling.house import Caller, House, kinds, open_house, sending
from tests.sim import entropy
from trio_sfu.config import CODECS, RoomConfig
from trio_sfu.room.grants import Source
from trio_sfu.room.info import TrackInfo, TrackKind
from trio_sfu.signalling.announcements import (
    MAX_NAMED,
    MAX_PENDING,
    MAX_TEXT,
    MAX_TRACKS,
    Announcements,
    Section,
    make_info,
)
from trio_sfu.signalling.join import ClientInfo

pytestmark = pytest.mark.virtual_time

Reason = rtc.RequestResponse.Reason
VIDEO, AUDIO = TrackKind.VIDEO, TrackKind.AUDIO


async def audience(house: House) -> Caller:
    """Somebody who is told of every publisher at once."""
    bob = await house.enter("bob")
    await house.activate("bob")
    await bob.hear()
    return bob


async def tracks_told(listener: Caller) -> list[list[models.TrackInfo]]:
    """The tracks in each ParticipantInfo that *listener* heard."""
    return [
        list(info.tracks) for each in await listener.hear_of("update") for info in each.participants
    ]


# --- announcing


@pytest.mark.parametrize(
    ("kind", "source", "prefix", "stream"),
    [
        ("video", "CAMERA", "TR_VC", "camera"),
        ("audio", "MICROPHONE", "TR_AM", "camera"),
        ("video", "SCREEN_SHARE", "TR_VS", "screen"),
        ("audio", "SCREEN_SHARE_AUDIO", "TR_As", "screen"),
        ("audio", "UNKNOWN", "TR_A", "unknown"),
    ],
)
async def test_an_announced_track_gets_a_sid_that_tells_what_it_is(
    house: House, kind: str, source: str, prefix: str, stream: str
) -> None:
    alice = await house.enter("alice")
    alice.announce(kind, "cid", source=source)
    (published,) = await alice.hear_of("track_published")
    assert published.cid == "cid"
    assert published.track.sid.startswith(prefix)
    assert len(published.track.sid) == len(prefix) + 12
    assert published.track.stream == stream


async def test_what_a_client_announces_is_what_others_see(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    layers = [
        models.VideoLayer(quality="HIGH", width=1280, height=720, bitrate=1_700_000),
        models.VideoLayer(quality="LOW", width=320, height=180, bitrate=160_000),
    ]
    await alice.publish(
        "video",
        "cid",
        name="my camera",
        width=1280,
        height=720,
        layers=layers,
        encryption=models.Encryption.GCM,
        simulcast_codecs=[rtc.SimulcastCodec(codec="vp8", cid="cid")],
    )
    ((track,),) = await tracks_told(bob)
    assert (track.name, track.width, track.height) == ("my camera", 1280, 720)
    assert [each.quality for each in track.layers] == [0, 2]  # lowest first
    assert track.simulcast
    assert track.encryption == models.Encryption.GCM
    assert track.mime_type == track.codecs[0].mime_type.replace("vp8", "VP8") == "video/VP8"
    assert track.mid == track.codecs[0].mid != ""


@pytest.mark.parametrize(
    ("grants", "allowed"),
    [
        ({}, True),
        ({"can_publish": False}, False),
        ({"can_publish_sources": frozenset({Source.CAMERA})}, True),
        ({"can_publish_sources": frozenset({Source.MICROPHONE})}, False),
    ],
)
async def test_only_sources_that_a_token_allows_are_taken(
    house: House, grants: dict[str, object], allowed: bool
) -> None:
    alice = await house.enter("alice", **grants)
    alice.announce("video", "cid")
    told = await alice.hear()
    if allowed:
        assert kinds(told) == ["track_published"]
    else:
        assert told[0].request_response.reason == Reason.NOT_ALLOWED
        assert told[0].request_response.add_track.cid == "cid"


async def test_a_right_that_was_taken_since_stops_the_media_too(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    alice.announce("video", "cid")
    await alice.hear()
    who = house.participant("alice").who
    house.participant("alice").who = attrs.evolve(
        who, grants=attrs.evolve(who.grants, can_publish=False)
    )
    alice.sendings["cid"] = sending("video", "cid")
    await alice.renegotiate()
    assert await tracks_told(bob) == []


async def test_data_is_no_track(house: House) -> None:
    alice = await house.enter("alice")
    alice.say(add_track=rtc.AddTrackRequest(cid="cid", type=models.TrackType.DATA))
    (refusal,) = await alice.hear_of("request_response")
    assert refusal.reason == Reason.UNSUPPORTED_TYPE


async def test_a_client_may_announce_so_many_tracks_before_their_media(house: House) -> None:
    alice = await house.enter("alice")
    for number in range(MAX_PENDING + 1):
        alice.announce("video", f"cid {number}")
    told = await alice.hear()
    assert kinds(told) == ["track_published"] * MAX_PENDING + ["request_response"]
    assert told[-1].request_response.reason == Reason.LIMIT_EXCEEDED


@pytest.mark.slow
async def test_a_client_may_publish_so_many_tracks(house: House) -> None:
    alice = await house.enter("alice")
    for start in range(0, MAX_TRACKS, MAX_PENDING):
        for number in range(start, min(start + MAX_PENDING, MAX_TRACKS)):
            alice.announce("audio", f"cid {number}")
            alice.sendings[f"cid {number}"] = sending("audio", f"cid {number}")
        await alice.renegotiate()
    assert len(house.participant("alice").tracks) == MAX_TRACKS
    alice.announce("audio", "one more")
    (refusal,) = await alice.hear_of("request_response")
    assert refusal.reason == Reason.LIMIT_EXCEEDED


@pytest.mark.parametrize("field", ["cid", "name", "stream"])
async def test_a_name_of_a_megabyte_is_told_to_nobody(house: House, field: str) -> None:
    alice = await house.enter("alice")
    alice.announce("video", **{"cid": "cid", field: "x" * (MAX_TEXT + 1)})
    (refusal,) = await alice.hear_of("request_response")
    assert refusal.reason == Reason.LIMIT_EXCEEDED


# --- media and announcements find each other


async def test_a_published_track_is_told_to_others_at_once_and_not_to_oneself(
    house: House,
) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    alice.announce("video", "cid")
    (published,) = await alice.hear_of("track_published")
    assert await tracks_told(bob) == []  # not before its media
    alice.sendings["cid"] = sending("video", "cid")
    alice.offer()
    told = await alice.hear()
    assert kinds(told) == ["answer", "room_update"] or kinds(told) == ["answer"]
    (update,) = await bob.hear_of("update")
    assert update.participants[0].is_publisher
    assert [each.sid for each in update.participants[0].tracks] == [published.track.sid]


async def test_the_answer_has_the_number_of_the_offer(house: House) -> None:
    alice = await house.enter("alice")
    alice.offer_id = 41
    alice.offer()
    (answered,) = await alice.hear_of("answer")
    assert (answered.id, answered.type) == (42, "answer")


async def test_media_may_come_before_its_announcement(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    alice.sendings["cid"] = sending("video", "cid")
    await alice.renegotiate()
    assert await tracks_told(bob) == []
    alice.announce("video", "cid")
    (published,) = await alice.hear_of("track_published")
    ((track,),) = await tracks_told(bob)
    assert track.sid == published.track.sid


async def test_a_client_whose_sdp_has_other_ids_is_matched_by_kind_in_order(
    house: House,
) -> None:
    """Firefox's msid is not the MediaStreamTrack's id."""
    alice, bob = await house.enter("alice"), await audience(house)
    for name in ("first", "second"):
        alice.announce("video", name, name=name)
    alice.announce("audio", "sound", name="sound")
    for track_id, kind in (("{a}", "video"), ("{b}", "audio"), ("{c}", "video")):
        alice.sendings[track_id] = sending(kind, track_id)
    await alice.renegotiate()
    tracks = (await tracks_told(bob))[-1]
    assert [(each.name, each.mid) for each in tracks] == [
        ("first", "1"),
        ("sound", "2"),
        ("second", "3"),
    ]


async def test_each_of_two_unnamed_sections_is_answered_for_its_own_track(
    house: House,
) -> None:
    alice = await house.enter("alice")
    alice.announce("audio", "mono", source="MICROPHONE", disable_dtx=True)
    alice.announce("audio", "both", source="SCREEN_SHARE_AUDIO", stereo=True)
    for track_id in ("{a}", "{b}"):
        alice.sendings[track_id] = sending("audio", track_id)
    alice.offer()
    (answered,) = await alice.hear_of("answer")
    _, first, second = answered.sdp.split("m=")[1:]
    assert "usedtx=1" not in first
    assert "usedtx=1" in second
    assert "stereo=1" in second


async def test_a_section_that_names_its_track_is_not_robbed_of_it(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    alice.announce("video", "named", name="named")
    alice.announce("video", "other", name="other")
    for track_id in ("{stranger}", "named"):
        alice.sendings[track_id] = sending("video", track_id)
    await alice.renegotiate()
    tracks = (await tracks_told(bob))[-1]
    assert {each.mid: each.name for each in tracks} == {"1": "other", "2": "named"}


async def test_unpublishing_is_a_section_that_flows_no_more(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    await alice.publish("audio", "sound")
    await alice.publish("video", "picture")
    await bob.hear()
    del alice.sendings["sound"]
    await alice.renegotiate()
    tracks = (await tracks_told(bob))[-1]
    assert [each.type for each in tracks] == [models.TrackType.VIDEO]


async def test_another_track_in_the_same_section_is_another_track(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    old = await alice.publish("video", "old")
    del alice.sendings["old"]
    await alice.renegotiate()
    new = await alice.publish("video", "new")
    assert new != old
    assert house.participant("alice").tracks[new].info.mid == "1"
    # ... and within one offer, as a client may that replaces a sender's track.
    alice.announce("video", "newest")
    alice.sendings = {"newest": sending("video", "newest")}
    await bob.hear()
    newest = await alice.renegotiate()
    (tracks, *_), (last, *_) = (await tracks_told(bob))[-1:], [house.participant("alice").tracks]
    assert newest in last
    assert new not in last
    assert [each.sid for each in tracks] == [newest]


async def test_a_track_that_is_offered_in_another_codec_is_told_of_and_heard_anew(
    house: House,
) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    sid = await alice.publish("video", "cid")
    before = house.participant("bob").subscriptions[sid]
    await bob.hear()
    alice.sendings["cid"] = sending("video", "cid", mime="video/H264")
    await alice.renegotiate()
    ((track,),) = (await tracks_told(bob))[-1:]
    assert (track.sid, track.mime_type) == (sid, "video/H264")
    assert [codec.mime_type for codec in track.codecs] == ["video/H264"]
    after = house.participant("bob").subscriptions[sid]
    assert after is not before
    assert after.track.info.mime == "video/H264"


async def test_a_track_muted_before_its_media_is_published_muted(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    alice.announce("audio", "cid")
    (published,) = await alice.hear_of("track_published")
    alice.say(mute=rtc.MuteTrackRequest(sid=published.track.sid, muted=True))
    alice.sendings["cid"] = sending("audio", "cid")
    await alice.renegotiate()
    ((track,),) = await tracks_told(bob)
    assert track.muted


async def test_mute_and_unmute_are_told_at_once_with_a_higher_version(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    sid = await alice.publish("audio", "cid")
    seen = [(track.muted, track.version.ticks) for (track,) in await tracks_told(bob)]
    for muted in (True, True, False):
        alice.say(mute=rtc.MuteTrackRequest(sid=sid, muted=muted))
        seen += [(track.muted, track.version.ticks) for (track,) in await tracks_told(bob)]
    assert seen == [(False, 0), (True, 1), (False, 2)]


async def test_versions_of_a_participant_only_grow(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    await trio.sleep(4)
    versions = [info.version for each in await bob.hear_of("update") for info in each.participants]
    for number in range(3):
        await alice.publish("audio", f"cid {number}")
    versions += [info.version for each in await bob.hear_of("update") for info in each.participants]
    assert versions == sorted(set(versions))
    assert len(versions) >= 3


async def test_redundant_sound_is_published_as_what_it_is(house: House) -> None:
    alice, bob = await house.enter("alice"), await audience(house)
    alice.announce("audio", "cid")
    alice.sendings["cid"] = sending("audio", "cid", mime="audio/red")
    await alice.renegotiate()
    (tracks,) = await tracks_told(bob)
    assert [each.mime_type for each in tracks] == ["audio/red"]


# --- names, limits, codecs


async def test_a_name_that_is_taken_waits_for_its_turn(house: House) -> None:
    """As when an application unpublishes a microphone and publishes it again at once."""
    alice, bob = await house.enter("alice"), await audience(house)
    old = await alice.publish("audio", "mic")
    alice.announce("audio", "mic", name="again")
    (response,) = await alice.hear_of("request_response")
    assert (response.reason, response.add_track.cid) == (Reason.QUEUED, "mic")
    await bob.hear()
    del alice.sendings["mic"]
    await alice.renegotiate()
    assert await tracks_told(bob) == [[]]
    alice.sendings["mic"] = sending("audio", "mic")
    await alice.renegotiate()
    (tracks,) = await tracks_told(bob)
    assert [each.name for each in tracks] == ["again"]
    assert tracks[0].sid != old


async def test_its_turn_comes_with_the_offer_that_ends_the_old_one(house: House) -> None:
    alice = await house.enter("alice")
    old = await alice.publish("audio", "mic")
    alice.announce("audio", "mic")
    await alice.hear()
    del alice.sendings["mic"]
    new = await alice.renegotiate()
    assert new not in ("", old)


async def test_at_most_three_wait_by_one_name_and_twenty_in_all(house: House) -> None:
    alice = await house.enter("alice")
    for _ in range(4):
        alice.announce("audio", "same")
    for number in range(MAX_PENDING - MAX_NAMED + 1):
        alice.announce("audio", f"other {number}")
    refused = await alice.hear_of("request_response")
    assert [(each.reason, each.message) for each in refused] == [
        (Reason.QUEUED, ""),
        (Reason.QUEUED, ""),
        (
            Reason.LIMIT_EXCEEDED,
            "too many pending queued tracks, rejecting new track, numPendingTracksQueued: 3",
        ),
        (
            Reason.LIMIT_EXCEEDED,
            "too many pending tracks, rejecting new track, numPendingTracks: 20",
        ),
    ]


async def test_a_second_codec_is_for_a_track_that_there_is(house: House) -> None:
    alice = await house.enter("alice")
    alice.announce("video", "backup", sid="TR_none")
    (response,) = await alice.hear_of("request_response")
    assert response.reason == Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("enabled", "asked", "found"),
    [
        (CODECS, "vp9", "video/vp9"),
        (CODECS, "mpeg2", "video/VP8"),
        (("video/H264", "audio/opus"), "vp8", "video/H264"),
        (("video/H264", "video/VP8"), "H264", "video/H264"),
    ],
)
async def test_a_codec_that_the_room_has_not_becomes_the_first_that_it_has(
    nursery: trio.Nursery, enabled: tuple[str, ...], asked: str, found: str
) -> None:
    house = await open_house(nursery, RoomConfig(enabled_codecs=enabled))
    alice = await house.enter("alice")
    alice.announce("video", "cid", simulcast_codecs=[rtc.SimulcastCodec(codec=asked, cid="cid")])
    (published,) = await alice.hear_of("track_published")
    assert [each.mime_type for each in published.track.codecs] == [found]


async def test_nothing_is_taken_in_a_codec_that_the_room_has_not(nursery: trio.Nursery) -> None:
    house = await open_house(nursery, RoomConfig(enabled_codecs=("video/H264", "audio/opus")))
    alice, bob = await house.knock("alice"), await audience(house)
    (join,) = await alice.hear_of("join")
    assert [each.mime for each in join.enabled_publish_codecs] == ["video/H264", "audio/opus"]
    assert [each.mime for each in join.room.enabled_codecs] == ["video/H264", "audio/opus"]
    alice.announce("video", "cid")
    alice.sendings["cid"] = sending("video", "cid", mime="video/VP8")
    await alice.renegotiate()
    assert await tracks_told(bob) == []
    alice.sendings["cid"] = sending("video", "cid", mime="video/VP8", fallbacks=("video/H264",))
    await alice.renegotiate()
    (tracks,) = await tracks_told(bob)
    assert [each.mime_type for each in tracks] == ["video/H264"]


@pytest.mark.parametrize(
    ("client", "without"),
    [
        (ClientInfo(browser="Safari", browser_version="17.4"), {"video/AV1"}),
        (ClientInfo(browser="Safari", browser_version="18.4"), {"video/AV1", "video/VP9"}),
        (ClientInfo(browser="Firefox", os="Linux"), {"video/H264"}),
        (ClientInfo(browser="Firefox", os="Windows"), set()),
        (ClientInfo(device_model="Xiaomi 2201117TI", os="Android"), {"video/H264"}),
    ],
)
async def test_clients_are_told_what_they_only_believe_to_be_able_to_send(
    house: House, client: ClientInfo, without: set[str]
) -> None:
    caller = await house.knock("alice", client=client)
    (join,) = await caller.hear_of("join")
    assert set(CODECS) - {each.mime for each in join.enabled_publish_codecs} == without
    told = join.client_configuration.disabled_codecs.publish
    assert {each.mime for each in told} == without


async def test_what_older_clients_say_of_sound_is_told_as_features(house: House) -> None:
    alice = await house.enter("alice")
    alice.announce("audio", "cid", stereo=True, disable_dtx=True)
    (published,) = await alice.hear_of("track_published")
    features = models.AudioTrackFeature
    assert list(published.track.audio_features) == [features.TF_STEREO, features.TF_NO_DTX]


# --- the table, by itself


def info(kind: TrackKind, cid: str, seed: int = 1) -> TrackInfo:
    request = rtc.AddTrackRequest(cid=cid, type=kind.name, simulcast_codecs=[rtc.SimulcastCodec()])
    return make_info(request, kind, CODECS, entropy(seed))


@given(
    st.lists(st.tuples(st.sampled_from(TrackKind), st.sampled_from("abc")), max_size=6),
    st.lists(
        st.tuples(st.sampled_from(TrackKind), st.sampled_from(["a", "b", "x", ""])), max_size=6
    ),
)
def test_no_track_is_in_two_sections_and_none_is_of_another_kind(
    announced: list[tuple[TrackKind, str]], offered: list[tuple[TrackKind, str]]
) -> None:
    announcements = Announcements()
    turns = [
        announcements.add(cid, info(kind, cid, seed), published=False)
        for seed, (kind, cid) in enumerate(announced)
    ]
    assert sum(turns) == len({cid for _, cid in announced})
    sections = [Section(str(mid), kind, cid) for mid, (kind, cid) in enumerate(offered)]
    assigned = announcements.assign(sections)
    assert len({each.sid for each in assigned.values()}) == len(assigned)
    for section in sections:
        if section.mid in assigned:
            assert assigned[section.mid].kind is section.kind
    for kind in TrackKind:
        its_turn = zip(announced, turns, strict=True)
        waiting = [each for (each, _), turn in its_turn if turn and each is kind]
        wanting = [each for each in sections if each.kind is kind]
        count = sum(each.kind is kind for each in assigned.values())
        assert count == min(len(waiting), len(wanting))


def test_a_codecs_own_cid_names_its_track_too() -> None:
    announcements = Announcements()
    request = rtc.AddTrackRequest(
        cid="cid", simulcast_codecs=[rtc.SimulcastCodec(codec="vp9", cid="vp9's"), {"codec": "vp8"}]
    )
    announcements.add("first", info(VIDEO, "first"), published=False)
    wanted = make_info(request, VIDEO, CODECS, entropy(2))
    announcements.add("cid", wanted, published=False)
    assert announcements.assign([Section("0", VIDEO, "vp9's")]) == {"0": wanted}
    announcements.take(wanted.sid)
    assert len(announcements) == 1


@pytest.mark.parametrize(
    ("codec", "layers", "simulcast"),
    [("vp8", 3, True), ("vp8", 1, False), ("vp9", 3, False), ("av1", 3, False), ("", 2, True)],
)
def test_svc_is_one_stream_whatever_its_layers(codec: str, layers: int, simulcast: bool) -> None:
    request = rtc.AddTrackRequest(
        cid="cid",
        layers=[models.VideoLayer(quality=quality) for quality in range(layers)],
        simulcast_codecs=[rtc.SimulcastCodec(codec=codec, cid="cid")],
    )
    assert make_info(request, VIDEO, CODECS, entropy(1)).simulcast == simulcast
