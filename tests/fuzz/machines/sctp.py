"""Data channels, and a peer that says anything under the right tag and checksum."""

from typing import Final

from tests.fuzz import seals
from tests.fuzz.decoder import Decoder, Script
from tests.fuzz.machines.clock import START, Clock, Dice, of
from trio_sfu.sctp.chunks import CookieEcho, Heartbeat, HeartbeatAck, Init, InitAck
from trio_sfu.sctp.datachannel import DataChannels
from trio_sfu.sctp.handshake import OFFERED
from trio_sfu.sctp.packet import Packet
from trio_sfu.sctp.parameters import Parameter, ParameterType
from trio_sfu.wire import Reader

TAG, TSN = 0x0BADCAFE, 0xFFFFFFF0
"""The peer's."""

_PPIDS: Final = (50, 51, 53, 56, 57, 0, 50, 53)


def init_ack() -> bytes:
    cookie = Parameter(ParameterType.STATE_COOKIE, b"the peer's")
    return InitAck(TAG, 1 << 20, 1024, 1024, TSN, (*OFFERED, cookie)).encode()


class Talk:
    """Data channels, and a peer that may say anything under the right tag."""

    def __init__(self, *, dtls_client: bool) -> None:
        self.ours = DataChannels(Dice(0), dtls_client=dtls_client)
        self.clock = Clock(self.ours)
        self.tag = self.tsn = 0
        self.cookies: list[bytes] = []
        self.beat = HeartbeatAck().encode()
        """The answer to the newest question."""
        self.ours.start(START)
        self.follow(self.clock.take())

    def say(self, chunks: bytes, tag: int | None = None) -> None:
        packet = seals.sctp(self.tag if tag is None else tag, chunks)
        self.clock.receive(packet)
        self.follow(self.clock.take())

    def follow(self, datagrams: list[bytes]) -> None:
        for data in datagrams:
            for chunk in Packet.decode(Reader(data)).chunks:
                if isinstance(chunk, Init):
                    self.tag, self.tsn = chunk.tag, chunk.tsn
                if isinstance(chunk, Heartbeat):
                    self.beat = HeartbeatAck(chunk.value).encode()
                if isinstance(chunk, InitAck):
                    self.cookies.append(chunk.find(ParameterType.STATE_COOKIE) or b"")

    def connect(self) -> None:
        self.say(init_ack())
        self.say(b"\x0b\0\0\4")


def sctp(data: bytes) -> None:
    script = Script(data)
    how = script.byte()
    talk = Talk(dtls_client=not how & 2)
    if how & 1:
        talk.connect()
    while script:
        _sctp_step(talk, script)
        talk.ours.take_events()
        talk.ours.statistics()
    talk.clock.wait(30.0)


def _sctp_step(talk: Talk, script: Script) -> None:
    what = script.byte()
    ours, now = talk.ours, talk.clock.now
    match what & 15:
        case 0:
            data = script.block()
            talk.clock.receive(seals.summed(data) if what & 16 else data)
            talk.follow(talk.clock.take())
        case 1:
            talk.say(script.block())
        case 2 | 3:
            number, stream, ssn, flags = (script.byte() for _ in range(4))
            payload = script.block() * (60 if flags & 0x40 else 1)
            stream *= 8 if flags & 0x80 else 1
            tail = stream.to_bytes(2, "big") + ssn.to_bytes(2, "big")
            tail += _PPIDS[what >> 4 & 7].to_bytes(4, "big") + payload
            for more in range(16 if what & 0x80 else 1):
                tsn = TSN + (number ^ 0x80) - 0x80 + more & 0xFFFFFFFF
                talk.say(_chunk(0, flags & 15, tsn.to_bytes(4, "big") + tail))
        case 4:
            value = (talk.tsn + script.signed() & 0xFFFFFFFF).to_bytes(4, "big")
            value += (script.u16() << 4).to_bytes(4, "big")
            gaps = script.below(4)
            value += bytes((0, gaps, 0, 0)) + script.take(4 * gaps).ljust(4 * gaps, b"\1")
            talk.say(_chunk(3, 0, value))
        case 5:
            talk.follow(talk.clock.wait(script.byte() / 8))
        case 6:
            value = (TSN + script.signed() & 0xFFFFFFFF).to_bytes(4, "big")
            talk.say(_chunk(192, 0, value + script.take(4 * (what >> 4 & 3))))
        case 7:
            fields = (TSN + script.signed() & 0xFFFFFFFF, 0, TSN + script.signed() & 0xFFFFFFFF)
            value = b"".join(field.to_bytes(4, "big") for field in fields)
            streams = script.take(2 * (what >> 4 & 3))
            talk.say(_chunk(130, 0, _parameter(13, value + streams)))
        case 8:
            value = (talk.tsn + script.signed() & 0xFFFFFFFF).to_bytes(4, "big")
            talk.say(_chunk(130, 0, _parameter(16, value + script.below(7).to_bytes(4, "big"))))
        case 9:
            init = Init(TAG + script.byte(), 1 << 20, script.byte(), script.byte(), TSN, OFFERED)
            talk.say(init.encode(), tag=0)
        case 10:
            if talk.cookies:
                talk.say(CookieEcho(talk.cookies[-1]).encode())
        case 11:
            talk.say(talk.beat if what & 16 else init_ack())
        case 12:
            talk.say(_chunk(script.byte(), what >> 4, script.block()))
        case 13:
            try:
                ours.open("a label", ordered=not what & 16, max_retransmits=2, now=now)
            except ValueError:  # no id is free, or no room: the caller is told
                pass
        case 14:
            ours.send(script.byte(), bytes(script.u16()), text=bool(what & 16), now=now)
        case 15:
            if what & 0x70 == 0x70:
                ours.shutdown(now)
            elif what & 0x70 == 0x60:
                ours.abort(now)
            else:
                ours.close(script.byte(), now)
    talk.follow(talk.clock.take())


def _chunk(kind: int, flags: int, value: bytes) -> bytes:
    value = value[:65_000]
    head = bytes((kind, flags)) + (4 + len(value)).to_bytes(2, "big")
    return head + value + bytes(-len(value) % 4)


def _parameter(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "big") + (4 + len(value)).to_bytes(2, "big") + value


OPEN: Final = "03810100 00000000 0006 0000 5f6c6f737379"
_OPENED: Final = f"02 00 03 00 03 12 {OPEN}"


def _said(
    number: int, ssn: int, flags: int = 3, stream: int = 3, payload: str = "6162", what: int = 0x22
) -> str:
    """A DATA chunk as a step, *number* counted from the peer's first TSN."""
    size = len(bytes.fromhex(payload))
    return f"{what:02x}{number & 0xFF:02x}{stream:02x}{ssn:02x}{flags:02x}{size:02x}{payload}"


_BEGIN, _END, _MIDDLE, _LOOSE, _LONG, _MANY, _MUCH = 2, 1, 0, 4, 0x40, 0xA2, "61" * 250
_SCTP_SCRIPTS: Final = (
    f"01 {_OPENED} {_said(1, 1, _BEGIN)} {_said(3, 1, _END)} {_said(2, 1, _MIDDLE)} 05 10",
    f"01 {_OPENED} {_said(3, 2)} {_said(2, 1, _END)} {_said(1, 1, _BEGIN)} {_said(3, 2)}",
    # Torn: a middle between two wholes, an end without a beginning, two beginnings.
    f"01 {_OPENED} {_said(2, 1, _MIDDLE)} {_said(1, 1)} {_said(5, 2, _END)} {_said(4, 2)}",
    f"01 {_OPENED} {_said(1, 1, _MIDDLE)} {_said(3, 1, _END)} {_said(4, 1, _BEGIN)}"
    f"{_said(2, 1, _END | _BEGIN)}",
    f"01 {_OPENED} {_said(1, 1, _BEGIN)} {_said(2, 1, _BEGIN)} {_said(3, 9, _END)}"
    f"{_said(9, 9, _END, stream=4)} {_said(8, 9, _BEGIN)} {_said(10, 9, _LOOSE)}",
    # Waiting for an earlier one; SSNs that cannot be; a stream that is too high.
    f"01 {_OPENED} {_said(1, 3)} {_said(2, 2)} {_said(3, 2)} {_said(4, 0xF0)} {_said(5, 1)}"
    f"{_said(6, 0)} {_said(7, 0, 0x83, stream=200)} {_said(8, 0, 7)}",
    # Given up: whole messages, pieces, what waits behind.
    f"01 {_OPENED} {_said(2, 1, _BEGIN)} {_said(5, 3)} {_said(6, 4)} 16 04 00030002 05 08"
    f"{_said(8, 9, _MIDDLE)} {_said(9, 9, _END)} 06 07 06 09 16 01 00030002 36 0a"
    "0003 0001 0003 0002 0fff 0003",
    f"01 {_OPENED} {_said(1, 1, _BEGIN)} 06 02 {_said(3, 1, _END)} {_said(5, 5)} 06 03 06 05",
    # More than a message may have, or the window holds.
    f"01 {_said(0, 0, _LONG | _BEGIN, payload=_MUCH)} {_said(1, 0, _LONG, 3, _MUCH, _MANY)}"
    f"{_said(17, 0, _LONG, 3, _MUCH, _MANY)} {_said(40, 1, _LONG | _END, payload=_MUCH)}"
    f"{_said(33, 0, _END)} {_said(34, 1, _BEGIN)} 05 10",
    "01"
    + "".join(_said(n, 0, _LONG | _LOOSE, 3, _MUCH, _MANY) for n in (2, 18, 34, 50, 66, 82, 98))
    + _said(0x7F, 90, payload=_MUCH)
    + _said(1, 0, _LONG | _LOOSE, payload=_MUCH),
    # Streams end, on this side and on that.
    f"01 {_OPENED} 17 00 00 0003 17 00 00 0003 17 01 05 0003 27 02 00 0003 0005 07 03 00",
    f"02 09 01 05 05 0a {_OPENED} 0f 03 05 04 08 00 01 18 01 06 05 50 08 00 05 07 00 00",
    f"01 {_OPENED} {_said(1, 1)} {_said(1, 9, stream=1)} {_OPENED} 02 01 03 00 03 01 02 32 02 03"
    "01 03 01 00 42 03 03 02 03 01 00 52 04 03 03 03 01 00 02 05 04 00 03 01 02",
    # We speak: acknowledged, in gaps, lost, given up.
    "01 0d 05 04 0e 00 2000 04 00 ffff 02 00020003 05 20 04 10 ffff 00 05 ff 05 ff 0f 00 05 40",
    "01 1d 0e 00 ffff 0e 00 ffff 0e 00 ffff 0e 00 ffff 0e 00 ffff 04 7f ffff 00 05 20 04 00 0000",
    "01 0d 04 00 ffff 00 0e 00 4000 04 00 ffff 01 00020008 04 00 ffff 01 00020009 04 00 ffff 01"
    "0002000a 04 00 ffff 01 0002000b 05 10 04 ff ffff 00 04 70 ffff 00 05 ff",
    "01 05 f8 1b 05 f8 1b 0b 05 ff 1b",
    "01 0d 04 00 ffff 00 0f 00 05 04 08 00 01 05 04 17 00 00 0000",
    "01 0d 04 00 ffff 00 0f 00 05 08 08 00 06 05 08 08 01 01 18 01 01 08 02 01 17 05 00 0000",
    f"01 {_OPENED} {_said(1, 5)} {_said(2, 6)} 17 00 02 0003 {_said(4, 9)} 16 04 0003 00f0"
    "82 04 03 00 03 12 03810100000000000006 0000 5f6c6f737379",
    f"01 {_said(2, 0)} {_said(4, 0)} {_said(3, 0)} {_said(1, 0)} {_said(0, 0)}",
    f"01 7f 04 00 ffff 00 {_said(0, 0)} 05 10 {_said(1, 1)} 0c 08 00",
    f"03 {_OPENED} 02 01 03 01 03 12 {OPEN} 02 02 04 00 03 0c 03020100 00000064 0000 0000"
    "02 03 05 00 03 0c 03010100 00000003 0000 0000 02 04 05 01 03 01 09",
    "03 0d 1e 01 0000 22 00 01 00 03 02 6162 0f 01 08 00 01 05 ff",
    # Meeting: both ends at once, stale cookies, a restart, an end in each way.
    "00 09 01 05 05 0a 0b 05 ff 7f",
    "00 09 01 05 05 05 ff 05 ff 0a 0b 0b 05 ff 05 ff 05 ff 05 ff 0a",
    "01 09 01 05 05 0a 22 00 03 00 03 01 61 09 01 00 05 0a 0a",
    "00 0b 0c 09 08 00030008 00000000 05 ff 0c 0a 03 616263 0c 0b 00",
    "01 7f 05 08 0c 07 04 fffffff0 0c 08 00 0c 0e 00",
    f"01 0d 0e 00 0100 7f {_said(0, 0)} 04 01 ffff 00 {_said(1, 1)} 0c 08 00",
    "01 0c 07 04 fffffff0 0c 07 04 fffffff0 0c 0e 00",
    "01 6f 0c 06 00 0c 08 00",
    "01 1c 06 00 0c 06 08 000c000861626364",
    "01 0c 04 0c 0001000861626364 00000000 0c 05 00 05 ff 0c f0 02 6162",
    "01 0c ff 04 61626364 0c 40 00 0c 80 00 0c c0 00 22 00 ff 00 03 01 61",
    "01 22 00 03 00 03 00 0c 05 08 0001000861626364",
    "00 0b 01 10 0b000004 03000010 00000000 00000000 00000000",
    "01 01 28 03000014 00000000 00000000 00010000 00010001"
    "03000014 00000000 00000000 00010000 00010001",
    "01 01 10 c0000008 fffffff0 c0000008 fffffff1 09 00 ff 00 19 00 00 05 39 00 05 00",
    "01 10 10 00010002 00000000 00000000 0b000004 10 10 13881388 0badcafe 00000000 0b000004",
    "00 0c 02 14 00000001 00001000 0000 0400 00000007 0007 0004 0c 0b 00 0c 0a 08 6162636465666768",
)
_SCTP_SEEDS: Final = tuple(map(bytes.fromhex, _SCTP_SCRIPTS))

_SCTP_READS: Final = (
    "sctp.inbound",
    *of(
        "sctp.association",
        *(f"SctpAssociation.{name}" for name in ("receive", "_hear", "_skip_unknown", "_restart")),
        *(
            f"SctpAssociation._hear_{name}"
            for name in (
                *("init", "init_ack", "cookie_echo", "cookie_ack", "data", "sack"),
                *("forward_tsn", "reconfig", "heartbeat", "heartbeat_ack", "error", "abort"),
                *("shutdown", "shutdown_ack", "shutdown_complete"),
            )
        ),
    ),
    *of("sctp.tags", "believed"),
    *of("sctp.shutdown", "Closing.hear", "Closing.hear_acknowledged"),
    *of("sctp.heartbeat", "Heartbeats.hear"),
    *of("sctp.outbound", "Outbound.acknowledge"),
    *of("sctp.reset", "StreamResets.hear"),
    *of("sctp.handshake", "judge", "read_extensions", "answer_init"),
    *of(
        "sctp.datachannel",
        *(f"DataChannels.{name}" for name in ("_relay", "_hear", "_hear_open", "_hear_ack")),
    ),
)

SCTP: Final = Decoder(sctp, _SCTP_SEEDS, _SCTP_READS, refusals=(), share=0.15)
