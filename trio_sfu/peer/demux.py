"""The first byte decides (RFC 7983 section 7, RFC 5761 section 4).

STUN, DTLS, RTP and RTCP share one port. Their first bytes do not overlap, and
RTP and RTCP differ in the second: RTCP's packet types 192-223 would be RTP
payload types 64-95 with the marker set, which nobody negotiates.
"""

import enum


class Protocol(enum.Enum):
    """What a datagram carries."""

    STUN = enum.auto()
    DTLS = enum.auto()
    RTP = enum.auto()
    RTCP = enum.auto()
    UNKNOWN = enum.auto()


_BY_FIRST_BYTE = tuple(
    Protocol.STUN
    if byte < 4
    else Protocol.DTLS
    if 20 <= byte < 64
    else Protocol.RTP
    if 128 <= byte < 192
    else Protocol.UNKNOWN
    for byte in range(256)
)


def protocol_of(data: bytes) -> Protocol:
    """What *data* is; nothing is verified yet."""
    if len(data) < 2:
        return Protocol.UNKNOWN
    protocol = _BY_FIRST_BYTE[data[0]]
    if protocol is Protocol.RTP and 192 <= data[1] < 224:
        return Protocol.RTCP
    return protocol
