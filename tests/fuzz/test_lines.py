"""How far the corpus reaches, and that it is measured honestly."""

import sys

import pytest

from tests.fuzz import corpus
from tests.fuzz.decoder import Decoder, attempt
from tests.fuzz.decoders import DECODERS
from tests.fuzz.lines import ENOUGH, measure, scope, telling
from trio_sfu.wire import Reader

untraced = pytest.mark.skipif(
    sys.gettrace() is not None, reason="somebody else (a debugger, coverage) traces already"
)


def read_two(data: bytes) -> None:
    reader = Reader(data)
    reader.u16()
    reader.end()


TWO = Decoder(read_two, (b"ab",), ("wire:Reader.u16", "wire:Reader.take", "wire:Reader.end"))


@untraced
def test_seeds_and_corpus_reach_nearly_all_lines_of_each_decoder() -> None:
    """What the long run asks for, again, with the inputs that it found."""
    inputs = {
        name: (*decoder.seeds, *corpus.kept(name), *corpus.failed(name))
        for name, decoder in DECODERS.items()
    }
    reached = measure(DECODERS, inputs, attempt)
    short = {name: each.missing for name, each in reached.items() if each.part < ENOUGH}
    assert not short
    assert all(each.lines for each in reached.values()), "a decoder without lines of its own"


@untraced
def test_lines_that_nothing_reaches_are_told() -> None:
    found = measure({"two": TWO}, {"two": [b"ab"]}, attempt)["two"]
    assert len(found.missing) == 2 and found.part == pytest.approx(1 - 2 / found.lines)
    assert all(each.startswith("wire.py:") for each in found.missing)
    found = measure({"two": TWO}, {"two": [b"ab", b"", b"abc"]}, attempt)["two"]
    assert found.missing == () and found.part == 1


@untraced
def test_only_inputs_that_reach_something_more_are_telling() -> None:
    assert telling(TWO, [b"ab", b"cd", b"", b"a", b"abc"], attempt) == [b"ab", b"", b"abc"]


def test_what_writes_is_no_line_of_a_decoder_unless_it_is_named() -> None:
    module = scope(("dtls.alert",))["dtls.alert"]
    encode = scope(("dtls.alert:Alert.encode",))["dtls.alert"]
    decode = scope(("dtls.alert:Alert.decode",))["dtls.alert"]
    assert decode < module and encode and not encode & module
    assert scope(("dtls.alert", "-dtls.alert:Alert.decode"))["dtls.alert"] == module - decode
    with pytest.raises(AssertionError, match="no function"):
        scope(("dtls.alert", "-dtls.alert:Alert.decoed"))
