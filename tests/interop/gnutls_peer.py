"""GnuTLS as one end of a handshake, in this process and in virtual time, through ctypes.

GnuTLS lets its clock be replaced (its own tests do so), so a handshake over a bad
network takes no time here. The names are those of its C interface.
"""

import ctypes
import ctypes.util
import errno
import math
from typing import Any, ClassVar

from cryptography.hazmat.primitives import serialization

from trio_sfu.core import INSIDE, Datagram
from trio_sfu.dtls import Certificate, DtlsState, Role, SrtpProfile

SERVER, CLIENT, DATAGRAM, NONBLOCK = 1, 2, 4, 8
CRD_CERTIFICATE = 1
CERT_REQUIRE = 2
FORMAT_DER = 0
E_AGAIN, E_INTERRUPTED, E_REHANDSHAKE, E_TIMEDOUT = -28, -52, -37, -319
E_WARNING_ALERT = -16
PRIORITIES = b"NORMAL:-VERS-ALL:+VERS-DTLS1.2"


class Datum(ctypes.Structure):
    """gnutls_datum_t."""

    _fields_: ClassVar = [("data", ctypes.c_char_p), ("size", ctypes.c_uint)]


class Timespec(ctypes.Structure):
    """struct timespec."""

    _fields_: ClassVar = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


PUSH = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
PULL = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
PULL_TIMEOUT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)
GETTIME = ctypes.CFUNCTYPE(None, ctypes.POINTER(Timespec))


class Clock:
    """What GnuTLS takes for the time: one for all of its connections."""

    now = 0.0


def _gettime(into: Any) -> None:
    # Not from zero: to GnuTLS a time of zero means that there was none.
    seconds = Clock.now + 1000
    into.contents.seconds = int(seconds)
    into.contents.nanoseconds = int(seconds % 1 * 1e9)


_CALLED_BY_GNUTLS = GETTIME(_gettime)
"""Must live as long as the library may call it."""


def load() -> ctypes.CDLL | None:
    """The library with our clock in it; None where there is none that allows it."""
    name = ctypes.util.find_library("gnutls")
    if name is None:
        return None
    library = ctypes.CDLL(name, use_errno=True)
    if not hasattr(library, "_gnutls_global_set_gettime_function"):
        return None
    library._gnutls_global_set_gettime_function(_CALLED_BY_GNUTLS)
    return library


LIBRARY = load()


class GnutlsPeer:
    """A `Core` around a gnutls_session_t."""

    def __init__(self, role: Role, certificate: Certificate, *, mtu: int = 1200) -> None:
        assert LIBRARY is not None, "ask LIBRARY first"
        self.state = DtlsState.HANDSHAKING
        self.failure = ""
        self._inbox: list[bytes] = []
        self._datagrams: list[Datagram] = []
        self._session = ctypes.c_void_p()
        self._credentials = ctypes.c_void_p()
        self._callbacks = (PUSH(self._push), PULL(self._pull), PULL_TIMEOUT(self._pull_timeout))
        side = SERVER if role is Role.SERVER else CLIENT
        self._check(LIBRARY.gnutls_init(ctypes.byref(self._session), side | DATAGRAM | NONBLOCK))
        self._check(LIBRARY.gnutls_priority_set_direct(self._session, PRIORITIES, None))
        self._give_certificate(certificate)
        if role is Role.SERVER:
            LIBRARY.gnutls_certificate_server_set_request(self._session, CERT_REQUIRE)
        push, pull, pull_timeout = self._callbacks
        LIBRARY.gnutls_transport_set_push_function(self._session, push)
        LIBRARY.gnutls_transport_set_pull_function(self._session, pull)
        LIBRARY.gnutls_transport_set_pull_timeout_function(self._session, pull_timeout)
        LIBRARY.gnutls_dtls_set_mtu(self._session, mtu)
        profile = SrtpProfile.AES128_CM_HMAC_SHA1_80
        self._check(LIBRARY.gnutls_srtp_set_profile(self._session, int(profile)))
        self._step()

    def _give_certificate(self, certificate: Certificate) -> None:
        assert LIBRARY is not None
        key = certificate.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._check(
            LIBRARY.gnutls_certificate_allocate_credentials(ctypes.byref(self._credentials))
        )
        datums = Datum(certificate.der, len(certificate.der)), Datum(key, len(key))
        self._check(
            LIBRARY.gnutls_certificate_set_x509_key_mem(
                self._credentials, ctypes.byref(datums[0]), ctypes.byref(datums[1]), FORMAT_DER
            )
        )
        self._check(
            LIBRARY.gnutls_credentials_set(self._session, CRD_CERTIFICATE, self._credentials)
        )

    def dispose(self) -> None:
        assert LIBRARY is not None
        LIBRARY.gnutls_deinit(self._session)
        LIBRARY.gnutls_certificate_free_credentials(self._credentials)

    @property
    def deadline(self) -> float:
        assert LIBRARY is not None
        if self.state is not DtlsState.HANDSHAKING:
            return math.inf
        left: int = LIBRARY.gnutls_dtls_get_timeout(self._session)
        return Clock.now + max(left, 1) / 1000

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        Clock.now = now
        for datagram in datagrams:
            self._inbox.append(datagram.data)
            self._step()

    def handle_timeout(self, now: float) -> None:
        Clock.now = now
        self._step()

    def take_datagrams(self) -> list[Datagram]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        assert LIBRARY is not None
        out = ctypes.create_string_buffer(length)
        name = label.encode()
        size = 0 if context is None else len(context)
        self._check(
            LIBRARY.gnutls_prf_rfc5705(self._session, len(name), name, size, context, length, out)
        )
        return out.raw

    @property
    def profile(self) -> SrtpProfile | None:
        assert LIBRARY is not None
        chosen = ctypes.c_int()
        if LIBRARY.gnutls_srtp_get_selected_profile(self._session, ctypes.byref(chosen)) < 0:
            return None
        return SrtpProfile(chosen.value)

    def _check(self, code: int) -> int:
        assert code >= 0, self._words(code)
        return code

    @staticmethod
    def _words(code: int) -> str:
        assert LIBRARY is not None
        LIBRARY.gnutls_strerror.restype = ctypes.c_char_p
        return f"{LIBRARY.gnutls_strerror(code).decode()} ({code})"

    def _step(self) -> None:
        assert LIBRARY is not None
        if self.state is DtlsState.HANDSHAKING:
            code = LIBRARY.gnutls_handshake(self._session)
            if code == 0:
                self.state = DtlsState.CONNECTED
            elif code not in (E_AGAIN, E_INTERRUPTED, E_WARNING_ALERT):
                self.state = DtlsState.FAILED
                self.failure = self._words(code)
        while self.state is DtlsState.CONNECTED and self._inbox:
            buffer = ctypes.create_string_buffer(65536)
            LIBRARY.gnutls_record_recv(self._session, buffer, ctypes.c_size_t(65536))

    def _push(self, _: int, data: int, size: int) -> int:
        self._datagrams.append(Datagram(ctypes.string_at(data, size), INSIDE, INSIDE))
        return size

    def _pull(self, _: int, data: int, size: int) -> int:
        assert LIBRARY is not None
        if not self._inbox:
            LIBRARY.gnutls_transport_set_errno(self._session, errno.EAGAIN)
            return -1
        datagram = self._inbox.pop(0)[:size]
        ctypes.memmove(data, datagram, len(datagram))
        return len(datagram)

    def _pull_timeout(self, _: int, milliseconds: int) -> int:
        return 1 if self._inbox else 0
