import pytest

from trio_sfu.room.presence import GONE_AFTER, Presence


def flowing(*layers: int) -> Presence:
    presence = Presence()
    for layer in layers:
        presence.observe(layer, 100.0)
    return presence


@pytest.mark.parametrize(
    ("layers", "wanted", "best"),
    [
        ((), 2, 2),
        ((0, 1, 2), 1, 1),
        ((0,), 2, 0),
        ((0, 1), 2, 1),
        ((2,), 0, 2),
        ((1, 2), 0, 1),
    ],
)
def test_what_flows_and_is_nearest_is_aimed_at(
    layers: tuple[int, ...], wanted: int, best: int
) -> None:
    assert flowing(*layers).best(wanted) == best


def test_a_first_packet_makes_a_layer_present_and_others_do_not_change_it() -> None:
    presence = Presence()
    assert presence.observe(0, 1.0)
    assert not presence.observe(0, 1.1)
    assert presence.observe(2, 1.2)


def test_a_layer_that_stops_while_another_flows_is_gone() -> None:
    presence = flowing(0, 2)
    assert not presence.observe(0, 100.0 + GONE_AFTER)
    assert presence.observe(0, 100.1 + GONE_AFTER)
    assert presence.best(2) == 0


def test_a_publisher_that_sends_nothing_keeps_its_layers() -> None:
    presence = flowing(2)
    assert not presence.observe(2, 500.0)
    assert presence.best(0) == 2
