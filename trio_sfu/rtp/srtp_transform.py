"""SRTP in plain Python: the one to read, to test against, and to fall back on.

`trio_sfu.rtp.srtp` carries the media with libsrtp. This module says the same in
the words of RFC 3711 (counter mode with HMAC-SHA1) and RFC 7714 (GCM), byte for
byte, refusals included: the tests let the two judge each other.

What SRTP adds to a packet, and the one hard thing about it: both sides must agree
on a number for it that is never used twice under one key. The packet carries
only its low 16 bits, the sequence number. The other 32, the *rollover counter*
(ROC), are never sent. Each side counts them, and a receiver *guesses*: of the
three numbers that end in these 16 bits and lie near the highest it has seen, it
takes the nearest (RFC 3711 section 3.3.1). A wrong guess makes a wrong key
stream, so the tag does not fit and the packet is refused; nothing is learned from
a packet before its tag has been checked. SRTCP has no such trouble: it sends its
whole 31-bit index along.

      RTP     | header | payload             |
      SRTP    | header | encrypted payload   | tag |               (tag over ROC too)
      SRTCP   | 8 bytes| encrypted rest      | E + index | tag |   (counter mode)
      SRTCP   | 8 bytes| encrypted rest      | tag | E + index |   (GCM)

One master key and salt, which DTLS hands out for each direction, make six session
keys (section 4.3): a cipher key, a salt and an authentication key each for
SRTP and SRTCP, which is why the two can count independently.
"""

import enum
import hmac
from typing import Final, Protocol

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from trio_sfu.errors import WireError
from trio_sfu.replay import ReplayWindow

RTP_WINDOW: Final = 1024
"""How far behind the newest a packet may come. RFC 3711 section 3.3.2 asks for at
least 64; a repeat that was asked for late may be a second behind, and video in
good quality is several hundred packets a second."""

RTCP_WINDOW: Final = 128
"""The same for SRTCP. libsrtp knows no other value."""

HMAC_TAG: Final = 10
GCM_TAG: Final = 16
_RTCP_HEADER: Final = 8
_ENCRYPTED: Final = 1 << 31
"""The E flag in front of the 31-bit SRTCP index (section 3.4)."""


class SrtpProfile(enum.IntEnum):
    """Protection profiles by the numbers of DTLS's use_srtp (RFC 5764, RFC 7714)."""

    AES128_CM_SHA1_80 = 0x0001
    AEAD_AES_128_GCM = 0x0007
    AEAD_AES_256_GCM = 0x0008

    @property
    def key_length(self) -> int:
        return 32 if self is SrtpProfile.AEAD_AES_256_GCM else 16

    @property
    def salt_length(self) -> int:
        return 14 if self is SrtpProfile.AES128_CM_SHA1_80 else 12


class Reason(enum.Enum):
    """Why a packet was refused. Counted, never logged."""

    REPLAYED = enum.auto()
    """It came before; repeats by the network are as common as attacks are rare."""
    TOO_OLD = enum.auto()
    """Behind the replay window, so that nobody knows whether it came before."""
    BAD_TAG = enum.auto()
    """Forged, damaged, under another key, or with a rollover that was guessed wrongly."""
    MALFORMED = enum.auto()
    """Too short, too long, or not encrypted."""
    TOO_MANY_SSRCS = enum.auto()
    """The first of a stream, and there are as many streams as we keep state for."""


class Rejected(WireError):  # noqa: N818  # a verdict that two modules pass on, no error
    """One packet, refused, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@attrs.frozen
class SessionKeys:
    """What protects one of the two, SRTP or SRTCP, in one direction."""

    cipher: bytes
    salt: bytes
    authentication: bytes
    """Not used by GCM, which needs no second key."""


def derive(profile: SrtpProfile, key: bytes, salt: bytes, *, rtcp: bool = False) -> SessionKeys:
    """Session keys from a master key and salt (RFC 3711 section 4.3.1, RFC 7714 section 11).

    The key derivation rate is zero, as DTLS-SRTP has it: keys are derived once.
    """
    if len(key) != profile.key_length or len(salt) != profile.salt_length:
        raise ValueError(f"{profile.name} does not go with {len(key)} + {len(salt)} bytes")
    # GCM's 96-bit salt stands at the left of the 112 bits that the derivation wants.
    master = int.from_bytes(salt.ljust(14, b"\0"), "big")

    def material(label: int, length: int) -> bytes:
        start = (master ^ label << 48) << 16
        return _counter_mode(key, start.to_bytes(16, "big"), bytes(length))

    first = 3 if rtcp else 0
    return SessionKeys(
        cipher=material(first, profile.key_length),
        authentication=material(first + 1, 20),
        salt=material(first + 2, profile.salt_length),
    )


class Suite(Protocol):
    """What a profile does with one packet, its index being known.

    *header* is authenticated only; what `open` gets as *sealed* is the rest of the
    packet as `seal` gave it. `open` raises `Rejected` if the tag does not fit.
    """

    def seal(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes: ...
    def open(self, header: bytes, sealed: bytes, ssrc: int, index: int) -> bytes: ...
    def seal_rtcp(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes: ...
    def open_rtcp(self, header: bytes, sealed: bytes, ssrc: int, index: int) -> bytes: ...
    def rtcp_index(self, sealed: bytes) -> int:
        """The index that an SRTCP packet names, not yet to be believed."""


class CounterMode:
    """AES-128 in counter mode with an 80-bit HMAC-SHA1 (RFC 3711 sections 4.1.1, 4.2.1)."""

    def __init__(self, rtp: SessionKeys, rtcp: SessionKeys) -> None:
        self._rtp = rtp
        self._rtcp = rtcp

    def seal(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes:
        encrypted = _encrypt(self._rtp, ssrc, index, payload)
        return encrypted + _tag(self._rtp, header + encrypted + _roc(index))

    def open(self, header: bytes, sealed: bytes, ssrc: int, index: int) -> bytes:
        encrypted, tag = _split(sealed, HMAC_TAG)
        _verify(self._rtp, header + encrypted + _roc(index), tag)
        return _encrypt(self._rtp, ssrc, index, encrypted)

    def seal_rtcp(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes:
        encrypted = _encrypt(self._rtcp, ssrc, index, payload) + _e_and_index(index)
        return encrypted + _tag(self._rtcp, header + encrypted)

    def open_rtcp(self, header: bytes, sealed: bytes, ssrc: int, index: int) -> bytes:
        authenticated, tag = _split(sealed, HMAC_TAG)
        _verify(self._rtcp, header + authenticated, tag)
        return _encrypt(self._rtcp, ssrc, index, authenticated[:-4])

    def rtcp_index(self, sealed: bytes) -> int:
        word = _last_word(_split(sealed, HMAC_TAG)[0])
        if not word & _ENCRYPTED:  # RFC 3711 allows it, WebRTC never does it
            raise Rejected(Reason.MALFORMED)
        return word & ~_ENCRYPTED


class Gcm:
    """AES in Galois/counter mode (RFC 7714 sections 8 and 9)."""

    def __init__(self, rtp: SessionKeys, rtcp: SessionKeys) -> None:
        self._rtp = AESGCM(rtp.cipher)
        self._rtp_salt = int.from_bytes(rtp.salt, "big")
        self._rtcp = AESGCM(rtcp.cipher)
        self._rtcp_salt = int.from_bytes(rtcp.salt, "big")

    def seal(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes:
        return self._rtp.encrypt(_nonce(self._rtp_salt, ssrc, index), payload, header)

    def open(self, header: bytes, sealed: bytes, ssrc: int, index: int) -> bytes:
        return _decrypt(self._rtp, _nonce(self._rtp_salt, ssrc, index), sealed, header)

    def seal_rtcp(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes:
        trailer, nonce = _e_and_index(index), _nonce(self._rtcp_salt, ssrc, index)
        return self._rtcp.encrypt(nonce, payload, header + trailer) + trailer

    def open_rtcp(self, header: bytes, sealed: bytes, ssrc: int, index: int) -> bytes:
        encrypted, trailer = _split(sealed, 4)
        nonce = _nonce(self._rtcp_salt, ssrc, index)
        if trailer[0] & 0x80:
            return _decrypt(self._rtcp, nonce, encrypted, header + trailer)
        # Without the E flag all is authenticated and nothing encrypted (section 9.3).
        payload, tag = _split(encrypted, GCM_TAG)
        _decrypt(self._rtcp, nonce, tag, header + payload + trailer)
        return payload

    def rtcp_index(self, sealed: bytes) -> int:
        return _last_word(sealed) & ~_ENCRYPTED


@attrs.define
class _Stream:
    """What one SSRC needs: where each of its two kinds of packets has got to."""

    rtp: ReplayWindow = attrs.Factory(lambda: ReplayWindow(RTP_WINDOW))
    rtcp: ReplayWindow = attrs.Factory(lambda: ReplayWindow(RTCP_WINDOW))


def _look(window: ReplayWindow, index: int) -> Reason | None:
    """What speaks against *index* (section 3.3.2)."""
    if window.fresh(index):
        return None
    return Reason.REPLAYED if window.seen(index) else Reason.TOO_OLD


def guess(highest: int, sequence: int) -> int:
    """The index that ends in *sequence* and is nearest to *highest* (RFC 3711 appendix A).

    Until the first half of the first round is over, there is no round before it to
    guess: appendix A would give a ROC of minus one there. libsrtp does the same.
    """
    if highest <= 0x8000:
        return sequence
    roc, local = highest >> 16, highest & 0xFFFF
    if local < 0x8000:
        if sequence - local > 0x8000:
            roc -= 1
    elif local - 0x8000 > sequence:
        roc += 1
    return roc << 16 | sequence


def _suite(profile: SrtpProfile, key: bytes, salt: bytes) -> Suite:
    suite = CounterMode if profile is SrtpProfile.AES128_CM_SHA1_80 else Gcm
    return suite(derive(profile, key, salt), derive(profile, key, salt, rtcp=True))


class Outbound:
    """Protects one packet a call. What cannot be protected raises `Rejected`.

    The repeat of a packet may be protected again: that is how a NACK is answered where
    there is no RTX. It must then be the same packet, byte for byte, or two messages
    are encrypted alike.
    """

    def __init__(self, profile: SrtpProfile, key: bytes, salt: bytes) -> None:
        self._suite = _suite(profile, key, salt)
        self._streams: dict[int, _Stream] = {}

    def protect(self, packet: bytes) -> bytes:
        header = packet[: _header_length(packet)]
        ssrc = _ssrc(packet)
        window = self._streams.setdefault(ssrc, _Stream()).rtp
        index = guess(window.highest, _sequence(packet))
        if _look(window, index) is Reason.TOO_OLD:
            raise Rejected(Reason.TOO_OLD)
        window.note(index)
        return header + self._suite.seal(header, packet[len(header) :], ssrc, index)

    def protect_rtcp(self, packet: bytes) -> bytes:
        if len(packet) < _RTCP_HEADER:
            raise Rejected(Reason.MALFORMED)
        header, ssrc = packet[:_RTCP_HEADER], _rtcp_ssrc(packet)
        window = self._streams.setdefault(ssrc, _Stream()).rtcp
        window.note(index := max(1, window.highest + 1))  # from 1 on, like libsrtp
        return header + self._suite.seal_rtcp(header, packet[_RTCP_HEADER:], ssrc, index)


class Inbound:
    """Unprotects one packet a call. What is refused raises `Rejected`, and leaves no trace."""

    def __init__(self, profile: SrtpProfile, key: bytes, salt: bytes) -> None:
        self._suite = _suite(profile, key, salt)
        self._streams: dict[int, _Stream] = {}

    def unprotect(self, packet: bytes) -> bytes:
        header = packet[: _header_length(packet)]
        ssrc = _ssrc(packet)
        # A stream begins with the first packet that proves itself.
        stream = self._streams.get(ssrc) or _Stream()
        index = guess(stream.rtp.highest, _sequence(packet))
        if reason := _look(stream.rtp, index):
            raise Rejected(reason)
        payload = self._suite.open(header, packet[len(header) :], ssrc, index)
        stream.rtp.note(index)
        self._streams[ssrc] = stream
        return header + payload

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        header, sealed = packet[:_RTCP_HEADER], packet[_RTCP_HEADER:]
        ssrc = _rtcp_ssrc(packet)
        stream = self._streams.get(ssrc) or _Stream()
        index = self._suite.rtcp_index(sealed)
        if reason := _look(stream.rtcp, index):
            raise Rejected(reason)
        payload = self._suite.open_rtcp(header, sealed, ssrc, index)
        stream.rtcp.note(index)
        self._streams[ssrc] = stream
        return header + payload


def _counter_mode(key: bytes, start: bytes, data: bytes) -> bytes:
    encryptor = Cipher(AES(key), CTR(start)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _encrypt(keys: SessionKeys, ssrc: int, index: int, data: bytes) -> bytes:
    """Encrypt or decrypt, which is the same in counter mode (section 4.1.1)."""
    salt = int.from_bytes(keys.salt, "big")
    start = (salt << 16) ^ (ssrc << 64) ^ (index << 16)
    return _counter_mode(keys.cipher, start.to_bytes(16, "big"), data)


def _tag(keys: SessionKeys, data: bytes) -> bytes:
    return hmac.digest(keys.authentication, data, "sha1")[:HMAC_TAG]


def _verify(keys: SessionKeys, data: bytes, tag: bytes) -> None:
    if not hmac.compare_digest(_tag(keys, data), tag):
        raise Rejected(Reason.BAD_TAG)


def _nonce(salt: int, ssrc: int, index: int) -> bytes:
    """Two zero bytes, the SSRC, ROC and sequence number (or SRTCP index), salted."""
    return (salt ^ ssrc << 48 ^ index).to_bytes(12, "big")


def _decrypt(aead: AESGCM, nonce: bytes, sealed: bytes, header: bytes) -> bytes:
    if len(sealed) < GCM_TAG:
        raise Rejected(Reason.MALFORMED)
    try:
        return aead.decrypt(nonce, sealed, header)
    except InvalidTag:
        raise Rejected(Reason.BAD_TAG) from None


def _split(data: bytes, trailer: int) -> tuple[bytes, bytes]:
    """The last *trailer* bytes, and what is before them."""
    if len(data) < trailer:
        raise Rejected(Reason.MALFORMED)
    return data[:-trailer], data[-trailer:]


def _roc(index: int) -> bytes:
    return (index >> 16).to_bytes(4, "big")


def _e_and_index(index: int) -> bytes:
    return (_ENCRYPTED | index).to_bytes(4, "big")


def _last_word(data: bytes) -> int:
    return int.from_bytes(_split(data, 4)[1], "big")


def _rtcp_ssrc(packet: bytes) -> int:
    return int.from_bytes(packet[4:8], "big")


def _sequence(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big")


def _ssrc(packet: bytes) -> int:
    return int.from_bytes(packet[8:12], "big")


def _header_length(packet: bytes) -> int:
    """Header, CSRCs and extensions: what stays readable (RFC 3711 section 3.1)."""
    length = 12
    if len(packet) >= length:
        length += 4 * (packet[0] & 0x0F)
        if packet[0] & 0x10:
            words = int.from_bytes(packet[length + 2 : length + 4], "big")
            length += 4 + 4 * words
    if len(packet) < length:
        raise Rejected(Reason.MALFORMED)
    return length
