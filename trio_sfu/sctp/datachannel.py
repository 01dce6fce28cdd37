"""Data channels: labelled pairs of SCTP streams (RFC 8831, RFC 8832).

A channel is one stream id, used in both directions. Who wants one says so in its
first message, DATA_CHANNEL_OPEN, and may speak on at once; the other answers with
DATA_CHANNEL_ACK. The DTLS client takes even ids and the server odd ones, so that two
channels opened at the same time never meet.

Until the ACK has come, everything on a channel is sent in order, also where it was
opened as unordered: else a message could overtake the OPEN that explains it (RFC
8832 section 6). A channel ends when both directions of its stream have been reset; who
sees the other's reset resets its own.

    OPENING ──ACK──> OPEN ──close(), or the peer's reset──> CLOSING ──both reset──> gone
"""

import enum
import math
from collections import deque
from typing import Final

import attrs

from trio_sfu.core import Datagram, Entropy
from trio_sfu.errors import WireError
from trio_sfu.sctp.association import SctpAssociation
from trio_sfu.sctp.dcep import Ack, Open, Ppid, Reliability, decode_dcep
from trio_sfu.sctp.events import (
    AssociationLost,
    AssociationRestarted,
    AssociationUp,
    SctpStatistics,
    StreamsFinished,
    StreamsReset,
)
from trio_sfu.sctp.handshake import Extension
from trio_sfu.sctp.inbound import MAX_STREAMS, Message
from trio_sfu.sctp.outbound import STREAM_BUFFER, Outgoing
from trio_sfu.sctp.states import Ignored, State

__all__ = [
    "MAX_MESSAGE_SENT",
    "AssociationLost",
    "AssociationUp",
    "ChannelAcknowledged",
    "ChannelClosed",
    "ChannelDrained",
    "ChannelEvent",
    "ChannelMessage",
    "ChannelOpened",
    "DataChannels",
]

MAX_MESSAGE_SENT: Final = 64 * 1024
"""The largest message that we send: what everybody takes who says nothing (RFC 8841 section 6)."""
DRAINED: Final = STREAM_BUFFER // 2
"""How empty a buffer that was full becomes before its owner hears of it."""


@attrs.frozen
class ChannelOpened:
    """The peer opened a channel. It can be used at once."""

    stream: int
    label: str
    ordered: bool
    max_retransmits: int | None
    max_lifetime: float | None
    """Seconds."""
    protocol: str


@attrs.frozen
class ChannelAcknowledged:
    """The peer has taken a channel that we opened."""

    stream: int
    label: str


@attrs.frozen
class ChannelMessage:
    """A message came."""

    stream: int
    data: bytes
    text: bool
    """It was sent as a string; whether it is UTF-8 nobody has looked."""


@attrs.frozen
class ChannelClosed:
    """A channel is gone, whoever closed it; its id may come again."""

    stream: int


@attrs.frozen
class ChannelDrained:
    """A channel that refused a message for want of room has room again."""

    stream: int


ChannelEvent = (
    ChannelOpened
    | ChannelAcknowledged
    | ChannelMessage
    | ChannelClosed
    | ChannelDrained
    | AssociationUp
    | AssociationLost
)


class _Stage(enum.Enum):
    OPENING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()


@attrs.define(eq=False)
class _Channel:
    label: str
    ordered: bool
    max_retransmits: float
    max_lifetime: float
    stage: _Stage
    ours_reset: bool = False
    theirs_reset: bool = False


class DataChannels:
    """All data channels of one peer; a core, see `trio_sfu.core.Core`.

    Datagrams carry `trio_sfu.core.INSIDE` addresses: they travel inside of DTLS.
    """

    def __init__(self, entropy: Entropy, *, dtls_client: bool) -> None:
        self._association = SctpAssociation(entropy)
        self.ignored = self._association.ignored
        """What had no effect, and why."""
        self.oversized_sends = 0
        """Messages above `MAX_MESSAGE_SENT` that `send` refused."""
        self._parity = 0 if dtls_client else 1
        self._channels: dict[int, _Channel] = {}
        self._events: deque[ChannelEvent] = deque()
        self._labels: dict[int, str] = {}
        self._full: set[int] = set()

    # --- the owner's calls ------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the association stands."""
        return self._association.state

    def start(self, now: float) -> None:
        """Begin; both ends may, and calling it again does nothing."""
        self._association.start(now)

    def open(
        self,
        label: str,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime: float | None = None,
        protocol: str = "",
        now: float,
    ) -> int:
        """Open a channel; its stream id. It takes messages at once.

        *max_lifetime* is in seconds. `ValueError` if both limits are given, or no id is free.
        """
        if max_retransmits is not None and max_lifetime is not None:
            raise ValueError("a channel has a limit of retransmissions or of time, not both")
        limit = min(MAX_STREAMS, self._association.streams)
        stream = next(
            (number for number in range(self._parity, limit, 2) if number not in self._channels),
            None,
        )
        if stream is None:
            raise ValueError("no stream id is free")
        reliability, amount = Reliability.FULL, 0
        if max_retransmits is not None:
            reliability, amount = Reliability.RETRANSMISSIONS, max_retransmits
        elif max_lifetime is not None:
            reliability, amount = Reliability.LIFETIME, round(max_lifetime * 1000)
        message = Open(label, protocol, ordered, reliability, amount).encode()
        if not self._association.send(Outgoing(stream, Ppid.DCEP, message), now):
            raise ValueError("the association takes no more data")
        self._channels[stream] = _Channel(
            label,
            ordered,
            math.inf if max_retransmits is None else max_retransmits,
            math.inf if max_lifetime is None else max_lifetime,
            _Stage.OPENING,
        )
        self._labels[stream] = label
        return stream

    def send(self, stream: int, data: bytes, *, text: bool = False, now: float) -> bool:
        """Queue a message; False, and nothing queued, if that cannot be.

        There is no such channel (any more), its buffer is full (`ChannelDrained` will
        come), or the message is larger than `MAX_MESSAGE_SENT`.
        """
        channel = self._channels.get(stream)
        if channel is None or channel.stage is _Stage.CLOSING:
            return False
        if len(data) > MAX_MESSAGE_SENT:
            self.oversized_sends += 1
            return False
        if data:
            ppid = Ppid.STRING if text else Ppid.BINARY
        else:
            ppid, data = Ppid.EMPTY_STRING if text else Ppid.EMPTY_BINARY, b"\0"
        message = Outgoing(
            stream,
            ppid,
            data,
            channel.ordered or channel.stage is _Stage.OPENING,
            channel.max_retransmits,
            now + channel.max_lifetime,
        )
        if self._association.send(message, now):
            return True
        self._full.add(stream)
        return False

    def hold_back(self, until: float, now: float) -> None:
        """Let the peer send nothing new, on any channel, until then."""
        self._association.hold_back(until, now)

    def buffered(self, stream: int) -> int:
        """Payload bytes of a channel that the peer has not acknowledged."""
        return self._association.buffered.get(stream, 0)

    @property
    def buffered_total(self) -> int:
        return self._association.buffered_total

    def delay(self, stream: int) -> float:
        """Seconds until what a channel has buffered is with the peer, at today's speed."""
        return self._association.delay(stream)

    def label(self, stream: int) -> str:
        """The label of the last channel that had this stream id, open or gone; else ""."""
        return self._labels.get(stream, "")

    def is_open(self, stream: int) -> bool:
        """Whether both sides know of the channel and neither has closed it."""
        channel = self._channels.get(stream)
        return channel is not None and channel.stage is _Stage.OPEN

    def close(self, stream: int, now: float) -> None:
        """Close a channel, after what is queued on it; `ChannelClosed` says when it is gone."""
        channel = self._channels.get(stream)
        if channel is not None and channel.stage is not _Stage.CLOSING:
            self._close(stream, channel, now)

    def shutdown(self, now: float) -> None:
        """End the association in order, after everything queued has arrived."""
        self._association.shutdown(now)
        self._relay(now)

    def abort(self, now: float, reason: str = "") -> None:
        """End the association at once, and tell the peer."""
        self._association.abort(now, reason)
        self._relay(now)

    def take_events(self) -> list[ChannelEvent]:
        """What happened, in order."""
        events = list(self._events)
        self._events.clear()
        return events

    def statistics(self) -> SctpStatistics:
        return self._association.statistics()

    # --- the core's calls -------------------------------------------------------

    @property
    def deadline(self) -> float:
        return self._association.deadline

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        self._association.receive(datagrams, now)
        self._relay(now)

    def handle_timeout(self, now: float) -> None:
        self._association.handle_timeout(now)
        self._relay(now)

    def take_datagrams(self) -> list[Datagram]:
        return self._association.take_datagrams()

    # --- what the association says ----------------------------------------------

    def _relay(self, now: float) -> None:
        for event in self._association.take_events():
            match event:
                case Message():
                    self._hear(event, now)
                case StreamsReset(streams):
                    for stream in streams or tuple(self._channels):
                        channel = self._channels.get(stream)
                        if channel is not None:
                            channel.theirs_reset = True
                            if channel.stage is not _Stage.CLOSING:
                                self._close(stream, channel, now)
                            self._forget_if_done(stream, channel)
                case StreamsFinished(streams):
                    for stream in streams:
                        channel = self._channels.get(stream)
                        if channel is not None:
                            channel.ours_reset = True
                            self._forget_if_done(stream, channel)
                case AssociationUp():
                    self._events.append(event)
                case AssociationRestarted():
                    self._forget_all()
                case AssociationLost():
                    self._forget_all()
                    self._events.append(event)
        if self._full:
            self._report_drained()

    def _report_drained(self) -> None:
        for stream in [stream for stream in self._full if self.buffered(stream) <= DRAINED]:
            self._full.discard(stream)
            self._events.append(ChannelDrained(stream))

    def _hear(self, message: Message, now: float) -> None:
        stream, ppid = message.stream, message.ppid
        if ppid == Ppid.DCEP:
            try:
                dcep = decode_dcep(message.data)
            except WireError:
                self.ignored[Ignored.BAD_DCEP] += 1
                return
            if isinstance(dcep, Open):
                self._hear_open(stream, dcep, now)
            else:
                self._hear_ack(stream)
            return
        channel = self._channels.get(stream)
        if channel is None or channel.theirs_reset:
            self.ignored[Ignored.NO_CHANNEL] += 1
            return
        if channel.stage is _Stage.OPENING:
            self._hear_ack(stream)  # it can only know the channel from our OPEN
        match ppid:
            case Ppid.STRING | Ppid.BINARY:
                self._events.append(ChannelMessage(stream, message.data, ppid == Ppid.STRING))
            case Ppid.EMPTY_STRING | Ppid.EMPTY_BINARY:
                self._events.append(ChannelMessage(stream, b"", ppid == Ppid.EMPTY_STRING))
            case _:
                self.ignored[Ignored.BAD_DCEP] += 1

    def _hear_open(self, stream: int, message: Open, now: float) -> None:
        if stream in self._channels:
            self.ignored[Ignored.BAD_DCEP] += 1
            return
        if stream % 2 == self._parity:
            self.ignored[Ignored.WRONG_PARITY] += 1
        retransmits = lifetime = None
        if message.reliability is Reliability.RETRANSMISSIONS:
            retransmits = message.limit
        elif message.reliability is Reliability.LIFETIME:
            lifetime = message.limit / 1000
        self._channels[stream] = _Channel(
            message.label,
            message.ordered,
            math.inf if retransmits is None else retransmits,
            math.inf if lifetime is None else lifetime,
            _Stage.OPEN,
        )
        self._labels[stream] = message.label
        self._association.send(Outgoing(stream, Ppid.DCEP, Ack().encode()), now)
        self._events.append(
            ChannelOpened(
                stream, message.label, message.ordered, retransmits, lifetime, message.protocol
            )
        )

    def _hear_ack(self, stream: int) -> None:
        channel = self._channels.get(stream)
        if channel is None:
            self.ignored[Ignored.BAD_DCEP] += 1
        elif channel.stage is _Stage.OPENING:
            channel.stage = _Stage.OPEN
            self._events.append(ChannelAcknowledged(stream, channel.label))

    def _close(self, stream: int, channel: _Channel, now: float) -> None:
        channel.stage = _Stage.CLOSING
        self._full.discard(stream)
        if self._association.state is not State.ESTABLISHED or (
            Extension.RE_CONFIG in self._association.extensions
        ):
            self._association.reset_stream(stream, now)
        else:
            # The peer cannot reset streams: there is nothing to wait for.
            self._forget(stream)

    def _forget_if_done(self, stream: int, channel: _Channel) -> None:
        if channel.ours_reset and channel.theirs_reset:
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        del self._channels[stream]
        self._full.discard(stream)
        self._events.append(ChannelClosed(stream))

    def _forget_all(self) -> None:
        for stream in tuple(self._channels):
            self._forget(stream)
