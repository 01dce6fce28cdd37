"""Who hears whom, as the clients see it."""

import attrs
import pytest
import trio
from livekit.protocol import models, rtc

from tests.signalling.house import Caller, House, kind_of, kinds, open_house, sending
from trio_sfu.config import LimitConfig, RoomConfig
from trio_sfu.room import reconcile
from trio_sfu.sdp.session import SessionDescription
from trio_sfu.signalling.join import ClientInfo

pytestmark = pytest.mark.virtual_time


def permit(caller: Caller, *listed: rtc.TrackPermission, everybody: bool = False) -> None:
    caller.say(
        subscription_permission=rtc.SubscriptionPermission(
            all_participants=everybody, track_permissions=listed
        )
    )


async def news(caller: Caller) -> tuple[list[tuple[str, bool]], list[str] | None]:
    """What *caller* is told of permissions, and which tracks it then takes, if it is offered."""
    await trio.sleep(1)
    told = await caller.hear()
    updates = [
        (each.subscription_permission_update.track_sid, each.subscription_permission_update.allowed)
        for each in told
        if kind_of(each) == "subscription_permission_update"
    ]
    offers = [each.offer for each in told if kind_of(each) == "offer"]
    flowing = caller.answer_to(offers[-1]) if offers else None
    await trio.testing.wait_all_tasks_blocked()
    return updates, flowing


def subscribe(caller: Caller, *sids: str, wanted: bool = True) -> None:
    caller.say(subscription=rtc.UpdateSubscription(track_sids=sids, subscribe=wanted))


# --- the publisher's permission


async def test_a_subscriber_is_told_that_it_may_hear_with_the_first_offer(house: House) -> None:
    alice, bob = await house.attend("alice"), await house.attend("bob")
    sid = await alice.publish("audio", "cid")
    assert await news(bob) == ([(sid, True)], [sid])


async def test_revoked_and_given_back_a_track_goes_and_comes(house: House) -> None:
    alice, bob = await house.attend("alice"), await house.attend("bob")
    sid = await alice.publish("audio", "cid")
    await news(bob)
    permit(alice)
    assert await news(bob) == ([(sid, False)], [])
    assert house.participant("bob").subscriptions == {}
    permit(alice, everybody=True)
    assert await news(bob) == ([(sid, True)], [sid])
    assert house.participant("bob").subscriptions[sid].bound


@pytest.mark.parametrize("by", ["identity", "sid"])
async def test_somebody_listed_hears_what_is_listed(house: House, by: str) -> None:
    alice = await house.attend("alice")
    callers = {name: await house.attend(name) for name in ("bob", "carol", "dave")}
    sound = await alice.publish("audio", "sound")
    picture = await alice.publish("video", "picture")

    def entry(name: str, **what: object) -> rtc.TrackPermission:
        if by == "identity":
            return rtc.TrackPermission(participant_identity=name, **what)
        return rtc.TrackPermission(participant_sid=house.participant(name).sid, **what)

    permit(alice, entry("bob", all_tracks=True), entry("carol", track_sids=[sound]))
    heard = {name: (await news(caller))[1] for name, caller in callers.items()}
    assert heard == {"bob": [sound, picture], "carol": [sound], "dave": []}


async def test_permissions_hold_for_tracks_and_people_to_come(house: House) -> None:
    alice = await house.attend("alice")
    permit(alice, rtc.TrackPermission(participant_identity="bob", all_tracks=True))
    sid = await alice.publish("audio", "cid")
    bob, carol = await house.knock("bob"), await house.knock("carol")
    assert await bob.answer() == [sid]
    assert await carol.answer() == []
    another = await alice.publish("video", "another")
    await house.activate("bob")
    await house.activate("carol")
    assert (await news(bob))[1] == [sid, another]
    assert house.participant("carol").subscriptions == {}


async def test_a_list_with_nobody_in_it_changes_nothing(house: House) -> None:
    alice, bob = await house.attend("alice"), await house.attend("bob")
    sid = await alice.publish("audio", "cid")
    await news(bob)
    permit(alice, rtc.TrackPermission(all_tracks=True))
    assert await news(bob) == ([], None)
    assert list(house.participant("bob").subscriptions) == [sid]


async def test_a_recorder_hears_everything(house: House) -> None:
    alice = await house.attend("alice")
    recorder = await house.attend("recorder", recorder=True, hidden=True)
    permit(alice)
    sid = await alice.publish("audio", "cid")
    assert await news(recorder) == ([(sid, True)], [sid])


async def test_what_was_declined_does_not_come_with_the_permission(house: House) -> None:
    alice, bob = await house.attend("alice"), await house.attend("bob")
    sid = await alice.publish("audio", "cid")
    await news(bob)
    permit(alice)
    await news(bob)
    subscribe(bob, sid, wanted=False)
    permit(alice, everybody=True)
    await news(bob)
    assert house.participant("bob").subscriptions == {}


# --- wishes before and after their tracks


async def test_a_track_may_be_asked_for_before_it_is_there(house: House) -> None:
    """As when an application tells others of a track sooner than the server does."""
    alice = await house.attend("alice")
    bob = await house.attend("bob", auto_subscribe=False)
    alice.announce("video", "cid")
    (published,) = await alice.hear_of("track_published")
    sid = published.track.sid
    subscribe(bob, sid)
    bob.say(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], disabled=True))
    await trio.sleep(5)
    assert {"offer", "subscription_response"}.isdisjoint(kinds(await bob.hear()))
    alice.sendings["cid"] = sending("video", "cid")
    await alice.renegotiate()
    assert (await news(bob))[1] == [sid]
    assert house.participant("bob").subscriptions[sid].forwarder.target is None


async def test_an_adaptive_client_begins_with_the_lowest_layer(house: House) -> None:
    alice = await house.attend("alice")
    layers = [models.VideoLayer(quality=each, height=180 << each) for each in range(3)]
    bob = await house.attend("bob", adaptive_stream=True)
    alice.announce("video", "cid", layers=layers)
    alice.sendings["cid"] = sending("video", "cid", ssrc=None, rids=("q", "h", "f"))
    sid = await alice.renegotiate()
    await news(bob)
    await bob.hear()
    assert house.participant("bob").subscriptions[sid].forwarder.target == 0
    bob.say(track_setting=rtc.UpdateTrackSettings(track_sids=[sid], width=1280, height=720))
    await trio.sleep(1)
    assert house.participant("bob").subscriptions[sid].forwarder.target == 2


async def test_who_may_hear_again_hears_what_it_wants(house: House) -> None:
    alice, bob = await house.attend("alice"), await house.attend("bob")
    first = await alice.publish("audio", "first")
    second = await alice.publish("audio", "second")
    subscribe(bob, first, wanted=False)
    await news(bob)
    him = house.participant("bob")
    rights = him.who
    him.who = attrs.evolve(rights, grants=attrs.evolve(rights.grants, can_subscribe=False))
    reconcile.rights_changed(house.room(), him)
    assert (await news(bob))[1] == []
    him.who = rights
    reconcile.rights_changed(house.room(), him)
    assert (await news(bob))[1] == [second]


async def test_nobody_hears_more_at_once_than_the_server_lets_them(nursery: trio.Nursery) -> None:
    house = await open_house(nursery, limits=LimitConfig(subscription_limit_audio=1))
    alice, bob = await house.attend("alice"), await house.attend("bob")
    first = await alice.publish("audio", "first")
    second = await alice.publish("audio", "second")
    picture = await alice.publish("video", "picture")
    assert (await news(bob))[1] == [first, picture]
    subscribe(bob, first, wanted=False)
    assert sorted((await news(bob))[1]) == sorted([second, picture])


@pytest.mark.parametrize(("browser", "synced"), [("Chrome", True), ("Firefox", False)])
async def test_what_belongs_together_is_one_stream_where_the_room_wants_it(
    nursery: trio.Nursery, browser: str, synced: bool
) -> None:
    house = await open_house(nursery, RoomConfig(sync_streams=True))
    alice = await house.attend("alice")
    sids = [await alice.publish(kind, kind) for kind in ("audio", "video")]
    bob = await house.knock("bob", client=ClientInfo(browser=browser))
    (offer,) = await bob.hear_of("offer")
    sections = [each for each in SessionDescription.parse(offer.sdp).sections if each.msids]
    assert [each.msids[0].track_id for each in sections] == sids
    streams = [each.msids[0].stream_id for each in sections]
    publisher = house.participant("alice").sid
    alone = [f"{publisher}|{sid}" for sid in sids]
    assert streams == ([f"{publisher}|camera"] * 2 if synced else alone)
