"""OpenSSL as one end of a handshake, in this process, through pyOpenSSL.

Shaped like a core of ours, but for one thing: OpenSSL's timers read the computer's
own clock. So *now* has to be `time.monotonic()` wherever one of them matters.
"""

import math
import time
from collections.abc import Sequence

from cryptography import x509
from OpenSSL import SSL

from trio_sfu.core import INSIDE, Datagram
from trio_sfu.dtls import Certificate, DtlsState, Role, SrtpProfile
from trio_sfu.dtls.record import Record
from trio_sfu.wire import Reader

PROFILES = {
    b"SRTP_AES128_CM_SHA1_80": SrtpProfile.AES128_CM_HMAC_SHA1_80,
    b"SRTP_AEAD_AES_128_GCM": SrtpProfile.AEAD_AES_128_GCM,
    b"SRTP_AEAD_AES_256_GCM": SrtpProfile.AEAD_AES_256_GCM,
}


class OpensslPeer:
    """A `Core` around `OpenSSL.SSL.Connection`."""

    def __init__(
        self,
        role: Role,
        certificate: Certificate,
        *,
        mtu: int = 1200,
        suites: str = "ECDHE+AESGCM:ECDHE+CHACHA20",
        profiles: Sequence[bytes] = tuple(PROFILES),
        request_certificate: bool = True,
        options: int = 0,
    ) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_options(options)
        context.use_privatekey(certificate.key)
        context.use_certificate(x509.load_der_x509_certificate(certificate.der))
        context.set_cipher_list(suites.encode())
        if profiles:
            context.set_tlsext_use_srtp(b":".join(profiles))
        if request_certificate:
            wish = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            context.set_verify(wish, lambda *_: True)
        self.state = DtlsState.HANDSHAKING
        self.failure = ""
        self.received: list[bytes] = []
        self.deadline = math.inf
        self._mtu = mtu
        self._datagrams: list[Datagram] = []
        self._ssl = SSL.Connection(context)
        self._ssl.set_ciphertext_mtu(mtu)
        if role is Role.SERVER:
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()
        self._step()

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        for datagram in datagrams:
            self._ssl.bio_write(datagram.data)
            self._step()

    def handle_timeout(self, now: float) -> None:
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self._fail(error)
        self._collect()

    def take_datagrams(self) -> list[Datagram]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def send(self, data: bytes) -> None:
        self._ssl.send(data)
        self._collect()

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        return self._ssl.export_keying_material(label.encode(), length, context)

    @property
    def profile(self) -> SrtpProfile | None:
        return PROFILES.get(self._ssl.get_selected_srtp_profile())

    @property
    def suite(self) -> str | None:
        return self._ssl.get_cipher_name()

    def renegotiate(self) -> None:
        self._ssl.renegotiate()
        self._step()

    def close(self) -> None:
        self._ssl.shutdown()
        self._collect()

    def _step(self) -> None:
        try:
            if self.state is DtlsState.HANDSHAKING:
                self._ssl.do_handshake()
                self.state = DtlsState.CONNECTED
            if self.state is DtlsState.CONNECTED:
                while True:
                    self.received.append(self._ssl.recv(65536))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.state = DtlsState.CLOSED
        except SSL.Error as error:
            self._fail(error)
        self._collect()

    def _fail(self, error: SSL.Error) -> None:
        self.state = DtlsState.FAILED
        self.failure = repr(error)

    def _collect(self) -> None:
        """What OpenSSL wrote came through a pipe of bytes: find the datagrams again."""
        left = self._ssl.DTLSv1_get_timeout() if self.state is DtlsState.HANDSHAKING else None
        self.deadline = math.inf if left is None else time.monotonic() + left
        try:
            written = Reader(self._ssl.bio_read(1 << 20))
        except SSL.WantReadError:
            return
        current = b""
        while written:
            record = Record.decode(written).encode()
            if current and len(current) + len(record) > self._mtu:
                self._datagrams.append(Datagram(current, INSIDE, INSIDE))
                current = b""
            current += record
        self._datagrams.append(Datagram(current, INSIDE, INSIDE))
