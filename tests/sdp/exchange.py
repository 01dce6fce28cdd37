"""Whole exchanges as decoders: bytes of a peer in, and what comes of them out.

For the table of `tests.fuzz.decoders`: whoever parses also answers and accepts.
"""

from tests.sdp.captures import ORIGIN, OURS, text
from trio_sfu.sdp.agreement import CLIENT, Agreement, Receiving, SectionPlan, Sending
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.offer import Offerer
from trio_sfu.sdp.session import SessionDescription
from trio_sfu.wire import Reader

_VIDEO = Sending("video", "PA_a|TR_b", "TR_b", "PA_a|TR_b", "video/H264", 1, 2)
_AUDIO = Sending("audio", "PA_a|TR_c", "TR_c", "PA_a|TR_c", "audio/red", 3)


def parsed(data: bytes) -> SessionDescription:
    return SessionDescription.parse(Reader(data).text(len(data)))


def answered(data: bytes) -> Agreement:
    """What a server answers to the offer in *data*; its answer can be read again."""
    offer = parsed(data)
    sends = {
        section.mid: SectionPlan(
            Receiving(red=True, dtx=True), _VIDEO if section.kind == "video" else _AUDIO
        )
        for section in offer.sections
        if section.mid and section.kind in ("audio", "video")
    }
    agreement = answer(offer, OURS, ORIGIN, sends)
    assert parsed(str(agreement.description).encode()) == agreement.description
    return agreement


def offerer() -> tuple[Offerer, SessionDescription]:
    """A server that has just made an offer."""
    server = Offerer(1)
    return server, server.offer(OURS, (_VIDEO, _AUDIO))


def accepted(data: bytes) -> Agreement:
    """What a server makes of the answer in *data*."""
    return offerer()[0].accept(parsed(data))


OFFERS = tuple(
    text(name).encode()
    for name in (
        "chromium-156-offer",
        "firefox-153-offer",
        "aiortc-1.16-offer",
        "ffmpeg-whip-offer",
    )
)
ANSWERS = (str(answer(offerer()[1], OURS, ORIGIN, role=CLIENT).description).encode(),)
