"""Transport-wide feedback: which packets of a transport arrived, and exactly when.

draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1. The sender puts a
number on each packet, across all streams; the receiver says of a run of numbers
which arrived and how long after each other. From that the sender estimates what
the path can take.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |      base sequence number     |      packet status count      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                 reference time                | fb pkt. count |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |          packet chunk         |         packet chunk ...      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  recv delta   |  recv delta   |  recv delta ...               |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Chunks give a symbol for each packet, deltas a time for each that arrived.

The trap is that two bytes of chunk can say "8191 packets are missing": 20 bytes
then describe 65535. So what is decoded names only those that arrived, and each
of them has cost its sender a byte at least. What is missing is what is between.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, Self

import attrs

from trio_sfu.rtp.feedback import TRANSPORT_FEEDBACK
from trio_sfu.wire import Reader

TICK: Final = 0.00025
"""Seconds in the unit of deltas."""
REFERENCE: Final = 256
"""Ticks in the unit of the reference time, 64 ms."""
TICKS_WRAP: Final = 1 << 32
"""The reference time has 24 bits, so ticks are counted modulo this: 12 days."""

_LOST: Final = 0
_SMALL: Final = 1
_LARGE: Final = 2

_HEAD: Final = struct.Struct("!LLHH")
_DELTA: Final = struct.Struct("!h")
_LONGEST_RUN: Final = 0x1FFF
_STATUS_LIMIT: Final = 0xFFFF

Arrival = tuple[int, int]
"""A packet's transport-wide number, 16 bits, and when it came, in ticks."""


@attrs.frozen
class TransportFeedback:
    """When each of *count* packets from *base* on arrived, or that it did not."""

    PACKET_TYPE: ClassVar = TRANSPORT_FEEDBACK
    FORMAT: ClassVar = 15

    sender_ssrc: int
    media_ssrc: int
    base: int
    """The first sequence number spoken of, 16 bits."""
    count: int
    """How many are spoken of."""
    number: int
    """Of this message, 8 bits, so that a lost one is noticed."""
    arrivals: tuple[Arrival, ...]
    """Those that arrived, by sequence number."""

    def statuses(self) -> Iterator[tuple[int, int | None]]:
        """Each packet spoken of, with its ticks; None if it did not arrive.

        There may be 65535: ask rather for what you know to have sent.
        """
        arrived = dict(self.arrivals)
        for step in range(self.count):
            sequence = (self.base + step) & 0xFFFF
            yield sequence, arrived.get(sequence)

    def encode(self) -> bytes:
        """Deltas must fit 16 bits: see `feedback`, which cuts where they would not."""
        reference = self.arrivals[0][1] // REFERENCE if self.arrivals else 0
        symbols = bytearray(self.count)
        deltas = bytearray()
        ticks = reference * REFERENCE
        for sequence, arrived in self.arrivals:
            delta, ticks = _signed(arrived - ticks), arrived
            if 0 <= delta <= 0xFF:
                symbols[(sequence - self.base) & 0xFFFF] = _SMALL
                deltas.append(delta)
            else:
                symbols[(sequence - self.base) & 0xFFFF] = _LARGE
                deltas += delta.to_bytes(2, "big", signed=True)
        chunks = _encode_chunks(bytes(symbols))
        head = _HEAD.pack(self.sender_ssrc, self.media_ssrc, self.base, self.count)
        clock = (reference & 0xFFFFFF) << 8 | self.number
        return head + clock.to_bytes(4, "big") + chunks + deltas

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        sender_ssrc, media_ssrc = reader.u32(), reader.u32()
        base, count = reader.u16(), reader.u16()
        ticks, number = reader.u24() * REFERENCE, reader.u8()
        arrivals: list[Arrival] = []
        sequence = base
        for symbol, length in _decode_chunks(reader, count):
            # A run's deltas are taken before it is believed. The symbol 3 is reserved;
            # like libwebrtc we read it as "no delta".
            if symbol == _SMALL:
                for delta in reader.take(length):
                    ticks += delta
                    arrivals.append((sequence & 0xFFFF, ticks % TICKS_WRAP))
                    sequence += 1
            elif symbol == _LARGE:
                for (delta,) in _DELTA.iter_unpack(reader.take(2 * length)):
                    ticks += delta
                    arrivals.append((sequence & 0xFFFF, ticks % TICKS_WRAP))
                    sequence += 1
            else:
                sequence += length
        # What may follow is padding without its flag, which older peers sent.
        return cls(sender_ssrc, media_ssrc, base, count, number, tuple(arrivals))


def feedback(
    sender_ssrc: int, media_ssrc: int, number: int, arrivals: Sequence[tuple[int, float]]
) -> list[TransportFeedback]:
    """Messages for *arrivals*: numbers that never wrap, ascending, with seconds.

    Mostly one; a silence of more than eight seconds begins another, since no
    delta can express it, and so does a run of more numbers than one can count.
    The first bears *number*, the others those after it.
    """
    runs: list[list[tuple[int, int]]] = []
    for sequence, seconds in arrivals:
        arrival = sequence, round(seconds / TICK)
        if runs and _fits(runs[-1], arrival):
            runs[-1].append(arrival)
        else:
            runs.append([arrival])
    return [
        TransportFeedback(
            sender_ssrc,
            media_ssrc,
            run[0][0] & 0xFFFF,
            run[-1][0] - run[0][0] + 1,
            (number + nth) & 0xFF,
            tuple((sequence & 0xFFFF, ticks % TICKS_WRAP) for sequence, ticks in run),
        )
        for nth, run in enumerate(runs)
    ]


def _signed(ticks: int) -> int:
    """A difference of two counts that wrap, the short way round."""
    return (ticks + TICKS_WRAP // 2) % TICKS_WRAP - TICKS_WRAP // 2


def _fits(run: list[tuple[int, int]], arrival: tuple[int, int]) -> bool:
    (first, _), (_, before) = run[0], run[-1]
    sequence, ticks = arrival
    return sequence - first < _STATUS_LIMIT and -0x8000 <= ticks - before <= 0x7FFF


def _encode_chunks(symbols: bytes) -> bytes:
    """A run where it covers at least what a vector would, else a vector.

    A run chunk is ``0SSn nnnn nnnn nnnn``: symbol S, n times. A vector chunk is
    ``10`` and 14 symbols of one bit, or ``11`` and 7 symbols of two.
    """
    chunks: list[int] = []
    position = 0
    while position < len(symbols):
        symbol = symbols[position]
        run = _run_length(symbols, position)
        window = symbols[position : position + 14]
        if run >= (7 if _LARGE in window else 14) or run == len(symbols) - position:
            chunks.append(symbol << 13 | run)
            position += run
        elif _LARGE in window:
            chunks.append(0xC000 | _packed(window[:7].ljust(7, b"\0"), 2))
            position += 7
        else:
            chunks.append(0x8000 | _packed(window.ljust(14, b"\0"), 1))
            position += 14
    return b"".join(chunk.to_bytes(2, "big") for chunk in chunks)


def _run_length(symbols: bytes, position: int) -> int:
    rest = symbols[position : position + _LONGEST_RUN]
    return len(rest) - len(rest.lstrip(rest[:1]))


def _packed(symbols: bytes, width: int) -> int:
    packed = 0
    for symbol in symbols:
        packed = packed << width | symbol
    return packed


def _decode_chunks(reader: Reader, count: int) -> list[tuple[int, int]]:
    """Runs of (symbol, length), *count* symbols together: as many as chunks can hold."""
    runs: list[tuple[int, int]] = []
    left = count
    while left:
        chunk = reader.u16()
        if chunk < 0x8000:
            found = [(chunk >> 13, chunk & _LONGEST_RUN)]
        elif chunk < 0xC000:
            found = [(chunk >> shift & 1, 1) for shift in range(13, -1, -1)]
        else:
            found = [(chunk >> shift & 3, 1) for shift in range(12, -1, -2)]
        for symbol, length in found:
            length = min(length, left)  # the last chunk may have room to spare
            runs.append((symbol, length))
            left -= length
    return runs
