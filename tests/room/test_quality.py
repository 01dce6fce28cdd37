"""How good a picture somebody gets, whatever their client asks for."""

import attrs
import pytest
from livekit.protocol import models

from tests.signalling.house import House, open_house, sending
from trio_sfu.config import RoomConfig
from trio_sfu.peer.media import Format
from trio_sfu.room import changes
from trio_sfu.room.info import TrackSettings
from trio_sfu.room.options import RoomOptions
from trio_sfu.room.quality import MAX_QUALITY, Quality, quality_of
from trio_sfu.room.subscription import Subscription

pytestmark = pytest.mark.virtual_time

LOW, MEDIUM, HIGH = Quality.LOW, Quality.MEDIUM, Quality.HIGH
VP8 = {96: Format("video/VP8", 90_000)}
LAYERS = [models.VideoLayer(quality=each, width=320, height=180) for each in (0, 1, 2)]


async def watching(house: House, max_quality: Quality = HIGH) -> Subscription:
    """Bob's subscription to alice's camera of three layers, of which all flow."""
    alice = await house.enter("alice")
    alice.announce("video", "cid", layers=LAYERS)
    alice.sendings["cid"] = sending("video", "cid", ssrc=None, rids=("q", "h", "f"))
    await alice.renegotiate()
    await house.enter("bob", max_quality=max_quality)
    (subscription,) = house.participant("bob").subscriptions.values()
    assert subscription.bind(VP8, 0.0)
    for layer in 0, 1, 2:
        subscription.track.presence.observe(layer, 0.0)
    subscription.retarget(0.0)
    return subscription


def target(subscription: Subscription) -> int | None:
    assert subscription.forwarder is not None
    return subscription.forwarder.target


@pytest.mark.parametrize("quality", [LOW, MEDIUM, HIGH])
async def test_a_token_has_a_ceiling(house: House, quality: Quality) -> None:
    subscription = await watching(house, quality)
    assert target(subscription) == quality
    subscription.change(TrackSettings(width=1280, height=720), 0.0)
    assert target(subscription) == quality
    subscription.change(TrackSettings(quality=LOW), 0.0)
    assert target(subscription) == 0


async def test_the_configuration_has_one_and_the_lowest_counts(nursery) -> None:
    house = await open_house(nursery, RoomConfig(max_quality="medium"))
    assert target(await watching(house)) == 1
    house = await open_house(nursery, RoomConfig(max_quality="medium"))
    assert target(await watching(house, LOW)) == 0


async def test_it_can_be_changed_in_the_middle_of_a_call(house: House) -> None:
    subscription = await watching(house)
    bob = house.participant("bob")
    for quality in LOW, HIGH:
        grants = attrs.evolve(bob.who.grants, max_quality=quality)
        changes.permit(house.room(), bob, grants)
        assert target(subscription) == quality
    for quality in MEDIUM, HIGH:
        house.room().configure(RoomOptions(tags={MAX_QUALITY: quality.name.lower()}))
        assert target(subscription) == quality


def test_words_are_read_in_any_case() -> None:
    assert [quality_of(word) for word in ("low", "Medium", "HIGH", "4k", "")] == [
        LOW,
        MEDIUM,
        HIGH,
        None,
        None,
    ]
