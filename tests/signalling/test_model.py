"""Whatever happens in a room, everybody knows what happened: see `model`."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.signalling.model import Accident, Act, play

DICE = st.integers(0, 11)
ACCIDENTS = st.builds(Accident, st.sampled_from(Act), st.integers(0, 3), DICE, DICE)
BEGINNING = [Accident(Act.JOIN, 0, 1, 1), Accident(Act.JOIN, 1, 2, 2)]
"""One by each path, both with all rights."""


@settings(max_examples=30, deadline=None)
@given(st.lists(ACCIDENTS, max_size=25))
@example(
    # Who takes the place of somebody that is still there is not who left.
    [
        Accident(Act.PUBLISH, 0, 0),
        Accident(Act.JOIN, 0, 1, 1),
        Accident(Act.PUBLISH, 0, 1),
        Accident(Act.RESUME, 1),
    ]
)
@example(
    # A right that comes back brings back what it took, but no track of the publisher's.
    [
        Accident(Act.PUBLISH, 0, 1),
        Accident(Act.PERMIT, 0, 0, 0),
        Accident(Act.PERMIT, 1, 1, 0),
        Accident(Act.PERMIT, 0, 1, 1),
        Accident(Act.PUBLISH, 0, 1),
        Accident(Act.PERMIT, 1, 1, 1),
    ]
)
def test_everybody_knows_what_happened(accidents: list[Accident]) -> None:
    play([*BEGINNING, *accidents])
