"""Candidates (RFC 8445 section 5.1) and the lines that carry them (RFC 8839 section 5.1).

    candidate:842163049 1 udp 2130706431 192.0.2.1 7882 typ host generation 0

The line is read by aioice's parser, whose failures become `WireError`; what it does
not check (ranges, addresses) is checked here, and extension attributes, which it
drops, are kept. This is the only module that imports aioice.
"""

import ipaddress
import zlib
from collections.abc import Sequence
from typing import Final, Self

import aioice.candidate
import attrs

from trio_sfu.core import Address
from trio_sfu.errors import WireError
from trio_sfu.ice.credentials import ICE_CHARS

MAX_LINE: Final = 1024
"""Characters. The longest that clients send is under 250."""
MAX_FOUNDATION: Final = 32
"""RFC 8839 section 5.1."""

RTP: Final = 1
"""The component. RTCP shares it (rtcp-mux), so there is no other."""

TYPE_PREFERENCES: Final = {"host": 126, "prflx": 110, "srflx": 100, "relay": 0}
"""RFC 8445 section 5.1.2.2; the keys are all the types that there are."""
MAX_LOCAL_PREFERENCE: Final = 65535


@attrs.frozen
class Candidate:
    """An address at which somebody can perhaps be reached."""

    foundation: str
    component: int
    transport: str
    """Lower case: "udp" or "tcp"."""
    priority: int
    host: str
    """An address in its canonical form, or a name: see `is_name`."""
    port: int
    kind: str
    """A key of `TYPE_PREFERENCES`."""
    related: Address | None = None
    tcp_type: str | None = None
    """RFC 6544: "active", "passive" or "so"; None for UDP."""
    extensions: tuple[tuple[str, str], ...] = ()
    """All other attributes, in their order ("generation", "ufrag", "network-cost" …)."""

    @property
    def address(self) -> Address:
        return self.host, self.port

    @property
    def is_name(self) -> bool:
        """Whether the host is a name to be resolved; with mDNS it ends in ".local"."""
        return not _numeric(self.host)

    @property
    def ipv6(self) -> bool:
        return ":" in self.host

    def extension(self, name: str) -> str | None:
        return next((value for key, value in self.extensions if key == name), None)

    def encode(self) -> str:
        """As in RTCIceCandidateInit: begins with "candidate:". An SDP line puts "a=" before it."""
        parts = [
            f"candidate:{self.foundation} {self.component} {self.transport} {self.priority}"
            f" {self.host} {self.port} typ {self.kind}"
        ]
        if self.related is not None:
            parts.append(f"raddr {self.related[0]} rport {self.related[1]}")
        if self.tcp_type is not None:
            parts.append(f"tcptype {self.tcp_type}")
        parts.extend(f"{name} {value}" for name, value in self.extensions)
        return " ".join(parts)

    @classmethod
    def decode(cls, line: str) -> Self:
        """From a line with or without "a=" and "candidate:"; `WireError` if it is none."""
        text = line.strip().removeprefix("a=").removeprefix("candidate:")
        if len(text) > MAX_LINE:
            raise WireError(f"a candidate of {len(text)} characters")
        try:
            parsed = aioice.candidate.Candidate.from_sdp(text)
        except ValueError as error:
            raise WireError(f"not a candidate: {error}") from None
        words = text.split()
        if words[6].lower() != "typ":
            raise WireError('a candidate without "typ"')
        related: Address | None = None
        if parsed.related_address is not None:
            # Browsers that hide an address write 0.0.0.0 and port 0 or 9; nothing is sent there.
            related = parsed.related_address, _within(parsed.related_port or 0, 0, 65535, "rport")
        pairs = zip(words[8::2], words[9::2], strict=False)
        return cls(
            _foundation_checked(parsed.foundation),
            _within(parsed.component, 1, 256, "component"),
            parsed.transport.lower(),
            _within(parsed.priority, 0, 2**32 - 1, "priority"),
            _host_checked(parsed.host),
            _within(parsed.port, 0, 65535, "port"),
            _kind_checked(parsed.type),
            related,
            parsed.tcptype,
            tuple(pair for pair in pairs if pair[0] not in ("raddr", "rport", "tcptype")),
        )


def priority(kind: str, local_preference: int = MAX_LOCAL_PREFERENCE, component: int = RTP) -> int:
    """RFC 8445 section 5.1.2.1."""
    return TYPE_PREFERENCES[kind] << 24 | local_preference << 8 | 256 - component


def pair_priority(controlling: int, controlled: int) -> int:
    """Of a pair, from its two candidates' (RFC 8445 section 6.1.2.3); the same on both sides."""
    return (
        (min(controlling, controlled) << 32)
        + 2 * max(controlling, controlled)
        + (controlling > controlled)
    )


def foundation(kind: str, base: str, transport: str = "udp", server: str = "") -> str:
    """One for all candidates of a type, base, transport and server (RFC 8445 section 5.1.1.3)."""
    return str(zlib.crc32(f"{kind} {base} {transport} {server}".encode()))


def host_candidate(
    address: Address, local_preference: int = MAX_LOCAL_PREFERENCE, transport: str = "udp"
) -> Candidate:
    """A candidate for an address of our own; ValueError if the host is not numeric."""
    host = str(ipaddress.ip_address(address[0]))
    return Candidate(
        foundation("host", host, transport),
        RTP,
        transport,
        priority("host", local_preference),
        host,
        address[1],
        "host",
    )


def host_candidates(addresses: Sequence[Address]) -> list[Candidate]:
    """What a server advertises: the first address is preferred most (RFC 8445 section 5.1.2.1).

    Which of IPv4 and IPv6 comes first is for the caller to say (RFC 8421 would mix them).
    """
    return [
        host_candidate(address, MAX_LOCAL_PREFERENCE - rank)
        for rank, address in enumerate(addresses)
    ]


def reflexive_candidate(address: Address, told_priority: int) -> Candidate:
    """A peer's address that only its check told us (RFC 8445 section 7.3.1.3)."""
    # No other candidate shares an address that was found in this way, so no foundation either.
    return Candidate(
        foundation("prflx", f"{address[0]} {address[1]}"),
        RTP,
        "udp",
        told_priority,
        address[0],
        address[1],
        "prflx",
    )


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _within(value: int, low: int, high: int, what: str) -> int:
    if not low <= value <= high:
        raise WireError(f"a candidate with {what} {value}")
    return value


def _foundation_checked(text: str) -> str:
    if len(text) > MAX_FOUNDATION or not all(character in ICE_CHARS for character in text):
        raise WireError("a foundation is up to 32 letters, digits, + or /")
    return text


def _kind_checked(text: str) -> str:
    kind = text.lower()
    if kind not in TYPE_PREFERENCES:
        raise WireError(f"a candidate of type {text[:16]!r}")
    return kind


def _host_checked(host: str) -> str:
    """Addresses in one form, so that they can be compared; names in lower case."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not host.isascii() or not host.replace("-", "").replace(".", "").isalnum():
        raise WireError("a candidate's host is neither an address nor a name")
    return host.lower()
