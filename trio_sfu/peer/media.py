"""What an offer and an answer agreed on, in the words of a peer that has no SDP.

Negotiation makes these values, `PeerTransport.configure` takes them. A *section*
is one m= line: with a mid, of one kind, in one direction as we see it.
"""

from collections.abc import Mapping

import attrs

AUDIO = "audio"
VIDEO = "video"


@attrs.frozen
class Format:
    """What one payload type stands for in a section."""

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


@attrs.frozen
class ReceiveSection:
    """A section in which the peer sends to us."""

    mid: str
    kind: str
    formats: Mapping[int, Format]
    extensions: Mapping[str, int]
    """Header extension ids by URI."""
    rids: tuple[str, ...] = ()
    """Simulcast layers as the peer named them, lowest first; () without simulcast."""
    ssrcs: tuple[int, ...] = ()
    """Primary SSRCs that the SDP declares, if it does."""
    repairs: Mapping[int, int] = attrs.Factory(dict)
    """From `a=ssrc-group:FID`: RTX SSRC to the primary one that it repairs."""


@attrs.frozen
class SendSection:
    """A section in which we send one stream to the peer."""

    mid: str
    kind: str
    ssrc: int
    cname: str
    formats: Mapping[int, Format]
    """What the peer takes; RTX payload types among them."""
    extensions: Mapping[str, int]
    rtx_ssrc: int | None = None
    """None where the peer takes no RTX: then repeats go out as they were."""


@attrs.frozen
class StreamKey:
    """One encoding that a peer sends: a section, and which simulcast layer of it."""

    mid: str
    rid: str = ""
