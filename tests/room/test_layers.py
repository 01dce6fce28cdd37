import attrs
import pytest

from trio_sfu.room.info import Layer, Quality, TrackInfo, TrackKind, TrackSettings
from trio_sfu.room.layers import (
    LayerSelector,
    in_spatial_order,
    layer_for,
    quality_for_size,
    spatial_of_quality,
)
from trio_sfu.rtp.payload import Frame

LOW, MEDIUM, HIGH = Quality.LOW, Quality.MEDIUM, Quality.HIGH
KEY, START, REST = Frame(True, True), Frame(False, True), Frame(False, False)


@pytest.mark.parametrize(
    ("present", "layers"),
    [
        ((LOW, MEDIUM, HIGH), (0, 1, 2)),
        ((LOW, MEDIUM), (0, 1, 1)),
        ((LOW, HIGH), (0, 1, 1)),
        ((MEDIUM, HIGH), (0, 0, 1)),
        ((LOW,), (0, 0, 0)),
        ((HIGH,), (0, 0, 0)),
        ((), (0, 0, 0)),
        ((HIGH, LOW, MEDIUM, LOW), (0, 1, 2)),
    ],
)
def test_each_quality_has_a_layer(
    present: tuple[Quality, ...], layers: tuple[int, int, int]
) -> None:
    assert tuple(spatial_of_quality(each, present) for each in (LOW, MEDIUM, HIGH)) == layers


@pytest.mark.parametrize(
    ("present", "layers"),
    [
        ((LOW, MEDIUM, HIGH), (0, 1, 2)),
        ((LOW, MEDIUM), (0, 1, 1)),
        ((LOW, HIGH), (0, 0, 1)),  # not the next above, as where a quality is only wished for
        ((MEDIUM, HIGH), (0, 0, 1)),
        ((HIGH,), (0, 0, 0)),
        ((), (0, 1, 2)),
    ],
)
def test_no_layer_above_the_ceiling_is_aimed_at(
    present: tuple[Quality, ...], layers: tuple[int, int, int]
) -> None:
    info = attrs.evolve(video(), layers=tuple(Layer(quality=each) for each in present))
    found = (layer_for(TrackSettings(), info, ceiling) for ceiling in (LOW, MEDIUM, HIGH))
    assert tuple(found) == (layers if present else (0, 0, 0))
    small = TrackSettings(quality=LOW)
    assert layer_for(small, info, HIGH) == layer_for(small, info)


def video(*sizes: tuple[int, int], width: int = 1280, height: int = 720) -> TrackInfo:
    return TrackInfo(
        sid="TR_V",
        kind=TrackKind.VIDEO,
        width=width,
        height=height,
        simulcast=True,
        layers=tuple(
            Layer(quality=Quality(index), width=each[0], height=each[1])
            for index, each in enumerate(sizes)
        ),
    )


THREE = video((320, 180), (640, 360), (1280, 720))


@pytest.mark.parametrize(
    ("shown", "info", "quality"),
    [
        ((320, 180), THREE, LOW),
        ((355, 200), THREE, LOW),  # nine tenths of what is shown will do
        ((357, 201), THREE, MEDIUM),
        ((640, 360), THREE, MEDIUM),
        ((800, 450), THREE, HIGH),
        ((3840, 2160), THREE, HIGH),
        ((320, 180), video((320, 180), (320, 180), (1280, 720)), MEDIUM),
        ((320, 180), video((320, 180), (320, 180), (320, 180)), HIGH),
        ((320, 180), video(), LOW),
        ((640, 360), video(), MEDIUM),
        ((1280, 720), video(), HIGH),
        ((180, 320), video(width=720, height=1280), LOW),
        ((360, 640), video(width=720, height=1280), MEDIUM),
        ((640, 360), video((640, 360)), LOW),
    ],
)
def test_the_lowest_quality_is_taken_that_fills_what_is_shown(
    shown: tuple[int, int], info: TrackInfo, quality: Quality
) -> None:
    assert quality_for_size(*shown, info) is quality


def test_a_size_on_the_screen_goes_before_a_quality() -> None:
    settings = TrackSettings(quality=HIGH, width=320, height=180)
    assert layer_for(settings, THREE) == 0
    assert layer_for(TrackSettings(quality=MEDIUM), THREE) == 1


def test_without_simulcast_there_is_one_layer() -> None:
    info = TrackInfo(sid="TR_V", kind=TrackKind.VIDEO, layers=THREE.layers)
    assert layer_for(TrackSettings(quality=HIGH), info) == 0


@pytest.mark.parametrize(
    ("rids", "ordered"),
    [
        (("f", "h", "q"), ("q", "h", "f")),
        (("h", "q"), ("q", "h")),
        (("0", "1", "2"), ("2", "1", "0")),
        (("q", "~h", "~f"), ("q", "h", "f")),
        (("low", "high"), ("low", "high")),
        (("f", "x"), ("f", "x")),
        ((), ()),
    ],
)
def test_rids_are_put_in_order_where_their_meaning_is_known(
    rids: tuple[str, ...], ordered: tuple[str, ...]
) -> None:
    assert in_spatial_order(rids) == ordered


def test_a_layer_begins_at_a_key_frame_of_the_target_only() -> None:
    layers = LayerSelector(key_frames=True)
    assert layers.wants_key_frame is None
    layers.set_target(1)
    assert layers.wants_key_frame == 1
    assert not layers.may_begin(0, KEY)
    assert not layers.may_begin(1, START)
    assert not layers.may_begin(1, Frame(True, False))
    assert not layers.may_begin(1, None)
    assert layers.may_begin(1, KEY)
    layers.begin(1)
    assert layers.passes(1) and layers.wants_key_frame is None


def test_the_current_layer_goes_on_until_the_target_begins() -> None:
    layers = LayerSelector(key_frames=True)
    layers.set_target(0)
    layers.begin(0)
    layers.set_target(2)
    assert layers.passes(0) and layers.hears(2) and not layers.hears(1)
    assert layers.wants_key_frame == 2
    layers.begin(2)
    assert not layers.hears(0)


def test_a_layer_can_be_left_at_once() -> None:
    layers = LayerSelector(key_frames=True)
    layers.set_target(2)
    layers.begin(2)
    layers.set_target(2, at_once=True)
    assert layers.passes(2)
    layers.set_target(0, at_once=True)
    assert not layers.passes(2) and not layers.hears(2)
    assert layers.wants_key_frame == 0


def test_after_an_interruption_either_key_frame_will_do() -> None:
    layers = LayerSelector(key_frames=True)
    layers.set_target(0)
    layers.begin(0)
    layers.interrupt()
    assert not layers.passes(0) and layers.wants_key_frame == 0
    layers.set_target(2)
    assert layers.may_begin(0, KEY) and layers.may_begin(2, KEY)
    assert not layers.may_begin(1, KEY)
    layers.begin(0)
    assert layers.passes(0) and layers.wants_key_frame == 2


def test_sound_begins_with_any_packet() -> None:
    layers = LayerSelector(key_frames=False)
    assert not layers.may_begin(0, None)
    layers.set_target(0)
    assert layers.may_begin(0, None) and layers.wants_key_frame is None
    layers.begin(0)
    layers.interrupt()
    assert not layers.passes(0) and layers.may_begin(0, None)
    assert layers.wants_key_frame is None


def test_nothing_passes_without_a_target() -> None:
    layers = LayerSelector(key_frames=True)
    layers.set_target(0)
    layers.begin(0)
    layers.set_target(None)
    assert not layers.hears(0) and not layers.passes(0) and layers.wants_key_frame is None
