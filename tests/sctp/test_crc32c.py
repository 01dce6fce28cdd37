import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.sctp.crc32c import FOLDS, crc32c, crc32c_by_table

# RFC 3720 (iSCSI) appendix B.4, which uses the same checksum; as numbers, not as bytes.
VECTORS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


@pytest.mark.parametrize(("data", "checksum"), VECTORS)
def test_known_vectors(data: bytes, checksum: int) -> None:
    assert crc32c(data) == crc32c_by_table(data) == checksum


@given(st.binary(max_size=200))
def test_folding_agrees_with_the_table(data: bytes) -> None:
    assert crc32c(data) == crc32c_by_table(data)


@pytest.mark.parametrize("size", [39, 40, 41, 71, 160, 322, 582, 600, 1187, 1188, 1200, 16_384])
def test_folding_agrees_with_the_table_at_every_fold(size: int) -> None:
    data = bytes((7 * index + index // 251) & 0xFF for index in range(size))
    assert crc32c(data) == crc32c_by_table(data)


@pytest.mark.parametrize(("degree", "exponents"), FOLDS)
def test_each_fold_is_a_multiple_of_the_polynomial(degree: int, exponents: tuple[int, ...]) -> None:
    polynomial = 0x11EDC6F41  # Castagnoli's, not reflected
    multiple = 1 << degree
    for exponent in exponents:
        multiple |= 1 << exponent
    while multiple.bit_length() >= polynomial.bit_length():
        multiple ^= polynomial << multiple.bit_length() - polynomial.bit_length()
    assert multiple == 0


@given(st.binary(max_size=2000))
def test_another_implementation_agrees(data: bytes) -> None:
    other = pytest.importorskip("google_crc32c", reason="comes with aiortc")
    assert crc32c(data) == other.value(data)
