"""The answer to an offer, as a function: the offer, and what we can and want.

Every section is answered, in order (RFC 3264 section 6): what was offered and is
wanted flows, what could flow later is inactive, what never can is refused with
port zero. Payload types and extension ids are the offerer's. Everything shares
one transport, so a section outside the BUNDLE group is refused.
"""

from collections.abc import Mapping
from typing import Final

from trio_sfu.sdp.agreement import (
    KINDS,
    SERVER,
    AgreedSection,
    Agreement,
    DataSection,
    Receiving,
    Role,
    SectionPlan,
    Sending,
    mid_of,
    offered_rids,
    read_data,
    settle_sending,
    with_peers_part,
)
from trio_sfu.sdp.attributes import Direction, Encoding, ExtMap, Rid, Setup, Simulcast
from trio_sfu.sdp.formats import (
    MIMES,
    OPUS,
    RED,
    Formats,
    is_high_profile,
    prefer,
    read_formats,
    select,
)
from trio_sfu.sdp.lines import Line, attribute
from trio_sfu.sdp.sections import (
    DATA_FORMAT,
    ask_for_opus,
    candidate_lines,
    common_feedback,
    tune_opus,
    write_data,
    write_rejected,
    write_section,
    write_session,
)
from trio_sfu.sdp.session import MediaSection, Origin, SessionDescription, Transport

RECEIVE_ALL: Final = SectionPlan(receive=Receiving())
"""For a section that no track is known for yet: take what comes."""

MAX_EXTENSION_ID: Final = 255
"""The last id that a header extension can have in a packet (RFC 8285 section 4.3)."""


def answer(
    offer: SessionDescription,
    ours: Transport,
    origin: Origin,
    plans: Mapping[str, SectionPlan] | None = None,
    *,
    default: SectionPlan = RECEIVE_ALL,
    role: Role = SERVER,
    setup: Setup = Setup.PASSIVE,
    data: bool = True,
) -> Agreement:
    """Answer *offer*; *plans* say by mid what we want, *default* for all other sections.

    *setup* is what we choose where the offer leaves it to us; *data* whether data
    channels are wanted. `WireError` if the offer cannot be answered at all.
    """
    theirs = offer.transport
    setup = _answer_setup(theirs.setup, setup)
    bundle = offer.bundle or (mid_of(offer.tagged),)
    sections: list[MediaSection] = []
    agreed: list[AgreedSection] = []
    agreed_data: DataSection | None = None
    for section in offer.sections:
        mid = mid_of(section)
        # The tagged section, which all share the transport of, is the first that lives.
        candidates = [] if _any_alive(sections) else candidate_lines(ours)
        connects = not section.rejected and mid in bundle
        if section.kind in KINDS:
            plan = (plans or {}).get(mid, default)
            agreement = _agree(section, plan, role, possible=connects)
            agreed.append(agreement)
            if agreement.rejected:
                sections.append(write_rejected(section))
            else:
                sections.append(
                    write_section(
                        agreement,
                        section.protocol,
                        ours,
                        setup,
                        # Whichever way it goes: libwebrtc offers later sections of a kind with
                        # what the first was left with, and one that we send in must not cost
                        # those that we receive in the names of layers and the voice's level.
                        extensions=_extensions(section, Direction.SENDRECV, role),
                        layers=_layer_lines(section) if agreement.direction.receives else (),
                        candidates=candidates,
                        reduced_size=section.has("rtcp-rsize"),
                    )
                )
        elif connects and data and agreed_data is None and _is_data(section):
            agreed_data = read_data(section)
            sections.append(write_data(mid, section.protocol, ours, setup, candidates))
        else:
            sections.append(write_rejected(section))
    alive = [mid_of(section) for section in sections if not section.rejected]
    description = write_session(
        origin, ours, alive, sections, mixed=any(map(offer.extensions_mixed, offer.sections))
    )
    return Agreement(description, tuple(agreed), theirs, setup, agreed_data)


def _any_alive(sections: list[MediaSection]) -> bool:
    return any(not section.rejected for section in sections)


def _answer_setup(offered: Setup, wanted: Setup) -> Setup:
    if offered is Setup.ACTIVE:
        return Setup.PASSIVE
    if offered is Setup.PASSIVE:
        return Setup.ACTIVE
    if wanted is Setup.ACTPASS:
        raise ValueError("an answer is active or passive")
    return wanted


def _is_data(section: MediaSection) -> bool:
    return (
        section.kind == "application"
        and section.protocol.endswith("DTLS/SCTP")
        and DATA_FORMAT in section.formats
    )


def _agree(
    section: MediaSection, plan: SectionPlan, role: Role, *, possible: bool
) -> AgreedSection:
    mid = mid_of(section)
    refused = AgreedSection(mid, section.kind, Direction.INACTIVE, rejected=True)
    if not possible or not section.has("rtcp-mux") or "RTP/SAVP" not in section.protocol:
        return refused
    if plan.send is not None and plan.send.kind != section.kind:
        raise ValueError(f"a plan to send {plan.send.kind} in a section of {section.kind}")
    offered, direction = read_formats(section), section.direction.reversed
    received, sent = _received(offered, plan.receive), _sent(offered, plan.send)
    receiving = plan.receive if direction.receives and received else None
    sending = plan.send if direction.sends and sent else None
    # A section that is idle for now keeps all that it could carry: it is not refused.
    idle = receiving is None and sending is None
    taken = set(select(offered, MIMES) if idle else ())
    taken |= set(received if receiving else ()) | set(sent if sending else ())
    if not taken:
        return refused
    kept = {
        payload_type: offered[payload_type] for payload_type in offered if payload_type in taken
    }
    formats = ask_for_opus(common_feedback(section.kind, kept))
    formats = dict(tune_opus(formats, receiving, sending))
    direction = Direction.of(sends=sending is not None, receives=receiving is not None)
    extensions = _extensions(section, direction, role)
    agreed = AgreedSection(
        mid,
        section.kind,
        direction,
        formats=prefer(formats, _favourites(receiving, sending)),
        extensions={extension.uri: extension.id for extension in extensions},
        sending=settle_sending(sending, formats, section),
    )
    return with_peers_part(agreed, section) if receiving else agreed


def _received(offered: Formats, receiving: Receiving | None) -> Formats:
    if receiving is None:
        return {}
    if receiving.only and receiving.prefer is not None:
        return select(offered, (receiving.prefer,)) or select(offered, receiving.mimes)
    return select(offered, receiving.mimes)


def _sent(offered: Formats, sending: Sending | None) -> Formats:
    """What we could send as: never H264 High, and RED only together with its Opus."""
    if sending is None:
        return {}
    mimes = (*sending.mimes, OPUS) if RED in sending.mimes else sending.mimes
    modest = {
        payload_type: format
        for payload_type, format in offered.items()
        if not is_high_profile(format)
    }
    sent = select(modest, mimes)
    return sent if any(format.mime in sending.mimes for format in sent.values()) else {}


def _favourites(receiving: Receiving | None, sending: Sending | None) -> tuple[str, ...]:
    """The codecs that go first, because the peer sends the first of them."""
    favourites: tuple[str, ...] = ()
    if receiving is not None:
        favourites = (RED, OPUS) if receiving.red else ()
        favourites += (receiving.prefer,) if receiving.prefer else ()
    return favourites + (sending.mimes if sending is not None else ())


def _extensions(section: MediaSection, direction: Direction, role: Role) -> list[ExtMap]:
    """The header extensions that we take, as the answer writes them.

    An extension that was offered for one direction is answered for that direction
    (RFC 8285 section 6): we never send one that the peer only wants to send.
    """
    taken: list[ExtMap] = []
    for extension in section.extensions:
        theirs = extension.direction or Direction.SENDRECV
        receives = theirs.sends and extension.uri in role.receives[section.kind]
        sends = theirs.receives and extension.uri in role.sends[section.kind]
        # An idle section keeps what it would have if it were not.
        wanted = (receives and direction is not Direction.SENDONLY) or (
            sends and direction is not Direction.RECVONLY
        )
        known = any(extension.uri == other.uri or extension.id == other.id for other in taken)
        if wanted and not known and 0 < extension.id <= MAX_EXTENSION_ID:
            ours = None if extension.direction is None else theirs.reversed
            taken.append(ExtMap(extension.id, extension.uri, ours))
    return taken


def _layer_lines(section: MediaSection) -> list[Line]:
    """The layers that we take, as the peer ordered them; nobody is paused."""
    rids = offered_rids(section)
    if not rids:
        return []
    taken = tuple((Encoding(rid),) for rid in rids)
    return [
        *(attribute("rid", Rid(rid, sends=False)) for rid in rids),
        attribute("simulcast", Simulcast(receive=taken)),
    ]
