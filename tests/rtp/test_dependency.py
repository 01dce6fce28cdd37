import pytest

from trio_sfu.errors import WireError
from trio_sfu.rtp.dependency import DependencyDescriptor, Indication


def bits(*fields: tuple[int, int]) -> bytes:
    """Fields of (width, value), one after the other, padded with zeros."""
    text = "".join(f"{value:0{width}b}" if width else "" for width, value in fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def head(template: int, frame: int, *, flags: int = 0) -> list[tuple[int, int]]:
    return [(1, 1), (1, 1), (6, template), (16, frame), (5, flags)]


# Two spatial layers of one temporal layer each, two targets, a chain for each.
L2T1_STRUCTURE = [
    *((6, 5), (5, 1)),  # template ids from 5 on, two targets
    *((2, 0), (2, 2), (2, 0), (2, 3)),  # templates: S0, S0, S1, S1
    *((2, 2), (2, 2), (2, 3), (2, 3), (2, 0), (2, 2), (2, 0), (2, 3)),  # indications
    *((1, 0), (1, 1), (4, 1), (1, 0)),  # S0 key frame: none; S0: two back
    *((1, 1), (4, 0), (1, 0), (1, 1), (4, 0), (1, 1), (4, 1), (1, 0)),  # S1: one; one and two
    *((1, 1), (1, 1)),  # two chains: a number below 3 in ns: 2 is "11"
    *((1, 0), (1, 1)),  # the first target by chain 0, the second by chain 1
    *((4, 0), (4, 0), (4, 2), (4, 1), (4, 1), (4, 1), (4, 1), (4, 1)),
    *((1, 1), (16, 639), (16, 359), (16, 1279), (16, 719)),  # resolutions
]


def structured() -> DependencyDescriptor:
    return DependencyDescriptor.decode(
        bits(*head(5, 1, flags=0b10000), *L2T1_STRUCTURE), structure=None
    )


def test_a_key_frame_brings_the_structure() -> None:
    found = structured()
    assert found.key_frame and found.first and found.last and found.frame_number == 1
    assert found.active_targets == 0b11
    assert found.resolution == (640, 360)
    structure = found.structure
    assert [(t.spatial, t.temporal) for t in structure.templates] == [
        (0, 0),
        (0, 0),
        (1, 0),
        (1, 0),
    ]
    assert [t.frame_diffs for t in structure.templates] == [(), (2,), (1,), (1, 2)]
    assert [t.chain_diffs for t in structure.templates] == [(0, 0), (2, 1), (1, 1), (1, 1)]
    assert structure.protected_by == (0, 1)
    assert structure.resolutions == ((640, 360), (1280, 720))
    assert [structure.layers_of(target) for target in range(2)] == [(0, 0), (1, 0)]


def test_most_frames_need_three_bytes() -> None:
    structure = structured().structure
    found = DependencyDescriptor.decode(bytes.fromhex("488001"), structure)
    assert (found.first, found.last, found.frame_number) == (False, True, 0x8001)
    assert found.template is structure.templates[3]
    assert not found.key_frame and found.active_targets is None
    assert found.resolution == (1280, 720)


def test_a_frame_may_differ_from_its_template() -> None:
    fields = [
        *head(6, 9, flags=0b01111),
        *((2, 0b01), (2, 1), (2, 2)),  # active: the first only; discardable, switch
        *((2, 1), (4, 3), (2, 2), (8, 200), (2, 0)),  # four and 201 frames back
        *((8, 7), (8, 255)),
    ]
    found = DependencyDescriptor.decode(bits(*fields), structured().structure)
    assert found.active_targets == 0b01
    assert found.template.indications == (Indication.DISCARDABLE, Indication.SWITCH)
    assert found.template.frame_diffs == (4, 201)
    assert found.template.chain_diffs == (7, 255)


def test_nothing_is_understood_before_a_structure() -> None:
    with pytest.raises(WireError, match="before any structure"):
        DependencyDescriptor.decode(bytes.fromhex("880001"), None)


def test_a_template_that_was_not_announced_is_refused() -> None:
    with pytest.raises(WireError, match="template 4"):
        DependencyDescriptor.decode(bytes.fromhex("840001"), structured().structure)


def test_a_structure_without_end_is_refused() -> None:
    endless = bits(*head(0, 1, flags=0b10000), (6, 0), (5, 0), *((2, 0) for _ in range(200)))
    with pytest.raises(WireError, match="too many dependency templates"):
        DependencyDescriptor.decode(endless, None)


@pytest.mark.parametrize("step", [1, 2])
def test_a_structure_of_too_many_layers_is_refused(step: int) -> None:
    endless = bits(*head(0, 1, flags=0b10000), (6, 0), (5, 0), *((2, step) for _ in range(9)))
    with pytest.raises(WireError, match="too many layers"):
        DependencyDescriptor.decode(endless, None)
