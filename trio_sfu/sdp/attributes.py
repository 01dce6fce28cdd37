"""What the values of ``a=`` lines say, each as a frozen class.

Every class reads itself from the text after ``a=name:`` with `parse`, raising
`WireError`, and writes the same text with `str`. Only what we act on has a class;
other attributes stay lines (see `trio_sfu.sdp.session`).
"""

import enum
from typing import Final, Self

import attrs

from trio_sfu.errors import WireError
from trio_sfu.sdp.lines import number

MAX_RIDS: Final = 16
"""Encodings of one section. Browsers send at most three; a stream is kept for each."""

MAX_SSRC: Final = 0xFFFFFFFF
MAX_PAYLOAD_TYPE: Final = 127
MAX_EXTENSION_ID: Final = 65_535
"""Ids from 4096 are placeholders to choose from (RFC 8285 section 6)."""

_RID_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class Direction(enum.StrEnum):
    """Who sends, seen by the one who wrote it (RFC 8866 section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> "Direction":
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reversed(self) -> "Direction":
        """The same, seen from the other end."""
        return Direction.of(sends=self.receives, receives=self.sends)


class Setup(enum.StrEnum):
    """Who begins the DTLS handshake (RFC 4145 section 4, RFC 5763 section 5)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"

    @classmethod
    def parse(cls, text: str) -> "Setup":
        try:
            return cls(text)
        except ValueError:
            raise WireError(f"setup {text[:40]!r}") from None


@attrs.frozen
class RtpMap:
    """``a=rtpmap:111 opus/48000/2`` (RFC 8866 section 6.6)."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        payload_type, _, encoding = text.partition(" ")
        name, *rest = encoding.strip().split("/")
        if not name or not 1 <= len(rest) <= 2:
            raise WireError(f"rtpmap {text[:40]!r}")
        return cls(
            number(payload_type, MAX_PAYLOAD_TYPE),
            name,
            number(rest[0], 10_000_000),
            number(rest[1], 255) if len(rest) > 1 else 1,
        )

    def __str__(self) -> str:
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.payload_type} {self.name}/{self.clock_rate}{channels}"


@attrs.frozen
class Fmtp:
    """``a=fmtp:97 apt=96`` (RFC 8866 section 6.15)."""

    payload_type: int
    parameters: str

    @classmethod
    def parse(cls, text: str) -> Self:
        payload_type, _, parameters = text.partition(" ")
        return cls(number(payload_type, MAX_PAYLOAD_TYPE), parameters.strip())

    def __str__(self) -> str:
        return f"{self.payload_type} {self.parameters}"


@attrs.frozen
class RtcpFeedback:
    """``a=rtcp-fb:96 nack pli``, or ``*`` for all formats (RFC 4585 section 4.2)."""

    payload_type: int | None
    """None stands for ``*``."""
    feedback: str

    @classmethod
    def parse(cls, text: str) -> Self:
        payload_type, _, feedback = text.partition(" ")
        if payload_type == "*":
            return cls(None, " ".join(feedback.split()))
        return cls(number(payload_type, MAX_PAYLOAD_TYPE), " ".join(feedback.split()))

    def __str__(self) -> str:
        return f"{'*' if self.payload_type is None else self.payload_type} {self.feedback}"


@attrs.frozen
class ExtMap:
    """``a=extmap:9/sendonly urn:…`` (RFC 8285 section 5)."""

    id: int
    uri: str
    direction: Direction | None = None
    """None where the line has none, which means the direction of the section."""
    attributes: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        key, _, rest = text.partition(" ")
        uri, _, attributes = rest.strip().partition(" ")
        number_text, slash, direction = key.partition("/")
        if not uri:
            raise WireError(f"extmap {text[:40]!r}")
        return cls(
            number(number_text, MAX_EXTENSION_ID),
            uri,
            _direction(direction) if slash else None,
            attributes,
        )

    def __str__(self) -> str:
        direction = "" if self.direction is None else f"/{self.direction}"
        attributes = f" {self.attributes}" if self.attributes else ""
        return f"{self.id}{direction} {self.uri}{attributes}"


def _direction(text: str) -> Direction:
    try:
        return Direction(text)
    except ValueError:
        raise WireError(f"direction {text[:40]!r}") from None


@attrs.frozen
class Rid:
    """``a=rid:q send max-width=320`` (RFC 8851 section 4)."""

    id: str
    sends: bool
    """Whether the one who wrote it sends this encoding, else would receive it."""
    restrictions: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        rid, _, rest = text.partition(" ")
        direction, _, restrictions = rest.strip().partition(" ")
        if direction not in ("send", "recv"):
            raise WireError(f"rid {text[:40]!r}")
        return cls(check_rid(rid), direction == "send", restrictions)

    def __str__(self) -> str:
        restrictions = f" {self.restrictions}" if self.restrictions else ""
        return f"{self.id} {'send' if self.sends else 'recv'}{restrictions}"


def check_rid(rid: str) -> str:
    """*rid*, if it is one; `WireError` otherwise (RFC 8851 section 10, erratum on ``_``)."""
    if not 0 < len(rid) <= 255 or not _RID_LETTERS.issuperset(rid):
        raise WireError(f"rid {rid[:40]!r}")
    return rid


@attrs.frozen
class Encoding:
    """One rid within ``a=simulcast``; `paused` where a ``~`` stands before it."""

    rid: str
    paused: bool = False

    def __str__(self) -> str:
        return f"~{self.rid}" if self.paused else self.rid


Encodings = tuple[tuple[Encoding, ...], ...]
"""Simultaneous streams, and for each the alternatives, the favourite first."""


@attrs.frozen
class Simulcast:
    """``a=simulcast:send q;h,h2;~f recv 1`` (RFC 8853 section 5.1)."""

    send: Encodings = ()
    receive: Encodings = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        # "send rid=q;h" was the form of an early draft; nobody seen still writes it.
        words = text.split()
        if len(words) not in (2, 4) or len(set(words[::2])) != len(words[::2]):
            raise WireError(f"simulcast {text[:40]!r}")
        lists = {"send": (), "recv": ()} | dict(
            zip(words[::2], map(_parse_encodings, words[1::2]), strict=True)
        )
        if len(lists) != 2:
            raise WireError(f"simulcast {text[:40]!r}")
        return cls(lists["send"], lists["recv"])

    def __str__(self) -> str:
        return " ".join(
            f"{name} {_render_encodings(encodings)}"
            for name, encodings in (("send", self.send), ("recv", self.receive))
            if encodings
        )


def _parse_encodings(text: str) -> Encodings:
    if text.count(";") + text.count(",") >= MAX_RIDS:
        raise WireError(f"more than {MAX_RIDS} encodings")
    return tuple(
        tuple(
            Encoding(check_rid(alternative.removeprefix("~")), alternative.startswith("~"))
            for alternative in stream.split(",")
        )
        for stream in text.split(";")
    )


def _render_encodings(encodings: Encodings) -> str:
    return ";".join(",".join(map(str, alternatives)) for alternatives in encodings)


@attrs.frozen
class Msid:
    """``a=msid:stream track`` (RFC 8830 section 2). Firefox writes both in braces."""

    stream_id: str
    """Empty for ``-``, which means that the track is in no stream."""
    track_id: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        stream_id, _, track_id = text.strip().partition(" ")
        return cls("" if stream_id == "-" else stream_id, track_id.strip())

    def __str__(self) -> str:
        return f"{self.stream_id or '-'} {self.track_id}".rstrip()


@attrs.frozen
class SsrcLine:
    """``a=ssrc:1234 cname:abc`` (RFC 5576 section 4.1)."""

    ssrc: int
    attribute: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        ssrc, _, rest = text.partition(" ")
        name, _, value = rest.strip().partition(":")
        return cls(number(ssrc, MAX_SSRC), name, value)

    def __str__(self) -> str:
        return f"{self.ssrc} {self.attribute}" + (f":{self.value}" if self.value else "")


@attrs.frozen
class SsrcGroup:
    """``a=ssrc-group:FID 1 2`` (RFC 5576 section 4.2)."""

    semantics: str
    ssrcs: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        semantics, *ssrcs = text.split() or [""]
        return cls(semantics, tuple(number(ssrc, MAX_SSRC) for ssrc in ssrcs))

    def __str__(self) -> str:
        return " ".join((self.semantics, *map(str, self.ssrcs)))


@attrs.frozen
class Fingerprint:
    """``a=fingerprint:sha-256 AB:CD:…`` (RFC 8122 section 5)."""

    algorithm: str
    """In small letters."""
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        algorithm, _, value = text.strip().partition(" ")
        pairs = value.strip().split(":")
        try:
            digest = bytes.fromhex("".join(pairs))
        except ValueError:
            raise WireError(f"fingerprint {text[:40]!r}") from None
        if not algorithm or len(digest) != len(pairs) or any(len(pair) != 2 for pair in pairs):
            raise WireError(f"fingerprint {text[:40]!r}")
        return cls(algorithm.lower(), digest)

    def __str__(self) -> str:
        return f"{self.algorithm} {self.digest.hex(':').upper()}"


@attrs.frozen
class Group:
    """``a=group:BUNDLE 0 1 2`` (RFC 5888 section 5)."""

    semantics: str
    mids: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        semantics, *mids = text.split() or [""]
        return cls(semantics, tuple(mids))

    def __str__(self) -> str:
        return " ".join((self.semantics, *self.mids))
