"""Redundant audio from and for those who know it, Opus for the others."""

import pytest
import trio
from livekit.protocol import models

from tests.signalling.house import Caller, House, open_house, sending
from trio_sfu.peer.media import StreamKey
from trio_sfu.room.track import PublishedTrack
from trio_sfu.rtp.packet import RtpPacket, parse, render
from trio_sfu.rtp.payload import red
from trio_sfu.rtp.payload.red import Block
from trio_sfu.sdp.agreement import Receiving, SectionPlan
from trio_sfu.signalling.join import ClientInfo

pytestmark = pytest.mark.virtual_time

ONLY_OPUS = SectionPlan(receive=Receiving(mimes=("audio/opus",)))
BOTH = ("audio/opus", "audio/red")
CLIENTS = {name: ClientInfo(browser=name) for name in ("Chrome", "Firefox", "Safari")}


async def answered(caller: Caller, *, first: str = "audio/opus", **fields: object) -> list[str]:
    """The codecs of the answer to an offer of sound that has *first* before the other."""
    caller.announce("audio", "cid", **fields)
    (other,) = set(BOTH) - {first}
    caller.sendings["cid"] = sending("audio", "cid", mime=first, fallbacks=(other,))
    caller.offer()
    (answer,) = await caller.hear_of("answer")
    (section,) = caller.accept(answer).sections
    return [each.mime for each in section.formats.values()]


@pytest.mark.parametrize("name", CLIENTS)
async def test_who_can_shall_send_repeats(house: House, name: str) -> None:
    caller = await house.enter("alice", client=CLIENTS[name])
    found = await answered(caller)
    assert found[0] == ("audio/red" if name == "Chrome" else "audio/opus")


@pytest.mark.parametrize(
    "fields", [{"disable_red": True}, {"encryption": models.Encryption.Type.GCM}]
)
async def test_nobody_is_asked_for_repeats_that_it_does_not_want_or_nobody_could_take_away(
    house: House, fields: dict[str, object]
) -> None:
    assert (await answered(await house.enter("alice"), **fields))[0] == "audio/opus"


async def offered(caller: Caller) -> list[str]:
    (offer,) = await caller.hear_of("offer")
    return [line for line in offer.sdp.splitlines() if line.startswith("a=rtpmap")]


@pytest.mark.parametrize("name", CLIENTS)
async def test_repeats_are_offered_to_those_who_take_them(house: House, name: str) -> None:
    await answered(await house.enter("alice"))
    formats = await offered(await house.knock("bob", client=CLIENTS[name]))
    opus = "a=rtpmap:111 opus/48000/2"
    red_too = ["a=rtpmap:63 red/48000/2", opus]
    assert formats == (red_too if name == "Chrome" else [opus])


async def test_plain_sound_stays_plain(house: House) -> None:
    await answered(await house.enter("alice"), disable_red=True)
    assert await offered(await house.knock("bob")) == ["a=rtpmap:111 opus/48000/2"]


async def test_plain_sound_gets_repeats_where_the_operator_wants_it(nursery: trio.Nursery) -> None:
    house = await open_house(nursery, active_red=True)
    alice = await house.enter("alice", client=CLIENTS["Firefox"])
    await answered(alice)
    assert len(await offered(await house.knock("bob"))) == 2
    await alice.publish("audio", "no repeats", disable_red=True)
    formats = await offered(await house.knock("carol"))
    assert len(formats) == 3, "two of the first, one of the second"


async def test_another_offer_of_the_same_sound_changes_nothing(house: House) -> None:
    alice = await house.enter("alice")
    await answered(alice)
    (track,) = house.participant("alice").tracks.values()
    for _ in range(2):
        await alice.renegotiate()
    assert list(house.participant("alice").tracks.values()) == [track]


def forward(house: House, track: PublishedTrack, *packets: RtpPacket) -> None:
    now = trio.current_time()
    track.forward(StreamKey(track.info.mid), list(packets), house.room().speakers, now)


def redundant(number: int) -> RtpPacket:
    repeats = [Block(111, 960, b"before")]
    payload = red.encode(repeats, Block(111, 0, b"sound %d" % number))
    frame = red.describe(payload)
    return RtpPacket(63, False, number, 960 * number, 7, {}, payload, number, frame=frame)


async def test_each_hears_the_same_sound_in_the_form_that_it_takes(house: House) -> None:
    await answered(await house.enter("alice"))
    (track,) = house.participant("alice").tracks.values()
    assert track.info.mime == "audio/red"
    bob, carol = await house.knock("bob"), await house.knock("carol")
    await bob.answer(default=ONLY_OPUS)
    await carol.answer()
    await house.activate("bob")
    await house.activate("carol")
    forward(house, track, redundant(1), redundant(2))
    heard = {}
    for name in ("bob", "carol"):
        (subscription,) = house.participant(name).subscriptions.values()
        outgoing = subscription.take(trio.current_time())
        heard[name] = [(each.payload_type, parse(render(each)).payload) for each in outgoing]
    assert heard["bob"] == [(111, b"sound 1"), (111, b"sound 2")]
    assert heard["carol"] == [(63, redundant(1).payload), (63, redundant(2).payload)]
