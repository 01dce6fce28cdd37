import itertools
import math

import pytest

from trio_sfu.room.keyframes import PATIENCE, KeyFrames


def test_nothing_is_due_while_nobody_wants_anything() -> None:
    frames = KeyFrames()
    assert frames.deadline == math.inf and not frames.waiting
    assert frames.take_due(100.0) == []
    frames.served(0)
    assert frames.deadline == math.inf


@pytest.mark.parametrize(("layer", "interval"), [(0, 0.5), (1, 1.0), (2, 1.0)])
def test_however_many_ask_one_request_goes_out_an_interval(layer: int, interval: float) -> None:
    frames, asked = KeyFrames(), []
    for tick in range(400):
        now = 10 + tick / 100
        frames.want(layer, now)
        asked += [now for _ in frames.take_due(now)]
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert asked[0] == 10
    assert gaps == [pytest.approx(interval, abs=0.02)] * len(gaps)
    assert len(gaps) == math.ceil(4 / interval) - 1


def test_a_request_is_repeated_until_it_is_served() -> None:
    frames = KeyFrames()
    frames.want(1, 5.0)
    assert frames.deadline == 5.0
    assert frames.take_due(5.0) == [1]
    assert frames.deadline == 6.0 and frames.waiting
    assert frames.take_due(5.9) == []
    assert frames.take_due(6.0) == [1]
    frames.served(1)
    assert frames.deadline == math.inf and not frames.waiting


def test_who_asks_just_after_a_key_frame_waits_for_the_rest_of_the_interval() -> None:
    frames = KeyFrames()
    frames.want(0, 5.0)
    frames.take_due(5.0)
    frames.served(0)
    frames.want(0, 5.1)
    assert frames.take_due(5.1) == []
    assert frames.deadline == 5.5
    assert frames.take_due(5.5) == [0]


def test_layers_are_asked_for_each_by_itself() -> None:
    frames = KeyFrames()
    frames.want(0, 5.0)
    frames.want(2, 5.2)
    assert frames.take_due(5.2) == [0, 2]
    frames.served(0)
    assert frames.deadline == 6.2


def test_after_a_while_a_layer_is_given_up_but_may_be_wanted_again() -> None:
    frames, now, requests = KeyFrames(), 5.0, 0
    frames.want(0, now)
    while (now := frames.deadline) < math.inf:
        requests += len(frames.take_due(now))
        assert frames.deadline > now
    assert requests == PATIENCE / 0.5 + 1
    assert not frames.waiting
    frames.want(0, 100.0)
    assert frames.take_due(100.0) == [0]
