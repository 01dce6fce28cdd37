"""Every kind of request in every state, and what a client may not do to others by one."""

import random
from collections.abc import Awaitable, Callable

import pytest
import trio
from google.protobuf.descriptor import FieldDescriptor
from livekit.protocol import models, rtc

from tests.signalling.filling import NUMBERS, fill
from tests.signalling.house import Caller, House, kind_of, kinds, sending
from trio_sfu.room.choices import DEBOUNCE
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.wanted import NOT_FOUND, RECHECK
from trio_sfu.sdp.agreement import Receiving, SectionPlan
from trio_sfu.signalling.requests import MAX_LOGGED, MAX_SIDS, REQUESTS

pytestmark = pytest.mark.virtual_time

Reason = rtc.RequestResponse.Reason
KINDS = [field.name for field in rtc.SignalRequest.DESCRIPTOR.fields]
NOT_YET = sorted(set(KINDS) - set(REQUESTS))


async def joined(house: House) -> Caller:
    return await house.enter("alice")


async def active(house: House) -> Caller:
    alice = await house.enter("alice")
    await house.activate("alice")
    return alice


async def publishing_and_subscribed(house: House) -> Caller:
    carol = await house.enter("carol")
    await house.activate("carol")
    await carol.publish("video", "carol's")
    alice = await house.knock("alice")
    await house.activate("alice")
    await alice.answer()
    await alice.publish("audio", "alice's")
    await alice.hear()
    assert house.participant("alice").subscriptions
    return alice


async def awaited(house: House) -> Caller:
    """An offer of ours waits for its answer."""
    alice = await house.knock("alice")
    await alice.hear()
    return alice


STATES = [joined, active, publishing_and_subscribed, awaited]
State = Callable[[House], Awaitable[Caller]]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_request_of_any_kind_is_no_bug(
    house: House, log_lines: list[dict[str, object]], kind: str, state: State
) -> None:
    alice = await state(house)
    bob = await house.enter("bob")
    alice.requests.send_nowait(filled(kind, random.Random(0), empty=True))
    await alice.hear()
    assert_harmless(house, log_lines, bob)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_a_request_says_it_ends_at_most_its_client(
    house: House, log_lines: list[dict[str, object]], kind: str, state: State
) -> None:
    alice = await state(house)
    bob = await house.enter("bob")
    dice = random.Random(f"{kind} {state.__name__}")
    for _ in range(30):
        if "alice" not in house.room().participants:
            alice = await state(house) if state is not publishing_and_subscribed else None
            alice = alice or await house.enter("alice")
        alice.requests.send_nowait(filled(kind, dice))
        await alice.hear()
    assert_harmless(house, log_lines, bob)


def assert_harmless(house: House, lines: list[dict[str, object]], bob: Caller) -> None:
    crashes = [line for line in lines if line["event"] == "crashed and was removed"]
    assert crashes == []
    assert "bob" in house.room().participants
    assert bob.responses.statistics().open_send_channels == 1


@pytest.mark.parametrize("kind", NOT_YET)
async def test_a_kind_that_we_do_not_know_is_passed_over(house: House, kind: str) -> None:
    alice = await joined(house)
    alice.requests.send_nowait(filled(kind, random.Random(1)))
    assert await alice.hear() == []
    assert "alice" in house.room().participants


# --- one by one


@pytest.mark.parametrize("kind", ["offer", "answer"])
async def test_a_description_that_is_none_makes_its_client_rejoin(house: House, kind: str) -> None:
    alice = await awaited(house)
    alice.say(**{kind: rtc.SessionDescription(type=kind, sdp="v=1\nhello")})
    (leave,) = await alice.hear_of("leave")
    assert leave.reason == models.DisconnectReason.STATE_MISMATCH
    assert leave.action == rtc.LeaveRequest.Action.RECONNECT


async def test_a_log_line_is_short_whatever_a_client_wrote(
    house: House, log_lines: list[dict[str, object]]
) -> None:
    alice = await house.knock("alice")
    (offer,) = await alice.hear_of("offer")
    sdp = offer.sdp.replace("a=mid:0", "a=mid:" + "x" * 100_000).replace("actpass", "active")
    alice.say(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=offer.id))
    await alice.hear_of("leave")
    (line,) = [each for each in log_lines if "does not fit" in each["event"]]
    assert len(line["error"]) <= MAX_LOGGED


@pytest.mark.parametrize(
    ("init", "fine"),
    [
        ('{"candidate": "candidate:1 1 udp 1 192.0.2.9 9 typ host", "sdpMid": "0"}', True),
        ('{"candidate": ""}', True),
        ('{"candidate": 5}', False),
        ('["candidate"]', False),
        ("candidate:1 1 udp 1 192.0.2.9 9 typ host", False),
        ("[" * 100_000, False),
        ("", False),
    ],
)
async def test_a_candidate_is_json_or_refused(house: House, init: str, fine: bool) -> None:
    alice = await joined(house)
    alice.say(trickle=rtc.TrickleRequest(candidateInit=init, target="PUBLISHER"))
    refusals = await alice.hear_of("request_response")
    assert [each.reason for each in refusals] == ([] if fine else [Reason.UNCLASSIFIED_ERROR])
    assert "alice" in house.room().participants


async def test_the_end_of_candidates_needs_no_candidate(house: House) -> None:
    alice = await joined(house)
    alice.say(trickle=rtc.TrickleRequest(final=True))
    assert await alice.hear() == []


async def test_muting_what_is_not_there_is_not_found(house: House) -> None:
    alice = await joined(house)
    alice.say(mute=rtc.MuteTrackRequest(sid="TR_nothing", muted=True))
    (refusal,) = await alice.hear_of("request_response")
    assert refusal.reason == Reason.NOT_FOUND
    assert refusal.mute.sid == "TR_nothing"


async def test_nobody_mutes_somebody_elses_track(house: House) -> None:
    alice, mallory = await joined(house), await house.enter("mallory")
    sid = await alice.publish("audio", "cid")
    await mallory.hear()
    mallory.say(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    (refusal,) = await mallory.hear_of("request_response")
    assert refusal.reason == Reason.NOT_FOUND
    assert not house.participant("alice").tracks[sid].info.muted


async def test_a_token_without_the_right_changes_no_metadata(house: House) -> None:
    alice = await joined(house)
    alice.say(update_metadata=rtc.UpdateParticipantMetadata(name="Bob", request_id=77))
    (refusal,) = await alice.hear_of("request_response")
    assert (refusal.reason, refusal.request_id) == (Reason.NOT_ALLOWED, 77)
    assert refusal.update_metadata.name == "Bob"


# --- subscribing


async def publisher_and_listener(house: House, **fields: object) -> tuple[str, Caller]:
    """A track's SID, and somebody active who does not subscribe unasked."""
    alice = await house.enter("alice")
    sid = await alice.publish("video", "cid")
    bob = await house.knock("bob", auto_subscribe=False, **fields)
    await bob.answer()
    await house.activate("bob")
    await bob.hear()
    return sid, bob


@pytest.mark.parametrize("by", ["track_sids", "participant_tracks"])
async def test_a_track_is_subscribed_to_by_request(house: House, by: str) -> None:
    sid, bob = await publisher_and_listener(house)
    assert house.participant("bob").subscriptions == {}
    fields = {
        "track_sids": {"track_sids": [sid]},
        "participant_tracks": {
            "participant_tracks": [
                models.ParticipantTracks(participant_sid="PA_whoever", track_sids=[sid])
            ]
        },
    }[by]
    bob.say(subscription=rtc.UpdateSubscription(subscribe=True, **fields))
    await bob.hear_of("nothing")
    await trio.sleep(1)
    assert await bob.answer() == [sid]
    await bob.hear()
    assert house.participant("bob").subscriptions[sid].bound
    bob.say(subscription=rtc.UpdateSubscription(subscribe=False, **fields))
    await trio.sleep(1)
    assert await bob.answer() == []
    assert house.participant("bob").subscriptions == {}


async def test_a_track_that_does_not_come_is_told_to_be_missing(house: House) -> None:
    heard: list[rtc.SignalResponse] = []
    bob = await house.visit("bob", heard=heard)
    ask = rtc.UpdateSubscription(subscribe=True, track_sids=["TR_none"])
    bob.request(rtc.SignalRequest(subscription=ask))
    await trio.sleep(NOT_FOUND - 1)
    assert "subscription_response" not in kinds(heard)
    await trio.sleep(RECHECK + 99)
    (response,) = [each for each in heard if kind_of(each) == "subscription_response"]
    assert response.subscription_response.track_sid == "TR_none"
    assert response.subscription_response.err == models.SubscriptionError.SE_TRACK_NOTFOUND


async def test_who_may_not_subscribe_does_not_by_request_either(house: House) -> None:
    alice = await house.enter("alice")
    sid = await alice.publish("video", "cid")
    bob = await house.enter("bob", can_subscribe=False)
    bob.say(subscription=rtc.UpdateSubscription(subscribe=True, track_sids=[sid]))
    await bob.hear()
    assert house.participant("bob").subscriptions == {}


async def test_what_was_declined_does_not_come_unasked_when_one_gets_active(
    house: House,
) -> None:
    alice = await house.enter("alice")
    sid = await alice.publish("video", "cid")
    bob = await house.enter("bob")
    assert sid in house.participant("bob").subscriptions
    bob.say(subscription=rtc.UpdateSubscription(subscribe=False, track_sids=[sid]))
    await bob.hear()
    await house.activate("bob")
    assert house.participant("bob").subscriptions == {}
    bob.say(subscription=rtc.UpdateSubscription(subscribe=True, track_sids=[sid]))
    await bob.hear()
    assert sid in house.participant("bob").subscriptions


async def test_a_request_names_at_most_so_many_tracks(house: House) -> None:
    heard: list[rtc.SignalResponse] = []
    bob = await house.visit("bob", heard=heard)
    sids = [f"TR_{number}" for number in range(MAX_SIDS + 200)]
    ask = rtc.UpdateSubscription(subscribe=True, track_sids=sids)
    bob.request(rtc.SignalRequest(subscription=ask))
    await trio.sleep(NOT_FOUND + RECHECK)
    assert kinds(heard).count("subscription_response") == MAX_SIDS


async def test_a_subscribers_codecs_are_its_own_trouble(house: House) -> None:
    """Bob takes no VP8: he is told so, once, and hears all the rest."""
    alice = await house.enter("alice")
    video = await alice.publish("video", "cid")
    audio = await alice.publish("audio", "sound")
    bob = await house.knock("bob")
    flowing = await bob.answer(default=no_video())
    assert flowing == [audio]
    told = await bob.hear()
    (response,) = [
        each.subscription_response for each in told if kind_of(each) == "subscription_response"
    ]
    assert (response.track_sid, response.err) == (
        video,
        models.SubscriptionError.SE_CODEC_UNSUPPORTED,
    )
    assert list(house.participant("bob").subscriptions) == [audio]
    await house.activate("bob")
    await trio.sleep(1)
    assert "subscription_response" not in kinds(await bob.hear())
    assert list(house.participant("bob").subscriptions) == [audio]


def no_video() -> SectionPlan:
    return SectionPlan(receive=Receiving(mimes=("audio/opus",)))


async def test_settings_count_before_and_after_the_subscription(house: House) -> None:
    alice = await house.enter("alice")
    layers = [models.VideoLayer(quality=each, height=180 << each) for each in range(3)]
    alice.announce("video", "cid", layers=layers)
    (published,) = await alice.hear_of("track_published")
    sid = published.track.sid
    alice.sendings["cid"] = sending("video", "cid", ssrc=None, rids=("q", "h", "f"))
    await alice.renegotiate()
    bob = await house.knock("bob")
    bob.say(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], quality="MEDIUM"))
    await bob.answer()
    await bob.hear()
    forwarder = house.participant("bob").subscriptions[sid].forwarder
    assert forwarder.target == 1
    for settings, target in [
        ({"quality": "LOW"}, 0),
        ({"quality": "HIGH"}, 2),
        ({"quality": "OFF"}, None),
        ({"width": 320, "height": 180}, 0),
        ({"width": 640, "height": 360}, 1),
        ({"disabled": True}, None),
        ({"quality": 99}, 2),
    ]:
        bob.say(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], **settings))
        await bob.hear()
        await trio.sleep(DEBOUNCE)
        await bob.hear()
        assert forwarder.target == target, settings


async def test_a_publisher_hears_once_that_somebody_listens(house: House) -> None:
    alice = await house.enter("alice")
    sid = await alice.publish("video", "cid")
    spy = await house.knock("spy", hidden=True)
    await spy.answer()
    await spy.hear()
    assert await alice.hear_of("track_subscribed") == []
    for name in ("bob", "carol"):
        listener = await house.knock(name)
        await listener.answer()
        await listener.hear()
    assert [each.track_sid for each in await alice.hear_of("track_subscribed")] == [sid]


# --- requests of any content


def filled(kind: str, dice: random.Random, *, empty: bool = False) -> rtc.SignalRequest:
    """A request of *kind* with anything that protobuf lets through."""
    request = rtc.SignalRequest()
    field = rtc.SignalRequest.DESCRIPTOR.fields_by_name[kind]
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        getattr(request, kind).SetInParent()
        if not empty:
            fill(getattr(request, kind), dice)
    else:
        setattr(request, kind, dice.choice(NUMBERS))
    return request


def test_a_client_may_give_each_of_its_own_reasons() -> None:
    names = {each.name for each in LeaveReason}
    assert names == set(models.DisconnectReason.keys())
