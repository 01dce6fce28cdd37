"""What the two sides tell each other in INIT and INIT ACK, and what a cookie proves.

We speak two extensions: FORWARD TSN for messages that may be given up (RFC 3758), and
RE-CONFIG for streams that end (RFC 6525). What else a peer offers is answered as the
two high bits of its type demand (section 3.2.1): skip it or stop reading, and report
it or keep silent. Zero checksums (RFC 9653) and the authentication and address
extensions of a browser's INIT are of the silent kind.
"""

import enum
from typing import Final

from trio_sfu.sctp.chunks import ForwardTsn, Init, InitAck, ReConfig, Unknown
from trio_sfu.sctp.cookie import LIFETIME, Cookie
from trio_sfu.sctp.inbound import MAX_STREAMS, RECEIVE_WINDOW
from trio_sfu.sctp.parameters import Parameter, Parameters, ParameterType


class Extension(enum.IntFlag):
    """What both sides must understand before it may be used."""

    FORWARD_TSN = 1
    RE_CONFIG = 2


OFFERED: Final[Parameters] = (
    Parameter(ParameterType.FORWARD_TSN_SUPPORTED),
    Parameter(ParameterType.SUPPORTED_EXTENSIONS, bytes((ReConfig.TYPE, ForwardTsn.TYPE))),
)
"""What stands in every INIT and INIT ACK of ours."""

_KNOWN: Final = frozenset(
    (
        *ParameterType,
        5,  # an IPv4 address, 6 an IPv6 one: there is no multihoming inside of DTLS
        6,
        9,  # Cookie Preservative: a minute is enough for everybody
        11,  # Host Name Address, deprecated
        12,  # Supported Address Types
    )
)


def read_extensions(init: Init) -> tuple[Extension, Parameters]:
    """What a peer understands of ours, and which of its parameters have to be reported."""
    found, reports = Extension(0), list[Parameter]()
    for parameter in init.parameters:
        if parameter.type == ParameterType.FORWARD_TSN_SUPPORTED:
            found |= Extension.FORWARD_TSN
        elif parameter.type == ParameterType.SUPPORTED_EXTENSIONS:
            if ForwardTsn.TYPE in parameter.value:
                found |= Extension.FORWARD_TSN
            if ReConfig.TYPE in parameter.value:
                found |= Extension.RE_CONFIG
        elif parameter.type not in _KNOWN:
            what = Unknown(parameter.type >> 14)
            if Unknown.REPORT in what:
                reports.append(parameter)
            if Unknown.SKIP not in what:
                break
    return found, tuple(reports)


def answer_init(
    init: Init, key: bytes, tag: int, tsn: int, ties: tuple[int, int], now: float
) -> InitAck:
    """The answer to an INIT, with all that it was about in a signed cookie (section 5.1.3)."""
    extensions, reports = read_extensions(init)
    cookie = Cookie(
        issued=now,
        local_tag=tag,
        peer_tag=init.tag,
        local_tsn=tsn,
        peer_tsn=init.tsn,
        peer_window=init.window,
        local_tie=ties[0],
        peer_tie=ties[1],
        outbound=min(MAX_STREAMS, init.inbound),
        inbound=min(MAX_STREAMS, init.outbound),
        extensions=extensions,
    )
    return InitAck(
        tag,
        RECEIVE_WINDOW,
        MAX_STREAMS,
        MAX_STREAMS,
        tsn,
        (
            Parameter(ParameterType.STATE_COOKIE, cookie.sign(key)),
            *OFFERED,
            *(Parameter(ParameterType.UNRECOGNIZED, report.encode()) for report in reports),
        ),
    )


class Verdict(enum.Enum):
    """What a cookie of ours, brought back, is about."""

    NEW = enum.auto()
    """Build the association that it describes (5.1.5, and B of 5.2.4)."""
    SAME = enum.auto()
    """It is the one we have: the COOKIE ACK was lost, or both sides opened (D)."""
    RESTART = enum.auto()
    """The peer has lost its memory since (A)."""
    STALE = enum.auto()
    LATE = enum.auto()
    """Of an attempt that was overtaken (C)."""


def judge(cookie: Cookie, tag: int, peer_tag: int, meeting: bool, now: float) -> Verdict:
    """The table of RFC 9260 section 5.2.4; *meeting*: there is no association yet.

    *tag* and *peer_tag* are those of the association that we have, or try to have.
    """
    ours, theirs = cookie.local_tag == tag, cookie.peer_tag == peer_tag
    if ours and theirs:
        return Verdict.SAME
    if now - cookie.issued > LIFETIME:
        return Verdict.STALE
    if ours and meeting:
        return Verdict.NEW
    if not ours and not theirs and cookie.ties == (tag, peer_tag):
        return Verdict.RESTART
    return Verdict.LATE
