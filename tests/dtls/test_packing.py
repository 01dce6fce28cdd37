from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.dtls.epochs import Epochs
from trio_sfu.dtls.flights import Message
from trio_sfu.dtls.fragments import Fragment, Reassembly
from trio_sfu.dtls.handshake import CHANGE_CIPHER_SPEC, Outbound
from trio_sfu.dtls.packing import MIN_MTU, pack
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.wire import Reader


def flight(sizes: list[int]) -> list[Outbound]:
    return [
        Outbound(
            ContentType.HANDSHAKE,
            0,
            Fragment(Message.CERTIFICATE, sequence, size, 0, bytes((sequence,)) * size),
        )
        for sequence, size in enumerate(sizes)
    ]


@given(st.lists(st.integers(0, 1500), max_size=5), st.integers(MIN_MTU, 1500))
def test_a_flight_fits_into_the_mtu_and_nothing_of_it_is_lost(sizes: list[int], mtu: int) -> None:
    reassembly, numbers = Reassembly(), []
    for datagram in pack(flight(sizes), Epochs(), mtu):
        assert len(datagram) <= mtu
        reader = Reader(datagram)
        while reader:
            record = Record.decode(reader)
            numbers.append(record.sequence)
            reassembly.add(Fragment.decode(Reader(record.payload)))
    assert numbers == list(range(len(numbers)))
    for outbound in flight(sizes):
        assert reassembly.peek() == outbound.payload
        reassembly.drop_next()


def test_a_message_is_cut_to_fill_a_datagram() -> None:
    assert [len(datagram) for datagram in pack(flight([100, 300]), Epochs(), 300)] == [300, 175]


def test_a_message_is_not_cut_for_a_few_bytes() -> None:
    """250 bytes and their headers leave 25: not even the headers of a piece are worth it."""
    sizes = [len(datagram) for datagram in pack(flight([200, 100]), Epochs(), 300)]
    assert sizes == [225, 125]


def test_a_change_cipher_spec_is_never_cut() -> None:
    sizes = [len(each) for each in pack([*flight([270]), CHANGE_CIPHER_SPEC], Epochs(), 300)]
    assert sizes == [295, 14]


def test_no_flight_is_no_datagram() -> None:
    assert pack([], Epochs(), 300) == []
