"""No decoder ever raises anything but `WireError`, whatever it is fed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.decoders import DECODERS
from trio_sfu.errors import WireError

REGRESSIONS = Path(__file__).parent / "regressions"
"""A folder for each decoder (its name, with ``_`` for what is no letter), a file for
each input that once broke it."""

each = pytest.mark.parametrize("name", DECODERS)


def folder(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def attempt(name: str, data: bytes) -> None:
    try:
        DECODERS[name].decode(data)
    except WireError:
        pass


@st.composite
def damaged(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """One of *seeds*, cut, doubled or changed in a few places."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for place, byte in draw(
        st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=5)
    ):
        data[place % len(data)] = byte
    end = draw(st.integers(0, 2 * len(data)))
    return bytes((data + data)[:end])


@each
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_wire_error(name: str, data: bytes) -> None:
    attempt(name, data)


@each
@given(data=st.data())
def test_damaged_packets_raise_only_wire_error(name: str, data: st.DataObject) -> None:
    attempt(name, data.draw(damaged(DECODERS[name].seeds)))


@each
def test_at_least_one_seed_is_understood(name: str) -> None:
    """Else the damaged copies would test nothing but the first check."""
    understood = 0
    for seed in DECODERS[name].seeds:
        try:
            DECODERS[name].decode(seed)
        except WireError:
            continue
        understood += 1
    assert understood


def test_what_once_failed_fails_no_more() -> None:
    names = {folder(name): name for name in DECODERS}
    for path in REGRESSIONS.glob("*/*"):
        attempt(names[path.parent.name], path.read_bytes())
