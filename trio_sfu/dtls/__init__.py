"""DTLS 1.2: keys for one path.

To be rewritten below.
"""

from trio_sfu.dtls.certificate import Certificate, Fingerprint, generate
from trio_sfu.dtls.connection import DtlsConnection
from trio_sfu.dtls.events import CloseNotified, Drop, DtlsState, StateChanged
from trio_sfu.dtls.extensions import SrtpProfile
from trio_sfu.dtls.flights import Role
from trio_sfu.dtls.handshake import SrtpKeys

__all__ = [
    "Certificate",
    "CloseNotified",
    "Drop",
    "DtlsConnection",
    "DtlsState",
    "Fingerprint",
    "Role",
    "SrtpKeys",
    "SrtpProfile",
    "StateChanged",
    "generate",
]
