import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.rtp import nack
from trio_sfu.rtp.nack import NackGenerator


def asked(generator: NackGenerator, rtt: float) -> list[tuple[float, list[int]]]:
    """Everything that is asked for until nothing is left, and when."""
    found = []
    while generator.deadline < math.inf:
        now = generator.deadline
        if taken := generator.take(now, rtt):
            found.append((now, taken))
    return found


def test_a_packet_that_was_only_overtaken_is_not_asked_for() -> None:
    generator = NackGenerator()
    generator.missed(range(5, 7), now=1.0)
    generator.arrived(5)
    generator.arrived(6)
    assert generator.deadline == math.inf
    assert generator.take(2.0) == []


def test_a_missing_packet_is_asked_for_ever_more_slowly_and_then_given_up() -> None:
    generator = NackGenerator()
    generator.missed(range(5, 6), now=0.0)
    times = [when for when, lost in asked(generator, rtt=0.1) if lost == [5]]
    assert times == pytest.approx([0.02, 0.12, 0.245, 0.40125, 0.5965625])
    assert generator.given_up == 1


def test_what_was_asked_for_in_vain_is_told_once() -> None:
    generator = NackGenerator()
    generator.missed(range(5, 7 + nack.MOST), now=0.0)
    generator.take(0.02)
    generator.arrived(8)
    assert generator.take_unanswered() == []
    asked(generator, rtt=0.1)
    unanswered = generator.take_unanswered()
    # The first two were too many from the beginning.
    assert unanswered == [7, *range(9, 7 + nack.MOST)]
    assert generator.take_unanswered() == []


@pytest.mark.parametrize(("rtt", "pause"), [(0.0, 0.020), (3.0, 0.400)])
def test_the_pause_has_bounds(rtt: float, pause: float) -> None:
    generator = NackGenerator()
    generator.missed(range(5, 6), now=0.0)
    (first, _), (second, _), *_ = asked(generator, rtt)
    assert second - first == pytest.approx(pause)


def test_of_very_many_the_oldest_are_given_up() -> None:
    generator = NackGenerator()
    generator.missed(range(50), now=0.0)
    generator.missed(range(60, 1060), now=0.0)
    assert generator.take(0.02) == list(range(960, 1060))
    assert generator.given_up == 950


@given(
    st.lists(
        st.tuples(st.sampled_from(["miss", "arrive", "take"]), st.integers(0, 30)), max_size=80
    )
)
def test_the_deadline_is_never_too_late(steps: list[tuple[str, int]]) -> None:
    generator, now, highest = NackGenerator(), 0.0, 0
    for step, number in steps:
        now += number / 1000
        if step == "miss":
            generator.missed(range(highest + 1, highest + 1 + number), now)
            highest += number + 1
        elif step == "arrive":
            generator.arrived(highest - number)
        else:
            early = now < generator.deadline
            taken = generator.take(now)
            assert not (early and taken)
            assert generator.deadline > now
            assert taken == sorted(taken)
    assert generator.missing <= nack.MOST
    assert (generator.deadline < math.inf) == (generator.missing > 0)
