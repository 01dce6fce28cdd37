"""What a DTLS 1.2 server believes and says, flight by flight (RFC 6347 section 4.2.4).

In WebRTC the server is nearly always we: clients offer `a=setup:actpass`, the
answer says `passive`. The client's certificate is demanded, as RFC 8827 asks.
"""

from collections.abc import Sequence
from typing import Final

import attrs

from trio_sfu.core import INSIDE, Entropy
from trio_sfu.dtls import cookie, signatures
from trio_sfu.dtls.alert import Description, HandshakeError
from trio_sfu.dtls.certificate import Certificate
from trio_sfu.dtls.ciphers import SCSV, CipherSuite
from trio_sfu.dtls.extensions import UNCOMPRESSED, Extensions, SrtpProfile, UseSrtp
from trio_sfu.dtls.flights import Message, Role, State
from trio_sfu.dtls.fragments import HEADER_SIZE as FRAGMENT_HEADER
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.groups import KEY_SHARES, KeyShare, NamedGroup
from trio_sfu.dtls.handshake import Handshake, Outbound
from trio_sfu.dtls.messages import (
    NO_COMPRESSION,
    RANDOM_LENGTH,
    Body,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    ClientKeyExchange,
    Finished,
    HelloVerifyRequest,
    ServerHello,
    ServerHelloDone,
    ServerKeyExchange,
    Signature,
)
from trio_sfu.dtls.messages import Certificate as CertificateMessage
from trio_sfu.dtls.record import DTLS_1_0, DTLS_1_2
from trio_sfu.dtls.record import HEADER_SIZE as RECORD_HEADER
from trio_sfu.wire import WireError

SENTINEL: Final = b"DOWNGRD"
"""How a server of TLS 1.3 marks a random of TLS 1.2 (RFC 8446 section 4.1.3). We are
none, so a random of ours that ended so by chance would be taken for an attack."""

CERTIFICATE_TYPES: Final = bytes((64, 1))
"""ecdsa_sign and rsa_sign (RFC 8422 section 5.5, RFC 5246 section 7.4.4)."""

_PER_MESSAGE: Final = RECORD_HEADER + FRAGMENT_HEADER
_FIXED: Final = 64 + 6 + 80 + 17
"""Bytes at most of ServerHello, Certificate without the certificate,
ServerKeyExchange without the key, CertificateRequest."""
_MESSAGES: Final = 5


def server_random(entropy: Entropy) -> bytes:
    """32 bytes that do not look like a downgrade."""
    random = entropy(RANDOM_LENGTH)
    while random[24:31] == SENTINEL:
        random = entropy(RANDOM_LENGTH)
    return random


@attrs.frozen
class Choice:
    """What a server takes of a client's offer."""

    suite: CipherSuite
    group: NamedGroup
    profile: SrtpProfile | None


class ServerHandshake(Handshake):
    """The server's half."""

    role = Role.SERVER

    def __init__(
        self,
        certificate: Certificate,
        entropy: Entropy,
        profiles: Sequence[SrtpProfile],
        mtu: int,
    ) -> None:
        super().__init__(certificate, entropy, profiles)
        self.address_proven = False
        """Whether the client has brought a cookie back."""
        self._mtu = mtu
        self._cookie_secret = b""
        self._hello: ClientHello | None = None
        self._choice: Choice | None = None
        self._share: KeyShare | None = None

    def hear(self, message: Fragment, allowance: float) -> list[Outbound]:
        """As in `Handshake`; but a ClientHello may have to fetch a cookie first."""
        if self.state is State.WAIT_CLIENT_HELLO and message.message is Message.CLIENT_HELLO:
            hello = self._decode(message)
            assert isinstance(hello, ClientHello), "the table of messages says so"
            choice = self._choose(hello)
            if self._cookie_secret and cookie.good(self._cookie_secret, INSIDE, hello):
                self.address_proven = True
            elif self._flight_size(choice.group) > min(allowance, self._mtu):
                # Of a flight in several datagrams a part may arrive, and GnuTLS then
                # falls silent and leaves the repeats to us: they must not be rationed.
                # One datagram arrives or does not, and who heard nothing asks again.
                return [self._ask_for_cookie(hello)]
        return super().hear(message, allowance)

    def _flight_size(self, group: NamedGroup) -> int:
        """At most so many bytes will answer a ClientHello."""
        public = 2 * 48 + 1 if group is NamedGroup.SECP384R1 else 65
        if group is NamedGroup.X25519:
            public = 32
        size = _FIXED + public + len(self._certificate.der)
        cuts = size // (self._mtu - _PER_MESSAGE)
        return size + _PER_MESSAGE * (_MESSAGES + 2 * cuts)

    def _ask_for_cookie(self, hello: ClientHello) -> Outbound:
        if not self._cookie_secret:
            self._cookie_secret = self._entropy(cookie.SECRET_LENGTH)
        # Version 1.0 whatever will be spoken: this is no agreement (section 4.2.1).
        answer = HelloVerifyRequest(DTLS_1_0, cookie.make(self._cookie_secret, INSIDE, hello))
        outbound = self._say(answer, version=DTLS_1_0)
        # Neither this nor the hello that it answers is in the transcript (section 4.2.1).
        self._transcript.clear()
        return outbound

    def _choose(self, hello: ClientHello) -> Choice:
        """The best of what both can; `HandshakeError` if that is nothing."""
        extensions = hello.extensions
        offered = extensions.versions
        # Versions count downwards: 0xFEFC, of a client of 1.3, is above 0xFEFD.
        if hello.version > DTLS_1_2 or (offered is not None and DTLS_1_2 not in offered):
            raise HandshakeError(Description.PROTOCOL_VERSION, "the client cannot do DTLS 1.2")
        if NO_COMPRESSION not in hello.compression_methods:
            raise HandshakeError(Description.ILLEGAL_PARAMETER, "the client wants compression")
        if extensions.renegotiation_info:
            raise HandshakeError(Description.HANDSHAKE_FAILURE, "a renegotiation from the start")
        if extensions.point_formats is not None and UNCOMPRESSED not in extensions.point_formats:
            raise HandshakeError(Description.ILLEGAL_PARAMETER, "no uncompressed points")
        if signatures.SignatureScheme.ECDSA_SHA256 not in (extensions.signature_schemes or ()):
            raise HandshakeError(Description.HANDSHAKE_FAILURE, "no ECDSA with SHA-256")
        suite = next((suite for suite in CipherSuite if suite in hello.cipher_suites), None)
        if suite is None:
            raise HandshakeError(Description.HANDSHAKE_FAILURE, "no cipher suite in common")
        # A client without the extension takes any curve (RFC 8422 section 4): the oldest.
        groups = (NamedGroup.SECP256R1,) if extensions.groups is None else extensions.groups
        group = next((group for group in NamedGroup if group in groups), None)
        if group is None:
            raise HandshakeError(Description.HANDSHAKE_FAILURE, "no curve in common")
        srtp = extensions.use_srtp
        return Choice(suite, group, self._choose_profile(srtp.profiles) if srtp else None)

    def _take(self, body: Body) -> None:
        match body:
            case ClientHello():
                self._take_hello(body)
            case CertificateMessage():
                self._take_certificate(body)
            case ClientKeyExchange():
                self._take_key_exchange(body)
            case CertificateVerify():
                self._take_certificate_verify(body)
            case Finished():
                self._take_finished(body)

    def _take_hello(self, hello: ClientHello) -> None:
        self._hello, self._choice = hello, self._choose(hello)
        self._use(self._choice.suite)
        self.profile = self._choice.profile
        self._extended_master_secret = hello.extensions.extended_master_secret
        self._client_random = hello.random
        self._server_random = server_random(self._entropy)

    def _take_key_exchange(self, exchange: ClientKeyExchange) -> None:
        assert self._share is not None, "ClientKeyExchange comes after our hello"
        try:
            secret = self._share.exchange(exchange.public)
        except WireError as bad_point:
            raise HandshakeError(Description.ILLEGAL_PARAMETER, str(bad_point)) from None
        self._share = None
        self._derive_keys(secret)

    def _take_certificate_verify(self, verify: CertificateVerify) -> None:
        assert self._peer_key is not None, "CertificateVerify comes after Certificate"
        signature = verify.signature
        try:
            signatures.verify(
                self._peer_key, signature.scheme, signature.value, bytes(self._transcript)
            )
        except WireError as wrong:
            raise HandshakeError(Description.DECRYPT_ERROR, str(wrong)) from None

    def _speak(self, heard: Message) -> list[Outbound]:
        if heard is Message.FINISHED:
            return self._say_finished()
        assert self._hello is not None, "we speak after a hello"
        assert self._choice is not None, "we speak after a hello"
        share = self._share = KEY_SHARES[self._choice.group].generate(self._entropy)
        parameters = ServerKeyExchange.parameters(self._choice.group, share.public)
        signature = Signature(
            signatures.SignatureScheme.ECDSA_SHA256,
            signatures.sign(
                self._certificate.key, self._client_random + self._server_random + parameters
            ),
        )
        return [
            self._say(self._server_hello(self._hello, self._choice)),
            self._say(CertificateMessage((self._certificate.der,))),
            self._say(ServerKeyExchange(self._choice.group, share.public, signature)),
            self._say(CertificateRequest(CERTIFICATE_TYPES, signatures.SCHEMES)),
            self._say(ServerHelloDone()),
        ]

    def _server_hello(self, hello: ClientHello, choice: Choice) -> ServerHello:
        """Only what was asked for is answered (RFC 5246 section 7.4.1.4).

        No session id, so nothing can be resumed; no supported_versions, so a
        client of 1.3 knows that it is 1.2.
        """
        asked = hello.extensions
        renegotiation = asked.renegotiation_info is not None or SCSV in hello.cipher_suites
        answered = Extensions(
            point_formats=None if asked.point_formats is None else bytes((UNCOMPRESSED,)),
            use_srtp=None if choice.profile is None else UseSrtp((choice.profile,)),
            extended_master_secret=asked.extended_master_secret,
            renegotiation_info=b"" if renegotiation else None,
        )
        return ServerHello(DTLS_1_2, self._server_random, choice.suite, answered)
