"""SRTP for the media path: lists of packets in, lists of packets out.

The work is libsrtp's, which comes with pylibsrtp; what that work is,
`trio_sfu.rtp.srtp_transform` tells in Python, byte for byte the same. Nothing else
in the tree imports pylibsrtp. There are three engines, and the best that is there
is chosen once, at import:

* "in place" calls libsrtp on one buffer that it keeps. It uses names of pylibsrtp
  that are not public, so it must first prove itself against the public calls.
* "public" goes through pylibsrtp's public API, at twice the price.
* "python" is the readable one, where there is no pylibsrtp at all.

pylibsrtp is bent in three places. Its replay window of 128 packets is too small
for repeats that were asked for (we take 1024). It refuses to protect the same
sequence number twice (we allow it: a NACK without RTX is answered so). And its
buffer takes packets of up to 1356 bytes only, where some publishers send 1400;
the engine in place has its own, and the public one counts longer ones as malformed.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import attrs

from trio_sfu.rtp.srtp_transform import (
    RTP_WINDOW,
    Inbound,
    Outbound,
    Reason,
    Rejected,
    SrtpProfile,
)

try:
    import pylibsrtp
except ImportError:  # then Python does the work
    pylibsrtp = None  # type: ignore[assignment]  # mypy knows no module that may be absent

__all__ = ["Reason", "SrtpProfile", "SrtpReceiver", "SrtpSender"]

LONGEST: Final = 2048
"""Longest packet taken, in bytes. An Ethernet frame has 1500; what is longer was
put together from fragments, and no sender of media makes those on purpose."""

_TRAILER: Final = 16 + 4 + 128
"""What libsrtp may write behind a packet: tag, SRTCP index, and an MKI that we never use."""

MAX_SSRCS: Final = 4096
"""Streams that a receiver keeps state for, of some 0.6 KiB each. A camera has six
SSRCs, and every time it is published anew it may have others. None is ever
forgotten, as a stream that is silent may go on, and then nobody can tell how often
its numbers had wrapped. (Much less does a sender forget: it would count from the
beginning again, under the same key.)"""


class Protects(Protocol):
    """The sending half of an engine, one packet a call; raises `Rejected`."""

    def protect(self, packet: bytes) -> bytes: ...
    def protect_rtcp(self, packet: bytes) -> bytes: ...


class Unprotects(Protocol):
    """The receiving half of an engine, one packet a call; raises `Rejected`."""

    def unprotect(self, packet: bytes) -> bytes: ...
    def unprotect_rtcp(self, packet: bytes) -> bytes: ...


@attrs.frozen
class Engine:
    """Who does the work: two constructors that take profile, key and salt."""

    name: str
    outbound: Callable[[SrtpProfile, bytes, bytes], Protects]
    inbound: Callable[[SrtpProfile, bytes, bytes], Unprotects]


class _Public:
    """A libsrtp session behind pylibsrtp's public API."""

    _REASONS: Final = {
        "authentication failure": Reason.BAD_TAG,
        "replay check failed (bad index)": Reason.REPLAYED,
        "replay check failed (index too old)": Reason.TOO_OLD,
        "packet index is too old to consider": Reason.TOO_OLD,
    }

    def __init__(self, direction: int, profile: SrtpProfile, key: bytes, salt: bytes) -> None:
        self._session = _session(direction, profile, key, salt)

    def protect(self, packet: bytes) -> bytes:
        return self._call(self._session.protect, packet)

    def unprotect(self, packet: bytes) -> bytes:
        return self._call(self._session.unprotect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._call(self._session.protect_rtcp, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        return self._call(self._session.unprotect_rtcp, packet)

    def _call(self, function: Callable[[bytes], bytes], packet: bytes) -> bytes:
        try:
            return function(packet)
        except pylibsrtp.Error as error:
            raise Rejected(self._REASONS.get(str(error), Reason.MALFORMED)) from None
        except ValueError:
            raise Rejected(Reason.MALFORMED) from None


class _InPlace:
    """A libsrtp session, called on one buffer for all: no allocation but the result.

    The buffer is filled, worked on and copied out in one call, so that sessions can
    share it, and it stays in the processor's nearest cache.

    Of libsrtp's numbered errors (srtp.h, `srtp_err_status_t`) a packet can cause
    more than these; all others mean that it was no SRTP packet.
    """

    _REASONS: Final = {
        7: Reason.BAD_TAG,
        9: Reason.REPLAYED,
        10: Reason.TOO_OLD,
        26: Reason.TOO_OLD,
    }

    __slots__ = ("_buffer", "_context", "_length", "_library", "_protect", "_session", "_view")

    _shared: "tuple[Any, memoryview, Any] | None" = None
    """The buffer, the same as Python sees it, and a number for libsrtp to write to."""

    def __init__(self, direction: int, profile: SrtpProfile, key: bytes, salt: bytes) -> None:
        from pylibsrtp._binding import ffi, lib

        self._library = lib
        self._protect = lib.srtp_protect
        self._session = _session(direction, profile, key, salt)  # owns what is below
        self._context = self._session._srtp[0]
        if _InPlace._shared is None:
            buffer = ffi.new("char[]", LONGEST + _TRAILER)
            _InPlace._shared = buffer, memoryview(ffi.buffer(buffer)), ffi.new("int *")
        self._buffer, self._view, self._length = _InPlace._shared

    def protect(self, packet: bytes) -> bytes:
        # What `_call` does, spelled out: no other call is made as often.
        size = len(packet)
        if size > LONGEST:
            raise Rejected(Reason.MALFORMED)
        view, length = self._view, self._length
        view[:size] = packet
        length[0] = size
        if error := self._protect(self._context, self._buffer, length):
            raise Rejected(self._REASONS.get(error, Reason.MALFORMED))
        return bytes(view[: length[0]])

    def unprotect(self, packet: bytes) -> bytes:
        return self._call(self._library.srtp_unprotect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._call(self._library.srtp_protect_rtcp, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        return self._call(self._library.srtp_unprotect_rtcp, packet)

    def _call(self, function: Callable[[Any, Any, Any], int], packet: bytes) -> bytes:
        size = len(packet)
        if size > LONGEST:
            raise Rejected(Reason.MALFORMED)
        self._view[:size] = packet
        length = self._length
        length[0] = size
        if error := function(self._context, self._buffer, length):
            raise Rejected(self._REASONS.get(error, Reason.MALFORMED))
        return bytes(self._view[: length[0]])


def _session(direction: int, profile: SrtpProfile, key: bytes, salt: bytes) -> Any:
    """A libsrtp session in which every SSRC is a stream of its own, with the same keys."""
    if len(key) != profile.key_length or len(salt) != profile.salt_length:
        raise ValueError(f"{profile.name} does not go with {len(key)} + {len(salt)} bytes")
    policy = pylibsrtp.Policy(
        key=key + salt, ssrc_type=direction, srtp_profile=_LIBRARY_PROFILES[profile]
    )
    policy.window_size = RTP_WINDOW
    policy.allow_repeat_tx = True
    return pylibsrtp.Session(policy)


def _same(engine: Engine, other: Engine) -> bool:
    """Whether both give the same bytes for packets of each kind, and take them back."""
    for profile in SrtpProfile:
        key, salt = bytes(range(profile.key_length)), bytes(range(profile.salt_length))
        one, two = engine.outbound(profile, key, salt), other.outbound(profile, key, salt)
        back = engine.inbound(profile, key, salt)
        rtp, rtcp = b"\x80\x60\xff\xff" + bytes(range(200)), b"\x81\xc9\0\7" + bytes(28)
        protected, protected_rtcp = one.protect(rtp), one.protect_rtcp(rtcp)
        if protected != two.protect(rtp) or protected_rtcp != two.protect_rtcp(rtcp):
            return False
        if back.unprotect(protected) != rtp or back.unprotect_rtcp(protected_rtcp) != rtcp:
            return False
        try:
            back.unprotect(protected)
        except Rejected as rejected:
            if rejected.reason is not Reason.REPLAYED:
                return False
    return True


def _engines() -> list[Engine]:
    """Those that work here, best first."""
    found = [PYTHON]
    if pylibsrtp is not None:
        outgoing = pylibsrtp.Policy.SSRC_ANY_OUTBOUND
        incoming = pylibsrtp.Policy.SSRC_ANY_INBOUND
        public = Engine("public", partial(_Public, outgoing), partial(_Public, incoming))
        found.insert(0, public)
        in_place = Engine("in place", partial(_InPlace, outgoing), partial(_InPlace, incoming))
        try:
            if _same(in_place, public):
                found.insert(0, in_place)
        except (AttributeError, ImportError, TypeError):
            pass  # its insides are other ones than we know: what is public will do
    return found


PYTHON: Final = Engine("python", Outbound, Inbound)
_LIBRARY_PROFILES: Final = (
    {}
    if pylibsrtp is None
    else {
        SrtpProfile.AES128_CM_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        SrtpProfile.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        SrtpProfile.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    }
)
ENGINES: Final = tuple(_engines())
"""What can be had here, best first."""


class SrtpSender:
    """Protects what we send to one peer, under one key."""

    def __init__(
        self, profile: SrtpProfile, key: bytes, salt: bytes, engine: Engine = ENGINES[0]
    ) -> None:
        self._engine = engine.outbound(profile, key, salt)
        self.refused: Counter[Reason] = Counter()
        """What could not be protected: a repeat from before the window, a monster."""

    def protect(self, packets: list[bytes]) -> list[bytes]:
        """SRTP for RTP; what cannot be protected is left out, and counted."""
        protect = self._engine.protect
        protected = []
        for packet in packets:
            try:
                protected.append(protect(packet))
            except Rejected as rejected:
                self.refused[rejected.reason] += 1
        return protected

    def protect_rtcp(self, packet: bytes) -> bytes:
        """SRTCP for one compound packet, which must be one: `ValueError` otherwise."""
        try:
            return self._engine.protect_rtcp(packet)
        except Rejected as rejected:
            raise ValueError(f"no RTCP packet: {rejected}") from None


class SrtpReceiver:
    """Unprotects what one peer sends to us, under one key."""

    def __init__(
        self, profile: SrtpProfile, key: bytes, salt: bytes, engine: Engine = ENGINES[0]
    ) -> None:
        self._engine = engine.inbound(profile, key, salt)
        self._known: set[bytes] = set()
        """SSRCs, as they stand in packets, that the engine keeps state for."""
        self.rejected: Counter[Reason] = Counter()

    def unprotect(self, packets: list[bytes]) -> list[bytes]:
        """RTP for SRTP; what is refused is left out, and counted."""
        unprotect, known = self._engine.unprotect, self._known
        plain = []
        for packet in packets:
            try:
                if (ssrc := packet[8:12]) in known:
                    plain.append(unprotect(packet))
                else:
                    plain.append(self._first(unprotect, packet, ssrc))
            except Rejected as rejected:
                self.rejected[rejected.reason] += 1
        return plain

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """One compound RTCP packet for an SRTCP packet; None, and counted, if refused."""
        unprotect = self._engine.unprotect_rtcp
        try:
            if (ssrc := packet[4:8]) in self._known:
                return unprotect(packet)
            return self._first(unprotect, packet, ssrc)
        except Rejected as rejected:
            self.rejected[rejected.reason] += 1
            return None

    def _first(self, unprotect: Callable[[bytes], bytes], packet: bytes, ssrc: bytes) -> bytes:
        if len(self._known) >= MAX_SSRCS:
            raise Rejected(Reason.TOO_MANY_SSRCS)
        plain = unprotect(packet)
        self._known.add(ssrc)  # only now: a forger must not use up the room
        return plain
