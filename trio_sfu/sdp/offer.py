"""Offers of ours, one after another, and what the answers to them settle.

An m= line, once offered, keeps its place, its kind and its mid for ever (RFC 9429
section 5.2.2). So the next offer depends on those before it, and `Offerer` keeps
the table: which section stands where, and which stream it carries now.

A stream that ends leaves its section inactive. Only when the peer has *answered*
that may the section carry another: a browser fires its ``track`` event when a
section begins to flow, and would say nothing of a stream that took the place of
another within one offer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.sdp.agreement import (
    SERVER,
    AgreedSection,
    Agreement,
    DataSection,
    Role,
    Sending,
    mid_of,
    read_data,
    settle_sending,
    with_peers_part,
)
from trio_sfu.sdp.attributes import Direction, Encoding, ExtMap, Rid, Setup, Simulcast
from trio_sfu.sdp.formats import (
    EXTENSION_IDS,
    MIMES,
    Formats,
    offered_formats,
    read_formats,
    select,
)
from trio_sfu.sdp.lines import Line, attribute
from trio_sfu.sdp.sections import (
    DATA_PROTOCOL,
    MEDIA_PROTOCOL,
    candidate_lines,
    common_feedback,
    tune_opus,
    write_data,
    write_rejected,
    write_section,
    write_session,
)
from trio_sfu.sdp.session import MediaSection, Origin, SessionDescription, Transport

DATA: Final = "application"


@attrs.define
class _Place:
    """One m= line: what it is for good, and what it carries now."""

    mid: str
    kind: str
    sending: Sending | None = None
    receives: bool = False
    """A section for what the peer sends; it never becomes one of ours."""
    idle: bool = False
    """Free for another stream: the peer has answered that it is inactive."""
    rejected: bool = False
    """The peer put port zero: this place is lost."""
    formats: Formats = attrs.Factory(dict)
    """What was offered last, and stays while the section is inactive."""

    @property
    def direction(self) -> Direction:
        return Direction.of(sends=self.sending is not None, receives=self.receives)


class Offerer:
    """The offering end of one PeerConnection: a server's to a subscriber, a client's to publish."""

    def __init__(
        self,
        session_id: int,
        *,
        role: Role = SERVER,
        data: bool = True,
        mimes: Sequence[str] = MIMES,
        reuse: bool = True,
    ) -> None:
        """*data* puts data channels in the first section, *mimes* are what we take in those
        that receive, *reuse* may be False for a peer (Safari) that cannot be given another
        stream in an old section. *session_id* is any number below 2**63."""
        self._session_id = session_id
        self._version = 0
        self._role = role
        self._mimes = tuple(mimes)
        self._reuse = reuse
        self._places: list[_Place] = [_Place("0", DATA)] if data else []
        self._offered: SessionDescription | None = None

    @property
    def track_ids(self) -> Mapping[str, str]:
        """By mid, what the sections carry by the last offer (LiveKit's mid_to_track_id)."""
        return {
            place.mid: place.sending.track_id
            for place in self._places
            if place.sending is not None and not place.rejected
        }

    def offer(
        self, ours: Transport, sendings: Iterable[Sending], receive: Mapping[str, int] | None = None
    ) -> SessionDescription:
        """The next offer, in which exactly *sendings* are sent.

        *receive* says of how many sections of each kind the peer may send in; that
        number only grows. New credentials in *ours* restart ICE. An offer that was
        never answered is replaced.
        """
        wanted: dict[str, Sending] = {}
        for sending in sendings:
            if sending.track_id in wanted:
                raise ValueError(f"{sending.track_id} twice in an offer")
            wanted[sending.track_id] = sending
        for place in self._places:
            if place.sending is not None:
                place.sending = wanted.pop(place.sending.track_id, None)
        for sending in wanted.values():
            self._place_for(sending.kind).sending = sending
        for kind, count in (receive or {}).items():
            have = sum(place.receives for place in self._places if place.kind == kind)
            for _ in range(count - have):
                self._append(kind).receives = True
        self._version += 1
        self._offered = self._describe(ours)
        return self._offered

    def _place_for(self, kind: str) -> _Place:
        """A free section of *kind*, or a new one at the end."""
        for place in self._places:
            if place.idle and place.kind == kind and not place.rejected and self._reuse:
                place.idle = False
                return place
        return self._append(kind)

    def _append(self, kind: str) -> _Place:
        self._places.append(_Place(str(len(self._places)), kind))
        return self._places[-1]

    def _describe(self, ours: Transport) -> SessionDescription:
        if not self._places:
            raise ValueError("nothing to offer")
        sections: list[MediaSection] = []
        candidates = candidate_lines(ours)
        for place in self._places:
            section = self._section(place, ours, candidates)
            sections.append(section)
            if not section.rejected:
                candidates = []
        alive = [place.mid for place in self._places if not place.rejected]
        origin = Origin(self._session_id, self._version)
        return write_session(origin, ours, alive, sections)

    def _section(self, place: _Place, ours: Transport, candidates: list[Line]) -> MediaSection:
        if place.kind == DATA:
            section = write_data(place.mid, DATA_PROTOCOL, ours, Setup.ACTPASS, candidates)
            return write_rejected(section) if place.rejected else section
        if place.sending is not None:
            formats = offered_formats(place.sending.mimes, send=True)
            place.formats = tune_opus(formats, None, place.sending)
        elif place.receives:
            mimes = [mime for mime in self._mimes if mime.startswith(f"{place.kind}/")]
            place.formats = offered_formats(mimes, send=False)
        uris = self._role.receives if place.receives else self._role.sends
        extensions = [ExtMap(EXTENSION_IDS[uri], uri) for uri in uris[place.kind]]
        section = write_section(
            AgreedSection(
                place.mid,
                place.kind,
                place.direction,
                formats=place.formats,
                sending=place.sending,
            ),
            MEDIA_PROTOCOL,
            ours,
            Setup.ACTPASS,
            extensions=extensions,
            layers=_layer_lines(place.sending),
            candidates=candidates,
        )
        return write_rejected(section) if place.rejected else section

    def accept(self, answer: SessionDescription) -> Agreement:
        """What *answer* settles; `WireError` if it does not answer our last offer.

        A section whose codecs the peer does not take is agreed with no `sending`;
        the others are none the worse for it.
        """
        offered = self._offered
        if offered is None:
            raise WireError("an answer that nobody asked for")
        _check_matching(offered, answer)
        theirs = answer.transport
        if theirs.setup is Setup.ACTPASS:
            raise WireError("an answer must choose who begins the handshake")
        setup = Setup.PASSIVE if theirs.setup is Setup.ACTIVE else Setup.ACTIVE
        agreed: list[AgreedSection] = []
        data: DataSection | None = None
        answered = zip(self._places, offered.sections, answer.sections, strict=True)
        # All is read before anything is noted: a bad answer leaves the table as it was.
        for place, ours, section in answered:
            if place.kind == DATA:
                data = None if section.rejected else read_data(section)
            else:
                agreed.append(_settle(place, ours, section))
        for place, section in zip(self._places, answer.sections, strict=True):
            place.rejected = place.rejected or section.rejected
            place.idle = place.direction is Direction.INACTIVE
        self._offered = None
        return Agreement(answer, tuple(agreed), theirs, setup, data)


def _layer_lines(sending: Sending | None) -> list[Line]:
    if sending is None or not sending.rids:
        return []
    layers = tuple((Encoding(rid),) for rid in sending.rids)
    return [
        *(attribute("rid", Rid(rid, sends=True)) for rid in sending.rids),
        attribute("simulcast", Simulcast(send=layers)),
    ]


def _check_matching(offer: SessionDescription, answer: SessionDescription) -> None:
    if len(offer.sections) != len(answer.sections):
        raise WireError(f"{len(answer.sections)} sections answer {len(offer.sections)}")
    for ours, theirs in zip(offer.sections, answer.sections, strict=True):
        # Who refuses a section may leave its mid out.
        if ours.kind != theirs.kind or theirs.mid not in (
            (ours.mid, None) if theirs.rejected else (ours.mid,)
        ):
            raise WireError(f"section {ours.mid} is answered by {theirs.mid}")


def _settle(place: _Place, ours: MediaSection, theirs: MediaSection) -> AgreedSection:
    mid = mid_of(ours)
    if theirs.rejected or ours.rejected:
        return AgreedSection(mid, place.kind, Direction.INACTIVE, rejected=True)
    mimes = {format.mime for format in place.formats.values()}
    formats = common_feedback(place.kind, select(read_formats(theirs), mimes))
    answered = theirs.direction.reversed
    sending = settle_sending(place.sending, formats, theirs) if answered.sends else None
    receives = place.receives and answered.receives and bool(formats)
    offered = {extension.uri: extension.id for extension in ours.extensions}
    agreed = AgreedSection(
        mid,
        place.kind,
        Direction.of(sends=sending is not None, receives=receives),
        formats=formats,
        extensions={
            extension.uri: extension.id
            for extension in theirs.extensions
            if offered.get(extension.uri) == extension.id
        },
        sending=sending,
    )
    return with_peers_part(agreed, theirs) if receives else agreed
