"""Cookies: letting a stranger prove that it lives where it says (RFC 6347 section 4.2.1).

Problem: our answer to a ClientHello is four times as long as a short ClientHello.
Whoever forges a sender's address makes us throw the difference at somebody else.

The naive answer is the RFC's: ask everybody for a cookie first. It costs each
honest client a round trip, and most need not pay it, because they spend so many
bytes on their own ClientHello that we may answer at once: QUIC's rule, three bytes
out for one byte in (RFC 9000 section 8.1), is kept. So a cookie is asked only of
those whose ClientHello is too short for that. ICE has looked at the address as
well, but this folder must not have to know.

The cookie is a MAC over the client's address and over what a client must not
change when it asks again. We keep a secret, and no cookies: a server under attack
remembers nothing. It is good as long as the secret is, which lives as long as the
connection; a replay inside that time comes from the address that it proves.
"""

import hmac
from typing import Final

from trio_sfu.core import Address
from trio_sfu.dtls.extensions import numbers, vector
from trio_sfu.dtls.messages import ClientHello

LENGTH: Final = 20
"""DTLS 1.0 allowed up to 32 bytes; 160 bits are not guessed."""
SECRET_LENGTH: Final = 32

AMPLIFICATION: Final = 3
"""Bytes out for each byte in, until an address has proved itself (RFC 9000 section 8.1)."""


def make(secret: bytes, remote: Address, hello: ClientHello) -> bytes:
    """The cookie that *hello* has to bring along the second time."""
    host, port = remote
    said = b"".join(
        (
            vector(2, host.encode()),
            numbers((port, hello.version)),
            hello.random,
            vector(1, hello.session_id),
            vector(2, numbers(hello.cipher_suites)),
            vector(1, hello.compression_methods),
        )
    )
    return hmac.digest(secret, said, "sha256")[:LENGTH]


def good(secret: bytes, remote: Address, hello: ClientHello) -> bool:
    """Whether *hello* carries the cookie that we made for it."""
    return hmac.compare_digest(make(secret, remote, hello), hello.cookie)
