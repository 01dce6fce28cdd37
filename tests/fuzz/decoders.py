"""Every function that reads bytes from the network, in one table.

`test_decoders` feeds each arbitrary bytes and damaged copies of its seeds; any
other fuzzer may do the same. Whoever writes a decoder adds a line here.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import attrs

from tests.dtls.vectors import LIVEKIT_HELLO
from tests.sdp import exchange
from tests.sim import entropy
from trio_sfu.dtls.alert import Alert
from trio_sfu.dtls.certificate import generate, public_key
from trio_sfu.dtls.extensions import Extensions
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.messages import MESSAGES
from trio_sfu.dtls.record import Record
from trio_sfu.ice import stun
from trio_sfu.ice.candidate import Candidate
from trio_sfu.rtp import extensions, packet, rtcp
from trio_sfu.rtp.dependency import DependencyDescriptor
from trio_sfu.rtp.payload import DESCRIBERS, red
from trio_sfu.sctp.chunks import decode_chunk
from trio_sfu.sctp.dcep import decode_dcep
from trio_sfu.sctp.packet import Packet
from trio_sfu.wire import Reader


@attrs.frozen
class Decoder:
    """What is tried, and real input to begin with. It may raise `WireError` only."""

    decode: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def decoder(decode: Callable[[bytes], object], *seeds: str) -> Decoder:
    """*seeds* in hexadecimal."""
    return Decoder(decode, tuple(map(bytes.fromhex, seeds)))


def read(decode: Callable[[Reader], object]) -> Callable[[bytes], object]:
    """A decoder that takes bytes, from one that takes a `Reader`."""
    return lambda data: decode(Reader(data))


DECODERS: Final[Mapping[str, Decoder]] = {
    "stun": decoder(
        stun.Message.decode,
        "0001 0058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74"
        "00240004 6e0001ff 80290008 932ff9b151263b36 00060009 6576746a3a68367659202020"
        "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf",
        "0101 000c 2112a442 b7e7a701bc34d686fa87dfae 00200008 0001a147e112a643",
        "0111 0010 2112a442 b7e7a701bc34d686fa87dfae 00090004 00000414 000a0004 00260027",
    ),
    "ufrag of a check": decoder(
        stun.ufrag_of, "0001 000c 2112a442 b7e7a701bc34d686fa87dfae 00060008 6576746a3a683676"
    ),
    "ice candidate": Decoder(
        lambda data: Candidate.decode(data.decode("latin-1")),
        (
            b"candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host generation 0",
            b"2 1 tcp 1 2001:db8::1 9 typ srflx raddr 192.0.2.1 rport 9 tcptype active",
        ),
    ),
    "rtp": decoder(
        packet.parse,
        "806f 0001 00000010 deadbeef 766f696365",
        "b060 ffff 00000010 deadbeef bede0002 10ff 2261 6263 0000 0102030000 0004",
        "9060 ffff 00000010 deadbeef 10000002 0102ffff 02000000 90",
    ),
    "rtcp": decoder(
        rtcp.decode_compound,
        "80c8 0006 00000001 e000000080000000 0000abcd 00000002 00000100"
        "81ca 0003 00000001 0105 6162632e6400 00",
        "81c9 0007 00000001 00000002 40ffffff 0001abcd 00000010 e0000000 00010000",
        "81cd 0003 00000001 00000002 0001ffff",
        "81ce 0002 00000001 00000002",
        "84ce 0004 00000001 00000000 00000002 07000000",
        "8fce 0005 00000001 00000000 52454d42 0107a120 00000002",
        "afcd 0006 00000001 00000002 fffe000e 00010002 200a d420 0004 0801 00000002",
        "80cf 0007 00000001 04000002 e000000080000000 05000003 00000002 00010000 00000100",
        "82cb 0003 00000001 00000002 03627965",
    ),
    "dependency descriptor": decoder(
        partial(DependencyDescriptor.decode, structure=None),
        "c5000180a123af23450422d00211111813f80b3827f81678",
    ),
    **{
        f"extension {uri}": decoder(read(decode), "8f", "61", "0102", "123456", "00" * 16)
        for uri, decode in extensions.DECODERS.items()
    },
    **{
        f"payload {mime}": decoder(
            describe,
            "10 1002",
            "90 f0 8234 56 6f 9d012a",
            "67 42e01f",
            "7c85 b8",
            "78 0004 6742e01f 0002 68ce",
            "8a 9234 38 01400000 02800168 01 04 01 8249",
            "b8 9234 20 03 02 8249",
            "18 0a0b",
            "20 0a 0e20",
        )
        for mime, describe in DESCRIBERS.items()
    },
    "sctp packet": decoder(
        read(Packet.decode),
        "13881388 00000001 006275b1 0b000004 0003001300000001000200030000003361626300",
    ),
    "sctp chunk": decoder(
        read(decode_chunk),
        "00030013 00000001 0002 0003 00000033 616263 00",
        "01000020 deadbeef 00100000 0400 0800 00000007 c0000004 8008 0006 82c0 0000",
        "0300001c 00000010 00010000 0001 0002 0002 0003 00000009 0000000a",
        "0601000e 000c 000a 656e6f756768 0000",
        "82000022 000d0012 00000005 00000004 00000009 0001 0000 0010000c 00000005 00000001",
        "c000000c 00000005 0001 0002",
    ),
    "dtls record": Decoder(read(Record.decode), (LIVEKIT_HELLO,)),
    "dtls fragment": Decoder(read(Fragment.decode), (LIVEKIT_HELLO[13:],)),
    "dtls alert": decoder(read(Alert.decode), "0128"),
    "dtls extensions": Decoder(read(Extensions.decode), (LIVEKIT_HELLO[-123:],)),
    **{
        f"dtls {kind.name.lower()}": Decoder(
            read(body.decode),
            (
                LIVEKIT_HELLO[25:],
                bytes.fromhex("fefd" + "ab" * 32 + "00 c02b 00 0004 00170000"),
                bytes.fromhex("feff 04 61626364"),
                bytes.fromhex("000006 000003 616263"),
                bytes.fromhex("03 001d 20" + "09" * 32 + "0403 0002 3000"),
                bytes.fromhex("02 4001 0004 04030804 0000"),
                bytes.fromhex("0403 0002 3000"),
                bytes.fromhex("20" + "09" * 32),
                bytes.fromhex("0102030405060708090a0b0c"),
            ),
        )
        for kind, body in MESSAGES.items()
        # Nothing is to be read in these two: they are there, or are not.
        if kind.name not in ("HELLO_REQUEST", "SERVER_HELLO_DONE")
    },
    "dtls certificate": Decoder(public_key, (generate(entropy(0), 1_790_000_000.0).der,)),
    "data channel": decoder(
        decode_dcep, "03810100 00000000 0006 0000 5f6c6f737379", "02", "02000000"
    ),
    "payload audio/red": decoder(red.decode, "ef 0f0003 6f 616263 646566"),
    "sdp offer": Decoder(exchange.answered, exchange.OFFERS),
    "sdp answer": Decoder(exchange.accepted, exchange.ANSWERS),
}
