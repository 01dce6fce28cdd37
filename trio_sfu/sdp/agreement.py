"""What is wanted of each section, and what was agreed on.

`Receiving` and `Sending` are the wishes that go into an answer or an offer;
`AgreedSection` is what comes out of both. How sections become lines is told in
`trio_sfu.sdp.sections`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.sdp.attributes import Direction, Msid, Setup
from trio_sfu.sdp.formats import AUDIO, DOWNSTREAM, MIMES, RID, RTX, UPSTREAM, VIDEO, Formats, spell
from trio_sfu.sdp.session import MediaSection, SessionDescription, Transport

SCTP_PORT: Final = 5000
"""The port that everybody uses (RFC 8841 section 5)."""

KINDS: Final = (AUDIO, VIDEO)
"""What a section of media can be."""

RID_ORDERS: Final = (("q", "h", "f"), ("2", "1", "0"))
"""Names that LiveKit's clients give to layers, lowest first, in whatever order they list them."""


@attrs.frozen
class Role:
    """Which header extensions an end takes and which it sends, by kind."""

    receives: Mapping[str, tuple[str, ...]]
    sends: Mapping[str, tuple[str, ...]]


SERVER: Final = Role(receives=UPSTREAM, sends=DOWNSTREAM)
CLIENT: Final = Role(receives=DOWNSTREAM, sends=UPSTREAM)


def _spell_all(mimes: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(spell, mimes))


@attrs.frozen
class Receiving:
    """How we want to get what the peer sends in a section."""

    mimes: tuple[str, ...] = attrs.field(default=MIMES, converter=_spell_all)
    """Codecs that we take."""
    prefer: str | None = attrs.field(default=None, converter=attrs.converters.optional(spell))
    """The codec that was announced for this track: it goes first, so the peer takes it."""
    only: bool = False
    """Take no other than *prefer* (Firefox on Linux and Android chooses otherwise)."""
    red: bool = False
    """Put RED before Opus, so the peer sends it; else RED stays behind and unused."""
    dtx: bool | None = None
    """Whether Opus may fall silent (usedtx=1); None for a track we know nothing of."""
    stereo: bool | None = None
    """Whether Opus is to be stereo; None leaves what the peer wrote."""


@attrs.frozen
class Sending:
    """One stream that we send in a section."""

    kind: str
    stream_id: str
    track_id: str
    """What the peer will call the track; the same id is never sent twice at once."""
    cname: str
    mime: str = attrs.field(converter=spell)
    ssrc: int | None = None
    """None where only rids tell the encodings (a client's simulcast)."""
    rtx_ssrc: int | None = None
    fallbacks: tuple[str, ...] = attrs.field(default=(), converter=_spell_all)
    """Other codecs that this track comes in, should the peer not take the first: Opus for
    RED, a backup codec for VP9."""
    rids: tuple[str, ...] = ()
    """Simulcast layers, lowest first."""
    stereo: bool = False
    """Whether an Opus stream is stereo (sprop-stereo)."""

    @property
    def mimes(self) -> tuple[str, ...]:
        return (self.mime, *self.fallbacks)


@attrs.frozen
class SectionPlan:
    """What an answerer wants of one section; as much of it happens as was offered."""

    receive: Receiving | None = None
    send: Sending | None = None


@attrs.frozen
class AgreedSection:
    """What both ends agreed on for one section of audio or video."""

    mid: str
    kind: str
    direction: Direction
    """As we see it: with SENDONLY we send."""
    rejected: bool = False
    """Port zero: this section will never carry anything."""
    formats: Formats = attrs.Factory(dict)
    """In the order of the answer, whose first is what the answerer wants most."""
    extensions: Mapping[str, int] = attrs.Factory(dict)
    """Header extension ids by URI."""
    rids: tuple[str, ...] = ()
    """Simulcast layers that the peer sends us, lowest first."""
    ssrcs: tuple[int, ...] = ()
    """Primary SSRCs that the peer declared."""
    repairs: Mapping[int, int] = attrs.Factory(dict)
    """From FID groups: RTX SSRC to the primary one that it repairs."""
    stream_id: str = ""
    """Of what the peer sends, from its msid."""
    track_id: str = ""
    sending: Sending | None = None
    """What we send; its *rids* are those that the peer agreed to take."""


@attrs.frozen
class DataSection:
    """The peer's end of the data channels."""

    mid: str
    port: int
    max_message_size: int
    """Bytes of one message that the peer takes; 0 for no limit."""


@attrs.frozen
class Agreement:
    """All that an offer and its answer settled."""

    description: SessionDescription
    """The answer, ours or the peer's."""
    sections: tuple[AgreedSection, ...]
    """Of audio and video, in order, also the inactive and the rejected."""
    transport: Transport
    """The peer's."""
    setup: Setup
    """Ours: ACTIVE if we begin the DTLS handshake, else PASSIVE."""
    data: DataSection | None = None
    """None without data channels."""

    def __getitem__(self, mid: str) -> AgreedSection:
        """The section *mid*; `KeyError` if there is none of audio or video."""
        for section in self.sections:
            if section.mid == mid:
                return section
        raise KeyError(mid)


def with_peers_part(agreed: AgreedSection, section: MediaSection) -> AgreedSection:
    """*agreed* with what the peer's *section* says about the streams that it sends."""
    fid = [group.ssrcs for group in section.ssrc_groups if group.semantics == "FID"]
    repairs = {ssrcs[1]: ssrcs[0] for ssrcs in fid if len(ssrcs) == 2 and ssrcs[0] != ssrcs[1]}
    # An older form of simulcast: SIM lists the primary SSRCs from low to high.
    declared = [
        ssrc for group in section.ssrc_groups if group.semantics == "SIM" for ssrc in group.ssrcs
    ]
    declared += [line.ssrc for line in section.ssrc_lines]
    msid = section.msids[0] if section.msids else Msid("")
    return attrs.evolve(
        agreed,
        rids=simulcast_rids(section),
        ssrcs=tuple(ssrc for ssrc in dict.fromkeys(declared) if ssrc not in repairs),
        repairs=repairs,
        stream_id=msid.stream_id,
        track_id=msid.track_id,
    )


def offered_rids(section: MediaSection) -> tuple[str, ...]:
    """The layers that the writer of *section* sends, in its order.

    Of alternatives the first; a paused one is a layer like any other, because
    LiveKit stops and starts layers by signalling. () without simulcast, and
    where packets could not tell their layer for want of a header extension.
    """
    if section.kind != VIDEO or section.simulcast is None:
        return ()
    if all(extension.uri != RID for extension in section.extensions):
        return ()
    sent = {rid.id for rid in section.rids if rid.sends}
    listed = [alternatives[0].rid for alternatives in section.simulcast.send]
    return tuple(rid for rid in dict.fromkeys(listed) if rid in sent)


def accepted_rids(section: MediaSection) -> tuple[str, ...]:
    """The layers that the writer of *section* is ready to receive."""
    if section.simulcast is None:
        return ()
    return tuple(alternatives[0].rid for alternatives in section.simulcast.receive)


def settle_sending(
    sending: Sending | None, formats: Formats, section: MediaSection
) -> Sending | None:
    """*sending* as far as the peer's *section* lets it.

    RTX and layers that the peer does not take are gone; None if *formats*, which
    are agreed on, have none of its codecs.
    """
    taken = {format.mime for format in formats.values()}
    if sending is None or taken.isdisjoint(sending.mimes):
        return None
    accepted = accepted_rids(section)
    return attrs.evolve(
        sending,
        rtx_ssrc=sending.rtx_ssrc if RTX in taken else None,
        rids=tuple(rid for rid in sending.rids if rid in accepted),
    )


def simulcast_rids(section: MediaSection) -> tuple[str, ...]:
    """`offered_rids`, lowest first as far as we know the names."""
    rids = offered_rids(section)
    for order in RID_ORDERS:
        if set(rids) <= set(order):
            return tuple(sorted(rids, key=order.index))
    return rids


def mid_of(section: MediaSection) -> str:
    """The mid, which everything depends on; `WireError` without one."""
    if not section.mid:
        raise WireError("a media section without mid")
    return section.mid


def read_data(section: MediaSection) -> DataSection:
    """The peer's end of the data channels, as its section describes it."""
    port = SCTP_PORT if section.sctp_port is None else section.sctp_port
    return DataSection(mid_of(section), port, section.max_message_size)
