"""A client changes what it says of itself, and is told that it was done, or why not."""

import pytest
from livekit.protocol import models, rtc

from tests.signalling.house import Caller, House, kinds, sending

pytestmark = pytest.mark.virtual_time

Reason = rtc.RequestResponse.Reason


def ask(caller: Caller, **fields: object) -> None:
    caller.say(update_metadata=rtc.UpdateParticipantMetadata(request_id=7, **fields))


async def test_both_kinds_of_waiting_for_a_change_end(house: House) -> None:
    """JavaScript waits for the update, the Rust core for the number of its request."""
    alice = await house.enter("alice", can_update_own_metadata=True)
    ask(alice, metadata="m", name="Alice", attributes={"k": "v"})
    told = await alice.hear()
    assert kinds(told) == ["update", "request_response"]
    assert told[0].update.participants[0].metadata == "m"
    answer = told[1].request_response
    assert (answer.request_id, answer.reason) == (7, Reason.OK)
    assert answer.update_metadata.attributes == {"k": "v"}


async def test_an_old_client_is_not_told_that_all_went_well(house: House) -> None:
    alice = await house.enter("alice", can_update_own_metadata=True, protocol=14)
    ask(alice, metadata="m")
    assert kinds(await alice.hear()) == ["update"]


async def test_whoever_may_not_is_told_so_and_nothing_changes(house: House) -> None:
    alice = await house.enter("alice", metadata="old")
    ask(alice, metadata="new")
    (answer,) = await alice.hear_of("request_response")
    assert (answer.request_id, answer.reason) == (7, Reason.NOT_ALLOWED)
    assert answer.message == "does not have permission to update own metadata"
    assert house.participant("alice").who.metadata == "old"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": "n" * 257}, "exceeds name length limit"),
        ({"metadata": "m" * ((512 << 10) + 1)}, "exceeds metadata size limit"),
        ({"attributes": {"k": "v" * (64 << 10)}}, "exceeds attributes size limit"),
    ],
)
async def test_what_is_too_long_is_refused(
    house: House, fields: dict[str, object], text: str
) -> None:
    alice = await house.enter("alice", can_update_own_metadata=True)
    ask(alice, **fields)
    (answer,) = await alice.hear_of("request_response")
    assert (answer.reason, answer.message) == (Reason.LIMIT_EXCEEDED, text)


async def test_features_of_sound_and_size_of_pictures_are_told_to_the_others(house: House) -> None:
    alice = await house.attend("alice")
    voice = await alice.publish("audio", "voice")
    face = await alice.publish("video", "face")
    bob = await house.enter("bob")
    features = [models.AudioTrackFeature.TF_STEREO, models.AudioTrackFeature.TF_NO_DTX] * 2
    alice.say(update_audio_track=rtc.UpdateLocalAudioTrack(track_sid=voice, features=features))
    alice.say(update_video_track=rtc.UpdateLocalVideoTrack(track_sid=face, width=320, height=240))
    (info,) = [
        each
        for update in (await bob.hear_of("update"))[-1:]
        for each in update.participants
        if each.identity == "alice"
    ]
    heard = {track.sid: track for track in info.tracks}
    assert (heard[voice].stereo, heard[voice].disable_dtx) == (True, True)
    assert list(heard[voice].audio_features) == features[:2]
    assert (heard[face].width, heard[face].height) == (320, 240)


async def test_a_track_that_waits_for_its_media_changes_too(house: House) -> None:
    alice = await house.attend("alice")
    alice.announce("video", "face")
    (published,) = await alice.hear_of("track_published")
    sid = published.track.sid
    alice.say(update_video_track=rtc.UpdateLocalVideoTrack(track_sid=sid, width=320, height=240))
    alice.sendings["face"] = sending("video", "face")
    await alice.renegotiate()
    info = house.participant("alice").tracks[sid].info
    assert (info.width, info.height) == (320, 240)


async def test_another_kind_of_track_stays_as_it_is(house: House) -> None:
    alice = await house.attend("alice")
    voice = await alice.publish("audio", "voice")
    alice.say(update_video_track=rtc.UpdateLocalVideoTrack(track_sid=voice, width=9, height=9))
    assert await alice.hear_of("request_response") == []
    assert house.participant("alice").tracks[voice].info.width == 0


async def test_a_track_that_is_not_there_is_not_found(house: House) -> None:
    alice = await house.attend("alice")
    alice.say(update_audio_track=rtc.UpdateLocalAudioTrack(track_sid="TR_none"))
    alice.say(update_video_track=rtc.UpdateLocalVideoTrack(track_sid="TR_none"))
    answers = await alice.hear_of("request_response")
    assert [each.reason for each in answers] == [Reason.NOT_FOUND] * 2
    assert answers[0].update_audio_track.track_sid == "TR_none"
