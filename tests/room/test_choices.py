import math

from trio_sfu.room.choices import DEBOUNCE, MAX_CHOICES, Choices
from trio_sfu.room.info import Quality, TrackKind, TrackSettings

VIDEO = TrackKind.VIDEO
LOW = TrackSettings(quality=Quality.LOW)
MEDIUM = TrackSettings(quality=Quality.MEDIUM)
OFF = TrackSettings(disabled=True)


def test_a_choice_counts_after_a_tenth_of_a_second() -> None:
    choices = Choices()
    assert not choices.choose("TR_1", LOW, 10.0)
    assert choices.deadline == 10.0 + DEBOUNCE
    assert choices.take_due(10.05) == {}
    assert choices.take_due(10.0 + DEBOUNCE) == {"TR_1": LOW}
    assert choices.deadline == math.inf
    assert choices.take_due(99.0) == {}


def test_of_many_choices_in_that_time_the_last_counts() -> None:
    choices = Choices()
    for at in range(10):
        choices.choose("TR_1", TrackSettings(width=at + 1), at / 100)
    assert choices.take_due(DEBOUNCE) == {"TR_1": TrackSettings(width=10)}


def test_what_is_to_be_seen_again_counts_at_once_and_nothing_follows() -> None:
    choices = Choices()
    choices.choose("TR_1", LOW, 0.0)
    choices.choose("TR_1", OFF, 0.01)
    assert choices.choose("TR_1", MEDIUM, 0.02)
    assert choices.take_due(9.0) == {}
    assert choices.start("TR_1", VIDEO) == MEDIUM


def test_the_same_choice_again_is_none() -> None:
    choices = Choices()
    choices.choose("TR_1", LOW, 0.0)
    choices.take_due(1.0)
    assert not choices.choose("TR_1", LOW, 2.0)
    assert choices.deadline == math.inf


def test_a_choice_before_its_track_is_what_it_begins_with() -> None:
    choices = Choices()
    choices.choose("TR_1", OFF, 0.0)
    assert choices.start("TR_1", VIDEO) == OFF
    assert choices.start("TR_2", VIDEO) == TrackSettings(quality=Quality.HIGH)


def test_an_adaptive_client_begins_small_and_never_switched_off() -> None:
    choices = Choices(adaptive=True)
    assert choices.start("TR_1", VIDEO) == LOW
    choices.choose("TR_2", TrackSettings(disabled=True, width=640), 0.0)
    assert choices.start("TR_2", VIDEO) == TrackSettings(width=640)
    choices.choose("TR_a", OFF, 0.0)
    assert choices.start("TR_a", TrackKind.AUDIO) == OFF, "nobody adapts to sound"
    # That it was switched off is forgotten: to switch it off is a change again.
    choices.take_due(1.0)
    choices.choose("TR_2", TrackSettings(disabled=True, width=640), 2.0)
    assert choices.take_due(3.0) == {"TR_2": TrackSettings(disabled=True, width=640)}


def test_only_the_latest_choices_are_remembered() -> None:
    choices = Choices()
    for number in range(MAX_CHOICES + 1):
        choices.choose(f"TR_{number}", LOW, 0.0)
    assert choices.start("TR_0", VIDEO) == TrackSettings()
    assert choices.start("TR_1", VIDEO) == LOW
    assert len(choices.take_due(1.0)) == MAX_CHOICES
