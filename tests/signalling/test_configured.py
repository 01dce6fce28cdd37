"""What the configuration says, as clients meet it."""

import attrs
import pytest
import trio

from tests.signalling.house import House, open_house, sending
from trio_sfu.config import CODECS, RoomConfig
from trio_sfu.sdp.formats import read_formats
from trio_sfu.sdp.session import SessionDescription

pytestmark = pytest.mark.virtual_time


async def answered_mimes(house: House, kind: str, **fields: object) -> list[str]:
    """Announce a track and offer it; the codecs that the answer takes."""
    alice = await house.enter("alice")
    alice.announce(kind, "cid", **fields)
    alice.sendings["cid"] = sending(kind, "cid")
    alice.offer()
    (answer,) = await alice.hear_of("answer")
    sections = SessionDescription.parse(answer.sdp).sections
    (section,) = [each for each in sections if each.kind == kind]
    return [each.mime for each in read_formats(section).values() if each.mime != "video/rtx"]


async def test_only_codecs_that_are_enabled_are_told_and_taken(nursery: trio.Nursery) -> None:
    config = RoomConfig(enabled_codecs=("audio/opus", "video/vp8", "video/H265"))
    house = await open_house(nursery, config)
    bob = await house.knock("bob")
    (join,) = await bob.hear_of("join")
    told = [codec.mime for codec in join.enabled_publish_codecs]
    assert told == ["video/VP8", "audio/opus"]
    assert [codec.mime for codec in join.room.enabled_codecs] == told
    assert await answered_mimes(house, "video") == ["video/VP8"]


async def test_every_codec_is_enabled_unless_some_are(house: House) -> None:
    bob = await house.knock("bob")
    (join,) = await bob.hear_of("join")
    assert tuple(codec.mime for codec in join.enabled_publish_codecs) == CODECS


async def test_clients_are_told_the_region(house: House) -> None:
    house.node.config = attrs.evolve(house.node.config, region="here")
    bob = await house.knock("bob")
    (join,) = await bob.hear_of("join")
    assert (join.server_region, join.server_info.region) == ("here", "here")
