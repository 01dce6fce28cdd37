"""What a DTLS 1.2 client believes and says, flight by flight (RFC 6347 section 4.2.4).

We are the client towards peers that answer `a=setup:passive` (FFmpeg's WHIP muxer
offers nothing else), in our own client, and in tests.
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec

from trio_sfu.core import Entropy
from trio_sfu.dtls import signatures
from trio_sfu.dtls.alert import Description, HandshakeError
from trio_sfu.dtls.certificate import Certificate
from trio_sfu.dtls.ciphers import CipherSuite
from trio_sfu.dtls.extensions import UNCOMPRESSED, Extensions, SrtpProfile, UseSrtp
from trio_sfu.dtls.flights import Message, Role
from trio_sfu.dtls.groups import KEY_SHARES, NamedGroup
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
from trio_sfu.wire import WireError


class ClientHandshake(Handshake):
    """The client's half."""

    role = Role.CLIENT

    def __init__(
        self, certificate: Certificate, entropy: Entropy, profiles: Sequence[SrtpProfile]
    ) -> None:
        super().__init__(certificate, entropy, profiles)
        self._client_random = entropy(RANDOM_LENGTH)
        self._cookie = b""
        self._request: CertificateRequest | None = None
        self._server_share: ServerKeyExchange | None = None

    def begin(self) -> list[Outbound]:
        """The first flight, and after a HelloVerifyRequest the same with its cookie."""
        extensions = Extensions(
            groups=tuple(NamedGroup),
            point_formats=bytes((UNCOMPRESSED,)),
            signature_schemes=signatures.SCHEMES,
            use_srtp=UseSrtp(tuple(self._profiles)) if self._profiles else None,
            extended_master_secret=True,
            renegotiation_info=b"",
        )
        hello = ClientHello(
            DTLS_1_2, self._client_random, tuple(CipherSuite), extensions, cookie=self._cookie
        )
        return [self._say(hello, version=DTLS_1_0)]

    def _take(self, body: Body) -> None:
        match body:
            case HelloVerifyRequest():
                self._take_cookie(body)
            case ServerHello():
                self._take_hello(body)
            case CertificateMessage():
                self._take_certificate(body)
                if not isinstance(self._peer_key, ec.EllipticCurvePublicKey):
                    reason = "all our suites need an ECDSA certificate"
                    raise HandshakeError(Description.UNSUPPORTED_CERTIFICATE, reason)
            case ServerKeyExchange():
                self._take_key_exchange(body)
            case CertificateRequest():
                self._request = body
            case Finished():
                self._take_finished(body)
            case ServerHelloDone():
                pass

    def _take_cookie(self, request: HelloVerifyRequest) -> None:
        if self._cookie or not request.cookie:
            raise HandshakeError(Description.UNEXPECTED_MESSAGE, "a cookie asked for twice")
        self._cookie = request.cookie

    def _take_hello(self, hello: ServerHello) -> None:
        if hello.version != DTLS_1_2:
            reason = f"the server chose version {hello.version:#06x}"
            raise HandshakeError(Description.PROTOCOL_VERSION, reason)
        try:
            suite = CipherSuite(hello.cipher_suite)
        except ValueError:
            reason = "the server chose a suite that was not offered"
            raise HandshakeError(Description.ILLEGAL_PARAMETER, reason) from None
        if hello.compression_method != NO_COMPRESSION:
            raise HandshakeError(Description.ILLEGAL_PARAMETER, "the server compresses")
        self._take_extensions(hello.extensions)
        self._use(suite)
        self._server_random = hello.random

    def _take_extensions(self, answered: Extensions) -> None:
        if answered.unknown or answered.versions is not None:
            reason = "the server answers an extension that was not offered"
            raise HandshakeError(Description.UNSUPPORTED_EXTENSION, reason)
        if answered.renegotiation_info:
            raise HandshakeError(Description.HANDSHAKE_FAILURE, "a renegotiation from the start")
        if answered.point_formats is not None and UNCOMPRESSED not in answered.point_formats:
            raise HandshakeError(Description.ILLEGAL_PARAMETER, "no uncompressed points")
        srtp = answered.use_srtp
        if srtp is not None:
            self.profile = self._choose_profile(srtp.profiles)
            if self.profile is None or len(srtp.profiles) != 1 or srtp.mki:
                reason = "the server chose an SRTP profile that was not offered"
                raise HandshakeError(Description.ILLEGAL_PARAMETER, reason)
        self._extended_master_secret = answered.extended_master_secret

    def _take_key_exchange(self, exchange: ServerKeyExchange) -> None:
        assert self._peer_key is not None, "ServerKeyExchange comes after Certificate"
        parameters = ServerKeyExchange.parameters(exchange.group, exchange.public)
        signed = self._client_random + self._server_random + parameters
        signature = exchange.signature
        try:
            signatures.verify(self._peer_key, signature.scheme, signature.value, signed)
        except WireError as wrong:
            raise HandshakeError(Description.DECRYPT_ERROR, str(wrong)) from None
        if exchange.group not in KEY_SHARES:
            reason = "the server chose a curve that was not offered"
            raise HandshakeError(Description.ILLEGAL_PARAMETER, reason)
        self._server_share = exchange

    def _speak(self, heard: Message) -> list[Outbound]:
        if heard is Message.FINISHED:
            return []
        if heard is Message.HELLO_VERIFY_REQUEST:
            # Neither it nor the hello that it answers is in the transcript
            # (RFC 6347 section 4.2.1).
            self._transcript.clear()
            return self.begin()
        return self._say_second_flight()

    def _say_second_flight(self) -> list[Outbound]:
        assert self._server_share is not None, "ServerHelloDone comes after ServerKeyExchange"
        share = KEY_SHARES[NamedGroup(self._server_share.group)].generate(self._entropy)
        try:
            secret = share.exchange(self._server_share.public)
        except WireError as bad_point:
            raise HandshakeError(Description.ILLEGAL_PARAMETER, str(bad_point)) from None
        flight = []
        if self._request is not None:
            flight.append(self._say(CertificateMessage((self._certificate.der,))))
        flight.append(self._say(ClientKeyExchange(share.public)))
        self._derive_keys(secret)
        if self._request is not None:
            flight.append(self._say(self._certificate_verify(self._request)))
        return flight + self._say_finished()

    def _certificate_verify(self, request: CertificateRequest) -> CertificateVerify:
        scheme = signatures.SignatureScheme.ECDSA_SHA256
        if scheme not in request.signature_schemes:
            reason = "the server takes no signature that we can make"
            raise HandshakeError(Description.HANDSHAKE_FAILURE, reason)
        signature = signatures.sign(self._certificate.key, bytes(self._transcript))
        return CertificateVerify(Signature(scheme, signature))
