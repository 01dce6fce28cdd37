import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.sctp import chunks
from trio_sfu.sctp.chunks import (
    CHUNKS,
    Abort,
    Chunk,
    CookieAck,
    CookieEcho,
    Data,
    Error,
    ForwardTsn,
    Heartbeat,
    HeartbeatAck,
    Init,
    InitAck,
    ReConfig,
    Sack,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    UnknownChunk,
    decode_chunk,
)
from trio_sfu.sctp.packet import MAX_CHUNKS, MTU, Packet
from trio_sfu.sctp.parameters import (
    OtherRequest,
    OutgoingReset,
    Parameter,
    ReconfigurationResponse,
)
from trio_sfu.wire import Reader

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1)
SHORT = st.binary(max_size=40)
PARAMETERS = st.lists(st.builds(Parameter, U16, SHORT), max_size=5).map(tuple)
PAIRS = st.lists(st.tuples(U16, U16), max_size=20).map(tuple)
GAPS = st.lists(
    st.tuples(st.integers(1, 0xFFFF), st.integers(1, 0xFFFF)).map(lambda gap: tuple(sorted(gap))),
    max_size=20,
).map(tuple)
REQUESTS = st.one_of(
    st.builds(OutgoingReset, U32, U32, U32, st.lists(U16, max_size=9).map(tuple)),
    st.builds(ReconfigurationResponse, U32, U32, st.just(()) | st.tuples(U32, U32)),
    st.builds(OtherRequest, st.sampled_from(sorted(OtherRequest.TYPES)), U32, SHORT),
    st.builds(Parameter, st.integers(100, 0xFFFF), SHORT),
)
EACH: dict[type, st.SearchStrategy[Chunk]] = {
    Data: st.builds(Data, U32, U16, U16, U32, SHORT, st.integers(0, 15)),
    Init: st.builds(Init, U32, U32, U16, U16, U32, PARAMETERS),
    InitAck: st.builds(InitAck, U32, U32, U16, U16, U32, PARAMETERS),
    Sack: st.builds(Sack, U32, U32, GAPS, st.lists(U32, max_size=9).map(tuple)),
    Heartbeat: st.builds(Heartbeat, SHORT),
    HeartbeatAck: st.builds(HeartbeatAck, SHORT),
    Abort: st.builds(Abort, PARAMETERS, st.booleans()),
    Shutdown: st.builds(Shutdown, U32),
    ShutdownAck: st.just(ShutdownAck()),
    Error: st.builds(Error, PARAMETERS, st.booleans()),
    CookieEcho: st.builds(CookieEcho, SHORT),
    CookieAck: st.just(CookieAck()),
    ShutdownComplete: st.builds(ShutdownComplete, st.booleans()),
    ReConfig: st.builds(ReConfig, st.lists(REQUESTS, min_size=1, max_size=2).map(tuple)),
    ForwardTsn: st.builds(ForwardTsn, U32, PAIRS),
    UnknownChunk: st.builds(UnknownChunk, st.integers(64, 127), st.integers(0, 255), SHORT),
}
ANY = st.one_of(*EACH.values())

# By hand from the figures of RFC 9260 section 3.3, RFC 3758 and RFC 6525.
VECTORS: list[tuple[str, Chunk]] = [
    (
        "00070013 00000001 0002 0003 00000033 616263 00",
        Data(1, 2, 3, 51, b"abc", Data.BEGIN | Data.END | Data.UNORDERED),
    ),
    (
        "01000018 deadbeef 00100000 0400 0800 00000007 c0000004",
        Init(0xDEADBEEF, 1 << 20, 1024, 2048, 7, (Parameter(0xC000),)),
    ),
    (
        "0300001c 00000010 00010000 0001 0002 0002 0003 00000009 0000000a",
        Sack(16, 65536, ((2, 3),), (9, 10)),
    ),
    ("0601000e 000c 000a 656e6f756768 0000", Abort((Parameter(12, b"enough"),), True)),
    ("07000008 00000005", Shutdown(5)),
    ("0b000004", CookieAck()),
    (
        "82000016 000d0012 00000005 00000004 00000009 0001 0000",
        ReConfig((OutgoingReset(5, 4, 9, (1,)),)),
    ),
    ("82000010 0010000c 00000005 00000001", ReConfig((ReconfigurationResponse(5, 1),))),
    ("c000000c 00000005 0001 0002", ForwardTsn(5, ((1, 2),))),
]


def decode(data: bytes) -> Chunk:
    reader = Reader(data)
    chunk = decode_chunk(reader)
    reader.end()
    return chunk


def test_the_strategies_cover_the_table() -> None:
    assert set(EACH) == {*CHUNKS.values(), UnknownChunk}


@given(ANY)
def test_every_chunk_is_read_as_it_was_written(chunk: Chunk) -> None:
    data = chunk.encode()
    assert len(data) % 4 == 0
    assert decode(data) == chunk


@pytest.mark.parametrize(("text", "chunk"), VECTORS)
def test_chunks_look_as_in_the_figures(text: str, chunk: Chunk) -> None:
    data = bytes.fromhex(text)
    encoded = chunk.encode()
    assert decode(data) == chunk
    assert encoded == data


@given(st.binary(max_size=80))
def test_arbitrary_bytes_raise_only_wire_error(data: bytes) -> None:
    try:
        decode_chunk(Reader(data))
    except WireError:
        pass


@given(ANY, st.data())
def test_what_is_cut_short_raises_only_wire_error(chunk: Chunk, data: st.DataObject) -> None:
    encoded = chunk.encode()
    cut = data.draw(st.integers(0, len(encoded) - 1))
    try:
        decode_chunk(Reader(encoded[:cut]))
    except WireError:
        pass


@pytest.mark.parametrize(
    "text",
    [
        "00030003",  # a length that does not hold its own header
        "00030014 00000001 00000000 00000000 01",  # DATA longer than the packet
        "0003000c 00000001 00000000",  # DATA shorter than its header
        "01000018 00000001 00000000 0001 0001 00000001 c0000003",  # a parameter of 3 bytes
        "01000018 00000001 00000000 0001 0001 00000001 c0000000",  # and of none
        "03000010 00000001 00000000 ffff 0000",  # more gap blocks than there are
        "03000014 00000001 00000000 0001 0000 0003 0002",  # a gap that ends before it begins
        "03000014 00000001 00000000 0001 0000 0000 0002",  # a gap at the cumulative TSN
        "0b000008 00000000",  # COOKIE ACK with a value
        "82000004",  # RE-CONFIG about nothing
        "c000000a 00000005 0001 0000",  # half a pair
    ],
)
def test_what_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        decode_chunk(Reader(bytes.fromhex(text)))


@given(U16, U16, U32, st.lists(ANY, min_size=1, max_size=8).map(tuple))
def test_packets_are_read_as_they_were_written(
    source: int, destination: int, tag: int, several: tuple[Chunk, ...]
) -> None:
    packet = Packet(source, destination, tag, several)
    assert Packet.decode(Reader(packet.encode())) == packet


@given(st.lists(ANY, min_size=1, max_size=4).map(tuple), st.integers(0), st.integers(1, 255))
def test_one_changed_byte_is_noticed(several: tuple[Chunk, ...], at: int, change: int) -> None:
    data = bytearray(Packet(5000, 5000, 1, several).encode())
    data[at % len(data)] ^= change
    with pytest.raises(WireError):
        Packet.decode(Reader(bytes(data)))


def test_a_packet_of_too_many_chunks_is_refused() -> None:
    packet = Packet(5000, 5000, 1, (CookieAck(),) * (MAX_CHUNKS + 1))
    with pytest.raises(WireError, match="too many"):
        Packet.decode(Reader(packet.encode()))
    assert (
        len(Packet.decode(Reader(attrs.evolve(packet, chunks=packet.chunks[1:]).encode())).chunks)
        == MAX_CHUNKS
    )


def test_a_full_packet_is_a_multiple_of_four() -> None:
    assert MTU % 4 == 0
    assert chunks.DATA_HEADER == 16


CLEAN = st.one_of(
    *(EACH[kind] for kind in EACH if kind not in (UnknownChunk, Heartbeat, HeartbeatAck)),
    st.builds(Parameter, U16, st.binary(min_size=8, max_size=8)).map(
        lambda info: Heartbeat(info.encode())
    ),
)


@pytest.mark.interop
@given(U16, U16, U32, CLEAN)
def test_aiortc_reads_what_we_write_and_writes_it_the_same(
    source: int, destination: int, tag: int, chunk: Chunk
) -> None:
    other = pytest.importorskip("aiortc.rtcsctptransport", reason="the other implementation")
    data = Packet(source, destination, tag, (chunk,)).encode()
    *header, (theirs,) = other.parse_packet(data)
    assert header == [source, destination, tag]
    assert other.serialize_packet(source, destination, tag, theirs) == data
    for ours, name in (("tsn", "tsn"), ("stream", "stream_id"), ("ssn", "stream_seq")):
        if isinstance(chunk, Data):
            assert getattr(theirs, name) == getattr(chunk, ours)
    if isinstance(chunk, Sack):
        assert tuple(theirs.gaps) == chunk.gaps
        assert tuple(theirs.duplicates) == chunk.duplicates
    if isinstance(chunk, ForwardTsn):
        assert tuple(theirs.streams) == chunk.skipped
    if isinstance(chunk, Init):
        assert [Parameter(*each) for each in theirs.params] == list(chunk.parameters)
