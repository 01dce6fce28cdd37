import pytest

from trio_sfu.ice.states import STATES, Happening, IceState, advance


@pytest.mark.parametrize("state", IceState)
@pytest.mark.parametrize("happening", Happening)
def test_every_happening_in_every_state_is_decided(state: IceState, happening: Happening) -> None:
    assert advance(state, happening) is STATES[state].get(happening, state)


@pytest.mark.parametrize("state", IceState)
def test_proof_connects_whatever_was_before(state: IceState) -> None:
    assert advance(state, Happening.PROOF) is IceState.CONNECTED


@pytest.mark.parametrize("state", IceState)
def test_a_restart_never_makes_things_worse(state: IceState) -> None:
    assert advance(state, Happening.RESTART) not in (IceState.DISCONNECTED, IceState.FAILED)
