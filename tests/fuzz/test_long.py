"""The long run's own judgement: what it lets pass, and what it notes."""

import time
from pathlib import Path

import pytest

from tests.fuzz.long import FEWEST, Watch, shares
from trio_sfu.errors import WireError


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch("a decoder", 1000, (WireError,), tmp_path)


def test_a_refusal_is_no_escape(watch: Watch) -> None:
    with watch.input(b"refused"):
        raise WireError
    with watch.input(b"understood"):
        pass
    assert watch.escapes == []


def test_an_escape_is_noted_once_for_each_place_with_the_input_that_did_it(
    watch: Watch, tmp_path: Path
) -> None:
    for data in (b"one", b"two", b"three"):
        with watch.input(data):
            if data == b"three":
                raise KeyError(data)
            raise IndexError(data)
    assert [escape["what"].split()[0] for escape in watch.escapes] == ["IndexError", "KeyError"]
    kept = sorted(path.read_bytes() for path in (tmp_path / "a_decoder").iterdir())
    assert kept == [b"one", b"three"]


def test_an_input_that_takes_too_long_is_cut_short(tmp_path: Path) -> None:
    """It would go on for ever."""
    watch = Watch("a decoder", 1000, (), tmp_path, hang=0.1)
    with watch.input(b"endless"):
        while True:
            try:
                time.process_time()
            except Exception:  # a decoder may swallow what it likes
                pass
    assert watch.escapes[0]["what"].startswith("Hang")


def test_an_input_that_takes_much_memory_is_noted(watch: Watch) -> None:
    with watch.input(b"much"):
        bytearray(b"x") * (1 << 28)
    assert watch.escapes[0]["what"].startswith("MemoryError")


def test_inputs_are_shared_out_by_weight_and_none_goes_without() -> None:
    found = shares({"heavy": 3.0, "light": 1.0, "feather": 1e-9}, 1_000_000)
    assert found == {"heavy": 750_000, "light": 250_000, "feather": FEWEST}
    assert sum(shares({"a": 1, "b": 1, "c": 1}, 10_000_001).values()) >= 10_000_001
