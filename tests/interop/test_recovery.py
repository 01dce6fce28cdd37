"""Stock clients come back, or are told that it is over. Short forms of three scripts."""

import pytest
from calls import need, run

pytestmark = [pytest.mark.interop, pytest.mark.slow]

BUSY = ("--messages=300", "--pause=1500")
"""Pictures of clients that share their machine with other tests pause by themselves."""


@pytest.mark.parametrize(
    ("client", "path"), [("chromium", "v1"), ("chromium", "v0"), ("python", "v1")]
)
def test_a_socket_that_is_cut_is_resumed_and_nothing_is_lost(client: str, path: str) -> None:
    need("python", "server", "chromium", "playwright")
    run(
        "signal_cuts.py",
        f"--client={client}",
        f"--path={path}",
        "--how=closed",
        "--cut=1",
        *BUSY,
    )


@pytest.mark.parametrize("client", ["chromium", "python"])
def test_each_end_has_its_reason(client: str) -> None:
    need("python", "server", "chromium", "playwright")
    run("disconnections.py", f"--client={client}")


@pytest.mark.parametrize("case", ["stopped", "failed"])
def test_a_call_survives(case: str) -> None:
    need("python", "server", "tc")
    run("recoveries.py", "--client=python", f"--case={case}")
