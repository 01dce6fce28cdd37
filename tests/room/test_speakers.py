import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.config import AudioConfig
from trio_sfu.room.speakers import Speaker, Speakers, SpokenLevel

FRAME = 960
"""Timestamp units of 20 ms."""

INTERVAL, THRESHOLD = Speakers().interval, Speakers().threshold


class Microphone:
    """Sends a packet of sound each 20 ms, on one clock for all that share *speakers*."""

    def __init__(self, speakers: Speakers, sid: str, track: str, timestamp: int = 0) -> None:
        self.now = 0.0
        self._speakers, self._sid, self._track = speakers, sid, track
        self._timestamp = timestamp

    def speak(self, level: int, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.packet(level)

    def packet(self, level: int) -> None:
        self._speakers.observe(self._sid, self._track, level, self._timestamp, self.now)
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF
        self.now += 0.02


@pytest.mark.parametrize("timestamp", [0, 0xFFFFFF00])
def test_who_speaks_is_told_and_who_stops_too(timestamp: int) -> None:
    speakers = Speakers()
    alice = Microphone(speakers, "PA_alice", "TR_a", timestamp)
    alice.speak(20, 0.5)
    (speaker,) = speakers.update(alice.now)
    assert speaker.sid == "PA_alice" and speaker.active
    assert speaker.level == 0.125  # two thirds of 10**(-20/20), in eighths, upwards
    assert speakers.speaking("PA_alice") == speaker
    alice.speak(127, 0.8)
    assert speakers.update(alice.now) == [Speaker("PA_alice", 0.0, False)]
    assert speakers.update(alice.now) == []
    assert not speakers.speaking("PA_alice").active


def test_only_changes_are_told() -> None:
    speakers = Speakers()
    alice = Microphone(speakers, "PA_alice", "TR_a")
    alice.speak(6, 4)
    assert len(speakers.update(alice.now)) == 1
    for _ in range(5):
        alice.speak(6, 0.4)
        assert speakers.update(alice.now) == []


def test_loudest_first() -> None:
    speakers = Speakers()
    quiet, loud = Microphone(speakers, "q", "1"), Microphone(speakers, "l", "2")
    quiet.speak(20, 2)
    loud.speak(3, 2)
    assert [each.sid for each in speakers.update(2.0)] == ["l", "q"]


def test_of_two_tracks_of_one_participant_the_louder_counts() -> None:
    speakers = Speakers()
    for track, level in (("1", 30), ("2", 3), ("3", 30)):
        Microphone(speakers, "p", track).speak(level, 2)
    (speaker,) = speakers.update(2.0)
    assert speaker.level > 0.5


@pytest.mark.parametrize(("active", "heard"), [(7, False), (8, True)])
def test_two_fifths_of_a_window_must_be_loud(active: int, heard: bool) -> None:
    """A window has twenty packets; the first packet ever only starts the clock."""
    speakers = Speakers()
    alice = Microphone(speakers, "p", "t")
    alice.packet(127)
    for nth in range(20):
        alice.packet(10 if nth < active else 127)
    assert bool(speakers.update(alice.now)) == heard


@pytest.mark.parametrize(("level", "heard"), [(35, True), (36, False)])
def test_what_is_not_loud_enough_is_not_heard(level: int, heard: bool) -> None:
    speakers = Speakers()
    alice = Microphone(speakers, "p", "t")
    alice.speak(level, 8)  # so that the mean has come up to the level
    alice.speak(34 if heard else level, 2)
    assert bool(speakers.update(alice.now)) == heard


def test_the_level_is_weighed_by_how_much_was_heard_and_smoothed() -> None:
    spoken = SpokenLevel(48000)
    spoken.observe(127, 0, 0.0)
    for nth in range(1, 21):
        spoken.observe(20 if nth <= 10 else 127, nth * FRAME, nth * 0.02)
    # Half of the window, so 6 dB less than 0.1, of which two thirds count the first time.
    assert spoken.level(0.4) == pytest.approx(0.1 / 2 * 2 / 3)
    for nth in range(21, 41):
        spoken.observe(20, nth * FRAME, nth * 0.02)
    assert spoken.level(0.8) == pytest.approx(0.1 * 2 / 3 + 0.1 / 2 * 2 / 3 / 3)


def test_a_track_without_packets_falls_silent() -> None:
    speakers = Speakers()
    alice = Microphone(speakers, "p", "t")
    alice.speak(5, 2)
    assert speakers.update(alice.now)
    assert speakers.update(alice.now + 2 * INTERVAL - 0.03) == []
    assert speakers.update(alice.now + 2 * INTERVAL) == [Speaker("p", 0.0, False)]


def test_a_forgotten_track_is_silent_at_the_next_look() -> None:
    speakers = Speakers()
    alice = Microphone(speakers, "p", "t")
    alice.speak(5, 2)
    speakers.update(alice.now)
    speakers.forget("t")
    assert speakers.update(alice.now) == [Speaker("p", 0.0, False)]


def test_one_loud_packet_after_a_pause_does_not_count_for_the_pause() -> None:
    spoken = SpokenLevel(48000)
    spoken.observe(127, 0, 0.0)
    spoken.observe(20, 10 * 48000, 10.0)
    assert spoken.level(10.0) <= 0.1


def test_late_packets_are_counted_once() -> None:
    spoken = SpokenLevel(48000)
    for nth in (0, 2, 1, 2, 2):
        spoken.observe(5, nth * FRAME, 0.1)
    assert spoken.level(0.1) == 0.0


@given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 2**32 - 1)), max_size=50))
def test_told_levels_are_between_nothing_and_one(packets: list[tuple[int, int]]) -> None:
    speakers = Speakers()
    for nth, (level, timestamp) in enumerate(packets):
        speakers.observe("p", "t", level, timestamp, nth / 50)
        for speaker in speakers.update(nth / 50):
            assert (THRESHOLD <= speaker.level <= 1) == speaker.active


@pytest.mark.parametrize(
    ("config", "heard"),
    [
        (AudioConfig(), True),
        (AudioConfig(active_level=19), False),
        (AudioConfig(min_percentile=60), False),
        (AudioConfig(update_interval=200, min_percentile=60), False),
        (AudioConfig(smooth_intervals=0), True),
    ],
)
def test_thresholds_are_the_configurations(config: AudioConfig, heard: bool) -> None:
    """Every other packet is loud."""
    speakers = Speakers(config)
    for count in range(100):
        speakers.observe("p", "t", 20 if count % 2 else 127, 960 * count, 0.02 * count)
    assert bool(speakers.update(2.0)) == heard
    assert speakers.interval == config.update_interval / 1000
