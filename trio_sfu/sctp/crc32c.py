"""The checksum of every SCTP packet: CRC32c, Castagnoli's polynomial (RFC 9260 appendix A).

Problem: a CRC is the remainder of the whole packet, read as one long polynomial
over GF(2), divided by a polynomial of degree 32. The textbook's table takes one
step for each byte, and a step of Python costs far more than a byte is worth:
1,188 bytes take more than everything else that is done with a packet.

The way out: numbers of any length are the one thing that Python computes at the
speed of C, and a shift with an exclusive or is a multiplication by a power of x.
So we look for *multiples* of the polynomial with very few terms. One is

    x^4656 + x^86 + x^65 + x^50 + x^40 + 1

Modulo the CRC's polynomial it is zero, so x^4656 may be replaced by the five
short terms, whatever it is multiplied with: all that stands above x^4656 is cut
off and added again in five places near the bottom, thousands of bits at a time.
With multiples of degree 2570, 1285, 563 and 310 after it, any packet shrinks to 39
bytes in a dozen operations on long integers, and the textbook's table does the
rest. A full packet costs a tenth of the table's time.

The multiples were found by a search (three exponents of one sum against two of
another, in a dictionary); that they are multiples is checked by a test. Sparser
ones do not exist: Castagnoli's polynomial was chosen because it has no multiple of
four terms below degree 5,275 and none of six below degree 210.

Bit order: the CRC is *reflected*, it takes the lowest bit of each byte first. As a
little-endian integer the first bit on the wire is bit 0, and it is the one with
the *highest* power. Cutting off the top is therefore a shift to the right.
"""

from typing import Final

from trio_sfu.native import choose

__all__ = ["crc32c", "crc32c_by_table"]

POLYNOMIAL: Final = 0x82F63B78
"""x^32 + x^28 + ... + 1 without its first term, reflected (appendix A)."""

FOLDS: Final = (
    (4656, (0, 40, 50, 65, 86)),
    (2570, (0, 16, 38, 76, 80)),
    (1285, (0, 8, 19, 38, 40)),
    (563, (0, 31, 53, 58, 109)),
    (310, (0, 20, 22, 24, 30, 32, 33)),
)
"""(degree, exponents): x^degree is the sum of x^exponent, modulo the polynomial."""

_REST: Final = 39
"""Bytes that hold what the last fold leaves; below this the table is quicker alone."""


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE: Final = tuple(_table_entry(byte) for byte in range(256))


def _advance(register: int, data: bytes) -> int:
    for byte in data:
        register = _TABLE[(register ^ byte) & 0xFF] ^ register >> 8
    return register


def crc32c_by_table(data: bytes) -> int:
    """The textbook's way, one step a byte: what `crc32c` is checked against."""
    return _advance(0xFFFFFFFF, data) ^ 0xFFFFFFFF


def _by_folding(data: bytes) -> int:
    """The CRC32c of *data*; SCTP writes it least significant byte first."""
    if len(data) <= _REST:
        return crc32c_by_table(data)
    # Starting from all ones is the same as inverting the first 32 bits. The 32 zero
    # bits after the last byte are where the remainder gathers: times x^32.
    rest = int.from_bytes(data, "little") ^ 0xFFFFFFFF
    bits = 8 * len(data) + 32
    for degree, exponents in FOLDS:
        while bits > degree:
            cut = min(bits - degree, degree - exponents[-1])
            top = rest & (1 << cut) - 1
            rest >>= cut
            for exponent in exponents:
                rest ^= top << degree - cut - exponent
            bits -= cut
    # Zeros in front of everything change no remainder: fill up to whole bytes.
    last = (rest << 8 * _REST - bits).to_bytes(_REST, "little")
    register = _advance(0, last[:-4])
    return register ^ int.from_bytes(last[-4:], "little") ^ 0xFFFFFFFF


crc32c: Final = choose("crc32c", _by_folding)
"""The CRC32c of some bytes: the native one where there is one."""
