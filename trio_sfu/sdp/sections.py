"""How a description of ours is written, section by section.

The one place where lines are made, so that offers and answers look alike.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import attrs

from trio_sfu.sdp.agreement import SCTP_PORT, AgreedSection, Receiving, Sending
from trio_sfu.sdp.attributes import (
    ExtMap,
    Fmtp,
    Msid,
    RtcpFeedback,
    RtpMap,
    Setup,
    SsrcGroup,
    SsrcLine,
)
from trio_sfu.sdp.formats import (
    AUDIO_FEEDBACK,
    FEEDBACK,
    FEEDBACK_ORDER,
    OPUS,
    Format,
    Formats,
    with_parameter,
)
from trio_sfu.sdp.lines import Line, attribute
from trio_sfu.sdp.session import MediaSection, Origin, SessionDescription, Transport

MAX_MESSAGE_SIZE: Final = 65_535
"""Bytes of one data channel message that we take: LiveKit's limit."""

MEDIA_PROTOCOL: Final = "UDP/TLS/RTP/SAVPF"
DATA_PROTOCOL: Final = "UDP/DTLS/SCTP"
DATA_FORMAT: Final = "webrtc-datachannel"

DISCARD: Final = 9
"""The port of a section whose addresses are in its candidates (RFC 9429 section 5.2.1)."""

_NOWHERE: Final = Line("c", "IN IP4 0.0.0.0")


def write_session(
    origin: Origin,
    ours: Transport,
    bundle: Iterable[str],
    sections: Iterable[MediaSection],
    *,
    mixed: bool = True,
) -> SessionDescription:
    """The description around *sections*; *mixed* says that we read two-byte extensions too."""
    lines = [
        Line("v", "0"),
        Line("o", str(origin)),
        Line("s", "-"),
        Line("t", "0 0"),
        attribute("group", " ".join(("BUNDLE", *bundle))),
        attribute("msid-semantic", " WMS *"),
    ]
    if mixed:
        lines.append(attribute("extmap-allow-mixed"))
    if ours.lite:
        lines.append(attribute("ice-lite"))
    return SessionDescription(tuple(lines), tuple(sections))


def transport_lines(ours: Transport, setup: Setup) -> list[Line]:
    """Without candidates, which only the tagged section has."""
    lines = [attribute("ice-ufrag", ours.ufrag), attribute("ice-pwd", ours.password)]
    if ours.options:
        lines.append(attribute("ice-options", " ".join(ours.options)))
    lines += [attribute("fingerprint", fingerprint) for fingerprint in ours.fingerprints]
    lines.append(attribute("setup", setup))
    return lines


def candidate_lines(ours: Transport) -> list[Line]:
    """For the tagged section only: the others share its transport."""
    lines = [Line("a", candidate.removeprefix("a=")) for candidate in ours.candidates]
    if ours.complete:
        lines.append(attribute("end-of-candidates"))
    return lines


def write_rejected(section: MediaSection) -> MediaSection:
    """The refusal of *section*: port zero (RFC 3264 section 6)."""
    lines = (_NOWHERE, attribute("mid", section.mid)) if section.mid else (_NOWHERE,)
    return MediaSection(
        section.kind, 0, section.protocol, section.formats, (*lines, attribute("inactive"))
    )


def write_data(
    mid: str, protocol: str, ours: Transport, setup: Setup, candidates: Iterable[Line] = ()
) -> MediaSection:
    """The section of the data channels (RFC 8841)."""
    lines = (
        _NOWHERE,
        *candidates,
        *transport_lines(ours, setup),
        attribute("mid", mid),
        attribute("sctp-port", SCTP_PORT),
        attribute("max-message-size", MAX_MESSAGE_SIZE),
    )
    return MediaSection("application", DISCARD, protocol, (DATA_FORMAT,), lines)


def write_section(
    agreed: AgreedSection,
    protocol: str,
    ours: Transport,
    setup: Setup,
    *,
    extensions: Iterable[ExtMap],
    layers: Iterable[Line] = (),
    candidates: Iterable[Line] = (),
    reduced_size: bool = True,
) -> MediaSection:
    """A section of media as *agreed* describes it."""
    sending = agreed.sending if agreed.direction.sends else None
    lines = [
        _NOWHERE,
        *candidates,
        *transport_lines(ours, setup),
        attribute("mid", agreed.mid),
        *(attribute("extmap", extension) for extension in extensions),
        attribute(agreed.direction),
    ]
    if sending is not None:
        lines.append(attribute("msid", Msid(sending.stream_id, sending.track_id)))
    lines.append(attribute("rtcp-mux"))
    if reduced_size:
        lines.append(attribute("rtcp-rsize"))
    for payload_type, format in agreed.formats.items():
        lines += format_lines(payload_type, format)
    lines += layers
    if sending is not None:
        lines += ssrc_lines(sending)
    formats = tuple(map(str, agreed.formats))
    return MediaSection(agreed.kind, DISCARD, protocol, formats, tuple(lines))


def format_lines(payload_type: int, format: Format) -> list[Line]:
    """All that describes one payload type."""
    rtp_map = RtpMap(payload_type, format.name, format.clock_rate, format.channels)
    lines = [attribute("rtpmap", rtp_map)]
    lines += [
        attribute("rtcp-fb", RtcpFeedback(payload_type, feedback))
        for feedback in FEEDBACK_ORDER
        if feedback in format.feedback
    ]
    if format.parameters:
        lines.append(attribute("fmtp", Fmtp(payload_type, format.parameters)))
    return lines


def ssrc_lines(sending: Sending) -> list[Line]:
    """Which SSRCs a stream has, which of them repairs, and whose they are."""
    if sending.ssrc is None:
        return []
    ssrcs, lines = [sending.ssrc], []
    if sending.rtx_ssrc is not None:
        ssrcs.append(sending.rtx_ssrc)
        lines.append(attribute("ssrc-group", SsrcGroup("FID", tuple(ssrcs))))
    msid = str(Msid(sending.stream_id, sending.track_id))
    for ssrc in ssrcs:
        lines.append(attribute("ssrc", SsrcLine(ssrc, "cname", sending.cname)))
        lines.append(attribute("ssrc", SsrcLine(ssrc, "msid", msid)))
    return lines


def common_feedback(kind: str, formats: Formats) -> dict[int, Format]:
    """*formats* with that part of their feedback that we know."""
    return {
        payload_type: attrs.evolve(format, feedback=_known_feedback(kind, format.feedback))
        for payload_type, format in formats.items()
    }


@lru_cache(maxsize=256)
def _known_feedback(kind: str, feedback: frozenset[str]) -> frozenset[str]:
    """Everybody offers the same, and a set for each format of each client adds up."""
    return feedback & FEEDBACK[kind]


def ask_for_opus(formats: Formats) -> dict[int, Format]:
    """*formats* of an answer, with NACK for Opus though no browser offers it.

    libwebrtc keeps sent packets for NACKs once the answer says so, and LiveKit's
    server always does.
    """
    return {
        payload_type: attrs.evolve(format, feedback=format.feedback | AUDIO_FEEDBACK)
        if format.mime == OPUS
        else format
        for payload_type, format in formats.items()
    }


def tune_opus(formats: Formats, receiving: Receiving | None, sending: Sending | None) -> Formats:
    """*formats* with the Opus parameters that LiveKit's clients rely on."""
    tuned = dict(formats)
    for payload_type, format in formats.items():
        if format.mime != OPUS:
            continue
        text = format.parameters
        if receiving is not None and receiving.dtx:
            text = with_parameter(text, "usedtx", "1")
        if receiving is not None and receiving.stereo is not None:
            text = with_parameter(text, "stereo", "1" if receiving.stereo else None)
            if receiving.stereo:
                text = with_parameter(text, "maxaveragebitrate", "510000")
        if sending is not None and sending.stereo:
            text = with_parameter(text, "sprop-stereo", "1")
        tuned[payload_type] = attrs.evolve(format, parameters=text)
    return tuned
