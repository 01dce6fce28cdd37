"""Codecs, payload types, feedback and header extensions: what both ends share.

Two formats are the same codec if their names are, and their clock and channels,
and, where a name covers several bitstreams, the *flavour*: the H264 profile and
packetization mode, the VP9 and AV1 profile. Other parameters (levels, bit rates,
DTX) are wishes, and no reason to refuse. We forward and never decode, so the
question is never "can we?" but "can whoever gets it?".
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.sdp.attributes import RtpMap
from trio_sfu.sdp.lines import number
from trio_sfu.sdp.session import MediaSection

AUDIO: Final = "audio"
VIDEO: Final = "video"

OPUS: Final = "audio/opus"
RED: Final = "audio/red"
PCMU: Final = "audio/PCMU"
PCMA: Final = "audio/PCMA"
VP8: Final = "video/VP8"
VP9: Final = "video/VP9"
H264: Final = "video/H264"
AV1: Final = "video/AV1"
RTX: Final = "video/rtx"

MIMES: Final = (OPUS, RED, PCMU, PCMA, VP8, H264, VP9, AV1)
"""What is taken and sent unless a caller narrows it; rtx follows what it repairs."""

_SPELLING: Final = {mime.lower(): mime for mime in (*MIMES, RTX, "video/H265")}


def spell(mime: str) -> str:
    """*mime* as LiveKit writes it, whatever the case: "video/vp8" is "video/VP8"."""
    return _SPELLING.get(mime.lower(), mime)


@attrs.frozen
class Format:
    """What one payload type stands for (the fields of `trio_sfu.peer.media.Format`)."""

    mime: str
    """As LiveKit writes it: "audio/opus", "video/VP8"; "video/rtx" for RFC 4588."""
    clock_rate: int
    channels: int = 1
    parameters: str = ""
    """The fmtp line's value, as it stood."""
    repairs: int | None = None
    """For rtx: the payload type that it repairs (apt)."""
    feedback: frozenset[str] = frozenset()
    """As after "a=rtcp-fb:<pt> ": "nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"."""

    @property
    def name(self) -> str:
        """The encoding name, without the kind."""
        return self.mime.partition("/")[2]


Formats = Mapping[int, Format]
"""By payload type, in the order of preference."""

AUDIO_FEEDBACK: Final = frozenset({"nack"})
VIDEO_FEEDBACK: Final = frozenset({"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"})
FEEDBACK: Final = {AUDIO: AUDIO_FEEDBACK, VIDEO: VIDEO_FEEDBACK}
"""What we take and give. Both ways of estimating bandwidth, in both directions: which one
runs is then decided by the extension that packets carry, without another negotiation."""

FEEDBACK_ORDER: Final = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
"""In which feedback is written: Chromium's order."""


def _h264(mode: int, profile: str) -> str:
    return f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}"


def _codec(mime: str, parameters: str = "") -> Format:
    return Format(mime, 90_000, 1, parameters, None, VIDEO_FEEDBACK)


CODECS: Final[Formats] = {
    111: Format(OPUS, 48_000, 2, "minptime=10;useinbandfec=1", None, AUDIO_FEEDBACK),
    63: Format(RED, 48_000, 2, "111/111"),
    0: Format(PCMU, 8_000),
    8: Format(PCMA, 8_000),
    96: _codec(VP8),
    108: _codec(H264, _h264(1, "42e01f")),
    125: _codec(H264, _h264(0, "42e01f")),
    102: _codec(H264, _h264(1, "42001f")),
    104: _codec(H264, _h264(0, "42001f")),
    106: _codec(H264, _h264(1, "4d001f")),
    39: _codec(H264, _h264(0, "4d001f")),
    123: _codec(H264, _h264(1, "640032")),
    98: _codec(VP9, "profile-id=0"),
    100: _codec(VP9, "profile-id=1"),
    35: _codec(AV1),
}
"""What we know, under the payload types that LiveKit offers. The rtx of each video
codec has the payload type after it."""

_STATIC: Final = {0: RtpMap(0, "PCMU", 8_000), 8: RtpMap(8, "PCMA", 8_000)}
"""Payload types that need no rtpmap (RFC 3551 section 6), as far as we know them."""

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID: Final = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
DEPENDENCY_DESCRIPTOR: Final = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)

EXTENSION_IDS: Final = {
    AUDIO_LEVEL: 1,
    ABS_SEND_TIME: 2,
    TRANSPORT_CC: 3,
    MID: 4,
    RID: 10,
    REPAIRED_RID: 11,
    DEPENDENCY_DESCRIPTOR: 12,
}
"""The ids of our own offers, the same in every section as BUNDLE asks: Chromium's."""

UPSTREAM: Final = {
    AUDIO: (AUDIO_LEVEL, MID),
    VIDEO: (ABS_SEND_TIME, TRANSPORT_CC, MID, RID, REPAIRED_RID, DEPENDENCY_DESCRIPTOR),
}
"""Header extensions from a publisher to the server."""

DOWNSTREAM: Final = {
    AUDIO: (MID,),
    VIDEO: (ABS_SEND_TIME, TRANSPORT_CC, MID, DEPENDENCY_DESCRIPTOR),
}
"""From the server to a subscriber: only what we do send."""


def parse_parameters(text: str) -> dict[str, str]:
    """An fmtp value as a mapping; names in small letters, ``""`` for those without value."""
    found = {}
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name:
            found[name.strip().lower()] = value.strip()
    return found


def with_parameter(text: str, name: str, value: str | None) -> str:
    """*text* with one parameter set in its place or at the end; None takes it out."""
    parts = [part for part in text.split(";") if part.strip()]
    mine = [part.partition("=")[0].strip().lower() == name for part in parts]
    if value is None:
        return ";".join(part for part, is_mine in zip(parts, mine, strict=True) if not is_mine)
    if True not in mine:
        return ";".join((*parts, f"{name}={value}"))
    parts[mine.index(True)] = f"{name}={value}"
    return ";".join(parts)


def read_formats(section: MediaSection) -> dict[int, Format]:
    """All formats of a section, in its order; what has no rtpmap is left out."""
    everywhere = {line.feedback for line in section.feedback if line.payload_type is None}
    feedback = {payload_type: set(everywhere) for payload_type in section.payload_types}
    for line in section.feedback:
        if line.payload_type in feedback:
            feedback[line.payload_type].add(line.feedback)
    found = {}
    for payload_type in section.payload_types:
        rtp_map = section.rtp_maps.get(payload_type) or _STATIC.get(payload_type)
        if rtp_map is None:
            continue
        parameters = section.parameters.get(payload_type, "")
        mime = spell(f"{section.kind}/{rtp_map.name}")
        found[payload_type] = Format(
            mime,
            rtp_map.clock_rate,
            rtp_map.channels,
            parameters,
            _apt(parameters) if mime == RTX else None,
            frozenset() if mime == RTX else frozenset(feedback[payload_type]),
        )
    return found


def _apt(parameters: str) -> int | None:
    apt = parse_parameters(parameters).get("apt")
    return None if apt is None else number(apt, 127)


def flavour(format: Format) -> object:
    """What tells two codecs of one name apart; None where nothing does."""
    if format.mime not in (H264, VP9, AV1):
        return None
    parameters = parse_parameters(format.parameters)
    if format.mime == H264:
        mode = parameters.get("packetization-mode", "0")
        # The default is Baseline at level 1 (RFC 6184 section 8.1); an unreadable
        # profile is a flavour of its own.
        profile = parameters.get("profile-level-id", "42000a").lower()
        return h264_profile(profile) or profile, mode
    return parameters.get("profile-id" if format.mime == VP9 else "profile", "0")


# RFC 6184 table 5: profile_idc, and of profile_iop which bits must be how.
_H264_PROFILES: Final = (
    (0x42, 0x4F, 0x40, "constrained-baseline"),
    (0x4D, 0x8F, 0x80, "constrained-baseline"),
    (0x58, 0xCF, 0xC0, "constrained-baseline"),
    (0x42, 0x4F, 0x00, "baseline"),
    (0x58, 0xCF, 0x80, "baseline"),
    (0x4D, 0xAF, 0x00, "main"),
    (0x64, 0xFF, 0x00, "high"),
    (0x64, 0xFF, 0x0C, "constrained-high"),
)


def h264_profile(profile_level_id: str) -> str | None:
    """The profile that six hex digits name; None if none that is used in calls."""
    try:
        idc, iop, _ = bytes.fromhex(profile_level_id)
    except ValueError:
        return None
    for profile, mask, bits, name in _H264_PROFILES:
        if idc == profile and iop & mask == bits:
            return name
    return None


def is_high_profile(format: Format) -> bool:
    """H264 High, which many decoders are too weak for: taken, but not sent."""
    return format.mime == H264 and (
        parse_parameters(format.parameters).get("profile-level-id", "").lower().startswith("64")
    )


def identity(format: Format) -> object:
    """Equal for two formats whose packets are the same but for the payload type."""
    return format.mime, format.clock_rate, format.channels, flavour(format)


_KNOWN: Final = frozenset(map(identity, CODECS.values()))


def select(offered: Formats, mimes: Collection[str]) -> dict[int, Format]:
    """Those of *offered* that are of *mimes*, with their rtx, in the order of *offered*.

    Flavours that our table does not have are left out, unless of that name there
    is no other. RED needs the Opus that it wraps.
    """
    named = {
        payload_type: format
        for payload_type, format in offered.items()
        if format.mime in mimes and format.mime != RTX
    }
    known = {
        payload_type: format for payload_type, format in named.items() if identity(format) in _KNOWN
    }
    known_mimes = {format.mime for format in known.values()}
    taken = {
        payload_type: format
        for payload_type, format in named.items()
        if payload_type in known or format.mime not in known_mimes
    }
    for payload_type, format in list(taken.items()):
        if format.mime == RED and not _wraps(format, taken):
            del taken[payload_type]
    return {
        payload_type: format
        for payload_type, format in offered.items()
        if payload_type in taken or (format.mime == RTX and format.repairs in taken)
    }


def _wraps(red: Format, formats: Formats) -> bool:
    """Whether *red* (fmtp "111/111") wraps an Opus of *formats* (RFC 2198)."""
    inner = red.parameters.partition("/")[0].strip()
    try:
        format = formats.get(number(inner, 127))
    except WireError:
        return False
    return format is not None and format.mime == OPUS


def prefer(formats: Formats, mimes: Iterable[str]) -> dict[int, Format]:
    """*formats* with those of *mimes* first, every rtx right after what it repairs."""
    rank = {mime: place for place, mime in enumerate(dict.fromkeys(mimes))}
    primary = [item for item in formats.items() if item[1].mime != RTX]
    ordered: dict[int, Format] = {}
    primary.sort(key=lambda item: rank.get(item[1].mime, len(rank)))
    for payload_type, format in primary:
        ordered[payload_type] = format
        ordered |= {
            repair: candidate
            for repair, candidate in formats.items()
            if candidate.repairs == payload_type
        }
    return ordered


def choose(formats: Formats, mime: str, parameters: str = "") -> int | None:
    """The payload type under which to send a stream of *mime*; None if it is not taken.

    With the publisher's *parameters*, of several flavours the same one; else for
    H264 one of the same packetization mode; else the first of that name.
    """
    mime = spell(mime)
    candidates = [
        (payload_type, format) for payload_type, format in formats.items() if format.mime == mime
    ]
    if not candidates:
        return None
    wanted = flavour(attrs.evolve(candidates[0][1], parameters=parameters))
    if parameters:
        for payload_type, format in candidates:
            if flavour(format) == wanted:
                return payload_type
    if parameters and mime == H264:
        mode = parse_parameters(parameters).get("packetization-mode", "0")
        for payload_type, format in candidates:
            if parse_parameters(format.parameters).get("packetization-mode", "0") == mode:
                return payload_type
    return candidates[0][0]


def repair_for(formats: Formats, payload_type: int) -> int | None:
    """The rtx payload type that repairs *payload_type*; None if there is none."""
    for repair, format in formats.items():
        if format.repairs == payload_type:
            return repair
    return None


def offered_formats(mimes: Iterable[str], *, send: bool) -> dict[int, Format]:
    """What our own offer lists for *mimes*, in their order, out of the table.

    What we *send* is never H264 High. RED brings along the Opus that it wraps.
    """
    found: dict[int, Format] = {}
    for mime in mimes:
        for payload_type, codec in CODECS.items():
            if codec.mime != mime or (send and is_high_profile(codec)):
                continue
            found[payload_type] = codec
            if codec.mime.startswith("video/"):
                found[payload_type + 1] = Format(
                    RTX, codec.clock_rate, 1, f"apt={payload_type}", payload_type
                )
            if codec.mime == RED:
                found.setdefault(111, CODECS[111])
    return found
