"""Accidents that a client asks for."""

import pytest
import trio
from livekit.protocol import models, rtc

from tests.signalling.house import House, kinds

pytestmark = pytest.mark.virtual_time

Action = rtc.LeaveRequest.Action
Reason = models.DisconnectReason


async def test_a_speaker_who_says_nothing_is_loud_for_so_long(house: House) -> None:
    alice, bob = [await house.attend(name) for name in ("alice", "bob")]
    alice.say(simulate=rtc.SimulateScenario(speaker_update=3))
    for caller in (alice, bob):
        (changed,) = await caller.hear_of("speakers_changed")
        (speaker,) = changed.speakers
        assert (speaker.sid, speaker.active) == (house.participant("alice").sid, True)
        assert speaker.level == pytest.approx(0.9)
    await trio.sleep(2.9)
    assert await bob.hear_of("speakers_changed") == []
    await trio.sleep(0.2)
    (changed,) = await bob.hear_of("speakers_changed")
    assert not changed.speakers[0].active


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [("node_failure", Reason.SERVER_SHUTDOWN), ("migration", Reason.MIGRATION)],
)
async def test_who_loses_its_server_hears_nothing_and_cannot_resume(
    house: House, scenario: str, reason: int
) -> None:
    alice, bob = [await house.attend(name) for name in ("alice", "bob")]
    await trio.sleep(4)
    sid = house.participant("alice").sid
    await bob.hear()
    alice.say(simulate=rtc.SimulateScenario(**{scenario: True}))
    assert "leave" not in kinds(await alice.hear())
    with pytest.raises(trio.EndOfChannel):
        alice.responses.receive_nowait()
    (leave,) = await (await house.resume("alice", sid)).hear_of("leave")
    assert leave.action == Action.RECONNECT
    await trio.sleep(4)
    assert (await bob.hear_of("update"))[-1].participants[0].disconnect_reason == reason


@pytest.mark.parametrize(
    ("scenario", "reason", "action"),
    [
        ("server_leave", Reason.SERVER_SHUTDOWN, Action.DISCONNECT),
        ("leave_request_full_reconnect", Reason.STATE_MISMATCH, Action.RECONNECT),
    ],
)
async def test_who_is_sent_away_hears_how(
    house: House, scenario: str, reason: int, action: int
) -> None:
    alice = await house.attend("alice")
    alice.say(simulate=rtc.SimulateScenario(**{scenario: True}))
    (leave,) = await alice.hear_of("leave")
    assert (leave.reason, leave.action) == (reason, action)


@pytest.mark.parametrize("protocol", [0, 1, 2, 7])
async def test_another_candidate_protocol_begins_ice_again(house: House, protocol: int) -> None:
    alice = await house.attend("alice")
    before = house.participant("alice").downlink.local
    alice.say(simulate=rtc.SimulateScenario(switch_candidate_protocol=protocol))
    (offer,) = await alice.hear_of("offer")
    assert before.ufrag not in offer.sdp
    assert house.participant("alice").downlink.local.ufrag in offer.sdp


@pytest.mark.parametrize("scenario", [{"subscriber_bandwidth": 100_000}, {}])
async def test_what_does_nothing_does_no_harm(house: House, scenario: dict[str, int]) -> None:
    alice = await house.attend("alice")
    alice.say(simulate=rtc.SimulateScenario(**scenario))
    assert await alice.hear() == []


async def test_the_next_resume_is_cut_once_it_is_answered(house: House) -> None:
    alice = await house.attend("alice")
    alice.say(simulate=rtc.SimulateScenario(disconnect_signal_on_resume=True))
    await alice.hear()
    first = await house.resume("alice")
    assert {"reconnect", "offer"} <= set(kinds(await first.hear()))
    with pytest.raises(trio.EndOfChannel):
        first.responses.receive_nowait()
    second = await house.resume("alice")
    await second.hear()
    with pytest.raises(trio.WouldBlock):
        second.responses.receive_nowait()


async def test_three_resumes_are_cut_without_a_word(house: House) -> None:
    alice = await house.attend("alice")
    alice.say(simulate=rtc.SimulateScenario(disconnect_signal_on_resume_no_messages=True))
    await alice.hear()
    for _ in range(3):
        silent = await house.resume("alice")
        assert await silent.hear() == []
        with pytest.raises(trio.EndOfChannel):
            silent.responses.receive_nowait()
    again = await house.resume("alice")
    assert "reconnect" in kinds(await again.hear())


async def test_a_resume_that_comes_late_is_not_cut(house: House) -> None:
    alice = await house.attend("alice")
    for scenario in ("disconnect_signal_on_resume", "disconnect_signal_on_resume_no_messages"):
        alice.say(simulate=rtc.SimulateScenario(**{scenario: True}))
    await alice.hear()
    await trio.sleep(5.1)
    again = await house.resume("alice")
    assert "reconnect" in kinds(await again.hear())
    with pytest.raises(trio.WouldBlock):
        again.responses.receive_nowait()
