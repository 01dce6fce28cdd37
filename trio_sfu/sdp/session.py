"""A whole session description, as frozen values, both ways (RFC 8866, RFC 9429).

The lines are the truth and the typed views are read from them. So nothing that
a client wrote is lost or moved, whether we understand it or not, and what was
read is written again letter by letter. `parse` looks at every view once, so an
attribute that makes no sense is a `WireError` there and never later.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, Self

import attrs

from trio_sfu.errors import WireError
from trio_sfu.sdp.attributes import (
    MAX_RIDS,
    Direction,
    ExtMap,
    Fingerprint,
    Fmtp,
    Group,
    Msid,
    Rid,
    RtcpFeedback,
    RtpMap,
    Setup,
    Simulcast,
    SsrcGroup,
    SsrcLine,
)
from trio_sfu.sdp.lines import Line, number, parse_lines, render_lines

MAX_SECTIONS: Final = 256
"""Media sections of one description: every one costs an answer its own section."""

MAX_SSRCS: Final = 64
"""SSRCs of one section. Three layers with RTX and FEC are nine; each costs a stream."""

MAX_NUMBER: Final = (1 << 64) - 1

MAX_CREDENTIAL: Final = 256
"""Characters of an ICE user fragment or password (RFC 8839 section 5.4)."""

DEFAULT_MAX_MESSAGE_SIZE: Final = 65_536
"""Bytes, where a peer does not say (RFC 8841 section 6)."""

Attributes = Mapping[str, Sequence[str]]
"""All values of the ``a=`` lines of one part, by name; ``""`` for those without."""


def _index(lines: Sequence[Line]) -> Attributes:
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.type == "a":
            name, _, value = line.value.partition(":")
            found.setdefault(name, []).append(value)
    return found


def _first(attributes: Attributes, name: str) -> str | None:
    values = attributes.get(name)
    return values[0] if values else None


@attrs.frozen
class Origin:
    """The ``o=`` line: whose description this is, and which version of it."""

    session_id: int
    version: int
    username: str = "-"
    address: str = "IN IP4 0.0.0.0"

    @classmethod
    def parse(cls, text: str) -> Self:
        fields = text.split(" ", 3)
        if len(fields) != 4:
            raise WireError(f"origin {text[:40]!r}")
        username, session_id, version, address = fields
        return cls(number(session_id, MAX_NUMBER), number(version, MAX_NUMBER), username, address)

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} {self.address}"


@attrs.frozen
class Transport:
    """How one end is reached and known: ICE credentials and certificates.

    There is one for a whole description, because everything is in one BUNDLE.
    """

    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup = Setup.ACTPASS
    lite: bool = False
    options: tuple[str, ...] = ()
    """ICE options: "trickle". Never those of the peer, who would take us at our word."""
    candidates: tuple[str, ...] = ()
    """As they stand after ``a=``: "candidate:1 1 udp …"."""
    complete: bool = False
    """Whether there will be no more candidates (``a=end-of-candidates``)."""


@attrs.frozen
class MediaSection:
    """An ``m=`` line and what follows it.

    The views give what the lines say and decide nothing; *lines* holds all of
    them but the first, in order.
    """

    kind: str
    """"audio", "video", "application", or what else the peer wrote."""
    port: int
    protocol: str
    formats: tuple[str, ...]
    """Payload types of media, in the order of preference; "webrtc-datachannel" of data."""
    lines: tuple[Line, ...] = ()

    @classmethod
    def parse(cls, line: Line, lines: tuple[Line, ...]) -> Self:
        fields = line.value.split(" ")
        if len(fields) < 4 or not all(fields):
            raise WireError(f"media {line.value[:40]!r}")
        kind, port, protocol, *formats = fields
        # "9/2" would ask for two consecutive ports, which nothing bundled has.
        return cls(kind, number(port, 65_535), protocol, tuple(formats), lines)

    def __str__(self) -> str:
        media = " ".join((self.kind, str(self.port), self.protocol, *self.formats))
        return render_lines((Line("m", media), *self.lines))

    @cached_property
    def attributes(self) -> Attributes:
        return _index(self.lines)

    def has(self, name: str) -> bool:
        return name in self.attributes

    @property
    def rejected(self) -> bool:
        """Port zero, unless it only means "together with the first" (RFC 8843 section 6)."""
        return self.port == 0 and not self.has("bundle-only")

    @cached_property
    def mid(self) -> str | None:
        return _first(self.attributes, "mid")

    @cached_property
    def direction(self) -> Direction:
        found = [direction for direction in Direction if self.has(direction)]
        if len(found) > 1:
            raise WireError("several directions in a section")
        return found[0] if found else Direction.SENDRECV

    @cached_property
    def payload_types(self) -> tuple[int, ...]:
        """Of a section of media; () for data."""
        if "RTP/" not in self.protocol:
            return ()
        types = tuple(number(text, 127) for text in self.formats)
        if len(set(types)) != len(types):
            raise WireError("a payload type twice in a section")
        return types

    @cached_property
    def rtp_maps(self) -> Mapping[int, RtpMap]:
        maps = map(RtpMap.parse, self.attributes.get("rtpmap", ()))
        return {line.payload_type: line for line in maps}

    @cached_property
    def parameters(self) -> Mapping[int, str]:
        """The fmtp line of each payload type that has one; the first, if several."""
        lines = map(Fmtp.parse, reversed(self.attributes.get("fmtp", ())))
        return {line.payload_type: line.parameters for line in lines}

    @cached_property
    def feedback(self) -> tuple[RtcpFeedback, ...]:
        return tuple(map(RtcpFeedback.parse, self.attributes.get("rtcp-fb", ())))

    @cached_property
    def extensions(self) -> tuple[ExtMap, ...]:
        return tuple(map(ExtMap.parse, self.attributes.get("extmap", ())))

    @cached_property
    def rids(self) -> tuple[Rid, ...]:
        rids = tuple(map(Rid.parse, self.attributes.get("rid", ())))
        if len(rids) > 2 * MAX_RIDS:
            raise WireError(f"{len(rids)} rids in a section")
        return rids

    @cached_property
    def simulcast(self) -> Simulcast | None:
        text = _first(self.attributes, "simulcast")
        return None if text is None else Simulcast.parse(text)

    @cached_property
    def msids(self) -> tuple[Msid, ...]:
        """Of the section, or where it has none those of its SSRCs (an older form)."""
        found = self.attributes.get("msid") or [
            line.value for line in self.ssrc_lines if line.attribute == "msid"
        ]
        return tuple(map(Msid.parse, dict.fromkeys(found)))

    @cached_property
    def ssrc_lines(self) -> tuple[SsrcLine, ...]:
        lines = tuple(map(SsrcLine.parse, self.attributes.get("ssrc", ())))
        if len({line.ssrc for line in lines}) > MAX_SSRCS:
            raise WireError(f"more than {MAX_SSRCS} SSRCs in a section")
        return lines

    @cached_property
    def ssrc_groups(self) -> tuple[SsrcGroup, ...]:
        groups = tuple(map(SsrcGroup.parse, self.attributes.get("ssrc-group", ())))
        if sum(len(group.ssrcs) for group in groups) > MAX_SSRCS:
            raise WireError(f"more than {MAX_SSRCS} SSRCs in the groups of a section")
        return groups

    @cached_property
    def sctp_port(self) -> int | None:
        text = _first(self.attributes, "sctp-port")
        return None if text is None else number(text, 65_535)

    @cached_property
    def max_message_size(self) -> int:
        """Bytes that one data channel message may have; 0 for no limit."""
        text = _first(self.attributes, "max-message-size")
        return DEFAULT_MAX_MESSAGE_SIZE if text is None else number(text, MAX_NUMBER)

    def check(self) -> None:
        """Look at every view, so that one that cannot be read is known at once."""
        for view in _SECTION_VIEWS:
            getattr(self, view)


_SECTION_VIEWS: Final = (
    "mid",
    "direction",
    "payload_types",
    "rtp_maps",
    "parameters",
    "feedback",
    "extensions",
    "rids",
    "simulcast",
    "msids",
    "ssrc_lines",
    "ssrc_groups",
    "sctp_port",
    "max_message_size",
)


@attrs.frozen
class SessionDescription:
    """An offer or an answer: the lines of the session, then the media sections."""

    lines: tuple[Line, ...]
    sections: tuple[MediaSection, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The description that *text* is; `WireError` if it is none."""
        lines = parse_lines(text)
        starts = [place for place, line in enumerate(lines) if line.type == "m"]
        if len(starts) > MAX_SECTIONS:
            raise WireError(f"{len(starts)} media sections")
        if not lines or lines[0] != Line("v", "0"):
            raise WireError("an SDP begins with v=0")
        ends = [*starts, len(lines)][1:]
        description = cls(
            tuple(lines[: starts[0]] if starts else lines),
            tuple(
                MediaSection.parse(lines[start], tuple(lines[start + 1 : end]))
                for start, end in zip(starts, ends, strict=True)
            ),
        )
        description.check()
        return description

    def __str__(self) -> str:
        return render_lines(self.lines) + "".join(map(str, self.sections))

    @cached_property
    def attributes(self) -> Attributes:
        """Of the session itself."""
        return _index(self.lines)

    @cached_property
    def origin(self) -> Origin:
        for line in self.lines:
            if line.type == "o":
                return Origin.parse(line.value)
        raise WireError("an SDP without origin")

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        return tuple(map(Group.parse, self.attributes.get("group", ())))

    @cached_property
    def bundle(self) -> tuple[str, ...]:
        """The mids of the first BUNDLE group; () without one."""
        for group in self.groups:
            if group.semantics == "BUNDLE":
                return group.mids
        return ()

    @cached_property
    def by_mid(self) -> Mapping[str, MediaSection]:
        found = {section.mid: section for section in self.sections if section.mid is not None}
        if len(found) != sum(section.mid is not None for section in self.sections):
            raise WireError("a mid twice")
        return found

    def check(self) -> None:
        self.origin, self.bundle, self.by_mid  # noqa: B018 - read for the error they may raise
        for section in self.sections:
            section.check()

    def extensions_mixed(self, section: MediaSection) -> bool:
        """Whether one- and two-byte header extensions may alternate (RFC 8285 section 6)."""
        return section.has("extmap-allow-mixed") or "extmap-allow-mixed" in self.attributes

    @cached_property
    def tagged(self) -> MediaSection:
        """The section whose transport all others share (RFC 8843 section 7.2)."""
        for mid in self.bundle:
            if mid in self.by_mid and not self.by_mid[mid].rejected:
                return self.by_mid[mid]
        for section in self.sections:
            if not section.rejected:
                return section
        raise WireError("an SDP without a section to connect for")

    @cached_property
    def transport(self) -> Transport:
        """That of the tagged section; what it does not say, the session does."""
        section = self.tagged
        here, session = section.attributes, self.attributes

        def one(name: str) -> str | None:
            text = _first(here, name)
            return _first(session, name) if text is None else text

        fingerprints = here.get("fingerprint") or session.get("fingerprint") or ()
        if not fingerprints:
            raise WireError("no fingerprint")
        return Transport(
            _credential(one("ice-ufrag"), 4),
            _credential(one("ice-pwd"), 22),
            tuple(map(Fingerprint.parse, fingerprints)),
            Setup.parse(one("setup") or Setup.ACTPASS),
            "ice-lite" in session,
            tuple((one("ice-options") or "").split()),
            tuple(f"candidate:{text}" for text in here.get("candidate", ())),
            section.has("end-of-candidates") or "end-of-candidates" in session,
        )


def _credential(text: str | None, shortest: int) -> str:
    """An ICE user fragment or password: letters, digits, "+" and "/" (RFC 8839 section 5.4)."""
    if text is None or not shortest <= len(text) <= MAX_CREDENTIAL:
        raise WireError("no ICE credentials, or of a length that cannot be")
    # Not the letters, only what would break a USERNAME of "theirs:ours": libnice and
    # others have used more than the RFC's alphabet.
    if not text.isascii() or ":" in text or not text.isprintable() or " " in text:
        raise WireError("ICE credentials of other letters than allowed")
    return text
