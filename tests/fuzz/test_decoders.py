"""No decoder ever raises anything but its refusal (`WireError`, mostly), whatever it is fed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from tests.fuzz.decoder import attempt, folder
from tests.fuzz.decoders import DECODERS

EXAMPLES = 50
SLOW_EXAMPLES = 8
"""For whole cores, of which one input is a conversation. The long run tries millions."""

each = pytest.mark.parametrize("name", DECODERS)
SLOW = [name for name in DECODERS if DECODERS[name].share < 0.4 and not DECODERS[name].refusals]
fast = pytest.mark.parametrize("name", [name for name in DECODERS if name not in SLOW])
slow = pytest.mark.parametrize("name", SLOW)
bounded = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def damaged(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """One of *seeds*, cut, doubled or changed in a few places."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for place, byte in draw(
        st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=5)
    ):
        if data:
            data[place % len(data)] = byte
    end = draw(st.integers(0, 2 * len(data)))
    return bytes((data + data)[:end])


@fast
@bounded
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_a_refusal(name: str, data: bytes) -> None:
    attempt(DECODERS[name], data)


@fast
@settings(bounded, max_examples=EXAMPLES)
@given(data=st.data())
def test_damaged_packets_raise_nothing_but_a_refusal(name: str, data: st.DataObject) -> None:
    attempt(DECODERS[name], data.draw(damaged(DECODERS[name].seeds)))


@slow
@settings(bounded, max_examples=SLOW_EXAMPLES)
@given(data=st.data())
def test_damaged_conversations_raise_nothing(name: str, data: st.DataObject) -> None:
    attempt(DECODERS[name], data.draw(damaged(DECODERS[name].seeds)))


@each
def test_at_least_one_seed_is_understood(name: str) -> None:
    """Else the damaged copies would test nothing but the first check."""
    decoder, understood = DECODERS[name], 0
    for seed in decoder.seeds:
        try:
            decoder.decode(seed)
        except decoder.refusals:
            continue
        understood += 1
    assert understood


@each
def test_what_once_failed_fails_no_more(name: str) -> None:
    for data in corpus.failed(name):
        attempt(DECODERS[name], data)


def test_files_are_of_decoders_that_there_are() -> None:
    """Else a decoder that gets another name would lose its past."""
    names = {folder(name) for name in DECODERS}
    assert {path.parent.name for path in corpus.REGRESSIONS.glob("*/*")} <= names
    assert {path.stem for path in corpus.CORPUS.glob("*")} <= names
    assert len(names) == len(DECODERS)
