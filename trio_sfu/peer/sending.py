"""Everything that we send to one peer: extensions, repeats, sender reports.

The forwarder decides what a packet is (`Outgoing`); here it becomes bytes, ready to
be protected. What is added here belongs to this hop only: the extensions that
say when a packet left and the how many-eth it was, the memory of it for the
peer's NACKs, the sums for sender reports. What the peer says as a receiver comes
back here. Most of it ends here; what concerns the room, or the estimate of
what the path carries, is handed up as events.

Of header extensions we write three, where they were negotiated: the transport-wide
sequence number, the time of sending, and the mid. Of these the mid is needed only
until the peer's first report shows that it knows the SSRC (our SDP declares it,
too), and after that would be a waste of bytes in each packet.
"""

import math
from collections.abc import Iterable
from typing import Final

import attrs

from trio_sfu import ntp
from trio_sfu.core import Entropy
from trio_sfu.peer.media import SendSection
from trio_sfu.peer.reports import SENDER_INTERVAL, ReportSchedule
from trio_sfu.peer.retransmit import Retransmitter, rtx_payload_types
from trio_sfu.peer.totals import MediaTotals
from trio_sfu.rtp import extensions as uris
from trio_sfu.rtp.feedback import Fir, Nack, Pli, Remb
from trio_sfu.rtp.nack import DEFAULT_RTT
from trio_sfu.rtp.packet import ONE_BYTE, TWO_BYTE, Outgoing, render
from trio_sfu.rtp.rtcp import (
    CNAME,
    MID,
    Bye,
    ExtendedReport,
    LastReference,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SdesChunk,
    SenderReport,
    SourceDescription,
)
from trio_sfu.rtp.send import SendStatistics, SendStream
from trio_sfu.rtp.twcc import TransportFeedback

REFERENCES: Final = 16
"""Receivers, by SSRC, whose reference times are kept for an answer. A peer has one."""

_RTP_HEADER: Final = 12


@attrs.frozen
class KeyFrameWanted:
    """The peer cannot go on without a key frame of what we send in this section."""

    mid: str
    ssrc: int


SendingEvent = KeyFrameWanted | Remb | TransportFeedback


class _Block:
    """Makes a section's extension blocks: the same bytes but for time and number."""

    def __init__(self, section: SendSection, *, with_mid: bool, numbers: bool) -> None:
        ids = section.extensions
        mid = section.mid.encode()
        send_time = ids.get(uris.ABS_SEND_TIME)
        sequence = ids.get(uris.TRANSPORT_SEQUENCE) if numbers else None
        used = [
            (number, length)
            for number, length in (
                (ids.get(uris.MID) if with_mid else None, len(mid)),
                (send_time, 3),
                (sequence, 2),
            )
            if number is not None
        ]
        one_byte = all(number < 15 and length <= 16 for number, length in used)
        size = sum(length + (1 if one_byte else 2) for _, length in used)

        def tag(number: int, length: int) -> bytes:
            return bytes((number << 4 | length - 1,) if one_byte else (number, length))

        profile = ONE_BYTE if one_byte else TWO_BYTE
        head = profile.to_bytes(2, "big") + ((size + 3) // 4).to_bytes(2, "big")
        if with_mid and uris.MID in ids:
            head += tag(ids[uris.MID], len(mid)) + mid
        self.padding = bytes(-size % 4)
        self.numbered = sequence is not None
        self._timed = send_time is not None
        self._before_time = self._after_time = b""
        if used:
            self._before_time = head if send_time is None else head + tag(send_time, 3)
            self._after_time = self.padding if sequence is None else tag(sequence, 2)

    def start(self, now: float) -> bytes:
        """The block of packets that leave *now*; without number and padding if `numbered`."""
        if self._timed:
            return self._before_time + uris.encode_abs_send_time(now) + self._after_time
        return self._before_time + self._after_time


class _Stream:
    """One section's SSRC, with all that is remembered of it."""

    __slots__ = ("block", "fir_number", "numbers", "repeats", "rtx_types", "section", "send")

    def __init__(
        self, section: SendSection, entropy: Entropy, wall: float, *, numbers: bool
    ) -> None:
        # RTX and the like have the clock of what they repair.
        clock_rate = next(iter(section.formats.values())).clock_rate
        self.send = SendStream(section.ssrc, clock_rate, wall)
        self.repeats = Retransmitter(section, entropy)
        self.rtx_types = rtx_payload_types(section)
        self.section = section
        self.numbers = numbers
        self.describe(with_mid=True)
        self.fir_number: int | None = None

    def adopt(self, section: SendSection) -> None:
        """The same stream after another negotiation."""
        self.section = section
        self.rtx_types = rtx_payload_types(section)
        self.repeats.adopt(section)
        self.describe(with_mid=self.send.last_block is None)

    def describe(self, *, with_mid: bool) -> None:
        """Say in each packet what the peer agreed to hear, from now on."""
        self.block = _Block(self.section, with_mid=with_mid, numbers=self.numbers)


class OutgoingMedia:
    """What we send to one peer."""

    def __init__(self, wall: float, entropy: Entropy, *, numbers: bool = True) -> None:
        """*wall* is what to add to our clock for seconds since 1970.

        *numbers*: whether packets carry transport-wide sequence numbers, where negotiated.
        """
        self.unknown = 0
        """Packets for a stream that is not (or no longer) negotiated."""
        self.rtt: float | None = None
        """Seconds to the peer and back, by its newest report."""
        self._wall = wall
        self._entropy = entropy
        self._numbers = numbers
        self._streams: dict[int, _Stream] = {}
        self._ended = MediaTotals()
        """Of streams that are no more; and what the peer asked for, of all."""
        self._events: list[SendingEvent] = []
        self._repeats: list[bytes] = []
        self._transport_sequence = 0
        """Of the next packet; never wraps."""
        self._schedule = ReportSchedule(SENDER_INTERVAL)
        self._byes: list[int] = []
        self._bye_due = math.inf
        self._references: dict[int, tuple[int, float]] = {}
        """Last reference time of each receiver, its middle, and when it came."""

    def configure(self, sections: Iterable[SendSection], now: float) -> None:
        """Take over what was negotiated; streams that still exist keep their state.

        Those that are gone are bid goodbye; their SSRCs must not be used again.
        """
        before, self._streams = self._streams, {}
        for section in sections:
            stream = before.pop(section.ssrc, None)
            if stream:
                stream.adopt(section)
            else:
                stream = _Stream(section, self._entropy, self._wall, numbers=self._numbers)
            self._streams[section.ssrc] = stream
        self._part(before.values(), now)

    def stop(self, now: float) -> None:
        """Say goodbye for all streams; afterwards nothing is sent any more."""
        streams, self._streams = self._streams, {}
        self._part(streams.values(), now)

    def _part(self, streams: Iterable[_Stream], now: float) -> None:
        for stream in streams:
            _count(stream, self._ended)
            if stream.send.started:
                self._byes.append(stream.section.ssrc)
                self._bye_due = min(self._bye_due, now)

    def send(self, outgoings: list[Outgoing], now: float) -> list[bytes]:
        """The packets that leave now, in that order, ready to be protected."""
        rendered: list[bytes] = []
        stream: _Stream | None = None
        ssrc, start, packets, octets, timestamp = -1, b"", 0, 0, 0
        for outgoing in outgoings:
            if outgoing.ssrc != ssrc:
                if stream:
                    self._sent(stream, packets, octets, timestamp, now)
                ssrc, packets, octets = outgoing.ssrc, 0, 0
                stream = self._streams.get(ssrc)
                if stream:
                    block, rtx_types = stream.block, stream.rtx_types
                    numbered, padding = block.numbered, block.padding
                    start = block.start(now)
                    remember = stream.repeats.history.remember
            if stream is None:
                self.unknown += 1
                continue
            extensions = start
            if numbered:
                sequence = self._transport_sequence
                self._transport_sequence = sequence + 1
                extensions += (sequence & 0xFFFF).to_bytes(2, "big") + padding
            packet = render(outgoing, extensions)
            rendered.append(packet)
            if outgoing.payload_type not in rtx_types:
                outgoing.block = extensions  # it must leave with the same again
            remember(outgoing)
            packets += 1
            octets += len(packet) - _RTP_HEADER - len(extensions)
            timestamp = outgoing.timestamp
        if stream:
            self._sent(stream, packets, octets, timestamp, now)
        return rendered

    def _sent(self, stream: _Stream, packets: int, octets: int, timestamp: int, now: float) -> None:
        if stream.send.sent(packets, octets, timestamp, now):
            self._schedule.hurry(now)
        else:
            self._schedule.news(now)

    def align(self, ssrc: int, timestamp: int, at: float) -> None:
        """Say which timestamp of a stream was current when; see `SendStream.align`."""
        if stream := self._streams.get(ssrc):
            stream.send.align(timestamp, at)

    def hear(self, packet: RtcpPacket, now: float) -> None:
        """Take note of what the peer says as a receiver; what concerns others is passed over.

        Afterwards there may be repeats to take, and events.
        """
        if isinstance(packet, Nack):
            self._ended.nacks += len(packet.lost)
            if stream := self._streams.get(packet.media_ssrc):
                self._repeat(stream, packet.lost, now)
        elif isinstance(packet, ReceiverReport | SenderReport):
            for block in packet.reports:
                self._hear_block(block, now)
        elif isinstance(packet, Pli):
            self._ended.plis += 1
            self._want_key_frame(packet.media_ssrc)
        elif isinstance(packet, Fir):
            for ssrc, number in packet.requests:
                stream = self._streams.get(ssrc)
                if stream and stream.fir_number != number:
                    stream.fir_number = number
                    self._ended.firs += 1
                    self._want_key_frame(ssrc)
        elif isinstance(packet, Remb | TransportFeedback):
            self._events.append(packet)
        elif isinstance(packet, ExtendedReport) and packet.reference_time is not None:
            if len(self._references) >= REFERENCES:
                self._references.clear()
            self._references[packet.ssrc] = ntp.middle(packet.reference_time), now

    def _hear_block(self, block: ReportBlock, now: float) -> None:
        stream = self._streams.get(block.ssrc)
        if stream is None:
            return
        if stream.send.last_block is None:
            stream.describe(with_mid=False)
        stream.send.hear(block, now)
        if stream.send.rtt is not None:
            self.rtt = stream.send.rtt

    def _want_key_frame(self, ssrc: int) -> None:
        stream = self._streams.get(ssrc)
        if stream:
            wanted = KeyFrameWanted(stream.section.mid, ssrc)
            if wanted not in self._events:
                self._events.append(wanted)

    def _repeat(self, stream: _Stream, lost: Iterable[int], now: float) -> None:
        rtt = DEFAULT_RTT if self.rtt is None else self.rtt
        for outgoing, extensions in stream.repeats.answer(lost, now, rtt):
            if extensions is None:
                extensions = stream.block.start(now)
                if stream.block.numbered:
                    number = uris.encode_transport_sequence(self._transport_sequence)
                    self._transport_sequence += 1
                    extensions += number + stream.block.padding
            self._repeats.append(render(outgoing, extensions))

    def take_repeats(self) -> list[bytes]:
        """What the peer asked for again, ready to be protected."""
        repeats, self._repeats = self._repeats, []
        return repeats

    def take_events(self) -> list[SendingEvent]:
        """What the peer said that is not for this layer to answer."""
        events, self._events = self._events, []
        return events

    @property
    def deadline(self) -> float:
        """When there is something for `take_rtcp`."""
        reports, bye = self._schedule.deadline, self._bye_due
        return reports if reports < bye else bye

    def take_rtcp(self, now: float) -> list[RtcpPacket]:
        """What is to be said to the peer by *now*."""
        due: list[RtcpPacket] = []
        if self._schedule.take_due(now):
            for stream in self._streams.values():
                if stream.send.unreported:
                    due += self._report(stream, now)
        if self._byes:
            # A BYE comes last, whatever else leaves (RFC 3550 section 6.6).
            due += [Bye((ssrc,)) for ssrc in self._byes]
            self._byes, self._bye_due = [], math.inf
        return due

    def _report(self, stream: _Stream, now: float) -> list[RtcpPacket]:
        ssrc, section = stream.section.ssrc, stream.section
        names = ((CNAME, section.cname.encode()[:255]), (MID, section.mid.encode()[:255]))
        report: list[RtcpPacket] = [
            stream.send.report(now),
            SourceDescription((SdesChunk(ssrc, names),)),
        ]
        if self._references:
            answers = tuple(
                LastReference(receiver, reference, round((now - heard) * 65536))
                for receiver, (reference, heard) in self._references.items()
            )
            self._references.clear()
            report.append(ExtendedReport(ssrc, last_references=answers))
        return report

    def statistics(self) -> dict[str, SendStatistics]:
        """By mid."""
        return {stream.section.mid: stream.send.statistics() for stream in self._streams.values()}

    def statistics_of(self, ssrc: int) -> SendStatistics | None:
        """None of a stream that is not there."""
        stream = self._streams.get(ssrc)
        return None if stream is None else stream.send.statistics()

    def totals(self) -> MediaTotals:
        """Of all streams that there were."""
        totals = attrs.evolve(self._ended)
        for stream in self._streams.values():
            _count(stream, totals)
        return totals


def _count(stream: _Stream, totals: MediaTotals) -> None:
    found = stream.send.statistics()
    totals.packets += found.packets
    totals.octets += found.octets
    totals.lost += max(0, found.lost)
    totals.repeats += stream.repeats.sent
