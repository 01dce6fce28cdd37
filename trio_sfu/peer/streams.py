"""Everything that one peer sends: whose is this packet, did it come before, what is missing.

An RTP packet names its stream by a random number, the SSRC. What we want to know
is the section of the SDP, and of a simulcast section the layer: a `StreamKey`. The
way from one to the other is found once for each SSRC, in this order, which is
that of RFC 8843 section 9.2 with the words of RFC 8852 for layers:

1. The SDP declared the SSRC (``a=ssrc``, and ``a=ssrc-group:FID`` for repairs).
2. The packet names its section (mid), and its layer (rid), in header extensions.
   A repair names the layer that it repairs (repaired-rid). Browsers do so until a
   report of ours shows that we have understood.
3. Its payload type occurs in one section only, and that has no layers.

Everything else is nobody's packet, and is counted. When a layer's packets come
with another SSRC (the peer began anew), the new one takes the place of the old.

Repairs (RTX, RFC 4588) are undone here: further up, a packet is a packet, and how
it came does not matter. What came twice is left out.
"""

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from trio_sfu import ntp
from trio_sfu.errors import WireError
from trio_sfu.peer.media import VIDEO, ReceiveSection, StreamKey
from trio_sfu.peer.reports import RECEIVER_INTERVAL, ReportSchedule
from trio_sfu.peer.totals import MediaTotals
from trio_sfu.rtp import extensions as uris
from trio_sfu.rtp.arrival import IDLE_INTERVAL, ArrivalRecorder
from trio_sfu.rtp.feedback import Fir, Nack, Pli
from trio_sfu.rtp.history import unwrap_rtx
from trio_sfu.rtp.nack import DEFAULT_RTT, NackGenerator
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.payload import Describer, describer
from trio_sfu.rtp.receive import ReceiveStatistics, ReceiveStream, SenderClock
from trio_sfu.rtp.rtcp import (
    COUNT_LIMIT,
    ExtendedReport,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
)
from trio_sfu.wire import Reader

SSRCS_PER_SECTION: Final = 64
"""SSRCs that a section may show before the next negotiation. With three layers and
their repairs it needs six; a peer that changes them all the time costs us nothing."""

SLEEPING: Final = 32
"""Streams kept that have no section just now. A browser that stops a camera and
starts it again may go on with the same SSRC, without a word of mid or rid, since
we knew it before."""

_ABSENT: Final = -1
"""Stands for the id of an extension that was not negotiated: no packet has it."""

Describers = Mapping[int, Describer | None]
"""By payload type; None for sound."""


class Unwanted(enum.Enum):
    """Why a packet was not handed up. Counted; duplicates are in the statistics."""

    UNKNOWN_STREAM = enum.auto()
    """Neither its SSRC nor anything it says leads to a section, or to a layer of it."""
    TOO_MANY_SSRCS = enum.auto()
    PAYLOAD_TYPE = enum.auto()
    """Not one that was negotiated for its section."""
    PADDING = enum.auto()
    """A repair of nothing, sent to find out what the path carries."""
    MALFORMED = enum.auto()
    """Its codec's header is none."""


class _Stream:
    """One encoding, and where it is told from."""

    __slots__ = (
        "describers",
        "fir_number",
        "key",
        "nack",
        "payload_type",
        "receive",
        "repairs",
        "section",
        "ssrc",
    )

    def __init__(
        self, key: StreamKey, section: ReceiveSection, describers: Describers, packet: RtpPacket
    ) -> None:
        found = section.formats[packet.payload_type]
        self.key = key
        self.section = section
        self.describers = describers
        self.ssrc = packet.ssrc
        self.repairs: list[int] = []
        """SSRCs of its repairs."""
        self.payload_type = packet.payload_type
        self.nack = NackGenerator() if "nack" in found.feedback else None
        self.receive = ReceiveStream(packet.ssrc, found.clock_rate, self.nack)
        self.fir_number = 0


@attrs.frozen
class _Extensions:
    """Ids of what this module reads. BUNDLE makes them the same in all sections."""

    mid: int = _ABSENT
    rid: int = _ABSENT
    repaired_rid: int = _ABSENT
    transport_sequence: int = _ABSENT


class IncomingMedia:
    """What one peer sends; *ssrc* is ours, under which reports and requests leave.

    *feedback* is the longest time, in seconds, between an arrival and word of it.
    """

    def __init__(self, ssrc: int, feedback: float = IDLE_INTERVAL) -> None:
        self.rtt = DEFAULT_RTT
        """Seconds to the peer and back; set by whoever knows better, or by its answers."""
        self.unwanted: Counter[Unwanted] = Counter()
        self._ssrc = ssrc
        self._sections: dict[str, ReceiveSection] = {}
        self._describers: dict[str, Describers] = {}
        self._declared: dict[int, ReceiveSection] = {}
        self._bound: Counter[str] = Counter()
        """By mid: SSRCs bound since the last negotiation."""
        self._ids = _Extensions()
        self._streams: dict[int, _Stream] = {}
        """By SSRC."""
        self._repairs: dict[int, _Stream] = {}
        """By the SSRC of the repairs."""
        self._by_key: dict[StreamKey, _Stream] = {}
        self._sleeping: list[_Stream] = []
        """Those whose section is gone for now, longest first."""
        self._asleep: set[int] = set()
        """Their SSRCs, which must not be taken for those of the only section that is left."""
        self._arrivals = ArrivalRecorder(ssrc, feedback)
        self._schedule = ReportSchedule(RECEIVER_INTERVAL)
        self._requests: dict[StreamKey, Pli | Fir] = {}
        self._requested = math.inf
        self._stand_ins: list[tuple[StreamKey, list[RtpPacket]]] = []
        self._ended = MediaTotals()
        """Of streams that are no more; and what we asked for, of all."""

    def configure(self, sections: Iterable[ReceiveSection]) -> None:
        """Take over what was negotiated; streams that still exist keep their state."""
        self._sections = {section.mid: section for section in sections}
        self._describers = {
            mid: {
                number: describer(found.mime)
                for number, found in section.formats.items()
                if found.repairs is None
            }
            for mid, section in self._sections.items()
        }
        self._declared = {
            ssrc: section
            for section in self._sections.values()
            for ssrc in (*section.ssrcs, *section.repairs)
        }
        self._ids = _extension_ids(self._sections.values())
        self._bound.clear()
        streams = [*self._sleeping, *self._streams.values()]
        self._sleeping = []
        self._streams, self._repairs, self._by_key = {}, {}, {}
        for stream in streams:
            section = self._sections.get(stream.key.mid)
            if section and stream.key.rid in (section.rids or ("",)):
                stream.section, stream.describers = section, self._describers[section.mid]
                self._add(stream)
            else:
                self._sleeping.append(stream)
        for stream in self._sleeping[:-SLEEPING]:
            _count(stream, self._ended)
        del self._sleeping[:-SLEEPING]
        self._asleep = {ssrc for each in self._sleeping for ssrc in (each.ssrc, *each.repairs)}

    def accept(
        self, packets: list[RtpPacket], now: float
    ) -> list[tuple[StreamKey, list[RtpPacket]]]:
        """The packets that are new and wanted, by stream, each in the order in which they came.

        Their *index*, *arrival* and *frame* are filled in.
        """
        streams, transport_sequence = self._streams, self._ids.transport_sequence
        batches: dict[int, tuple[StreamKey, list[RtpPacket]]] = {}
        for packet in packets:
            if number := packet.extensions.get(transport_sequence):
                sequence = int.from_bytes(number[:2], "big")
                self._arrivals.record(sequence, packet.ssrc, packet.marker, now)
            recovered = False
            stream = streams.get(packet.ssrc)
            if stream is None:
                packet, found = self._find(packet)  # of a repair, what it repairs
                if isinstance(found, Unwanted):
                    self.unwanted[found] += 1
                    continue
                stream, recovered = found
            try:
                describe = stream.describers[packet.payload_type]
            except KeyError:
                self.unwanted[Unwanted.PAYLOAD_TYPE] += 1
                continue
            if not stream.receive.receive(packet, now, recovered):
                continue
            if describe is not None and packet.payload:
                try:
                    packet.frame = describe(packet.payload)
                except WireError:
                    self.unwanted[Unwanted.MALFORMED] += 1
                    continue
            batch = batches.get(stream.ssrc)
            if batch is None:
                batch = batches[stream.ssrc] = (stream.key, [])
            batch[1].append(packet)
        if batches:
            self._schedule.news(now)
        return list(batches.values())

    def _find(self, packet: RtpPacket) -> tuple[RtpPacket, tuple[_Stream, bool] | Unwanted]:
        """For a packet that is not of a known stream: the packet to go on with, its
        stream, and whether it is a repair."""
        stream = self._bind(packet)
        if isinstance(stream, Unwanted):
            return packet, stream
        if packet.ssrc == stream.ssrc:
            return packet, (stream, False)
        repaired = _repaired(packet, stream)
        if isinstance(repaired, Unwanted):
            return packet, repaired
        return repaired, (stream, True)

    def _bind(self, packet: RtpPacket) -> _Stream | Unwanted:
        """The stream of a packet whose SSRC is new, or repairs one."""
        if stream := self._repairs.get(packet.ssrc):
            return stream
        section = self._section(packet)
        if section is None:
            return Unwanted.UNKNOWN_STREAM
        if packet.payload_type not in section.formats:
            return Unwanted.PAYLOAD_TYPE
        if self._bound[section.mid] >= SSRCS_PER_SECTION:
            return Unwanted.TOO_MANY_SSRCS
        if section.formats[packet.payload_type].repairs is not None:
            return self._bind_repair(packet, section)
        rid = self._text(packet, self._ids.rid) if section.rids else ""
        if rid not in (section.rids or ("",)):
            return Unwanted.UNKNOWN_STREAM
        key = StreamKey(section.mid, rid)
        stream = _Stream(key, section, self._describers[section.mid], packet)
        self._add(stream)
        self._bound[section.mid] += 1
        return stream

    def _bind_repair(self, packet: RtpPacket, section: ReceiveSection) -> _Stream | Unwanted:
        """The stream that a packet on a new SSRC repairs, once that stream is there."""
        declared = section.repairs.get(packet.ssrc)
        if declared is not None:
            stream = self._streams.get(declared)
        else:
            rid = self._text(packet, self._ids.repaired_rid) if section.rids else ""
            stream = self._by_key.get(StreamKey(section.mid, rid))
        if stream is None:
            return Unwanted.UNKNOWN_STREAM
        stream.repairs.append(packet.ssrc)
        self._repairs[packet.ssrc] = stream
        self._bound[section.mid] += 1
        return stream

    def _section(self, packet: RtpPacket) -> ReceiveSection | None:
        if section := self._declared.get(packet.ssrc):
            return section
        if self._ids.mid in packet.extensions:
            return self._sections.get(self._text(packet, self._ids.mid))
        if packet.ssrc in self._asleep:
            return None
        candidates = [
            section for section in self._sections.values() if packet.payload_type in section.formats
        ]
        return candidates[0] if len(candidates) == 1 else None

    def _text(self, packet: RtpPacket, number: int) -> str:
        """A mid or rid; "" for none, and for one that is no text, which names nothing."""
        value = packet.extensions.get(number)
        if value is None:
            return ""
        try:
            return uris.decode_identifier(Reader(value))
        except WireError:
            return ""

    def _add(self, stream: _Stream) -> None:
        """Make a stream that of its key, in place of the one that was."""
        if before := self._by_key.get(stream.key):
            _count(before, self._ended)
            del self._streams[before.ssrc]
            for ssrc in before.repairs:
                self._repairs.pop(ssrc, None)
        self._by_key[stream.key] = self._streams[stream.ssrc] = stream
        self._repairs.update(dict.fromkeys(stream.repairs, stream))

    def hear(self, packet: RtcpPacket, now: float) -> None:
        """Take note of what the peer says as a sender; what concerns others is passed over.

        A BYE is passed over too: a browser says it of a layer that it switches off,
        and when it goes on it does not say again which layer that is.
        """
        if isinstance(packet, SenderReport):
            if stream := self._streams.get(packet.ssrc):
                stream.receive.hear(packet, now)
        elif isinstance(packet, ExtendedReport):
            for last in packet.last_references:
                if last.ssrc == self._ssrc:
                    middle = ntp.middle(ntp.from_unix(now))
                    rtt = ntp.round_trip(middle, last.last_reference, last.delay)
                    self.rtt = self.rtt if rtt is None else rtt

    @property
    def deadline(self) -> float:
        """When there is something for `take_rtcp`."""
        return min(
            self._schedule.deadline,
            self._arrivals.deadline,
            self._requested,
            min(
                (stream.nack.deadline for stream in self._streams.values() if stream.nack),
                default=math.inf,
            ),
        )

    def request_key_frame(self, key: StreamKey, now: float) -> bool:
        """Ask for a key frame; False if there is no such stream, or no way to ask.

        How often to ask is for the caller to know.
        """
        if key not in self._requests:
            stream = self._by_key.get(key)
            request = _key_frame_request(self._ssrc, stream) if stream else None
            if request is None:
                return False
            self._requests[key] = request
            if isinstance(request, Pli):
                self._ended.plis += 1
            else:
                self._ended.firs += 1
        self._requested = min(self._requested, now)
        return True

    def take_rtcp(self, now: float) -> list[RtcpPacket]:
        """What is to be said to the peer by *now*."""
        due: list[RtcpPacket] = []
        if self._schedule.take_due(now):
            due += self._reports(now)
        for stream in self._streams.values():
            nack = stream.nack
            if nack and nack.deadline <= now and (lost := nack.take(now, self.rtt)):
                numbers = tuple(index & 0xFFFF for index in lost)
                due.append(Nack(self._ssrc, stream.ssrc, numbers))
            if nack and (unanswered := nack.take_unanswered()):
                self._stand_in(stream, unanswered, now)
        due += self._arrivals.take(now)
        due += self._requests.values()
        self._requests.clear()
        self._requested = math.inf
        return due

    def _stand_in(self, stream: _Stream, unanswered: list[int], now: float) -> None:
        """Empty packets for those that the peer could not repeat, if they can only be padding.

        To find out what a path carries, libwebrtc sends repairs of nothing. Where RTX was
        not negotiated (the native LiveKit SDKs do not offer it) there is no SSRC for
        these, so they take numbers of the stream itself, and nobody keeps them: of one
        that is lost a hole stays. A subscriber would ask for it, in vain, and one that gets
        H.264 decodes nothing more, as a picture may be missing there, until it loses
        patience after three seconds. So we fill the hole, with what was lost: nothing.

        It could have been a picture if all requests or all their answers were lost too,
        which takes a path that loses far more than anybody can use. Should the packet
        come after all it is a duplicate, or two would go out under one number.
        """
        formats = stream.section.formats.values()
        if stream.section.kind != VIDEO or any(
            each.repairs == stream.payload_type for each in formats
        ):
            return
        packets = []
        for index in unanswered:
            if stream.receive.forgo(index):
                packet = RtpPacket(
                    stream.payload_type,
                    False,
                    index & 0xFFFF,
                    max(0, stream.receive.timestamp),
                    stream.ssrc,
                    {},
                    b"",
                )
                packet.index, packet.arrival = index, now
                packets.append(packet)
        if packets:
            self._stand_ins.append((stream.key, packets))

    def take_stand_ins(self) -> list[tuple[StreamKey, list[RtpPacket]]]:
        """Packets to be handed on in place of those that never will come, as from `accept`."""
        stand_ins, self._stand_ins = self._stand_ins, []
        return stand_ins

    def _reports(self, now: float) -> list[RtcpPacket]:
        blocks = tuple(
            stream.receive.report(now)
            for stream in self._streams.values()
            if stream.receive.unreported
        )
        reports: list[RtcpPacket] = [
            ReceiverReport(self._ssrc, blocks[start : start + COUNT_LIMIT])
            for start in range(0, len(blocks), COUNT_LIMIT)
        ]
        # A peer that only sends to us measures no round trip; its answer to this does.
        reports.append(ExtendedReport(self._ssrc, reference_time=ntp.from_unix(now)))
        return reports

    def audio_level(self, key: StreamKey, packet: RtpPacket) -> uris.AudioLevel | None:
        """How loud a packet is; None if it does not say so."""
        section = self._sections.get(key.mid)
        number = section.extensions.get(uris.AUDIO_LEVEL) if section else None
        value = packet.extensions.get(number) if number else None
        return uris.AudioLevel.decode(Reader(value)) if value else None

    def sender_clock(self, key: StreamKey) -> SenderClock | None:
        """What the stream's last sender report said; None before the first."""
        stream = self._by_key.get(key)
        return stream.receive.clock if stream else None

    def statistics(self) -> dict[StreamKey, ReceiveStatistics]:
        return {key: stream.receive.statistics() for key, stream in self._by_key.items()}

    def totals(self) -> MediaTotals:
        """Of all streams that there were."""
        totals = attrs.evolve(self._ended)
        for stream in (*self._sleeping, *self._streams.values()):
            _count(stream, totals)
        return totals


def _count(stream: _Stream, totals: MediaTotals) -> None:
    found = stream.receive.statistics()
    totals.packets += found.packets
    totals.octets += found.octets
    totals.lost += max(0, found.lost)
    totals.repeats += found.recovered
    totals.duplicates += found.duplicates
    totals.out_of_order += found.out_of_order
    totals.nacks += found.nacks


def _repaired(packet: RtpPacket, stream: _Stream) -> RtpPacket | Unwanted:
    """The packet that *packet*, on the SSRC of the stream's repairs, brings again."""
    found = stream.section.formats.get(packet.payload_type)
    if found is None or found.repairs is None:
        return Unwanted.PAYLOAD_TYPE
    original = unwrap_rtx(packet.payload)
    if original is None:
        return Unwanted.PADDING
    sequence, payload = original
    return RtpPacket(
        found.repairs,
        packet.marker,
        sequence,
        packet.timestamp,
        stream.ssrc,
        packet.extensions,
        payload,
    )


def _extension_ids(sections: Iterable[ReceiveSection]) -> _Extensions:
    ids: dict[str, int] = {}
    for section in sections:
        ids = {**section.extensions, **ids}
    return _Extensions(
        mid=ids.get(uris.MID, _ABSENT),
        rid=ids.get(uris.RID, _ABSENT),
        repaired_rid=ids.get(uris.REPAIRED_RID, _ABSENT),
        transport_sequence=ids.get(uris.TRANSPORT_SEQUENCE, _ABSENT),
    )


def _key_frame_request(ssrc: int, stream: _Stream) -> Pli | Fir | None:
    """A PLI, or a FIR where only that was negotiated; None where neither was."""
    found = stream.section.formats.get(stream.payload_type)
    feedback = found.feedback if found else frozenset()
    if "nack pli" in feedback:
        return Pli(ssrc, stream.ssrc)
    if "ccm fir" in feedback:
        stream.fir_number += 1
        return Fir(ssrc, ((stream.ssrc, stream.fir_number & 0xFF),))
    return None
