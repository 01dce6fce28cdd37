"""What is under keys, or is keys: SRTP, DTLS records, certificates, points, signatures.

Arbitrary bytes never have the right tag. So each of these can also ask for a tag
that is right, and what is inside of it may still be anything.
"""

import hmac
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.dtls.pair import CLIENTS
from tests.fuzz.decoder import Decoder, Script, words
from trio_sfu.dtls import certificate, signatures
from trio_sfu.dtls.certificate import Fingerprint
from trio_sfu.dtls.ciphers import SUITES, CipherSuite, Protection
from trio_sfu.dtls.epochs import Epochs
from trio_sfu.dtls.groups import KEY_SHARES, KeyShare, NamedGroup
from trio_sfu.dtls.record import MAX_PLAINTEXT, ContentType, Record
from trio_sfu.errors import WireError
from trio_sfu.rtp import packet as rtp
from trio_sfu.rtp.rtcp import decode_compound
from trio_sfu.rtp.srtp import ENGINES, Engine, SrtpReceiver
from trio_sfu.rtp.srtp_transform import Rejected, SrtpProfile, derive
from trio_sfu.sctp.cookie import Cookie
from trio_sfu.wire import Reader

# --- SRTP

PROFILES: Final = tuple(SrtpProfile)


def _keys(profile: SrtpProfile) -> tuple[bytes, bytes]:
    return bytes(range(profile.key_length)), bytes(range(profile.salt_length))


def _only_authenticated(profile: SrtpProfile, packet: bytes, index: int) -> bytes:
    """SRTCP of GCM without encryption (RFC 7714 section 9.3), which nobody sends."""
    keys = derive(profile, *_keys(profile), rtcp=True)
    head, rest, trailer = packet[:8], packet[8:], index.to_bytes(4, "big")
    ssrc = int.from_bytes(head[4:8], "big")
    nonce = (int.from_bytes(keys.salt, "big") ^ ssrc << 48 ^ index).to_bytes(12, "big")
    tag = AESGCM(keys.cipher).encrypt(nonce, b"", head + rest + trailer)
    return packet + tag + trailer


def srtp(engine: Engine, data: bytes) -> None:
    """Packets as they came, or under the right keys; what comes out is read on.

    A step is: how (1: RTCP, 2: protected, 4: twice, 8: authenticated only), and the packet.
    """
    script = Script(data)
    profile = PROFILES[script.below(len(PROFILES))]
    outbound = engine.outbound(profile, *_keys(profile))
    receiver = SrtpReceiver(profile, *_keys(profile), engine)
    while script:
        how, packet = script.byte(), script.block()
        is_rtcp, protected = bool(how & 1), bool(how & 2)
        if how & 8 and profile is not SrtpProfile.AES128_CM_SHA1_80:
            packet, is_rtcp = _only_authenticated(profile, packet, how), True
        elif protected:
            try:
                packet = (outbound.protect_rtcp if is_rtcp else outbound.protect)(packet)
            except Rejected:
                continue
        for _ in range(2 if how & 4 else 1):
            if is_rtcp:
                plain = receiver.unprotect_rtcp(packet)
                _ignoring(decode_compound, [] if plain is None else [plain])
            else:
                _ignoring(rtp.parse, receiver.unprotect([packet]))


def _ignoring(decode: Callable[[bytes], object], packets: list[bytes]) -> None:
    for packet in packets:
        try:
            decode(packet)
        except WireError:
            pass


_RTP: Final = "8060{:04x}0000001000000001" + "61626364"
_RTCP: Final = "81c90007 00000001 00000002 40ffffff 0001abcd 00000010 e0000000 00010000"


def _step(how: int, packet: str) -> bytes:
    data = bytes.fromhex(packet)
    return bytes((how, len(data))) + data


def _srtp_seeds() -> tuple[bytes, ...]:
    jumps = (1, 2, 0x9000, 0xFFFF, 3, 0xF000, 0x9001, 0x10)
    return tuple(
        bytes((profile,)) + each
        for profile in range(len(PROFILES))
        for each in (
            b"".join(_step(2, _RTP.format(number)) for number in jumps),
            _step(6, _RTP.format(5)) + _step(0, _RTP.format(6)),
            _step(3, _RTCP) + _step(7, _RTCP) + _step(1, _RTCP) + _step(9, _RTCP),
            _step(1, _RTCP[:-8] + "8001 0000") + _step(1, "80c8") + _step(0, "80"),
            b"\0\xff\x80\x60" + bytes(2100),
            _step(2, "9f60000100000010000000010000") + _step(0, "b1600001" + "00" * 20),
        )
    )


# --- DTLS records


def records(data: bytes) -> None:
    """Both epochs, read as a connection reads them; half the records have a right tag."""
    script = Script(data)
    suite = tuple(CipherSuite)[script.below(len(CipherSuite))]
    strength = SUITES[suite]
    protection = Protection(suite, bytes(strength.key_length), bytes(strength.iv_length))
    epochs = Epochs()
    if script.byte() & 1:
        epochs.install(protection, protection)
    while script:
        how, sequence, payload = script.byte(), script.u16(), script.block()
        record = Record(ContentType(20 + how % 4), how >> 2 & 1, sequence, payload)
        if record.epoch and not epochs.readable:
            continue
        if record.epoch and how & 8:
            record = protection.seal(record)
        try:
            epochs.open(Record.decode(Reader(record.encode())))
        except WireError:
            pass


# --- certificates, points, signatures


@cache
def spki_certificates() -> tuple[bytes, ...]:
    """Certificates as far as `public_key` looks, with keys of each kind, good and bad."""
    keys = [
        ec.derive_private_key(12345, curve()).public_key()
        for curve in (ec.SECP224R1, ec.SECP521R1, ec.SECP256K1)
    ]
    # A modulus needs no factors to be read.
    numbers = [rsa.RSAPublicNumbers(65537, (1 << bits) - 159).public_key() for bits in (1024, 2048)]
    other = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    found = []
    for key in (*keys, *numbers, other):
        info = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        found.append(_der(_der(bytes.fromhex("020101") + _der(b"") * 4 + info)))
    return tuple(found)


def _der(body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes((0x30, size)) + body
    return b"\x30\x82" + size.to_bytes(2, "big") + body


@cache
def _share(group: NamedGroup) -> KeyShare:
    return KEY_SHARES[group].generate(lambda count: bytes(range(1, count + 1)))


def exchanged(group: NamedGroup, data: bytes) -> bytes:
    return _share(group).exchange(data)


@cache
def _signers() -> tuple[signatures.PublicKey, ...]:
    return CLIENTS.key.public_key(), rsa.RSAPublicNumbers(65537, (1 << 2048) - 159).public_key()


_SIGNED: Final = b"all that was said so far"


def verified(data: bytes) -> None:
    """A key, a scheme, and a signature under it."""
    script = Script(data)
    key = _signers()[script.below(2)]
    signatures.verify(key, script.u16(), script.take(600), _SIGNED)


def _signature_seeds() -> tuple[bytes, ...]:
    good = CLIENTS.key.sign(_SIGNED, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return (b"\0\x04\x03" + good, b"\0\x05\x03" + good, b"\x01\x08\x04" + bytes(256))


_COOKIE_KEY: Final = bytes(32)


def cookie(data: bytes) -> Cookie:
    """A cookie as it comes, or (after an odd byte) with a signature that is right."""
    value = data[1:]
    if data[:1] and data[0] & 1:
        value += hmac.digest(_COOKIE_KEY, value, "sha256")
    return Cookie.verify(value, _COOKIE_KEY)


def fingerprint(text: str) -> None:
    found = Fingerprint.parse(text)
    found.matches(CLIENTS.der)
    certificate.trusted(CLIENTS.der, [found])


PROTECTION: Final[Mapping[str, Decoder]] = {
    **{
        f"srtp, {engine.name}": Decoder(
            partial(srtp, engine),
            _srtp_seeds(),
            (
                "rtp.srtp:SrtpReceiver.unprotect",
                "rtp.srtp:SrtpReceiver.unprotect_rtcp",
                "rtp.srtp:SrtpReceiver._first",
                *reads,
            ),
            refusals=(),
            share=0.3,
        )
        for engine in ENGINES
        for reads in [
            {
                "in place": ("rtp.srtp:_InPlace._call",),
                "public": ("rtp.srtp:_Public._call",),
                "python": (
                    "rtp.srtp_transform:Inbound.unprotect",
                    "rtp.srtp_transform:Inbound.unprotect_rtcp",
                    "rtp.srtp_transform:CounterMode.open",
                    "rtp.srtp_transform:CounterMode.open_rtcp",
                    "rtp.srtp_transform:CounterMode.rtcp_index",
                    "rtp.srtp_transform:Gcm.open",
                    "rtp.srtp_transform:Gcm.open_rtcp",
                    "rtp.srtp_transform:Gcm.rtcp_index",
                    *(
                        f"rtp.srtp_transform:{name}"
                        for name in ("_look", "guess", "_decrypt", "_split", "_verify")
                    ),
                    *(f"rtp.srtp_transform:{name}" for name in ("_header_length", "_last_word")),
                ),
            }[engine.name]
        ]
    },
    "dtls epochs": Decoder(
        records,
        tuple(
            bytes((suite,)) + seed
            for suite in range(len(CipherSuite))
            for seed in (
                bytes.fromhex("01 0e 0001 03616263 0e 0001 03616263 06 0002 18" + "00" * 24),
                bytes.fromhex("01 06 0003 03616263 03 0003 03616263 03 0003 03616263"),
                bytes.fromhex(
                    "01 0f 0064 00 0f 0001 00 0f 0060 00 0f 0060 00 03 0001 00 03 0000 00"
                ),
                b"\1\x0e\0\1\xff" + bytes(MAX_PLAINTEXT + 1),
            )
        ),
        (
            "dtls.epochs:Epochs.open",
            "dtls.ciphers:Protection.open",
            "dtls.ciphers:Protection._nonce",
            "replay:ReplayWindow.fresh",
            "replay:ReplayWindow.seen",
            "replay:ReplayWindow.note",
        ),
        refusals=(),
        share=0.5,
    ),
    "dtls certificate's key": Decoder(
        certificate.public_key,
        (CLIENTS.der, *spki_certificates()),
        (
            "dtls.certificate:public_key",
            "dtls.certificate:_element",
            "dtls.certificate:_sequence",
        ),
        share=0.5,
    ),
    "dtls fingerprint": Decoder(
        words(fingerprint),
        (
            str(CLIENTS.fingerprint).encode(),
            b"sha-1 AB:CD",
            str(Fingerprint.of(CLIENTS.der, "sha-512")).encode(),
        ),
        (
            "dtls.certificate:Fingerprint.parse",
            "dtls.certificate:Fingerprint.matches",
            "dtls.certificate:trusted",
        ),
    ),
    **{
        f"dtls point, {group.name}": Decoder(
            partial(exchanged, group),
            (_share(group).public,),
            (
                "dtls.groups:X25519Share.exchange"
                if group is NamedGroup.X25519
                else "dtls.groups:_CurveShare.exchange",
            ),
            share=0.1,
        )
        for group in NamedGroup
    },
    "dtls signature": Decoder(verified, _signature_seeds(), ("dtls.signatures:verify",), share=0.1),
    "sctp cookie": Decoder(
        cookie,
        (b"\x01" + bytes(41), b"\x00" + bytes(73)),
        ("sctp.cookie:Cookie.verify",),
        share=0.2,
    ),
}
