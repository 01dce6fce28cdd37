"""In which sections a client hears on `/rtc/v1`, and how many more it is asked for."""

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signalling.house import THEIRS
from trio_sfu.sdp.agreement import CLIENT, Sending
from trio_sfu.sdp.attributes import Direction
from trio_sfu.sdp.offer import Offerer
from trio_sfu.sdp.session import MediaSection, SessionDescription
from trio_sfu.signalling.negotiation import DEBOUNCE_BUSY, DEBOUNCE_CALM, QUIET
from trio_sfu.signalling.receivers import FIRST_OFFER, Missing, Receivers

MIMES = {"audio": "audio/opus", "video": "video/VP8"}


def track(sid: str, kind: str = "video", ssrc: int = 1) -> Sending:
    return Sending(kind, f"PA_a|{sid}", sid, sid, MIMES[kind], ssrc)


class Client:
    """What offers the sections."""

    def __init__(self, audios: int = 0, videos: int = 0) -> None:
        self.counts = {"audio": audios, "video": videos}
        self._offerer = Offerer(1, role=CLIENT)

    def add(self, missing: Missing) -> None:
        self.counts["audio"] += missing.audios
        self.counts["video"] += missing.videos

    def offer(self, direction: Direction = Direction.RECVONLY) -> Sequence[MediaSection]:
        text = str(self._offerer.offer(THEIRS, [], self.counts))
        return SessionDescription.parse(text.replace("recvonly", direction.value)).sections


def fitted(receivers: Receivers, client: Client, *tracks: Sending) -> set[str]:
    """Which of *tracks* the next offer of *client* takes, by SID."""
    carried = receivers.fit(client.offer(), tracks)
    receivers.answered(tracks, 0.0)
    return {each.track_id for each in carried.values()}


def began(client: Client, *tracks: Sending) -> Receivers:
    """After *client*'s first offer."""
    receivers = Receivers()
    fitted(receivers, client, *tracks)
    return receivers


# --- how many more


def test_what_the_first_offer_has_room_for_is_not_asked_for() -> None:
    client = Client(audios=3, videos=3)
    receivers = Receivers()
    tracks = [track("TR_A", "audio"), track("TR_V"), track("TR_W")]
    receivers.want(0.0)
    assert fitted(receivers, client, *tracks) == {"TR_A", "TR_V", "TR_W"}
    assert receivers.deadline == math.inf


def test_a_client_that_has_not_begun_is_given_time_to() -> None:
    receivers = Receivers()
    receivers.want(0.0)
    assert receivers.deadline == FIRST_OFFER
    assert receivers.ask([track("TR_V"), track("TR_A", "audio")], FIRST_OFFER) == Missing(1, 1)


def test_without_placeholders_all_is_asked_for_after_the_answer() -> None:
    client = Client()
    receivers = Receivers()
    tracks = [track("TR_A", "audio"), track("TR_V"), track("TR_W")]
    assert fitted(receivers, client, *tracks) == set()
    assert receivers.deadline == 0.0
    missing = receivers.ask(tracks, 0.0)
    assert missing == Missing(1, 2)
    client.add(missing)
    assert fitted(receivers, client, *tracks) == {"TR_A", "TR_V", "TR_W"}
    assert receivers.deadline == math.inf


def test_a_free_section_is_not_asked_for_but_an_offer_is() -> None:
    client = Client(videos=2)
    receivers = began(client)
    receivers.want(10.0)
    assert receivers.deadline == pytest.approx(10 + DEBOUNCE_CALM)
    assert receivers.ask([track("TR_V")], 10.01) == Missing(0, 0)
    assert fitted(receivers, client, track("TR_V")) == {"TR_V"}


def test_a_section_is_asked_for_once() -> None:
    client = Client()
    one, two = track("TR_V"), track("TR_W")
    receivers = began(client)
    receivers.want(10.0)
    assert receivers.ask([one], 10.01) == Missing(0, 1)
    receivers.want(10.2)
    assert receivers.ask([one, two], 10.21) == Missing(0, 1)  # not two: one is on its way
    receivers.want(10.4)
    assert receivers.ask([one, two], 10.41) == Missing(0, 0)  # but the client is to offer


def test_what_a_client_did_not_add_is_asked_for_again_after_its_offer() -> None:
    client = Client()
    receivers = began(client)
    receivers.want(10.0)
    assert receivers.ask([track("TR_V")], 10.01) == Missing(0, 1)
    assert fitted(receivers, client, track("TR_V")) == set()
    assert receivers.ask([track("TR_V")], receivers.deadline) == Missing(0, 1)


def test_nothing_is_asked_for_where_an_offer_came_in_between() -> None:
    client = Client(videos=1)
    receivers = began(client)
    receivers.want(10.0)
    assert fitted(receivers, client, track("TR_V")) == {"TR_V"}
    assert receivers.deadline == math.inf
    assert receivers.ask([track("TR_V")], 10.01) is None


def test_soon_after_one_was_asked_one_waits_longer() -> None:
    client = Client()
    receivers = began(client)
    receivers.want(10.0)
    receivers.ask([track("TR_V")], 10.01)
    receivers.want(10.05)
    assert receivers.deadline == pytest.approx(10.05 + DEBOUNCE_BUSY)
    receivers.want(10.1)  # does not put it off
    assert receivers.deadline == pytest.approx(10.05 + DEBOUNCE_BUSY)


def test_a_client_that_adds_none_is_not_asked_faster_than_it_may_be() -> None:
    client = Client()
    receivers = began(client)
    now, times = 10.0, []
    receivers.want(now)
    for _ in range(5):
        now = receivers.deadline
        assert receivers.ask([track("TR_V")], now) == Missing(0, 1)
        times.append(now)
        receivers.fit(client.offer(), [track("TR_V")])
        receivers.answered([track("TR_V")], now)
    assert all(later - sooner >= QUIET for sooner, later in itertools.pairwise(times))


# --- which section


def test_a_section_is_free_again_only_once_an_answer_said_so() -> None:
    client = Client(videos=1)
    receivers = began(client, track("TR_V"))
    receivers.want(10.0)
    new = track("TR_W")
    assert receivers.ask([new], 10.01) == Missing(0, 1)  # the old one is not free yet
    assert fitted(receivers, client, new) == set()  # now it is told to be
    assert receivers.ask([new], 11.0) is None  # and need not be asked for
    assert fitted(receivers, client, new) == {"TR_W"}


def test_a_track_keeps_its_section() -> None:
    client = Client(videos=3)
    receivers = began(client, track("TR_U"), track("TR_V"))
    before = {each.track_id: mid for mid, each in receivers.carried.items()}
    fitted(receivers, client, track("TR_W"), track("TR_V"))
    after = {each.track_id: mid for mid, each in receivers.carried.items()}
    assert after["TR_V"] == before["TR_V"]
    assert after["TR_W"] not in before.values()


def test_a_track_that_is_subscribed_to_anew_gets_another_section() -> None:
    client = Client(videos=2)
    receivers = began(client, track("TR_V", ssrc=1))
    (before,) = receivers.carried
    assert fitted(receivers, client, track("TR_V", ssrc=2)) == {"TR_V"}
    assert before not in receivers.carried


@pytest.mark.parametrize("direction", [Direction.SENDONLY, Direction.SENDRECV, Direction.INACTIVE])
def test_only_sections_in_which_the_client_only_hears_are_used(direction: Direction) -> None:
    offered = Client(videos=2).offer(direction)
    receivers = Receivers()
    assert receivers.fit(offered, [track("TR_V")]) == {}
    receivers.answered([track("TR_V")], 0.0)
    assert receivers.ask([track("TR_V")], 0.0) == Missing(0, 1)


def test_sound_does_not_go_into_a_section_for_pictures() -> None:
    client = Client(videos=3)
    receivers = began(client, track("TR_A", "audio"))
    assert receivers.carried == {}
    assert receivers.ask([track("TR_A", "audio")], 0.0) == Missing(1, 0)


# --- whatever comes and goes

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["toggle"]), st.integers(0, 5)),
        st.tuples(st.sampled_from(["offer", "ask"]), st.just(0)),
    ),
    max_size=40,
)


@given(steps=STEPS, placeholders=st.integers(0, 3))
def test_everything_gets_a_section_and_none_changes_hands_unseen(
    steps: list[tuple[str, int]], placeholders: int
) -> None:
    client = Client(placeholders, placeholders)
    receivers = Receivers()
    tracks: dict[int, Sending] = {}
    now, most, ssrc = 0.0, 0, 0

    def offer() -> None:
        before = receivers.carried
        fitted(receivers, client, *tracks.values())
        for mid, each in receivers.carried.items():
            if mid in before:
                assert (each.track_id, each.ssrc) == (before[mid].track_id, before[mid].ssrc)
        assert len({each.track_id for each in receivers.carried.values()}) == len(receivers.carried)

    def ask() -> Missing | None:
        missing = receivers.ask(tracks.values(), now)
        if missing is not None:
            client.add(missing)
        return missing

    for step, number in steps:
        now += 1.0
        if step == "toggle":
            ssrc += 1
            kind = "audio" if number % 2 else "video"
            if tracks.pop(number, None) is None:
                tracks[number] = track(f"TR_{number}", kind, ssrc)
            most = max(most, len(tracks))
            receivers.want(now)
        elif step == "offer":
            offer()
        else:
            ask()
    for _ in range(4):  # a client that does what it is asked to needs few rounds
        now += 1.0
        offer()
        if ask() is None:
            break
    offer()
    assert {each.track_id for each in receivers.carried.values()} == {
        each.track_id for each in tracks.values()
    }
    # Of each kind at most those that flow and those that just ended, however long it goes on.
    assert sum(client.counts.values()) <= 2 * placeholders + 2 * 2 * most
