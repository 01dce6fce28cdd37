"""Both roles of DTLS, from any point of a handshake on, and with the keys of the other end."""

from collections.abc import Mapping
from functools import cache, partial
from typing import Final

import attrs

from tests.dtls import pair as dtls_pair
from tests.dtls.puppet import Puppet
from tests.dtls.vectors import CHROMIUM_HELLO, LIVEKIT_HELLO
from tests.fuzz.decoder import Decoder, Script
from tests.fuzz.machines.clock import START, Clock, Dice, of
from tests.fuzz.machines.copies import duplicate
from tests.fuzz.protection import spki_certificates
from trio_sfu.dtls import DtlsConnection, DtlsState, Role
from trio_sfu.dtls.certificate import Fingerprint
from trio_sfu.dtls.extensions import UseSrtp
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.handshake import CHANGE_CIPHER_SPEC
from trio_sfu.dtls.messages import (
    MESSAGES,
    Body,
    Certificate,
    ClientHello,
    HelloVerifyRequest,
    ServerHello,
)
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.wire import Reader


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


@cache
def unfinished(role: Role) -> tuple[DtlsConnection, Puppet]:
    """The same, but the puppet has yet to say its Finished: the keys are there before it."""
    end = _end(role)
    puppet = Puppet(Role.CLIENT if role is Role.SERVER else Role.SERVER)
    puppet.twist = lambda said: CHANGE_CIPHER_SPEC if said.epoch else said
    puppet.connect(end)
    assert end.state is DtlsState.HANDSHAKING and puppet.epochs.readable
    return end, puppet


@cache
def _odd() -> tuple[bytes, ...]:
    """Certificates of somebody whom the description names, and whose keys are of no use."""
    return spki_certificates()


def dtls(role: Role, data: bytes) -> None:
    said, stages = handshake(role)
    script = Script(data)
    stage = script.below(len(stages) + 3)
    puppet: Puppet | None = None
    if stage < len(stages):
        ours = duplicate(stages[stage])
    elif stage == len(stages):
        ours, puppet = duplicate(connected(role))
    elif stage == len(stages) + 1:
        ours, puppet = duplicate(unfinished(role))
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
                kind = 3 if what & 8 else kind
                sequence = here.sequence if here else script.byte()
                body, offset = script.block(), script.byte() if what & 0x40 else 0
                clock.receive(_record(22, 0, 60 + what, _fragment(kind, sequence, offset, body)))
                stage += 1
            case 3:
                # On, or back to what was said before.
                stage = max(0, stage + script.signed() % 4 - (4 if what & 0x10 else 0))
                if what & 0x40:
                    ours.start(clock.now)
                if what & 0x80:
                    _trust(ours)
                if what & 0x20:
                    odd = _odd()[(what >> 3 & 3) * 2 % len(_odd())]
                    ours.set_remote_fingerprints([Fingerprint.of(odd)])
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


def _sequence_after(said: list[bytes]) -> int:
    """The number of the message that follows the last in the clear."""
    return max(message.sequence for message in map(_message, said) if message) + 1


def _variants(body: Body) -> list[Body]:
    """The same message, each time with something that makes an end of it."""
    change = attrs.evolve
    match body:
        case ClientHello(extensions=extensions):
            others = (
                change(extensions, versions=(0xFEFC,)),
                change(extensions, renegotiation_info=b"x"),
                change(extensions, point_formats=b"\1"),
                change(extensions, signature_schemes=(0x0201,)),
                change(extensions, groups=(25,)),
                change(extensions, groups=None),
                change(extensions, groups=(24,)),
                change(extensions, use_srtp=None),
                change(extensions, use_srtp=UseSrtp((99,))),
            )
            return [
                *(change(body, extensions=other) for other in others),
                change(body, version=0xFEFF + 1),
                change(body, version=0xFEFF),
                change(body, compression_methods=b"\1"),
                change(body, cipher_suites=(0x1301,)),
            ]
        case ServerHello(extensions=extensions):
            others = (
                change(extensions, versions=(0xFEFC,)),
                change(extensions, unknown=((0x3374, b""),)),
                change(extensions, renegotiation_info=b"x"),
                change(extensions, point_formats=b"\1"),
                change(extensions, use_srtp=UseSrtp((99,))),
                change(extensions, use_srtp=UseSrtp((7,), b"mki")),
            )
            return [
                *(change(body, extensions=other) for other in others),
                change(body, version=0xFEFF),
                change(body, cipher_suite=0x1301),
                change(body, compression_method=1),
                HelloVerifyRequest(0xFEFF, b""),
            ]
        case Certificate():
            return [Certificate(()), Certificate((b"another",))]
    return []


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
            body = MESSAGES[message.message].decode(Reader(message.body))
            for other in _variants(body):
                seeds.append(bytes((stage, 2, 255)) + other.encode())
            if isinstance(body, Certificate):
                for number, odd in enumerate(_odd()):
                    trust = bytes((len(said) + 3, 0x63 | number // 2 << 3, 0)) + b"\1" * stage
                    seeds.append(trust + b"\2\xff" + Certificate((odd,)).encode())
    live, late = bytes((len(said) + 1,)), bytes((len(said) + 2,))
    finished = _fragment(20, _sequence_after(said), 0, bytes(12))
    seeds += [
        late + b"\x34\3abc\x34\3abc" + bytes((0x24, len(finished))) + finished,
        late + b"\x34\3abc" * 20,
        late + bytes((0x24, len(finished))) + finished[:8] + b"\x99" + finished[9:],
    ]
    seeds += [
        live + bytes.fromhex("240c010000000000000000000000 240c000000000000000000000000"),
        live + bytes.fromhex("14020164 14020100 14020228 340161 04020164"),
        live + bytes.fromhex("140101 2403010000 0603616263 05ff 040101 340161"),
        bytes.fromhex("00 0715020228 071601 00 0799 00 05ff 05ff 05ff 05ff 05ff"),
        bytes.fromhex("00 7403616263 4403616263 7403616263 071703616263"),
        bytes.fromhex("00 0715020100"),
        bytes.fromhex("00 000d 16fefd0002000000000001 0000 00ff") + _record(20, 0, 1, b"") * 40,
        bytes((len(said) + 3,)) + b"\0\0\x43\0" + b"\1" * len(said) + b"\x83\0\1",
        bytes((len(said) - 1,)) + b"\1\5\4" + b"\3\1" * 2 + b"\1\3\2\1\5\x10\1",
        b"\0\1\5\2\1\1\5\x08",
        b"\0" + b"\x74\3abc" * 20,
        b"\0" + (b"\1" * len(said) + b"\5\4") + b"\x13\3\1\x13\2\1\5\1\x13\0\1\x13\0\1",
        bytes((len(said) - 1, 5, 8)) + b"\x13\3\1" * 4,
        live
        + bytes.fromhex(
            "0717 03 616263 240c 0b0000000000000000000000 240c 140000000000000000000000"
        ),
    ]
    hellos = (*CHROMIUM_HELLO, LIVEKIT_HELLO)
    if role is Role.CLIENT:
        asks = HelloVerifyRequest(0xFEFF, b"cookie").encode()
        seeds.append(bytes((0, 10, len(asks))) + asks + bytes((3, 0, 0x4A, len(asks))) + asks)
        seeds.append(b"\0\x0a\3\xfe\xff\0")
    else:
        seeds.append(b"\0" + b"".join(b"\0\xfe" + hello[:254] for hello in hellos))
        seeds.append(b"\0\0\xff" + LIVEKIT_HELLO)
    return tuple(seeds)


_DTLS_READS: Final = (
    *of(
        "dtls.connection",
        *(f"DtlsConnection.{name}" for name in ("receive", "_continue", "_keep_early")),
        *(
            f"DtlsConnection._hear_{name}"
            for name in ("datagram", "record", "content", "alert", "fragments", "fragment", "stale")
        ),
    ),
    *of(
        "dtls.handshake",
        *(f"Handshake.{name}" for name in ("hear", "_take_finished", "_take_certificate")),
    ),
)
_DTLS_ROLE_READS: Final = {
    Role.CLIENT: of(
        "dtls.client",
        *(f"ClientHandshake.{name}" for name in ("_take", "_take_cookie", "_take_hello")),
        *(f"ClientHandshake.{name}" for name in ("_take_extensions", "_take_key_exchange")),
    ),
    Role.SERVER: of(
        "dtls.server",
        *(f"ServerHandshake.{name}" for name in ("hear", "_choose", "_take", "_take_hello")),
    ),
}

DTLS: Final[Mapping[str, Decoder]] = {
    f"dtls {role.name.lower()}": Decoder(
        partial(dtls, role),
        _dtls_seeds(role),
        (*_DTLS_READS, *_DTLS_ROLE_READS[role]),
        refusals=(),
        share=0.15,
    )
    for role in Role
}
