import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dtls.vectors import CHROMIUM_AIORTC
from trio_sfu.dtls.record import (
    DTLS_1_0,
    DTLS_1_2,
    MAX_CIPHERTEXT,
    MAX_SEQUENCE,
    ContentType,
    Record,
)
from trio_sfu.errors import WireError
from trio_sfu.wire import Reader

RECORDS = st.builds(
    Record,
    st.sampled_from(ContentType),
    st.integers(0, 0xFFFF),
    st.integers(0, MAX_SEQUENCE),
    st.binary(max_size=100),
    st.sampled_from((DTLS_1_0, DTLS_1_2)),
)


@given(st.lists(RECORDS, max_size=4))
def test_a_datagram_gives_back_the_records_in_it(records: list[Record]) -> None:
    reader = Reader(b"".join(record.encode() for record in records))
    assert [Record.decode(reader) for _ in records] == records
    reader.end()


@pytest.mark.parametrize("data", [data for _, data in CHROMIUM_AIORTC])
def test_recorded_datagrams_are_read_and_written_alike(data: bytes) -> None:
    reader, written = Reader(data), b""
    while reader:
        written += Record.decode(reader).encode()
    assert written == data


def test_epoch_and_sequence_are_one_number() -> None:
    assert Record(ContentType.ALERT, 1, 2, b"").number == (1 << 48) + 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("18fefd00000000000000000000", "content type"),
        ("16030300000000000000000000", "version 0x0303"),
        ("16fefd000000000000000000", "asked for"),
        ("16fefd000000000000000000020a", "asked for"),
        ("16fefd0000000000000000ffff", "record of 65535 bytes"),
    ],
)
def test_what_is_no_record_is_refused(data: str, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        Record.decode(Reader(bytes.fromhex(data)))


def test_the_longest_record_is_read() -> None:
    record = Record(ContentType.HANDSHAKE, 0, 0, bytes(MAX_CIPHERTEXT))
    assert Record.decode(Reader(record.encode())) == record
