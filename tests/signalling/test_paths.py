"""`/rtc/v1`: one connection, on which the client makes every offer."""

import json
from collections.abc import Mapping

import pytest
import trio
from livekit.protocol import models, rtc

from tests.sdp import captures
from tests.signalling.house import Caller, House, kind_of, kinds, sending, tables
from trio_sfu.client.events import DataPacketReceived
from trio_sfu.client.media import SILENCE, synthetic_vp8, vp8_payloads
from trio_sfu.room.info import ParticipantState
from trio_sfu.sdp.formats import ABS_SEND_TIME, EXTENSION_IDS, TRANSPORT_CC
from trio_sfu.sdp.session import SessionDescription
from trio_sfu.signalling.receivers import FIRST_OFFER

pytestmark = pytest.mark.virtual_time

PLACEHOLDERS = {"audio": 3, "video": 3}


async def come(
    house: House, identity: str, *, first: bool = True, receiving: Mapping[str, int] = PLACEHOLDERS
) -> Caller:
    """*identity* comes by `/rtc/v1` and is active; *first*: with an offer in its join."""
    offering = Caller()
    offering.receiving = dict(receiving)
    requests = (rtc.SignalRequest(offer=offering.description()),) if first else ()
    caller = await house.knock(identity, one_connection=True, requests=requests, caller=offering)
    await house.activate(identity)
    return caller


async def attend(house: House, identity: str, **options: object) -> Caller:
    """As `come`, and has heard what there was to hear."""
    caller = await come(house, identity, **options)
    for answer in answers(await caller.hear()):
        caller.accept(answer)
    return caller


def answers(told: list[rtc.SignalResponse]) -> list[rtc.SessionDescription]:
    return [each.answer for each in told if kind_of(each) == "answer"]


def requirements(told: list[rtc.SignalResponse]) -> list[tuple[int, int]]:
    return [
        (each.media_sections_requirement.num_audios, each.media_sections_requirement.num_videos)
        for each in told
        if kind_of(each) == "media_sections_requirement"
    ]


def heard(answer: rtc.SessionDescription) -> set[str]:
    return set(answer.mid_to_track_id.values())


async def settle(caller: Caller) -> rtc.SessionDescription:
    """Do as a client does: offer what is asked for until there is no more; the last answer."""
    last = None
    for _ in range(4):
        await trio.sleep(1)
        told = await caller.hear()
        for answer in answers(told):
            caller.accept(answer)
            last = answer
        if not (asked := requirements(told)):
            break
        for audios, videos in asked:
            caller.receiving["audio"] = caller.receiving.get("audio", 0) + audios
            caller.receiving["video"] = caller.receiving.get("video", 0) + videos
        caller.offer()
    assert last is not None, "there was nothing to settle"
    return last


# --- joining


async def test_a_join_brings_its_tracks_and_its_offer(house: House) -> None:
    await attend(house, "bob")
    alice = Caller()
    alice.sendings = {"cam": sending("video", "cam"), "mic": sending("audio", "mic")}
    requests = (
        rtc.SignalRequest(
            add_track=rtc.AddTrackRequest(cid="cam", type="VIDEO", source=models.TrackSource.CAMERA)
        ),
        rtc.SignalRequest(
            add_track=rtc.AddTrackRequest(
                cid="mic", type="AUDIO", source=models.TrackSource.MICROPHONE
            )
        ),
        rtc.SignalRequest(offer=alice.description()),
    )
    await house.knock("alice", one_connection=True, requests=requests, caller=alice)
    told = await alice.hear()
    assert kinds(told)[0] == "join"
    assert not told[0].join.subscriber_primary
    assert told[0].join.fast_publish
    published = [each.track_published.cid for each in told if kind_of(each) == "track_published"]
    assert published == ["cam", "mic"]
    (answer,) = answers(told)
    assert kinds(told).index("answer") > kinds(told).index("track_published")
    assert answer.id == 1
    assert "offer" not in kinds(told)
    assert len(house.participant("alice").tracks) == 2


async def test_what_there_is_comes_with_the_answer_to_the_first_offer(house: House) -> None:
    alice = await attend(house, "alice")
    sids = {await alice.publish("video", "cam"), await alice.publish("audio", "mic")}
    bob = await come(house, "bob")
    told = await bob.hear()
    (answer,) = answers(told)
    assert heard(answer) == sids
    assert requirements(told) == []
    agreement = bob.accept(answer)
    flowing = {each.track_id for each in agreement.sections if each.direction.receives}
    assert flowing == sids
    assert all(each.bound for each in house.participant("bob").subscriptions.values())
    assert len(house.participant("bob").uplink.subscriptions) == 2


async def test_a_first_offer_may_come_after_the_join(house: House) -> None:
    alice = await attend(house, "alice")
    sid = await alice.publish("video", "cam")
    bob = await come(house, "bob", first=False)
    assert requirements(await bob.hear()) == []  # not before it had time to begin
    bob.offer()
    told = await bob.hear()
    assert heard(answers(told)[0]) == {sid}
    await trio.sleep(2 * FIRST_OFFER)
    assert requirements(await bob.hear()) == []


async def test_a_client_that_waits_to_be_asked_is(house: House) -> None:
    alice = await attend(house, "alice")
    sid = await alice.publish("video", "cam")
    bob = await come(house, "bob", first=False, receiving={})
    await trio.sleep(2 * FIRST_OFFER)
    assert requirements(await bob.hear()) == [(0, 1)]
    bob.receiving = {"video": 1}
    bob.offer()
    assert heard(await settle(bob)) == {sid}


async def test_an_offer_with_data_only_is_followed_by_what_is_missing(house: House) -> None:
    """As React Native's."""
    alice = await attend(house, "alice")
    sids = {await alice.publish("video", "cam"), await alice.publish("audio", "mic")}
    bob = await come(house, "bob", receiving={})
    told = await bob.hear()
    (answer,) = answers(told)
    assert heard(answer) == set()
    assert requirements(told) == [(1, 1)]
    assert kinds(told)[-1] == "media_sections_requirement"
    bob.accept(answer)
    bob.receiving = {"audio": 1, "video": 1}
    bob.offer()
    assert heard(await settle(bob)) == sids


async def test_an_offer_that_makes_no_sense_in_a_join_is_the_end(house: House) -> None:
    requests = (rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp="v=0\r\n", id=1)),)
    alice = await house.knock("alice", one_connection=True, requests=requests)
    told = await alice.hear()
    assert kinds(told)[-1] == "leave"
    assert told[-1].leave.action == rtc.LeaveRequest.RECONNECT
    assert tables(house)["kitchen"] == {}


async def test_an_announcement_in_a_join_that_is_not_allowed_is_refused_alone(house: House) -> None:
    alice = Caller()
    alice.receiving = dict(PLACEHOLDERS)
    requests = (
        rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="a", type="VIDEO")),
        rtc.SignalRequest(offer=alice.description()),
    )
    await house.knock(
        "alice", one_connection=True, requests=requests, caller=alice, can_publish=False
    )
    told = await alice.hear()
    assert kinds(told)[:3] == ["join", "request_response", "answer"]
    assert told[1].request_response.reason == rtc.RequestResponse.NOT_ALLOWED


# --- going on


async def test_offers_are_answered_in_order_each_under_its_number(house: House) -> None:
    alice = await attend(house, "alice")
    bob = await attend(house, "bob")
    await alice.publish("video", "cam")
    for _ in range(3):
        bob.offer()
    told = await bob.hear()
    assert [answer.id for answer in answers(told)] == [2, 3, 4]
    assert {frozenset(heard(answer)) for answer in answers(told)} == {
        frozenset(house.participant("alice").tracks)
    }
    zero = rtc.SessionDescription(type="offer", sdp=bob.description().sdp)
    bob.say(offer=zero)  # the Rust core numbers none
    assert [answer.id for answer in answers(await bob.hear())] == [0]


async def test_a_track_is_known_before_the_answer_that_carries_it(house: House) -> None:
    alice = await attend(house, "alice")
    await house.knock("carol")  # who only listens: others are told of her by and by
    bob = await attend(house, "bob")
    sid = await alice.publish("video", "cam")
    bob.offer()  # before it was asked to
    told = await bob.hear()
    (answer,) = answers(told)
    assert heard(answer) == {sid}
    assert kinds(told).index("update") < kinds(told).index("answer")


async def test_who_publishes_later_is_heard_after_one_question(house: House) -> None:
    alice = await attend(house, "alice")
    bob = await attend(house, "bob")
    sid = await alice.publish("video", "cam")
    await trio.sleep(0.02)
    told = await bob.hear()
    assert requirements(told) == [(0, 0)]  # there is room
    assert kinds(told).index("update") < kinds(told).index("media_sections_requirement")
    bob.offer()
    assert heard(await settle(bob)) == {sid}


async def test_more_than_there_is_room_for_is_asked_for_at_once(house: House) -> None:
    alice = await attend(house, "alice")
    bob = await attend(house, "bob")
    sids = {await alice.publish("video", f"cam {number}") for number in range(5)}
    assert heard(await settle(bob)) == sids
    assert bob.receiving == {"audio": 3, "video": 5}


async def test_a_track_that_ends_leaves_its_section_to_the_next(house: House) -> None:
    alice = await attend(house, "alice")
    bob = await attend(house, "bob", receiving={"audio": 1, "video": 1})
    first = await alice.publish("video", "one")
    assert heard(await settle(bob)) == {first}
    del alice.sendings["one"]
    await alice.renegotiate()
    answer = await settle(bob)
    assert heard(answer) == set()
    video = next(
        each for each in SessionDescription.parse(answer.sdp).sections if each.kind == "video"
    )
    assert video.direction.value == "inactive"
    assert video.msids == ()
    second = await alice.publish("video", "two")
    assert heard(await settle(bob)) == {second}
    assert bob.receiving == {"audio": 1, "video": 1}


async def test_unsubscribing_frees_a_section_and_subscribing_takes_one(house: House) -> None:
    alice = await attend(house, "alice")
    bob = await attend(house, "bob")
    sid = await alice.publish("video", "cam")
    assert heard(await settle(bob)) == {sid}
    for subscribe, expected in ((False, set()), (True, {sid}), (False, set())):
        bob.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=subscribe))
        assert heard(await settle(bob)) == expected
        assert set(house.participant("bob").subscriptions) == expected
    assert bob.receiving == PLACEHOLDERS


async def test_what_a_client_sends_and_hears_shares_the_connection(house: House) -> None:
    alice, bob = await attend(house, "alice"), await attend(house, "bob")
    await alice.hear()
    mine = await bob.publish("video", "bob's")
    theirs = await alice.publish("video", "alice's")
    assert heard(await settle(bob)) == {theirs}
    connection = house.participant("bob").uplink
    assert connection is house.participant("bob").downlink
    assert [each.sid for each in connection.tracks.values()] == [mine]
    assert [each.track.sid for each in connection.subscriptions.values()] == [theirs]


# --- what does not fit


async def test_our_answers_are_not_answered(house: House) -> None:
    bob = await attend(house, "bob")
    bob.say(answer=rtc.SessionDescription(type="answer", sdp="v=0", id=1))
    assert await bob.hear() == []
    assert house.participant("bob").state is ParticipantState.ACTIVE


async def test_candidates_are_for_the_one_connection_there_is(house: House) -> None:
    bob = await attend(house, "bob")
    line = json.dumps({"candidate": "candidate:1 1 udp 1 192.0.2.9 9 typ host"})
    bob.say(trickle=rtc.TrickleRequest(candidateInit=line, target=rtc.SignalTarget.PUBLISHER))
    assert await bob.hear() == []
    bob.say(trickle=rtc.TrickleRequest(candidateInit=line, target=rtc.SignalTarget.SUBSCRIBER))
    (refusal,) = await bob.hear()
    assert refusal.request_response.reason == rtc.RequestResponse.UNCLASSIFIED_ERROR


async def test_a_codec_that_no_section_takes_is_told_of_and_hurts_no_other(house: House) -> None:
    alice, bob = await attend(house, "alice"), await come(house, "bob", first=False)
    await alice.hear()
    camera = await alice.publish("video", "cam")
    voice = await alice.publish("audio", "mic")
    offer = bob.description()
    offer.sdp = offer.sdp.replace("VP8/90000", "VP7/90000")
    bob.say(offer=offer)
    told = await bob.hear()
    (answer,) = answers(told)
    assert heard(answer) == {voice}
    (failed,) = [
        each.subscription_response for each in told if kind_of(each) == "subscription_response"
    ]
    assert (failed.track_sid, failed.err) == (camera, models.SE_CODEC_UNSUPPORTED)
    await trio.sleep(10)
    assert requirements(await bob.hear()) in ([], [(0, 0)])  # but never one for the camera


async def test_a_client_that_does_not_add_sections_is_not_asked_without_pause(house: House) -> None:
    alice, bob = await attend(house, "alice"), await attend(house, "bob", receiving={})
    await alice.hear()
    await alice.publish("video", "cam")
    asked = 0
    with trio.move_on_after(3):
        while True:
            await bob.wait_for("media_sections_requirement")
            asked += 1
            bob.offer()
    assert 2 < asked <= 3 / 0.15 + 1


# --- real offers


V1_OFFERS = [name for name in captures.NAMES if "-v1-" in name]


@pytest.mark.parametrize("name", V1_OFFERS)
async def test_a_real_first_offer_is_answered_with_what_there_is(house: House, name: str) -> None:
    alice = await attend(house, "alice")
    sids = {await alice.publish("video", "cam"), await alice.publish("audio", "mic")}
    offered = captures.offer(name)
    requests = (
        rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=captures.text(name))),
    )
    bob = await house.knock("bob", one_connection=True, requests=requests)
    told = await bob.hear()
    (answer,) = answers(told)
    assert heard(answer) == sids
    described = SessionDescription.parse(answer.sdp)
    assert [each.mid for each in described.sections] == [each.mid for each in offered.sections]
    for ours, theirs in zip(described.sections, offered.sections, strict=True):
        # Payload types are the client's, also those of sound: Firefox hears nothing else.
        assert set(ours.formats) <= set(theirs.formats)
        if ours.mid in answer.mid_to_track_id:
            assert ours.direction.value == "sendonly"
            (msid,) = ours.msids
            assert msid.track_id == answer.mid_to_track_id[ours.mid]
            assert msid.stream_id == f"{house.participant('alice').sid}|{msid.track_id}"
        # Of later sections a client offers what the first of their kind was answered with.
        known = {each.uri for each in theirs.extensions if "rtp-stream-id" in each.uri}
        assert known <= {each.uri for each in ours.extensions}


async def test_the_high_profile_of_h264_is_never_sent(house: House) -> None:
    alice = await attend(house, "alice")
    alice.announce("video", "cam")
    alice.sendings["cam"] = sending("video", "cam", mime="video/H264")
    await alice.renegotiate()
    bob = await come(house, "bob")
    (answer,) = answers(await bob.hear())
    assert len(answer.mid_to_track_id) == 1
    (mid,) = answer.mid_to_track_id
    section = next(e for e in SessionDescription.parse(answer.sdp).sections if e.mid == mid)
    assert "profile-level-id=42" in str(section)
    assert "profile-level-id=64" not in str(section)
    assert "profile-level-id=64" in bob.description().sdp


# --- whole calls


async def test_the_one_connection_makes_active_and_carries_data_both_ways(house: House) -> None:
    alice, bob = await house.visit("alice"), await house.visit("bob")
    assert not alice.join.subscriber_primary
    await alice.connected.wait()
    assert list(house.participant("alice").connections.values()) == [
        house.participant("alice").downlink
    ]
    await trio.sleep(1)
    assert house.participant("alice").state is ParticipantState.ACTIVE
    for sender, receiver, words in ((alice, bob, b"hello"), (bob, alice, b"hello yourself")):
        await sender.send_data(words)
        with trio.fail_after(5):
            while True:
                event = await receiver.events.receive()
                if isinstance(event, DataPacketReceived):
                    break
        assert event.packet.user.payload == words
        assert event.packet.participant_identity == sender.identity


async def test_clients_of_both_paths_hear_each_other(house: House) -> None:
    old = await house.visit("old", one_connection=False)
    new = await house.visit("new")
    voices = [await each.publish_audio() for each in (old, new)]
    await trio.sleep(1)
    for number in range(50):
        for voice in voices:
            voice.send([SILENCE], 960 * number)
        await trio.sleep(0.02)
    await trio.sleep(1)
    for hearer, voice in ((old, voices[1]), (new, voices[0])):
        assert hearer.remote_tracks[voice.sid].received == 50


@pytest.mark.parametrize("one_connection", [False, True])
async def test_subscribers_get_no_transport_wide_numbers(
    house: House, one_connection: bool
) -> None:
    """They would tell twenty times a second when each packet came, which nobody reads."""
    alice = await house.visit("alice")
    bob = await house.visit("bob", one_connection=one_connection)
    camera = await alice.publish_video()
    await trio.sleep(1)
    camera.send(vp8_payloads(synthetic_vp8(2000, key=True), 0), 0)
    await trio.sleep(1)
    packets = bob.remote_tracks[camera.sid].take_packets()
    assert packets
    for packet in packets:
        assert EXTENSION_IDS[ABS_SEND_TIME] in packet.extensions
        assert EXTENSION_IDS[TRANSPORT_CC] not in packet.extensions
