"""What both roles of a handshake have in common: transcript, secrets, certificates.

A handshake hears one whole message after the other and answers with a flight when
the peer's flight is complete. It knows no datagrams, no timers and no repeats:
`trio_sfu.dtls.connection` sees to those, so that here everything happens once.

The *transcript* is all messages of both ends in order, each as if it had never
been cut. It is what the signatures and both Finished messages are about: an
attacker in the middle who changed a byte of it is found out (RFC 5246 section 7.4.9).
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import ClassVar, Final

import attrs

from trio_sfu.core import Entropy
from trio_sfu.dtls.alert import Description, HandshakeError
from trio_sfu.dtls.certificate import Certificate, Fingerprint, public_key, trusted
from trio_sfu.dtls.ciphers import (
    MASTER_SECRET_LENGTH,
    SUITES,
    CipherSuite,
    Protection,
    key_block,
    prf,
)
from trio_sfu.dtls.extensions import SrtpProfile
from trio_sfu.dtls.flights import FLIGHT_ENDS, START, Message, Role, State, advance
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.messages import MESSAGES, VERIFY_DATA_LENGTH, Body, Finished
from trio_sfu.dtls.messages import Certificate as CertificateMessage
from trio_sfu.dtls.record import DTLS_1_2, ContentType
from trio_sfu.dtls.signatures import PublicKey
from trio_sfu.wire import Reader, WireError

EXPORTER_SRTP: Final = "EXTRACTOR-dtls_srtp"
"""RFC 5764 section 4.2."""

_ABOUT_THE_PAST: Final = frozenset({Message.CERTIFICATE_VERIFY, Message.FINISHED})
"""Messages that speak of all before them, so not of themselves."""


@attrs.frozen
class Outbound:
    """One thing to say: a whole handshake message, or a ChangeCipherSpec."""

    content_type: ContentType
    epoch: int
    payload: Fragment | bytes
    version: int = DTLS_1_2


CHANGE_CIPHER_SPEC: Final = Outbound(ContentType.CHANGE_CIPHER_SPEC, 0, b"\x01")


@attrs.frozen
class SrtpKeys:
    """What the handshake was for, sorted by who uses it (RFC 5764 section 4.2)."""

    profile: SrtpProfile
    local_key: bytes = attrs.field(repr=False)
    local_salt: bytes = attrs.field(repr=False)
    remote_key: bytes = attrs.field(repr=False)
    remote_salt: bytes = attrs.field(repr=False)


class Handshake:
    """The half that server and client share; each adds what it says and believes."""

    role: ClassVar[Role]

    def __init__(
        self, certificate: Certificate, entropy: Entropy, profiles: Sequence[SrtpProfile]
    ) -> None:
        self.state = START[self.role]
        self.fingerprints: list[Fingerprint] | None = None
        """What the peer's certificate must match; set before it is heard."""
        self.protections: tuple[Protection, Protection] | None = None
        """For writing and for reading, as soon as there are keys."""
        self.profile: SrtpProfile | None = None
        self.suite: CipherSuite | None = None
        self._certificate = certificate
        self._entropy = entropy
        self._profiles = profiles
        self._transcript = bytearray()
        self._sequence = 0
        self._hash_name = ""
        self._extended_master_secret = False
        self._master_secret = b""
        self._client_random = b""
        self._server_random = b""
        self._peer_key: PublicKey | None = None

    def hear(self, message: Fragment, allowance: float) -> list[Outbound]:
        """Take one whole message; what to say to it, if it ended a flight.

        *allowance* is how many bytes may leave. `HandshakeError` ends everything.
        """
        try:
            after = advance(self.role, self.state, message.message)
        except WireError as refused:
            raise HandshakeError(Description.UNEXPECTED_MESSAGE, str(refused)) from None
        body = self._decode(message)
        if body.kind not in _ABOUT_THE_PAST:
            self._transcript += message.encode()
        self._take(body)
        if body.kind in _ABOUT_THE_PAST:
            self._transcript += message.encode()
        self.state = after
        flight = self._speak(body.kind) if body.kind in FLIGHT_ENDS[self.role] else []
        if self.state is State.CONNECTED:
            self._transcript.clear()
        return flight

    def _take(self, body: Body) -> None:
        """Believe *body*, or raise `HandshakeError`."""
        raise NotImplementedError

    def _speak(self, heard: Message) -> list[Outbound]:
        """Our flight, after the peer's ended with *heard*."""
        raise NotImplementedError

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        """Key material for others (RFC 5705 section 4); the two ends get the same."""
        seed = self._client_random + self._server_random
        if context is not None:
            seed += len(context).to_bytes(2, "big") + context
        return prf(self._hash_name, self._master_secret, label.encode(), seed, length)

    def srtp_keys(self) -> SrtpKeys | None:
        """Keys for the profile agreed on; None where SRTP was not spoken of."""
        if self.profile is None:
            return None
        key, salt = self.profile.key_length, self.profile.salt_length
        material = Reader(self.export(EXPORTER_SRTP, None, 2 * (key + salt)))
        client_key, server_key = material.take(key), material.take(key)
        client_salt, server_salt = material.take(salt), material.take(salt)
        client, server = (client_key, client_salt), (server_key, server_salt)
        local, remote = (client, server) if self.role is Role.CLIENT else (server, client)
        return SrtpKeys(self.profile, *local, *remote)

    @staticmethod
    def _decode(message: Fragment) -> Body:
        try:
            return MESSAGES[message.message].decode(Reader(message.body))
        except WireError as broken:
            reason = f"{message.message.name}: {broken}"
            raise HandshakeError(Description.DECODE_ERROR, reason) from None

    def _say(self, body: Body, epoch: int = 0, version: int = DTLS_1_2) -> Outbound:
        """The next message of ours; it is in the transcript from now on."""
        encoded = body.encode()
        fragment = Fragment(body.kind, self._sequence, len(encoded), 0, encoded)
        self._sequence += 1
        self._transcript += fragment.encode()
        return Outbound(ContentType.HANDSHAKE, epoch, fragment, version)

    def _use(self, suite: CipherSuite) -> None:
        self.suite = suite
        self._hash_name = SUITES[suite].hash_name

    def _derive_keys(self, shared_secret: bytes) -> None:
        """Master secret and record keys; the transcript ends with ClientKeyExchange.

        With the extended master secret (RFC 7627) the secret depends on the whole
        conversation, certificates among it, and not only on the two randoms.
        """
        assert self.suite is not None, "keys come after the hellos"
        if self._extended_master_secret:
            label, seed = b"extended master secret", self._transcript_hash()
        else:
            label, seed = b"master secret", self._client_random + self._server_random
        self._master_secret = prf(self._hash_name, shared_secret, label, seed, MASTER_SECRET_LENGTH)
        client, server = key_block(
            self.suite, self._master_secret, self._server_random, self._client_random
        )
        self.protections = (client, server) if self.role is Role.CLIENT else (server, client)

    def _transcript_hash(self) -> bytes:
        return hashlib.new(self._hash_name, self._transcript).digest()

    def _verify_data(self, role: Role) -> bytes:
        label = b"client finished" if role is Role.CLIENT else b"server finished"
        return prf(
            self._hash_name,
            self._master_secret,
            label,
            self._transcript_hash(),
            VERIFY_DATA_LENGTH,
        )

    def _say_finished(self) -> list[Outbound]:
        finished = Finished(self._verify_data(self.role))
        return [CHANGE_CIPHER_SPEC, self._say(finished, epoch=1)]

    def _take_finished(self, finished: Finished) -> None:
        peer = Role.SERVER if self.role is Role.CLIENT else Role.CLIENT
        if not hmac.compare_digest(self._verify_data(peer), finished.verify_data):
            raise HandshakeError(Description.DECRYPT_ERROR, "the two transcripts differ")

    def _take_certificate(self, certificate: CertificateMessage) -> None:
        """The peer is who the signalling said, before anything else is believed of it."""
        assert self.fingerprints is not None, "the connection waits for the fingerprints"
        if not certificate.chain:
            raise HandshakeError(Description.HANDSHAKE_FAILURE, "the peer has no certificate")
        der = certificate.chain[0]
        if not trusted(der, self.fingerprints):
            reason = "the certificate is not the one that the description names"
            raise HandshakeError(Description.BAD_CERTIFICATE, reason)
        try:
            self._peer_key = public_key(der)
        except WireError as unusable:
            raise HandshakeError(Description.UNSUPPORTED_CERTIFICATE, str(unusable)) from None

    def _choose_profile(self, offered: Sequence[int]) -> SrtpProfile | None:
        return next((profile for profile in self._profiles if profile in offered), None)
