import itertools
import math

import pytest
import trio
from livekit.protocol import models, rtc

from tests.sdp.captures import OURS
from tests.signalling.house import THEIRS, House, kind_of, sending
from tests.sim import entropy
from trio_sfu.errors import WireError
from trio_sfu.peer.events import DtlsRole
from trio_sfu.sdp.agreement import CLIENT, Sending
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.attributes import Setup
from trio_sfu.sdp.session import Origin, SessionDescription
from trio_sfu.signalling import negotiation
from trio_sfu.signalling.negotiation import (
    ANSWER_TIMEOUT,
    DEBOUNCE_BUSY,
    DEBOUNCE_CALM,
    Downlink,
    Phase,
)

pytestmark = pytest.mark.virtual_time

CAMERA = Sending("video", "PA_a|TR_b", "TR_b", "PA_a|TR_b", "video/VP8", 1, 2)


def downlink(seed: int = 1) -> Downlink:
    return Downlink(OURS, lambda: OURS, entropy(seed))


def answered(sdp: str) -> str:
    offer = SessionDescription.parse(sdp)
    agreement = answer(offer, THEIRS, Origin(1, 1), role=CLIENT, setup=Setup.ACTIVE)
    return str(agreement.description)


# --- when to offer


def test_the_first_wish_waits_a_moment_for_others() -> None:
    link = downlink()
    link.want(100.0)
    link.want(100.005)
    assert link.deadline == pytest.approx(100.0 + DEBOUNCE_CALM)
    assert not link.offer_due(100.009)
    assert link.offer_due(link.deadline)


def test_soon_after_an_offer_one_waits_longer() -> None:
    link = downlink()
    link.want(0.0, at_once=True)
    sdp, number, _ = link.offer([], 0.0)
    link.accept(answered(sdp), number, 0.05)
    link.want(0.1)
    assert link.deadline == pytest.approx(0.1 + DEBOUNCE_BUSY)
    link.offer([], 0.25)
    link.accept(answered(sdp), 0, 0.3)
    link.want(1.0)
    assert link.deadline == pytest.approx(1.0 + DEBOUNCE_CALM)


def test_at_once_does_not_wait() -> None:
    link = downlink()
    link.want(5.0)
    link.want(5.0, at_once=True)
    assert link.offer_due(5.0)


def test_what_changes_while_an_answer_is_awaited_is_offered_after_it() -> None:
    link = downlink()
    link.want(0.0, at_once=True)
    sdp, number, _ = link.offer([], 0.0)
    for now in (0.1, 0.2):
        link.want(now)
        link.want(now, at_once=True)
        assert not link.offer_due(now + 1)  # one offer at a time
    assert link.phase is Phase.RETRY
    assert link.accept(answered(sdp), number, 0.5)
    assert link.offer_due(0.5)


def test_an_answer_that_does_not_come_is_missed_after_fifteen_seconds() -> None:
    link = downlink()
    link.want(0.0, at_once=True)
    link.offer([], 1.0)
    assert link.deadline == 1.0 + ANSWER_TIMEOUT
    assert not link.timed_out(15.9)
    assert link.timed_out(16.0)
    link.wait_on(16.0)
    assert not link.timed_out(30.9)


@pytest.mark.parametrize("phase", Phase)
def test_in_every_phase_there_is_a_deadline_if_and_only_if_something_is_due(phase: Phase) -> None:
    link = downlink()
    if phase is not Phase.IDLE:
        link.want(0.0, at_once=True)
    if phase in (Phase.WAITING, Phase.RETRY):
        link.offer([], 0.0)
    if phase is Phase.RETRY:
        link.want(0.0)
    assert link.phase is phase
    assert (link.deadline == math.inf) == (phase is Phase.IDLE)
    link.want(0.0)
    assert link.deadline < math.inf


# --- what is offered, and what is answered to it


@pytest.mark.parametrize("seed", range(40))
def test_offers_are_numbered_upwards_from_a_random_one(seed: int) -> None:
    link = downlink(seed)
    numbers = []
    for _ in range(4):
        sdp, number, _ = link.offer([], 0.0)
        numbers.append(number)
        assert link.accept(answered(sdp), number, 0.0)
    assert 1 <= numbers[0] <= 256
    assert numbers == list(itertools.islice(itertools.count(numbers[0]), 4))


def test_an_answer_may_leave_the_number_out_but_not_have_another() -> None:
    link = downlink()
    sdp, number, _ = link.offer([], 0.0)
    assert link.accept(answered(sdp), number + 1, 0.0) is None
    assert link.phase is Phase.WAITING
    assert link.accept(answered(sdp), 0, 0.0) is not None
    assert link.accept(answered(sdp), 0, 0.0) is None  # nobody asked twice


def test_an_answer_that_does_not_fit_is_the_clients_fault() -> None:
    link = downlink()
    link.offer([CAMERA], 0.0)
    other, _, _ = downlink().offer([], 0.0)
    with pytest.raises(WireError):
        link.accept(answered(other), 0, 0.0)


def test_an_offer_says_which_section_carries_what() -> None:
    link = downlink()
    sdp, _, mids = link.offer([CAMERA], 0.0)
    assert mids == {"1": "TR_b"} == link.offered
    assert "a=msid:PA_a|TR_b TR_b\r\n" in sdp
    agreement = link.accept(answered(sdp), 0, 0.0)
    configured = negotiation.configure(agreement)
    (section,) = configured.send
    assert (section.mid, section.ssrc, section.rtx_ssrc) == ("1", 1, 2)
    assert configured.receive == ()
    remote = negotiation.set_remote(agreement)
    assert remote.dtls_role is DtlsRole.SERVER  # the client begins
    assert remote.credentials.ufrag == THEIRS.ufrag


# --- with a session around it


async def test_tracks_that_come_together_are_offered_together(house: House) -> None:
    bob = await house.knock("bob")
    await bob.answer()
    await house.activate("bob")
    await trio.sleep(1)
    alice = await house.enter("alice")
    for number in range(3):
        alice.announce("audio", f"cid {number}")
        alice.sendings[f"cid {number}"] = sending("audio", f"cid {number}")
    await alice.renegotiate()
    await trio.sleep(1)
    assert len(await bob.answer()) == 3


async def test_who_publishes_is_known_before_the_offer_that_carries_it(house: House) -> None:
    bob = await house.knock("bob")
    await bob.answer()
    await house.activate("bob")
    await trio.sleep(5)
    await bob.hear()
    alice = await house.enter("alice")
    await alice.publish("video", "cid")
    await trio.sleep(1)
    told = [each for each in await bob.hear() if kind_of(each) in ("update", "offer")]
    assert [kind_of(each) for each in told] == ["update", "offer"]
    (info,) = told[0].update.participants
    assert list(told[1].offer.mid_to_track_id.values()) == [info.tracks[0].sid]


async def test_one_offer_is_out_at_a_time_and_the_next_follows_its_answer(house: House) -> None:
    bob = await house.knock("bob")
    await house.activate("bob")
    (first,) = await bob.hear_of("offer")
    alice = await house.enter("alice")
    sid = await alice.publish("video", "cid")
    await trio.sleep(5)
    assert await bob.hear_of("offer") == []
    bob.answer_to(first)
    assert await bob.answer() == [sid]


@pytest.mark.parametrize("connected", [True, False])
async def test_a_client_that_does_not_answer_must_rejoin_if_it_is_connected(
    house: House, connected: bool
) -> None:
    bob = await house.enter("bob")
    if connected:
        await house.activate("bob")
    await trio.sleep(ANSWER_TIMEOUT + 0.1)
    leaves = await bob.hear_of("leave")
    if connected:
        (leave,) = leaves
        assert leave.reason == models.DisconnectReason.STATE_MISMATCH
        assert leave.action == rtc.LeaveRequest.Action.RECONNECT
    else:
        assert leaves == []  # it has a minute to connect


async def test_a_section_is_used_again_by_the_next_track_of_its_kind(house: House) -> None:
    bob = await house.knock("bob")
    await bob.answer()
    await house.activate("bob")
    alice = await house.enter("alice")
    for number in range(3):
        cid = f"cid {number}"
        sid = await alice.publish("video", cid)
        await trio.sleep(1)
        assert await bob.answer() == [sid]
        await bob.hear()
        assert house.participant("bob").subscriptions[sid].mid == "1"
        del alice.sendings[cid]
        await alice.renegotiate()
        await trio.sleep(1)
        assert await bob.answer() == []


async def test_a_track_that_ends_while_its_offer_is_out_ends_nothing_else(house: House) -> None:
    alice = await house.enter("alice")
    gone = await alice.publish("video", "gone")
    stays = await alice.publish("audio", "stays")
    bob = await house.knock("bob")
    (offer,) = await bob.hear_of("offer")
    del alice.sendings["gone"]
    await alice.renegotiate()
    assert set(bob.answer_to(offer)) == {gone, stays}
    assert await bob.answer() == [stays]
    assert await bob.hear_of("subscription_response") == []
    assert house.participant("bob").subscriptions[stays].bound


async def test_a_track_subscribed_to_anew_while_its_offer_is_out_waits_for_the_next(
    house: House,
) -> None:
    """The answer is about the old stream; the new one has another SSRC."""
    alice = await house.enter("alice")
    sid = await alice.publish("video", "cid")
    bob = await house.knock("bob")
    (offer,) = await bob.hear_of("offer")
    for subscribe in (False, True):
        bob.say(subscription=rtc.UpdateSubscription(track_sids=[sid], subscribe=subscribe))
    await bob.hear()
    new = house.participant("bob").subscriptions[sid]
    bob.answer_to(offer)
    assert await bob.answer() == [sid]
    await bob.hear()
    assert house.participant("bob").subscriptions[sid] is new
    assert new.bound
