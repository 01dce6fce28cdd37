import pytest
from configurations import FOLDER, try_file

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_configuration_written_for_livekit_starts_the_server(path) -> None:
    outcome = try_file(path)
    assert not outcome.failure, outcome
    assert all(
        "has no effect: " in warning or "have no effect: " in warning or "is short" in warning
        for warning in outcome.warnings
    )


def test_there_are_livekits_own_and_three_that_users_published() -> None:
    names = {path.stem for path in FILES}
    assert "livekit_sample" in names
    assert len(names) >= 4
