"""DTLS 1.2: keys for one path, and proof of who is at its other end.

*What for.* Media travel as SRTP and data channels as SCTP, and neither agrees on its
own keys. DTLS, which is TLS for a network that loses datagrams, does so on the path
that ICE found: out of one handshake come the keys of both directions of SRTP (RFC
5764), and a channel that SCTP then lives in (RFC 8261). Its certificates are signed
by nobody; they are good because the signalling has told their fingerprints (RFC 8827).

*How it goes.* Four flights, two each; `flights` has the picture and the tables. The
hellos choose a cipher suite, a curve and an SRTP profile. Each end shows its
certificate (`certificate`), signs the key agreement (`groups`, `signatures`), and both
end with a Finished under the new keys (`ciphers`) that covers every word that was said.

*Where it is hard.* TLS was written for a stream, and everything that a stream gives
for nothing has to be done here. A message longer than a datagram is cut, and cut
elsewhere when it is repeated (`fragments`). A flight is a question and its answer its
only receipt, so who repeats what, when, and for how long decides whether a call over
a bad network begins in half a second or not at all (`connection`). A stranger must
not be able to make us shout at somebody else (`cookie`). And the answer to "is this
who I think it is" may come later than the question (`connection`, *patience*).

*What is left out, and why.* Session resumption: a peer connection is made once.
Renegotiation: its history is one of attacks; who asks is told no. CBC, RSA key
exchange, SHA-1, compression: the same. RSA certificates of our own: nobody needs them.
Connection ids (RFC 9146): ICE already follows a peer that moves. DTLS 1.3 (RFC 9147):
every client that speaks it speaks 1.2 too, when `supported_versions` is left out of the
ServerHello. ``docs/assumptions/dtls.md`` has the reasons at length.

*How to read it.* `record`, `fragments`, `messages` and `extensions` are bytes; then
`flights`; then `handshake`, `server` and `client`, in which everything happens once and
in order; then `connection`, which makes it so. `examples/03_dtls_handshake_in_memory.py`
is all of it in a page.
"""

from trio_sfu.dtls.certificate import Certificate, Fingerprint, generate
from trio_sfu.dtls.connection import DtlsConnection
from trio_sfu.dtls.events import CloseNotified, Drop, DtlsState, Event, StateChanged
from trio_sfu.dtls.extensions import SrtpProfile
from trio_sfu.dtls.flights import Role
from trio_sfu.dtls.handshake import SrtpKeys

__all__ = [
    "Certificate",
    "CloseNotified",
    "Drop",
    "DtlsConnection",
    "DtlsState",
    "Event",
    "Fingerprint",
    "Role",
    "SrtpKeys",
    "SrtpProfile",
    "StateChanged",
    "generate",
]
