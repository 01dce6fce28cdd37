"""What the table of decoders is made of, and how one input is tried."""

from collections.abc import Callable
from typing import Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.wire import Reader

STEPS: Final = 24
"""What one input may do to a core, one thing after the other."""


@attrs.frozen
class Decoder:
    """What is tried, real input to begin with, and what it may answer."""

    decode: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    reads: tuple[str, ...] = ()
    """Its own code: modules of `trio_sfu`, or functions and classes of them
    ("ice.stun:ufrag_of"); with a minus sign what is none of it. See `tests.fuzz.lines`."""
    refusals: tuple[type[Exception], ...] = (WireError,)
    """What it may raise; a core (none at all) counts instead."""
    share: float = 1.0
    """Of the inputs of a long run, next to the others': less for what is trivial or slow."""


def decoder(
    decode: Callable[[bytes], object], *seeds: str, reads: tuple[str, ...] = (), share: float = 1.0
) -> Decoder:
    """*seeds* in hexadecimal."""
    return Decoder(decode, tuple(map(bytes.fromhex, seeds)), reads, share=share)


def read(decode: Callable[[Reader], object]) -> Callable[[bytes], object]:
    """A decoder that takes bytes, from one that takes a `Reader`."""
    return lambda data: decode(Reader(data))


def words(
    decode: Callable[[str], object], errors: str = "surrogateescape"
) -> Callable[[bytes], object]:
    """A decoder that takes bytes, from one that takes a text of any characters.

    Half of a surrogate pair among them, as JSON may bring it; *errors* is what becomes of
    what is no UTF-8.
    """
    return lambda data: decode(data.decode("utf-8", errors))


def folder(name: str) -> str:
    """The name of a decoder as that of a file."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def attempt(decoder: Decoder, data: bytes) -> None:
    """One input; raises what the decoder may not."""
    try:
        decoder.decode(data)
    except decoder.refusals:
        pass


class Script:
    """Bytes, read as a list of things to do. It never fails: after the end come zeros.

    So every input means something, and a changed byte changes one thing.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0
        self._steps = STEPS

    def __bool__(self) -> bool:
        """Whether there is another step; each question is one."""
        self._steps -= 1
        return self._steps >= 0 and self._place < len(self._data)

    def byte(self) -> int:
        taken = self.take(1)
        return taken[0] if taken else 0

    def below(self, limit: int) -> int:
        return self.byte() % limit

    def signed(self) -> int:
        return (self.byte() ^ 0x80) - 0x80

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def take(self, count: int) -> bytes:
        taken = self._data[self._place : self._place + count]
        self._place += count
        return taken

    def block(self) -> bytes:
        """Bytes behind their length; 255 stands for all that is left."""
        count = self.byte()
        return self.take(count if count < 255 else len(self._data))
