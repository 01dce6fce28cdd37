"""A whole peer: what its client could send once it holds the keys of everything."""

from functools import cache
from typing import Final

from tests.fuzz import seals
from tests.fuzz.decoder import Decoder, Script
from tests.fuzz.machines.clock import START, Clock, Dice, of
from tests.fuzz.machines.copies import duplicate
from tests.fuzz.machines.sctp import OPEN, init_ack
from tests.peer.pair import CLIENT, RECEIVED, SENT, SERVER, WALL, certificate_of, outgoing, voice
from tests.peer.sections import DECLARED, RTX, SIMULCAST, VP8
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.dtls import DtlsConnection
from trio_sfu.dtls import Role as HandshakeRole
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.states import Role
from trio_sfu.peer.events import Configure, DtlsRole, OpenChannel, PeerState, SendData, SetRemote
from trio_sfu.peer.transport import PeerTransport
from trio_sfu.rtp.packet import Outgoing, encode_extensions
from trio_sfu.rtp.srtp import SrtpProfile, SrtpReceiver, SrtpSender
from trio_sfu.sctp.chunks import CookieEcho, Init
from trio_sfu.sctp.packet import Packet
from trio_sfu.wire import Reader

_CREDENTIALS: Final = (Credentials("server", "s" * 24), Credentials("client", "c" * 24))


def _new_sender(_: SrtpSender) -> tuple[object, ...]:
    profile, _, _, key, salt = _srtp_keys()
    return SrtpSender, (profile, key, salt)


def _new_receiver(_: SrtpReceiver) -> tuple[object, ...]:
    profile, key, salt, _, _ = _srtp_keys()
    return SrtpReceiver, (profile, key, salt)


class Other:
    """What a peer's client would hold: its end of DTLS, and by it the keys of all."""

    def __init__(self, peer: PeerTransport) -> None:
        self.peer = peer
        self.clock = Clock(peer)
        self.dtls = DtlsConnection(HandshakeRole.CLIENT, certificate_of(0), Dice(3))
        self.tag = 0
        self.ssrc = bytes(4)
        """Under which the peer speaks as a receiver: the head of SRTCP can be read."""

    def say(self, data: bytes) -> list[bytes]:
        """A datagram to the peer; what it said to us over DTLS, which we hear."""
        self.clock.receive(data, CLIENT, SERVER)
        return self.hear(self.clock.take())

    def hear(self, datagrams: list[bytes]) -> list[bytes]:
        for data in datagrams:
            if data[0] >= 0x80 and data[1] == 201:
                self.ssrc = data[4:8]
            if 20 <= data[0] < 64:
                self.dtls.receive([Datagram(data, INSIDE, INSIDE)], self.clock.now)
        for message in self.dtls.take_application():
            for chunk in Packet.decode(Reader(message)).chunks:
                if type(chunk) is Init:
                    self.tag = chunk.tag
                    self.dtls.send(seals.sctp(self.tag, init_ack()))
                elif isinstance(chunk, CookieEcho):
                    self.dtls.send(seals.sctp(self.tag, b"\x0b\0\0\4"))
        return datagrams

    def check(self, attributes: bytes = b"\0\x25\0\0") -> bytes:
        server, client = _CREDENTIALS
        name = seals.attribute(6, f"{server.ufrag}:{client.ufrag}".encode())
        return seals.stun(1, b"twelve bytes", name + attributes, server.key)


@cache
def _other() -> Other:
    server, client = _CREDENTIALS
    peer = PeerTransport(
        ice_role=Role.LITE,
        credentials=server,
        certificate=certificate_of(1),
        entropy=Dice(2),
        wall=WALL,
    )
    fingerprint = certificate_of(0).fingerprint
    peer.grant(SetRemote(client, (fingerprint,), DtlsRole.SERVER, False), START)
    peer.grant(Configure(receive=(*RECEIVED, SIMULCAST, DECLARED), send=SENT), START)
    other = Other(peer)
    other.dtls.set_remote_fingerprints([certificate_of(1).fingerprint])
    other.dtls.start(START)
    other.say(other.check())
    while waiting := other.dtls.take_datagrams():
        for datagram in waiting:
            other.say(datagram.data)
    assert peer.state is PeerState.CONNECTED and other.tag
    return other


@cache
def _srtp_keys() -> tuple[SrtpProfile, bytes, bytes, bytes, bytes]:
    """The client's key and salt, then the server's."""
    keys = _other().dtls.srtp
    assert keys is not None
    return (
        SrtpProfile(keys.profile.value),
        keys.local_key,
        keys.local_salt,
        keys.remote_key,
        keys.remote_salt,
    )


STRANGER: Final = ("203.0.113.9", 9)
_PAYLOAD_TYPES: Final = (VP8, RTX, 111, 102)


def _rtp(script: Script, what: int) -> bytes:
    """A packet of one of a few streams, mostly well formed."""
    ssrc, number, kind = script.byte(), script.u16(), script.byte()
    elements = {4: bytes((0x30 + kind % 4,))} if kind & 0x10 else {}
    if kind & 0x20:
        elements[10] = (b"q", b"h", b"f", b"\xff")[ssrc % 4]
    if kind & 0x40:
        elements[11] = (b"q", b"h", b"f", b"")[ssrc % 4] or b"x"
    if kind & 0x80:
        elements[3] = bytes((number & 0xFF, ssrc))
    block = encode_extensions(elements)
    first = 0x80 | (0x10 if block else 0) | (what & 0x20)
    second = _PAYLOAD_TYPES[kind >> 2 & 3] | (what & 0x80)
    head = bytes((first, second)) + number.to_bytes(2, "big") + number.to_bytes(4, "big")
    # 3000 and 3001 are the SSRCs that a description declares.
    source = 3000 + (ssrc & 1) if what & 0x40 else 256 + ssrc
    return head + source.to_bytes(4, "big") + block + script.block()


def peer(data: bytes) -> None:
    _srtp_keys()
    other = duplicate(_other(), {SrtpSender: _new_sender, SrtpReceiver: _new_receiver})
    whole, clock = other.peer, other.clock
    profile, key, salt, _, _ = _srtp_keys()
    sender = SrtpSender(profile, key, salt)
    script = Script(data)
    while script:
        what = script.byte()
        match what & 15:
            case 0 if what & 16:
                clock.receive(script.block(), STRANGER, SERVER)
            case 0:
                other.say(script.block())
            case 1 | 2 | 3:
                for packet in sender.protect([_rtp(script, what)]):
                    other.say(packet)
            case 4:
                for packet in sender.protect([script.block()]):
                    other.say(packet)
            case 5 | 6 | 7:
                compound = script.block().replace(b"\xee\xee\xee\xee", other.ssrc)
                if len(compound) >= 8:
                    other.say(sender.protect_rtcp(compound))
            case 8:
                other.dtls.send(script.block())
            case 9:
                tag = script.u32() if what & 0x80 else other.tag
                other.dtls.send(seals.sctp(tag, script.block()))
            case 10:
                other.say(other.check(script.block()))
            case 11:
                other.hear(clock.wait(script.byte() / 8))
            case 12:
                number = script.u16()
                made: list[Outgoing] = [voice(number), outgoing(700, VP8, number, number, b"\x90")]
                whole.send_media(made, clock.now)
            case 13:
                whole.grant(OpenChannel("a", True, None), clock.now)
            case 14:
                whole.grant(SendData("a", script.block()), clock.now)
            case 15:
                whole.grant(Configure(receive=RECEIVED[what >> 4 & 1 :], send=SENT), clock.now)
        for datagram in other.dtls.take_datagrams():
            other.say(datagram.data)
        other.hear(clock.take())
        whole.take_media()
        whole.take_events()
    whole.statistics()
    whole.incoming.statistics()
    clock.wait(15.0)


def _rtp_step(ssrc: int, number: int, kind: int, payload: str, what: int = 1) -> str:
    size = len(bytes.fromhex(payload))
    return f"{what:02x}{ssrc:02x}{number:04x}{kind:02x}{size:02x}{payload}"


_PICTURE: Final = "90808001 1002009d012a"
_PEER_SEEDS: Final = tuple(
    bytes.fromhex(seed)
    for seed in (
        # A camera with a hole and its repair, layers, a voice; then reports, and time.
        _rtp_step(1, 10, 0x11, _PICTURE)
        + _rtp_step(1, 14, 0x91, _PICTURE)
        + _rtp_step(2, 1, 0x15, "000b" + _PICTURE)
        + "0b08 0b08"
        + _rtp_step(1, 15, 0x11, "90", what=0x21)
        + _rtp_step(1, 0x8000, 0x11, _PICTURE)
        + "0b40",
        _rtp_step(4, 1, 0x32, _PICTURE)
        + _rtp_step(5, 1, 0x32, _PICTURE)
        + _rtp_step(6, 1, 0xF2, _PICTURE)
        + _rtp_step(8, 2, 0x56, "0001" + _PICTURE)
        + _rtp_step(7, 1, 0x32, "90"),
        _rtp_step(9, 1, 0x18, "f8fffe")
        + _rtp_step(9, 2, 0x08, "f8fffe")
        + _rtp_step(9, 3, 0x10, "f8fffe")
        + _rtp_step(1, 1, 0x11, "ff")
        + "1003 16fefd 0b10",
        "0c0001 0c0002 0b20"
        + "05 20 81c90007 00000001 00000320 40ffffff 0001abcd 00000010 e0000000 00010000"
        + "05 10 81cd0003 00000001 000002bc 0001ffff"
        + "05 0c 81ce0002 00000001 000002bc"
        + "05 14 84ce0004 00000001 00000000 000002bc 07000000"
        + "05 18 8fce0005 00000001 00000000 52454d42 0107a120 00000002"
        + "0b40",
        "05 14 80cf0004 00000001 04000002 e000000080000000 0c0001 0b30"
        + "05 1c 80c80006 00000101 e000000080000000 0000abcd 00000002 00000100"
        + "05 18 80cf0005 00000001 05000003 00000002 00010000 00000100"
        + "05 1c afcd0006 00000001 00000002 fffe000e 00010002 200ad420 00040801 00000002",
        "09 24 0b000004 03000010 00000000 00100000 00000000 0700000800000000 08000004 0e000004",
        "0d 09 10 02000010 00000000 00000000 00000000 0e 03 616263 0b 40",
        _rtp_step(0, 1, 0x00, _PICTURE, what=0x41)
        + _rtp_step(1, 1, 0x04, "0002" + _PICTURE, what=0x41)
        + _rtp_step(1, 2, 0x04, "00", what=0x41)
        + _rtp_step(1, 3, 0x00, _PICTURE, what=0x41),
        _rtp_step(9, 1, 0x18, "f8fffe")
        + "05 1c 80c80006 00000109 e000000080000000 0000abcd 00000002 00000100 0b40"
        + "05 18 80cf0005 00000001 05000003 eeeeeeee 00010000 00000100 0f1f 0b08 0f0f"
        + _rtp_step(9, 2, 0x18, "f8fffe"),
        "".join(_rtp_step(number, 1, 0x11, _PICTURE) for number in range(20)),
        _rtp_step(4, 1, 0x32, _PICTURE)
        + _rtp_step(8, 2, 0x56, "0001" + _PICTURE)
        + _rtp_step(0x44, 1, 0x32, _PICTURE)
        + _rtp_step(0x48, 9, 0x12, _PICTURE)
        + _rtp_step(0x49, 9, 0x11, "")
        + _rtp_step(0x4A, 9, 0x0D, _PICTURE),
        "0c0001 0b08"
        + "".join(f"05 14 80cf0004 000001{n:02x} 04000002 e000000080000000" for n in range(17))
        + "05 20 81c90007 00000001 000002bc 40ffffff 0001abcd 00000010 e0000000 00010000",
        "04 04 80600001 04 02 8060 06 08 80c80000 00000000 07 08 80c80009 00000000",
        "0a 04 00250000 0a 08 8029000800000000 0b ff 0b ff 0f 1f",
        "00 03 000000 00 02 16fe 00 14 80600001" + "00" * 16 + "00 01 80",
        "08 03 616263 89 00000000 04 0b000004",
        f"09 24 00030022 fffffff0 0003 0000 00000032 {OPEN} 0000"
        + "09 14 00030013 fffffff1 0003 0001 00000033 616263 00"
        + "09 14 82000014 000d0010 fffffff0 00000000 fffffff1 0003 0000",
    )
)

_PEER_READS: Final = (
    *of(
        "peer.transport",
        *(f"PeerTransport.{name}" for name in ("receive", "_receive_dtls", "_receive_srtp")),
    ),
    *of("peer.channels", "LabelledChannels.take_events"),
    *of(
        "peer.streams",
        *(f"IncomingMedia.{name}" for name in ("accept", "_find", "_bind", "_bind_repair")),
        *(f"IncomingMedia.{name}" for name in ("_section", "_text", "_add", "hear")),
        "_repaired",
    ),
    *of(
        "peer.sending",
        *(f"OutgoingMedia.{name}" for name in ("hear", "_hear_block", "_want_key_frame")),
        "OutgoingMedia._repeat",
    ),
)


PEER: Final = Decoder(peer, _PEER_SEEDS, _PEER_READS, refusals=(), share=0.05)
