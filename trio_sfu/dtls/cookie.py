"""Cookies: letting a stranger prove that it lives where it says (RFC 6347 section 4.2.1).

Problem: our answer to a ClientHello is four times as long as a short ClientHello.
Whoever forges a sender's address makes us throw the difference at somebody else.

The naive answer is the RFC's: ask everybody for a cookie first. It costs each
honest client a round trip, and most need not pay it, because they spend so many
bytes on their own ClientHello that we may answer at once: QUIC's rule, three bytes
out for one byte in (RFC 9000 section 8.1), is kept. So a cookie is asked only of
those whose ClientHello is too short for that. ICE has looked at the address as
well, but this folder must not have to know.

The same rule says what to do about a longer flight. Of one in several datagrams a
part may arrive, and some clients (GnuTLS) then fall silent and leave the repeats to
us; rationed repeats would be a deadlock. So such a flight is never begun without a
cookie, and one that begins without a cookie is a single datagram: it arrives, or the
client heard nothing and repeats its hello, which pays for the next.

The cookie is a MAC over the client's address and over what a client must not change
when it asks again; the secret is the connection's own and dies with it. The RFC wants
more: a server that has forgotten the first hello when the second comes. Here whoever
can send a ClientHello has been let in by ICE and has a connection already, so nothing
is won by forgetting, and the request may be repeated, as far as the rule allows.
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
