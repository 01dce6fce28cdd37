import pytest
from livekit.protocol import models, rtc

from tests.signalling.house import House
from trio_sfu.peer.media import Format
from trio_sfu.room import reconcile
from trio_sfu.room.info import TrackSettings
from trio_sfu.room.subscription import Subscription

pytestmark = pytest.mark.virtual_time

VP8 = {96: Format("video/VP8", 90_000), 97: Format("video/rtx", 90_000, repairs=96)}
H264 = {102: Format("video/H264", 90_000)}


async def wanted(house: House) -> Subscription:
    """Bob's subscription to alice's camera, that nobody has answered yet."""
    alice = await house.enter("alice")
    await alice.publish(
        "video", "cid", simulcast_codecs=[rtc.SimulcastCodec(codec="vp8", cid="cid")]
    )
    await house.enter("bob")
    (subscription,) = house.participant("bob").subscriptions.values()
    return subscription


async def test_it_is_bound_by_an_answer_that_takes_its_codec(house: House) -> None:
    subscription = await wanted(house)
    assert not subscription.bound
    assert subscription.bind(VP8, 0.0)
    assert subscription.bound


async def test_an_answer_without_its_codec_does_not_bind_it(house: House) -> None:
    subscription = await wanted(house)
    assert not subscription.bind(H264, 0.0)
    assert not subscription.bound


async def test_binding_again_goes_on_in_the_same_numbers(house: House) -> None:
    """Every answer binds all there is: SRTP must not see a number twice."""
    subscription = await wanted(house)
    subscription.bind(VP8, 0.0)
    forwarder = subscription.forwarder
    assert subscription.bind(VP8, 1.0)
    assert subscription.forwarder is forwarder


async def test_streams_of_two_subscriptions_are_two(house: House) -> None:
    first = await wanted(house)
    room, bob = house.room(), house.participant("bob")
    room.detach(first)
    second = room.attach(bob, first.track)
    assert second is not first
    assert {second.ssrc, second.rtx_ssrc}.isdisjoint({first.ssrc, first.rtx_ssrc})
    assert room.attach(bob, first.track) is second


async def test_settings_before_it_is_bound_are_kept(house: House) -> None:
    subscription = await wanted(house)
    subscription.change(TrackSettings(disabled=True), 0.0)
    subscription.bind(VP8, 0.0)
    assert subscription.forwarder.target is None
    subscription.change(TrackSettings(), 0.0)
    assert subscription.forwarder.target == 0


async def test_nobody_subscribes_to_themselves(house: House) -> None:
    subscription = await wanted(house)
    alice, sid = subscription.track.publisher, subscription.track.sid
    reconcile.ask(house.room(), alice, [sid])
    assert alice.subscriptions == {}
    assert not alice.wanted.wants(sid)


async def test_a_publisher_hears_of_its_first_subscriber_only(house: House) -> None:
    subscription = await wanted(house)
    room = house.room()
    assert not subscription.track.told_subscribed
    room.bound(subscription)
    assert subscription.track.told_subscribed
    assert models.ParticipantInfo.State.Name(subscription.subscriber.state) == "JOINED"
