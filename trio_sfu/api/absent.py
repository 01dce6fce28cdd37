"""Services of LiveKit's that need workers beside the server, which there are none of here.

Recording, streams from elsewhere and the telephone network are done by programs of
their own, which find LiveKit's server by Redis. Until ours can be found, each call is
answered as LiveKit's server answers it where there is no Redis and no worker.
"""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from livekit.protocol import egress, ingress, sip

from trio_sfu.api.permissions import may_dial, may_ingress, may_record, may_telephone
from trio_sfu.api.tokens import Claims
from trio_sfu.api.twirp import Call, Code, Method, Services, from_within

NOBODY: Final = (Code.UNAVAILABLE, "no response from servers")
EGRESS: Final = (Code.INTERNAL, "egress not connected (redis required)")
INGRESS: Final = (Code.INTERNAL, "ingress not connected (redis required)")
SIP: Final = (Code.INTERNAL, "sip not connected (redis required)")

_DIALLING: Final = ("CreateSIPParticipant", "TransferSIPParticipant")


def absent_services() -> Services:
    """For the table of services."""
    return {
        service.full_name: {
            method.name: _method(GetMessageClass(method.input_type), *answer(method.name))
            for method in service.methods
        }
        for service, answer in (
            (egress.DESCRIPTOR.services_by_name["Egress"], _egress),
            (ingress.DESCRIPTOR.services_by_name["Ingress"], _ingress),
            (sip.DESCRIPTOR.services_by_name["SIP"], _sip),
        )
    }


Answer = tuple[Callable[[Claims], bool], tuple[Code, str]]


def _egress(name: str) -> Answer:
    """What starts something looks for a worker; the rest for the list of what was started."""
    return may_record, NOBODY if name.startswith("Start") else EGRESS


def _ingress(name: str) -> Answer:
    return may_ingress, INGRESS


def _sip(name: str) -> Answer:
    return (may_dial if name in _DIALLING else may_telephone), SIP


def _method(
    takes: type[Message], allows: Callable[[Claims], bool], error: tuple[Code, str]
) -> Method:
    async def answer(call: Call, request: Any) -> Message:
        raise from_within(*error)

    return Method(takes, allows, answer)
