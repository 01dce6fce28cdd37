"""Whole cores, which an input leads where it likes: a script of datagrams, time and wishes.

What arrives bears the right checksums, tags and keys where the script says so: it comes
from somebody who was let in and means harm. A core raises nothing, ever; on the
way the promises of `trio_sfu.core.Core` are looked at too.

To begin in the middle of a handshake costs a handshake, so one is made once, and each
input gets a copy of what was there (`duplicate`).
"""

import copy
import copyreg
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from tests.dtls import pair as dtls_pair
from tests.dtls.puppet import Puppet
from tests.dtls.vectors import CHROMIUM_HELLO, LIVEKIT_HELLO
from tests.fuzz import seals
from tests.fuzz.decoder import Decoder, Script
from tests.peer.pair import CLIENT, RECEIVED, SENT, SERVER, WALL, certificate_of, outgoing, voice
from tests.peer.sections import RTX, SIMULCAST, VP8
from trio_sfu.core import INSIDE, Address, Core, Datagram
from trio_sfu.dtls import DtlsConnection, DtlsState, Role
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.ice.agent import IceAgent
from trio_sfu.ice.candidate import host_candidate
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.states import Role as IceRole
from trio_sfu.peer.events import Configure, DtlsRole, OpenChannel, PeerState, SendData, SetRemote
from trio_sfu.peer.transport import PeerTransport
from trio_sfu.rtp.packet import Outgoing, encode_extensions
from trio_sfu.rtp.srtp import SrtpProfile, SrtpReceiver, SrtpSender
from trio_sfu.sctp.chunks import CookieEcho, Init, InitAck
from trio_sfu.sctp.datachannel import DataChannels
from trio_sfu.sctp.handshake import OFFERED
from trio_sfu.sctp.packet import Packet
from trio_sfu.sctp.parameters import Parameter, ParameterType
from trio_sfu.wire import Reader

C = TypeVar("C")

START: Final = 100.0
ANSWER_LIMIT: Final = 1 << 20
"""Bytes that one step may make a core send: a full congestion window is a part of it."""


class Dice:
    """Random bytes that can be copied: a copy goes on as the original does."""

    def __init__(self, seed: int) -> None:
        self._seed, self._thrown = seed, 0

    def __call__(self, count: int) -> bytes:
        self._thrown += 1
        return hashlib.shake_128(b"%d %d" % (self._seed, self._thrown)).digest(count)


class Clock:
    """Drives one core through time, and sees that it keeps its promises."""

    def __init__(self, core: Core, now: float = START) -> None:
        self.core, self.now = core, now

    def receive(self, data: bytes, remote: Address = INSIDE, local: Address = INSIDE) -> None:
        self.core.receive([Datagram(data, remote, local)], self.now)

    def take(self) -> list[bytes]:
        taken = [datagram.data for datagram in self.core.take_datagrams()]
        assert not self.core.take_datagrams(), "taken, and still there"
        assert sum(map(len, taken)) <= ANSWER_LIMIT, "too much at once"
        return taken

    def wait(self, seconds: float) -> list[bytes]:
        """What the core says while time passes."""
        until, said = self.now + seconds, list[bytes]()
        for _ in range(200):
            due = self.core.deadline
            if due > until:
                break
            self.now = max(self.now, due)
            self.core.handle_timeout(self.now)
            assert self.core.deadline > self.now, "due again at once"
            said += self.take()
        self.now = max(self.now, until)
        return said


# --- ICE

ADDRESSES: Final = (("192.0.2.1", 7882), ("2001:db8::1", 7882))
REMOTES: Final = (("198.51.100.1", 40_000), ("198.51.100.2", 1), ("2001:db8::2", 40_000))
OURS: Final = Credentials("ours", "o" * 24)
THEIRS: Final = Credentials("them", "p" * 24)

_ROLES: Final = (b"\x80\x29\x00\x08", b"\x80\x2a\x00\x08")


def ice(role: IceRole, data: bytes) -> None:
    agent = IceAgent(role, OURS, Dice(0))
    clock = Clock(agent)
    for address in ADDRESSES:
        agent.add_local_candidate(address, START)
    agent.set_remote(THEIRS, START)
    asked: list[bytes] = []
    ours, theirs = OURS, THEIRS
    script = Script(data)
    while script:
        what, where = script.byte(), script.byte()
        path = REMOTES[where % len(REMOTES)], ADDRESSES[where >> 4 & 1]
        match what & 7:
            case 0:
                clock.receive(script.block(), *path)
            case 1 | 2:
                name = seals.attribute(6, f"{ours.ufrag}:{theirs.ufrag}".encode())
                extra = _ice_attributes(script.byte(), script)
                key = None if what & 0x80 else ours.key
                kind = 0x0011 if what & 0x40 else 0x0001
                clock.receive(seals.stun(kind, bytes((where,)) * 12, name + extra, key), *path)
            case 3 | 4:
                if asked:
                    request = asked[-1 - where % len(asked)]
                    kind = 0x0111 if what & 0x10 else 0x0101
                    extra = _ice_answer(what, path[1], request[8:20]) + script.block()
                    key = None if what & 0x80 else theirs.key
                    clock.receive(seals.stun(kind, request[8:20], extra, key), *path)
            case 5:
                asked += _requests(clock.wait(where / 4))
            case 6:
                line = script.block().decode("latin-1")
                if what & 0x10:
                    agent.add_remote_candidate(host_candidate(path[0]), clock.now)
                elif what & 0x20:
                    agent.end_of_candidates(clock.now)
                else:
                    agent.add_remote_candidate(line, clock.now)
            case 7:
                if what & 0x10:
                    theirs = Credentials(f"them{where}", "q" * 24)
                    agent.set_remote(theirs, clock.now, lite=bool(what & 0x20))
                else:
                    ours = Credentials(f"ours{where}", "r" * 24)
                    agent.restart(ours, clock.now)
        asked += _requests(clock.take())
        agent.take_events()
    clock.wait(60.0)


def _requests(datagrams: list[bytes]) -> list[bytes]:
    return [data for data in datagrams if data[:2] == b"\0\1"]


def _ice_attributes(flags: int, script: Script) -> bytes:
    found = b""
    if flags & 1:
        found += seals.attribute(0x0024, b"\x6e\0\1\xff")
    if flags & 2:
        found += seals.attribute(0x0025, b"")
    if flags & 4:
        found += _ROLES[flags >> 3 & 1] + bytes((script.byte(),)) * 8
    return found + script.take(flags >> 4)


def _ice_answer(what: int, local: tuple[str, int], transaction: bytes) -> bytes:
    if what & 0x10:
        return b"\x00\x09\x00\x04\x00\x00" + (b"\x04\x57" if what & 0x20 else b"\x04\x01")
    if what & 0x20 or ":" in local[0]:
        return b""
    host = bytes(
        int(part) ^ mask
        for part, mask in zip(local[0].split("."), b"\x21\x12\xa4\x42", strict=True)
    )
    return seals.attribute(0x20, b"\0\1" + (local[1] ^ 0x2112).to_bytes(2, "big") + host)


_ICE_SEEDS: Final = tuple(
    bytes.fromhex(seed)
    for seed in (
        "01 00 03 05 14 01 10 01 05 28 01 00 07 aa 05 f0",
        "01 00 0f 11 01 01 07 11 05 08 05 08 41 00 00 01 00 70 800100",
        "16 00 00 05 01 03 00 00 05 04 03 00 00 05 20 23 00 00 05 40",
        "16 00 00 16 01 00 05 04 13 00 00 33 01 00 05 f0 93 00 00",
        "06 00 ff" + b"1 1 udp 1 198.51.100.1 40000 typ host".hex(),
        "16 00 00 05 04 03 00 00 17 05 07 06 16 00 00 01 00 07 05 20 26 00 00",
        "16 00 00 05 08 03 00 00 05 08 03 00 00 05 ff 05 ff 05 ff",
        "37 01 01 00 07 05 05 01 00 03 05 05 00 00 04 00010000",
        "01 00 50 7ffe0000 05 04",
    )
)


# --- SCTP

TAG, TSN = 0x0BADCAFE, 0xFFFFFFF0
"""The peer's."""

_PPIDS: Final = (50, 51, 53, 56, 57, 0, 50, 53)


def _init_ack() -> bytes:
    cookie = Parameter(ParameterType.STATE_COOKIE, b"the peer's")
    return InitAck(TAG, 1 << 20, 1024, 1024, TSN, (*OFFERED, cookie)).encode()


class Talk:
    """Data channels, and a peer that may say anything under the right tag."""

    def __init__(self, *, dtls_client: bool) -> None:
        self.ours = DataChannels(Dice(0), dtls_client=dtls_client)
        self.clock = Clock(self.ours)
        self.tag = self.tsn = 0
        self.cookies: list[bytes] = []
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
                if isinstance(chunk, InitAck):
                    self.cookies.append(chunk.find(ParameterType.STATE_COOKIE) or b"")

    def connect(self) -> None:
        self.say(_init_ack())
        self.say(b"\x0b\0\0\4")


def sctp(dtls_client: bool, data: bytes) -> None:
    talk = Talk(dtls_client=dtls_client)
    script = Script(data)
    if script.byte() & 1:
        talk.connect()
    while script:
        _sctp_step(talk, script)
        talk.ours.take_events()
        talk.ours.statistics()
    talk.clock.wait(120.0)


def _sctp_step(talk: Talk, script: Script) -> None:
    what = script.byte()
    ours, now = talk.ours, talk.clock.now
    match what & 15:
        case 0:
            talk.clock.receive(script.block())
            talk.follow(talk.clock.take())
        case 1:
            talk.say(script.block())
        case 2 | 3:
            number, stream, ssn = script.signed(), script.byte(), script.byte()
            payload = script.block() * (1 + (what >> 7) * 200)
            tsn = TSN + number & 0xFFFFFFFF
            ppid = _PPIDS[what >> 4 & 7]
            head = stream.to_bytes(2, "big") + ssn.to_bytes(2, "big") + ppid.to_bytes(4, "big")
            talk.say(_chunk(0, script.byte() & 15, tsn.to_bytes(4, "big") + head + payload))
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
            talk.say(_init_ack())
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


_OPEN: Final = "03810100 00000000 0006 0000 5f6c6f737379"
_SCTP_SEEDS: Final = tuple(
    bytes.fromhex(seed)
    for seed in (
        f"01 02 00 03 00 12 {_OPEN} 03 22 01 03 01 02 6162 03 22 03 03 01 02 6364 01 05 10",
        f"01 02 00 03 00 12 {_OPEN} 03 22 01 03 01 02 6162 02 22 02 03 01 02 6364 01 17 00 00 0003",
        "01 0d 05 04 0e 00 2000 04 00 ffff 02 00020003 05 20 04 10 ffff 00 05 ff 05 ff 0f 00 05 40",
        "01 22 05 03 01 03 616263 02 22 08 03 01 03 616263 01 36 0a 0003 0001 0003 0002 0003 0003",
        "00 09 01 05 05 0a 0b 05 ff 7f",
        "01 7f 05 08 0c 07 04 fffffff0 0c 08 00 0c 0e 00",
        "01 6f 0c 06 00",
        "01 0c 09 08 0003000800000000 0c 04 0c 0001000861626364 00000000 0c 05 00 0c f0 02 6162",
        "01 0c ff 04 61626364 0c 40 00 0c 80 00 22 00 ff 00 01 61 03",
        "01 1d 0e 00 ffff 0e 00 ffff 0e 00 ffff 0e 00 ffff 0e 00 ffff 04 7f ffff 00 05 20",
        "00 0b 0a 01 10 0b000004 03000010 00000000 00000000 00000000",
        "01 08 00 01 18 01 00 06 0f 05 50 08 00 05",
    )
)


# --- DTLS


_SHARED: Final = (AESGCM, ChaCha20Poly1305)
"""Without a state, so that a copy may use the original's."""


def _itself(_: object) -> str:
    return "shared"  # for `copy`, a text in place of a recipe means: no copy is needed


@contextmanager
def _sharing() -> Iterator[None]:
    keys = (
        type(ec.derive_private_key(1, ec.SECP256R1())),
        type(ec.derive_private_key(1, ec.SECP256R1()).public_key()),
        type(x25519.X25519PrivateKey.from_private_bytes(bytes(32))),
    )
    added = dict.fromkeys((*_SHARED, *keys), _itself)
    added |= {SrtpSender: _new_sender, SrtpReceiver: _new_receiver}
    before = {
        kind: copyreg.dispatch_table[kind] for kind in added if kind in copyreg.dispatch_table
    }
    copyreg.dispatch_table.update(added)
    try:
        yield
    finally:
        for kind in added:
            del copyreg.dispatch_table[kind]
        copyreg.dispatch_table.update(before)


def duplicate(value: C) -> C:
    """A copy that goes its own way."""
    with _sharing():
        return copy.deepcopy(value)


def _new_end(role: Role) -> DtlsConnection:
    own = dtls_pair.SERVERS if role is Role.SERVER else dtls_pair.CLIENTS
    return DtlsConnection(role, own, Dice(10 + (role is Role.CLIENT)))


def _trust(end: DtlsConnection) -> None:
    other = dtls_pair.CLIENTS if end.role is Role.SERVER else dtls_pair.SERVERS
    end.set_remote_fingerprints([other.fingerprint])


def _end(role: Role) -> DtlsConnection:
    end = _new_end(role)
    _trust(end)
    end.start(START)
    return end


def _split(datagram: bytes) -> list[bytes]:
    reader, found = Reader(datagram), []
    while reader:
        found.append(Record.decode(reader).encode())
    return found


@cache
def handshake(role: Role) -> tuple[list[bytes], list[DtlsConnection]]:
    """What the other end says to *role*, by record, and ours before each and after the last."""
    ours, other = _end(role), _end(Role.CLIENT if role is Role.SERVER else Role.SERVER)
    said, stages = list[bytes](), [duplicate(ours)]
    waiting = dtls_pair.taken(ours)
    while True:
        answers = dtls_pair.taken(other)
        for datagram in waiting:
            answers += dtls_pair.give(other, datagram, START)
        waiting = []
        if not answers:
            break
        for record in [record for datagram in answers for record in _split(datagram)]:
            said.append(record)
            waiting += dtls_pair.give(ours, record, START)
            stages.append(duplicate(ours))
    assert ours.state is DtlsState.CONNECTED
    return said, stages


@cache
def connected(role: Role) -> tuple[DtlsConnection, Puppet]:
    """Ours with a puppet that holds the keys."""
    end = _end(role)
    puppet = Puppet(Role.CLIENT if role is Role.SERVER else Role.SERVER)
    puppet.connect(end)
    assert end.state is DtlsState.CONNECTED
    return end, puppet


def dtls(role: Role, data: bytes) -> None:
    said, stages = handshake(role)
    script = Script(data)
    stage = script.below(len(stages) + 2)
    puppet: Puppet | None = None
    if stage < len(stages):
        ours = duplicate(stages[stage])
    elif stage == len(stages):
        ours, puppet = duplicate(connected(role))
    else:
        ours, stage = _new_end(role), 0
    clock = Clock(ours)
    while script:
        what = script.byte()
        match what & 7:
            case 0:
                clock.receive(script.block())
            case 1:
                # As it was said, or with something else in it.
                record = bytearray(said[min(stage, len(said) - 1)])
                for _ in range(what >> 4 & 3):
                    place = script.u16()
                    record[13 + place % (len(record) - 13)] = script.byte()
                clock.receive(bytes(record))
                stage += 1
            case 2:
                # A message of its own, in the place of what was said there.
                here = _message(said[min(stage, len(said) - 1)])
                kind = script.byte() if what & 0x80 or here is None else here.message
                sequence = here.sequence if here else script.byte()
                body, offset = script.block(), script.byte() if what & 0x40 else 0
                clock.receive(_record(22, 0, 60 + what, _fragment(kind, sequence, offset, body)))
                stage += 1
            case 3:
                stage += script.below(3)
                if what & 0x40:
                    ours.start(clock.now)
                if what & 0x80:
                    _trust(ours)
            case 4:
                kind = ContentType(20 + (what >> 4 & 3))
                payload = script.block()
                if puppet is None:
                    clock.receive(_record(kind, what >> 6 & 1, 80, payload))
                else:
                    clock.receive(puppet.seal(kind, payload))
            case 5:
                clock.wait(script.byte() / 4)
            case 6:
                ours.send(script.block())
            case 7:
                clock.receive(_record(script.byte(), 0, 100 + what, script.block()))
        clock.take()
        ours.take_application()
        ours.take_events()
    clock.wait(200.0)


def _message(record: bytes) -> Fragment | None:
    kind, epoch = record[0], record[4]
    return Fragment.decode(Reader(record[13:])) if kind == 22 and not epoch else None


def _fragment(kind: int, sequence: int, offset: int, body: bytes) -> bytes:
    length = offset + len(body)
    return b"".join(
        (
            bytes((kind,)),
            length.to_bytes(3, "big"),
            sequence.to_bytes(2, "big"),
            offset.to_bytes(3, "big"),
            len(body).to_bytes(3, "big"),
            body,
        )
    )


def _record(kind: int, epoch: int, sequence: int, payload: bytes) -> bytes:
    head = bytes((kind & 0xFF, 0xFE, 0xFD)) + epoch.to_bytes(2, "big") + sequence.to_bytes(6, "big")
    return head + len(payload).to_bytes(2, "big") + payload


@cache
def _dtls_seeds(role: Role) -> tuple[bytes, ...]:
    said, _ = handshake(role)
    seeds = [
        # From each stage on all that is left; then another of each message.
        *(bytes((stage,)) + b"\x01" * (len(said) - stage) for stage in range(len(said))),
        *(bytes((stage, 0x11, 0, 30, 7)) + b"\x01" * 9 for stage in range(len(said))),
    ]
    for stage, record in enumerate(said):
        message = _message(record)
        if message is not None:
            seeds.append(bytes((stage, 2, min(254, len(message.body)))) + message.body[:254])
            half = len(message.body) // 2
            if half < 250:
                front, back = message.body[:half], message.body[half:]
                seeds.append(
                    bytes((stage, 0x42, len(back))) + back + bytes((half, 3, 0, 2)) + front
                )
    live = bytes((len(said) + 1,))
    seeds += [
        live
        + bytes.fromhex(
            "34 03 616263 24 0c 010000000000000000000000 24 0c 000000000000000000000000"
        ),
        live + bytes.fromhex("14 02 0164 14 02 0100 14 02 0228 34 01 61"),
        live + bytes.fromhex("14 01 01 24 03 010000 06 03 616263 05 ff 04 01 01"),
        bytes.fromhex("00 07 15 02 0228 07 16 01 00 07 99 00 05 ff 05 ff 05 ff 05 ff 05 ff"),
        bytes.fromhex("00 74 03 616263 44 03 616263 74 03 616263 07 17 03 616263"),
        bytes.fromhex("00 07 15 02 0100"),
        bytes((len(said) + 2,)) + b"\0\0\x43\0" + b"\1" * len(said) + b"\x83\0\1",
        bytes.fromhex("00 00 05 16fefd0000"),
    ]
    hellos = (*CHROMIUM_HELLO, LIVEKIT_HELLO)
    if role is Role.SERVER:
        seeds.append(b"\0" + b"".join(b"\0\xfe" + hello[:254] for hello in hellos))
        seeds.append(b"\0\0\xff" + LIVEKIT_HELLO)
    return tuple(seeds)


# --- a whole peer

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
        self.dtls = DtlsConnection(Role.CLIENT, certificate_of(0), Dice(3))
        self.tag = 0

    def say(self, data: bytes) -> list[bytes]:
        """A datagram to the peer; what it said to us over DTLS, which we hear."""
        self.clock.receive(data, CLIENT, SERVER)
        return self.hear(self.clock.take())

    def hear(self, datagrams: list[bytes]) -> list[bytes]:
        for data in datagrams:
            if 20 <= data[0] < 64:
                self.dtls.receive([Datagram(data, INSIDE, INSIDE)], self.clock.now)
        for message in self.dtls.take_application():
            for chunk in Packet.decode(Reader(message)).chunks:
                if type(chunk) is Init:
                    self.tag = chunk.tag
                    self.dtls.send(seals.sctp(self.tag, _init_ack()))
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
        ice_role=IceRole.LITE,
        credentials=server,
        certificate=certificate_of(1),
        entropy=Dice(2),
        wall=WALL,
    )
    fingerprint = certificate_of(0).fingerprint
    peer.grant(SetRemote(client, (fingerprint,), DtlsRole.SERVER, False), START)
    peer.grant(Configure(receive=(*RECEIVED, SIMULCAST), send=SENT), START)
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
    return head + bytes((0, 0, 1, ssrc)) + block + script.block()


def peer(data: bytes) -> None:
    _srtp_keys()
    other = duplicate(_other())
    whole, clock = other.peer, other.clock
    profile, key, salt, _, _ = _srtp_keys()
    sender = SrtpSender(profile, key, salt)
    script = Script(data)
    while script:
        what = script.byte()
        match what & 15:
            case 0:
                other.say(script.block())
            case 1 | 2 | 3:
                for packet in sender.protect([_rtp(script, what)]):
                    other.say(packet)
            case 4:
                for packet in sender.protect([script.block()]):
                    other.say(packet)
            case 5 | 6 | 7:
                compound = script.block()
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
    clock.wait(40.0)


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
        _rtp_step(9, 1, 0x18, "f8fffe") + _rtp_step(9, 2, 0x08, "f8fffe") + "0b10",
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
        "04 04 80600001 04 02 8060 06 08 80c80000 00000000 07 08 80c80009 00000000",
        "0a 04 00250000 0a 08 8029000800000000 0b ff 0b ff 0f 1f",
        "00 03 000000 00 02 16fe 00 14 80600001" + "00" * 16 + "00 01 80",
        "08 03 616263 89 00000000 04 0b000004",
        f"09 24 00030024 fffffff0 0003 0000 00000032 {_OPEN} 0000"
        + "09 14 00030013 fffffff1 0003 0001 00000033 616263 00"
        + "09 14 82000014 000d0010 fffffff0 00000000 fffffff1 0003 0000",
    )
)


def _of(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{module}:{name}" for name in names)


# What hears: of each core the functions that take what came, and what they do with it.
_ICE_READS: Final = _of(
    "ice.agent",
    *("IceAgent.receive", "IceAgent._asked", "IceAgent._verify", "IceAgent._conflicts"),
    *("IceAgent._answer", "IceAgent._refuse", "IceAgent.handle_timeout", "IceAgent._on"),
)
_ICE_FULL_READS: Final = (
    "ice.asking",
    "ice.transactions",
    *_of("ice.agent", "IceAgent.add_remote_candidate", "_usable"),
)
_SCTP_READS: Final = (
    "sctp.inbound",
    *_of(
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
    *_of("sctp.outbound", "Outbound.acknowledge"),
    *_of("sctp.reset", "StreamResets.hear"),
    *_of("sctp.handshake", "judge", "read_extensions", "answer_init"),
    *_of(
        "sctp.datachannel",
        *(f"DataChannels.{name}" for name in ("_relay", "_hear", "_hear_open", "_hear_ack")),
    ),
)
_DTLS_READS: Final = (
    *_of(
        "dtls.connection",
        *(f"DtlsConnection.{name}" for name in ("receive", "_continue", "_keep_early")),
        *(
            f"DtlsConnection._hear_{name}"
            for name in ("datagram", "record", "content", "alert", "fragments", "fragment", "stale")
        ),
    ),
    *_of(
        "dtls.handshake",
        *(f"Handshake.{name}" for name in ("hear", "_take_finished", "_take_certificate")),
    ),
)
_DTLS_ROLE_READS: Final = {
    Role.CLIENT: _of(
        "dtls.client",
        *(f"ClientHandshake.{name}" for name in ("_take", "_take_cookie", "_take_hello")),
        *(f"ClientHandshake.{name}" for name in ("_take_extensions", "_take_key_exchange")),
    ),
    Role.SERVER: _of(
        "dtls.server",
        *(f"ServerHandshake.{name}" for name in ("hear", "_choose", "_take", "_take_hello")),
    ),
}
_PEER_READS: Final = (
    *_of(
        "peer.transport",
        *(f"PeerTransport.{name}" for name in ("receive", "_receive_dtls", "_receive_srtp")),
        "PeerTransport._follow_channels",
    ),
    *_of(
        "peer.streams",
        *(f"IncomingMedia.{name}" for name in ("accept", "_find", "_bind", "_bind_repair")),
        *(f"IncomingMedia.{name}" for name in ("_section", "_text", "_add", "hear")),
        "_repaired",
    ),
    *_of(
        "peer.sending",
        *(f"OutgoingMedia.{name}" for name in ("hear", "_hear_block", "_want_key_frame")),
        "OutgoingMedia._repeat",
    ),
)

MACHINES: Final[Mapping[str, Decoder]] = {
    **{
        f"ice {role.name.lower()}": Decoder(
            partial(ice, role), _ICE_SEEDS, (*_ICE_READS, *reads), refusals=(), share=0.2
        )
        for role, reads in (
            (IceRole.LITE, ("-ice.agent:IceAgent._on",)),
            (IceRole.CONTROLLING, _ICE_FULL_READS),
            (IceRole.CONTROLLED, _ICE_FULL_READS),
        )
    },
    **{
        f"sctp of a DTLS {name}": Decoder(
            partial(sctp, name == "client"), _SCTP_SEEDS, _SCTP_READS, refusals=(), share=0.2
        )
        for name in ("client", "server")
    },
    **{
        f"dtls {role.name.lower()}": Decoder(
            partial(dtls, role),
            _dtls_seeds(role),
            (*_DTLS_READS, *_DTLS_ROLE_READS[role]),
            refusals=(),
            share=0.15,
        )
        for role in Role
    },
    "peer": Decoder(peer, _PEER_SEEDS, _PEER_READS, refusals=(), share=0.1),
}
