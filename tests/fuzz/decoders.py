"""Every function that reads bytes from the network or a file, in one table.

`test_decoders` feeds each arbitrary bytes and damaged copies of its seeds,
`tests.fuzz.long` whatever finds new paths. Whoever writes a decoder adds a line, here or
in the tables beside this one: codecs of texts in `texts`, whole cores in `machines`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from tests.dtls.vectors import LIVEKIT_HELLO
from tests.fuzz import seals
from tests.fuzz.decoder import Decoder, Script, decoder, read, words
from tests.fuzz.machines.dtls import DTLS
from tests.fuzz.machines.ice import ICE
from tests.fuzz.machines.peer import PEER
from tests.fuzz.machines.sctp import SCTP
from tests.fuzz.protection import PROTECTION
from tests.fuzz.signalling import SIGNALLING
from tests.fuzz.texts import TEXTS
from trio_sfu.client.media import read_ivf, read_ogg_opus
from trio_sfu.dtls.alert import Alert
from trio_sfu.dtls.extensions import Extensions
from trio_sfu.dtls.fragments import Fragment, Reassembly
from trio_sfu.dtls.messages import MESSAGES
from trio_sfu.dtls.record import Record
from trio_sfu.errors import WireError
from trio_sfu.ice import stun
from trio_sfu.ice.candidate import Candidate
from trio_sfu.ice.credentials import parse as parse_credentials
from trio_sfu.peer.demux import protocol_of
from trio_sfu.room.frames import Frame
from trio_sfu.rtp import extensions, packet, rtcp
from trio_sfu.rtp.dependency import DependencyDescriptor, Structure
from trio_sfu.rtp.history import unwrap_rtx
from trio_sfu.rtp.payload import DESCRIBERS, red, vp8
from trio_sfu.sctp.chunks import decode_chunk
from trio_sfu.sctp.dcep import Ack, decode_dcep
from trio_sfu.sctp.packet import Packet
from trio_sfu.wire import Reader

__all__ = ["DECODERS", "Decoder"]


def heard_stun(data: bytes) -> None:
    """A message, and all that is asked of one that came."""
    stun.is_response(data)
    stun.transaction_of(data)
    message = stun.Message.decode(data)
    message.authentic(seals.KEY)
    for attribute in stun.ATTRIBUTES.values():
        message.get(attribute)
    assert message.sealed or not message.authentic(b"")


def sealed_stun(data: bytes) -> None:
    """The same with seals that are right, over whatever attributes."""
    script = Script(data)
    flags, kind = script.byte(), script.u16()
    key = seals.KEY if flags & 1 else None
    heard_stun(seals.stun(kind, bytes(12), script.take(1400), key, fingerprint=not flags & 2))


def candidate(text: str) -> None:
    found = Candidate.decode(text)
    found.is_name, found.ipv6, found.address, found.extension("ufrag")
    again = Candidate.decode(found.encode())
    assert again == found


def descriptors(data: bytes) -> None:
    """Several in a row, each read by the structure that came last."""
    script, structure = Script(data), list[Structure]()
    while script:
        value = script.block()
        last = structure[-1] if structure else None
        found = DependencyDescriptor.decode(value, last)
        found.key_frame
        if found.new_structure:
            structure.append(found.structure)
            for target in range(found.structure.targets):
                found.structure.layers_of(target)


def vp8_renumbered(data: bytes) -> None:
    """What a forwarder does with a payload: only what is a picture's gets so far."""
    found = vp8.parse(data)
    vp8.is_key_frame(data, found)
    renumbered = vp8.renumber(data, found, 0x1234, 0x56, 7)
    assert vp8.parse(renumbered).start == found.start


def reassembled(data: bytes) -> None:
    """Fragments of messages, however they come."""
    reader, reassembly = Reader(data), Reassembly()
    while reader:
        fragment = Fragment.decode(reader)
        fragment.cut(100)
        reassembly.add(fragment)
        while reassembly.peek() is not None:
            reassembly.drop_next()


def sctp_packet(data: bytes) -> None:
    """A packet as it came, or (after an odd byte) the chunks of one with its checksum right."""
    packet = seals.sctp(0x1234, data[1:]) if data[:1] and data[0] & 1 else data[1:]
    Packet.decode(Reader(packet))


def data_channel(data: bytes) -> None:
    """Either of the two messages, and one that must be the second."""
    try:
        Ack.decode(Reader(data))
    except WireError:
        decode_dcep(data)


def alert(reader: Reader) -> str:
    return str(Alert.decode(reader))


def credentials(text: str) -> None:
    ufrag, _, password = text.partition(" ")
    parse_credentials(ufrag, password)


CODEC_SEEDS: Final = (
    "10 1002",
    "90 f0 8234 56 6f 9d012a",
    "90 80 12 11",
    "67 42e01f",
    "7c85 b8",
    "78 0004 6742e01f 0002 68ce",
    "8a 9234 38 01400000 02800168 01 04 01 8249",
    "b8 9234 20 03 02 8249",
    "18 0a0b",
    "20 0a 0e20",
    "",
)

DTLS_BODIES: Final = (
    LIVEKIT_HELLO[25:],
    bytes.fromhex("fefd" + "ab" * 32 + "00 c02b 00 0004 00170000"),
    bytes.fromhex("feff 04 61626364"),
    bytes.fromhex("000006 000003 616263"),
    bytes.fromhex("03 001d 20" + "09" * 32 + "0403 0002 3000"),
    bytes.fromhex("02 4001 0004 04030804 0000"),
    bytes.fromhex("0403 0002 3000"),
    bytes.fromhex("20" + "09" * 32),
    bytes.fromhex("0102030405060708090a0b0c"),
    b"",
)

STUN_WRITES: Final = ("-ice.stun:_text", "-ice.stun:_unsigned", "-ice.stun:Attribute.of")
"""Run at import, and by those who build messages."""


def _media(codec: str) -> str:
    return f"rtp.payload.{codec.removeprefix('video/')}"


def _extension_code(decode: Callable[[Reader], object]) -> str:
    return f"rtp.extensions:{decode.__qualname__}"


DECODERS: Final[Mapping[str, Decoder]] = {
    "datagram": decoder(protocol_of, "0001", "16fe", "8060", "80c8", "40", reads=("peer.demux",)),
    "stun": decoder(
        heard_stun,
        "0001 0058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74"
        "00240004 6e0001ff 80290008 932ff9b151263b36 00060009 6576746a3a68367659202020"
        "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf",
        "0101 000c 2112a442 b7e7a701bc34d686fa87dfae 00200008 0001a147e112a643",
        "0111 0010 2112a442 b7e7a701bc34d686fa87dfae 00090004 00000414 000a0004 00260027",
        reads=("ice.stun", "-ice.stun:ufrag_of", *STUN_WRITES),
    ),
    "stun sealed": decoder(
        sealed_stun,
        "01 0001 00240004 6e0001ff 80290008 932ff9b151263b36 00060009 6576746a3a68367659202020",
        "02 0101 00200014 0002a147 0113a9faa5d3f179bc25f4b5bed2b9d9",
        # What it has in common with the unsealed is measured there.
        reads=(
            "ice.stun:Message.sealed",
            "ice.stun:Message.authentic",
            "ice.stun:Message.get",
        ),
    ),
    "ufrag of a check": decoder(
        stun.ufrag_of,
        "0001 000c 2112a442 b7e7a701bc34d686fa87dfae 00060008 6576746a3a683676",
        reads=("ice.stun:ufrag_of", "ice.stun:is_stun"),
    ),
    "ice candidate": Decoder(
        words(candidate),
        (
            b"candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host generation 0",
            b"2 1 tcp 1 2001:db8::1 9 typ srflx raddr 192.0.2.1 rport 9 tcptype active",
            b"candidate:1 1 udp 1 3e0c7c8e-1d2f-4f0a.local 9 typ host network-cost 10",
        ),
        tuple(
            f"ice.candidate:{name}"
            for name in (
                "Candidate",
                "_numeric",
                "_within",
                "_foundation_checked",
                "_kind_checked",
                "_host_checked",
            )
        ),
    ),
    "ice credentials": Decoder(
        words(credentials),
        (b"evtj VOkJxbRl1RmTxUk/WvJxBt",),
        ("ice.credentials:parse", "ice.credentials:_ice_chars"),
        share=0.2,
    ),
    "rtp": decoder(
        packet.parse,
        "806f 0001 00000010 deadbeef 766f696365",
        "b060 ffff 00000010 deadbeef bede0002 10ff 2261 6263 0000 0102030000 0004",
        "9060 ffff 00000010 deadbeef 10000002 0102ffff 02000000 90",
        reads=("rtp.packet:parse", "rtp.packet:_parse_extensions"),
        share=2.0,
    ),
    "rtx": decoder(unwrap_rtx, "0001 90", reads=("rtp.history:unwrap_rtx",), share=0.1),
    "rtcp": decoder(
        rtcp.decode_compound,
        "80c8 0006 00000001 e000000080000000 0000abcd 00000002 00000100"
        "81ca 0003 00000001 0105 6162632e6400 00",
        "81c9 0007 00000001 00000002 40ffffff 0001abcd 00000010 e0000000 00010000",
        "81cd 0003 00000001 00000002 0001ffff",
        "81ce 0002 00000001 00000002",
        "84ce 0004 00000001 00000000 00000002 07000000",
        "8fce 0005 00000001 00000000 52454d42 0107a120 00000002",
        "8fce 0003 00000001 00000000 41424344",
        "afcd 0006 00000001 00000002 fffe000e 00010002 200a d420 0004 0801 00000002",
        "80cf 0007 00000001 04000002 e000000080000000 05000003 00000002 00010000 00000100",
        "82cb 0003 00000001 00000002 03627965",
        "80cc 0001 61626364",
        reads=(
            "rtp.rtcp",
            "rtp.feedback",
            "rtp.twcc",
            # What only those use who build packets.
            *(
                f"-rtp.rtcp:{name}.count"
                for name in ("SenderReport", "ReceiverReport", "SourceDescription", "Bye")
            ),
            *(
                f"-rtp.twcc:{name}"
                for name in (
                    "TransportFeedback.statuses",
                    "feedback",
                    "_signed",
                    "_fits",
                    "_run_length",
                    "_packed",
                )
            ),
        ),
        share=2.0,
    ),
    "dependency descriptor": decoder(
        partial(DependencyDescriptor.decode, structure=None),
        "c5000180a123af23450422d00211111813f80b3827f81678",
        reads=("rtp.dependency", "-rtp.dependency:Structure.layers_of"),
    ),
    "dependency descriptors": decoder(
        descriptors,
        "18 c5000180a123af23450422d00211111813f80b3827f81678 03 850002 03 860003",
        reads=("rtp.dependency",),
    ),
    **{
        f"extension {uri}": decoder(
            read(decode),
            *("8f", "61", "0102", "123456", "00" * 16),
            reads=(_extension_code(decode),),
            share=0.1,
        )
        for uri, decode in extensions.DECODERS.items()
    },
    **{
        f"payload {mime}": decoder(
            describe,
            *CODEC_SEEDS,
            reads=(_media(mime), *(("-rtp.payload.vp8:renumber",) * (mime == "video/vp8"))),
        )
        for mime, describe in DESCRIBERS.items()
    },
    "vp8 renumbered": decoder(vp8_renumbered, *CODEC_SEEDS, reads=("rtp.payload.vp8",)),
    "payload audio/red": decoder(
        red.decode, "ef 0f0003 6f 616263 646566", reads=("rtp.payload.red:decode",), share=0.5
    ),
    "sctp packet": decoder(
        sctp_packet,
        "00 13881388 00000001 006275b1 0b000004 0003001300000001000200030000003361626300",
        "01 0b000004 0003001300000001000200030000003361626300",
        "01" + "0b000004" * 513,
        "00" + "00" * 16,
        reads=(
            "sctp.packet:Packet.decode",
            "sctp.crc32c:_by_folding",
            "sctp.crc32c:crc32c_by_table",
            "sctp.crc32c:_advance",
        ),
    ),
    "sctp chunk": decoder(
        read(decode_chunk),
        "00030013 00000001 0002 0003 00000033 616263 00",
        "01000020 deadbeef 00100000 0400 0800 00000007 c0000004 8008 0006 82c0 0000",
        "0300001c 00000010 00010000 0001 0002 0002 0003 00000009 0000000a",
        "0601000e 000c 000a 656e6f756768 0000",
        "82000024 000d0012 00000005 00000004 00000009 0001 0000 0010000c 00000005 00000001",
        "82000024 000d0010 00000005 00000004 00000009 0010000f 00000005 00000001 000000 00",
        "82000018 00100014 00000005 00000001 00000007 00000008",
        "82000010 0010000c 00000005 00000001",
        "8200000c 000e0008 00000005",
        "8200000c 00700008 00000005",
        "c000000c 00000005 0001 0002",
        "07000008 00000005",
        "08000004",
        "0e010004",
        "f1000004",
        reads=(
            "sctp.chunks",
            "-sctp.chunks:_frame",
            "-sctp.chunks:Init.find",
            "sctp.parameters",
        ),
        share=2.0,
    ),
    "data channel": decoder(
        data_channel,
        *("03810100 00000000 0006 0000 5f6c6f737379", "02", "02000000"),
        reads=("sctp.dcep",),
    ),
    "data track frame": decoder(
        Frame.decode,
        "18 00 0102 0304 0506 0708090a 616263",
        "1c 00 0001 0000 0000 00000000 0001 0201 ff 000000 61",
        "1c 00 0001 0000 0000 00000000 0000 0000 61",
        reads=("room.frames", "-room.frames:Frame.encode", "-room.frames:with_handle"),
        share=0.2,
    ),
    "dtls record": Decoder(read(Record.decode), (LIVEKIT_HELLO,), ("dtls.record:Record.decode",)),
    "dtls fragment": Decoder(
        read(Fragment.decode), (LIVEKIT_HELLO[13:],), ("dtls.fragments:Fragment.decode",)
    ),
    "dtls reassembly": decoder(
        reassembled,
        "01000003 0000 000000 000001 61 01000003 0000 000002 000001 63"
        "01000003 0000 000000 000003 616263 0e000000 0001 000000 000000",
        reads=("dtls.fragments", "-dtls.fragments:Reassembly.expected"),
        share=2.0,
    ),
    "dtls alert": decoder(read(alert), "0128", "0277", reads=("dtls.alert:Alert",), share=0.2),
    "dtls extensions": Decoder(
        read(Extensions.decode),
        (LIVEKIT_HELLO[-123:],),
        ("dtls.extensions:Extensions.decode", "dtls.extensions:read_numbers"),
    ),
    **{
        f"dtls {kind.name.lower()}": Decoder(
            read(body.decode), DTLS_BODIES, (f"dtls.messages:{body.__name__}.decode",), share=0.5
        )
        for kind, body in MESSAGES.items()
    },
    "ivf file": decoder(
        read_ivf,
        "444b4946 0000 2000 56503830 4001f000 1e000000 01000000 01000000 00000000"
        "03000000 0000000000000000 616263",
        reads=("client.media:read_ivf", "client.media:_u32"),
    ),
    "ogg file": Decoder(
        read_ogg_opus,
        (
            b"OggS" + bytes(22) + b"\x01\x08OpusHead"
            b"OggS" + bytes(22) + b"\x01\x08OpusTags"
            b"OggS" + bytes(22) + b"\x03\x03\x01\x02\xf8\xff\xfe\xfb\xf8\x02",
        ),
        (
            "client.media:read_ogg_opus",
            "client.media:_ogg_packets",
            "client.media:opus_duration",
        ),
    ),
    **PROTECTION,
    **TEXTS,
    **SIGNALLING,
    **DTLS,
    "ice": ICE,
    "sctp": SCTP,
    "peer": PEER,
}
