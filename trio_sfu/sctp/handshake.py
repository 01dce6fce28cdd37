"""What the two sides tell each other in INIT and INIT ACK, besides the numbers.

We speak two extensions: FORWARD TSN for messages that may be given up (RFC 3758), and
RE-CONFIG for streams that end (RFC 6525). What else a peer offers is answered as the
two high bits of its type demand (section 3.2.1): skip it or stop reading, and report
it or keep silent. Zero checksums (RFC 9653) and the authentication and address
extensions of a browser's INIT are of the silent kind.
"""

import enum
from typing import Final

from trio_sfu.sctp.chunks import ForwardTsn, Init, ReConfig, Unknown
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
