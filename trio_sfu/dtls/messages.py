"""The bodies of the handshake messages, one frozen class each.

Each class encodes and decodes the message without its 12-byte header, which belongs
to `trio_sfu.dtls.fragments`. No logic here: what is well formed but unwise (a
cipher suite that nobody wants, a random that gives a downgrade away) is for the
handshake to judge. `MESSAGES` is the one table from type to class.
"""

from collections.abc import Mapping
from typing import Final, Protocol, Self

import attrs

from trio_sfu.dtls.extensions import Extensions, numbers, read_numbers, vector
from trio_sfu.dtls.flights import Message
from trio_sfu.wire import Reader, WireError

RANDOM_LENGTH: Final = 32
VERIFY_DATA_LENGTH: Final = 12
"""RFC 5246 section 7.4.9; none of our suites has another."""
MAX_SESSION_ID: Final = 32
NAMED_CURVE: Final = 3
"""ECCurveType (RFC 8422 section 5.4): the others are history."""
NO_COMPRESSION: Final = 0


class Body(Protocol):
    """What every message can do."""

    kind: Message

    def encode(self) -> bytes: ...

    @classmethod
    def decode(cls, reader: Reader) -> Self: ...


def _read_session_id(reader: Reader) -> bytes:
    length = reader.u8()
    if length > MAX_SESSION_ID:
        raise WireError(f"session id of {length} bytes")
    return reader.take(length)


@attrs.frozen
class ClientHello:
    """What a client can do (RFC 6347 section 4.2.1: as in TLS, with a cookie)."""

    kind = Message.CLIENT_HELLO
    version: int
    random: bytes
    cipher_suites: tuple[int, ...]
    extensions: Extensions
    session_id: bytes = b""
    cookie: bytes = b""
    compression_methods: bytes = bytes((NO_COMPRESSION,))

    def encode(self) -> bytes:
        return b"".join(
            (
                numbers((self.version,)),
                self.random,
                vector(1, self.session_id),
                vector(1, self.cookie),
                vector(2, numbers(self.cipher_suites)),
                vector(1, self.compression_methods),
                self.extensions.encode(),
            )
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        version, random = reader.u16(), reader.take(RANDOM_LENGTH)
        session_id = _read_session_id(reader)
        cookie = reader.take(reader.u8())
        suites = read_numbers(reader.block(reader.u16()))
        compression_methods = reader.take(reader.u8())
        extensions = Extensions.decode(reader)
        reader.end()
        return cls(version, random, suites, extensions, session_id, cookie, compression_methods)


@attrs.frozen
class HelloVerifyRequest:
    """Ask again, and say this (RFC 6347 section 4.2.1)."""

    kind = Message.HELLO_VERIFY_REQUEST
    version: int
    cookie: bytes

    def encode(self) -> bytes:
        return numbers((self.version,)) + vector(1, self.cookie)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        version, cookie = reader.u16(), reader.take(reader.u8())
        reader.end()
        return cls(version, cookie)


@attrs.frozen
class ServerHello:
    """What the server chose of it (RFC 5246 section 7.4.1.3)."""

    kind = Message.SERVER_HELLO
    version: int
    random: bytes
    cipher_suite: int
    extensions: Extensions
    session_id: bytes = b""
    compression_method: int = NO_COMPRESSION

    def encode(self) -> bytes:
        return b"".join(
            (
                numbers((self.version,)),
                self.random,
                vector(1, self.session_id),
                numbers((self.cipher_suite,)),
                bytes((self.compression_method,)),
                self.extensions.encode(),
            )
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        version, random = reader.u16(), reader.take(RANDOM_LENGTH)
        session_id = _read_session_id(reader)
        suite, compression_method = reader.u16(), reader.u8()
        extensions = Extensions.decode(reader)
        reader.end()
        return cls(version, random, suite, extensions, session_id, compression_method)


@attrs.frozen
class Certificate:
    """A chain of DER, the sender's own first; empty if it has none (section 7.4.2)."""

    kind = Message.CERTIFICATE
    chain: tuple[bytes, ...]

    def encode(self) -> bytes:
        return vector(3, b"".join(vector(3, der) for der in self.chain))

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        block = reader.block(reader.u24())
        reader.end()
        chain = []
        while block:
            chain.append(block.take(block.u24()))
        return cls(tuple(chain))


@attrs.frozen
class Signature:
    """A signature with the scheme that made it (RFC 5246 section 4.7)."""

    scheme: int
    value: bytes

    def encode(self) -> bytes:
        return numbers((self.scheme,)) + vector(2, self.value)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.u16(), reader.take(reader.u16()))


@attrs.frozen
class ServerKeyExchange:
    """The server's half of an elliptic-curve agreement, signed (RFC 8422 section 5.4)."""

    kind = Message.SERVER_KEY_EXCHANGE
    group: int
    public: bytes
    signature: Signature

    @staticmethod
    def parameters(group: int, public: bytes) -> bytes:
        """What is signed, behind the two randoms."""
        return bytes((NAMED_CURVE,)) + numbers((group,)) + vector(1, public)

    def encode(self) -> bytes:
        return self.parameters(self.group, self.public) + self.signature.encode()

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        if (kind := reader.u8()) != NAMED_CURVE:
            raise WireError(f"curve type {kind}")
        group, public = reader.u16(), reader.take(reader.u8())
        signature = Signature.decode(reader)
        reader.end()
        return cls(group, public, signature)


@attrs.frozen
class CertificateRequest:
    """The server wants to know who we are (RFC 5246 section 7.4.4)."""

    kind = Message.CERTIFICATE_REQUEST
    certificate_types: bytes
    signature_schemes: tuple[int, ...]
    authorities: bytes = b""
    """Names of issuers, unread: fingerprints stand in for them."""

    def encode(self) -> bytes:
        return (
            vector(1, self.certificate_types)
            + vector(2, numbers(self.signature_schemes))
            + vector(2, self.authorities)
        )

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        types = reader.take(reader.u8())
        schemes = read_numbers(reader.block(reader.u16()))
        authorities = reader.take(reader.u16())
        reader.end()
        return cls(types, schemes, authorities)


@attrs.frozen
class ServerHelloDone:
    """Over to the client."""

    kind = Message.SERVER_HELLO_DONE

    def encode(self) -> bytes:
        return b""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        reader.end()
        return cls()


@attrs.frozen
class HelloRequest:
    """Please renegotiate; nobody here does (RFC 5246 section 7.4.1.1)."""

    kind = Message.HELLO_REQUEST

    def encode(self) -> bytes:
        return b""

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        reader.end()
        return cls()


@attrs.frozen
class ClientKeyExchange:
    """The client's half of the agreement (RFC 8422 section 5.7)."""

    kind = Message.CLIENT_KEY_EXCHANGE
    public: bytes

    def encode(self) -> bytes:
        return vector(1, self.public)

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        public = reader.take(reader.u8())
        reader.end()
        return cls(public)


@attrs.frozen
class CertificateVerify:
    """All that was said so far, signed: the certificate is the client's own (section 7.4.8)."""

    kind = Message.CERTIFICATE_VERIFY
    signature: Signature

    def encode(self) -> bytes:
        return self.signature.encode()

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        signature = Signature.decode(reader)
        reader.end()
        return cls(signature)


@attrs.frozen
class Finished:
    """All that was said so far, under the new keys: nobody changed it on the way."""

    kind = Message.FINISHED
    verify_data: bytes

    def encode(self) -> bytes:
        return self.verify_data

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        verify_data = reader.take(VERIFY_DATA_LENGTH)
        reader.end()
        return cls(verify_data)


MESSAGES: Final[Mapping[Message, type[Body]]] = {
    body.kind: body
    for body in (
        HelloRequest,
        ClientHello,
        ServerHello,
        HelloVerifyRequest,
        Certificate,
        ServerKeyExchange,
        CertificateRequest,
        ServerHelloDone,
        CertificateVerify,
        ClientKeyExchange,
        Finished,
    )
}
