"""The data channels of one peer, by their labels, and how much may wait on each.

SCTP knows streams, the room knows labels. The rule: the newest channel of a label is the
one to speak on. What was asked for before there are keys waits for them, but no message
does: it is dropped, and counted, as is one that would come later than its sender likes.
"""

import math
from collections import Counter
from typing import Final

from trio_sfu.core import Datagram
from trio_sfu.peer.events import ChannelOpened, DataReceived, Event, OpenChannel, SendData
from trio_sfu.sctp import datachannel as sctp

MIN_BUFFERED: Final = 8 << 10
"""Bytes that may always wait on a data channel, however slow the link (LiveKit's number):
below that, one message would already be too much."""

CROWDED: Final = 512 << 10
"""Bytes on one data channel: when more wait, who sends them had better wait, too."""
SOONEST: Final = 0.01
"""Seconds: earlier than that, nobody need look again whether there is room."""
HOPELESS: Final = 4 << 20
"""Bytes on one data channel: whoever lets it come to that reads nothing any more. Several senders
that are held back may still fill a receive window each."""


class LabelledChannels:
    """A Core once it was started; *drops* counts messages that did not leave, by reason."""

    def __init__(self, drops: Counter[str]) -> None:
        self._drops = drops
        self._core: sctp.DataChannels | None = None
        self._labels: dict[int, str] = {}
        self._streams: dict[str, int] = {}
        self._wanted: list[OpenChannel] = []

    @property
    def round_trip(self) -> float:
        """Seconds to the peer and back; 0 if not measured yet."""
        return 0.0 if self._core is None else self._core.statistics().round_trip

    # --- Core

    def start(self, core: sctp.DataChannels, now: float) -> None:
        """There are keys: speak, and open what was asked for."""
        self._core = core
        core.start(now)
        self._open_wanted(core, now)

    @property
    def deadline(self) -> float:
        return math.inf if self._core is None else self._core.deadline

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        if self._core is not None:
            self._core.receive(datagrams, now)

    def handle_timeout(self, now: float) -> None:
        if self._core is not None:
            self._core.handle_timeout(now)

    def take_datagrams(self) -> list[Datagram]:
        return [] if self._core is None else self._core.take_datagrams()

    def take_events(self) -> list[Event]:
        """What happened, in the words of a peer."""
        events: list[Event] = []
        for event in [] if self._core is None else self._core.take_events():
            match event:
                case sctp.ChannelMessage(stream, data):
                    events.append(DataReceived(self._labels.get(stream, ""), data))
                case sctp.ChannelOpened(stream, label):
                    self._labels[stream] = label
                    self._streams[label] = stream
                    events.append(ChannelOpened(label))
                case sctp.ChannelAcknowledged(_, label):
                    events.append(ChannelOpened(label))
                case sctp.ChannelClosed(stream):
                    label = self._labels.pop(stream, "")
                    if self._streams.get(label) == stream:
                        del self._streams[label]
                case _:
                    pass
        return events

    # --- by label

    def open(self, wish: OpenChannel, now: float) -> None:
        """Open a channel, now or when there are keys."""
        self._wanted.append(wish)
        if self._core is not None:
            self._open_wanted(self._core, now)

    def _open_wanted(self, core: sctp.DataChannels, now: float) -> None:
        for wish in self._wanted:
            stream = core.open(
                wish.label, ordered=wish.ordered, max_retransmits=wish.max_retransmits, now=now
            )
            self._labels[stream] = wish.label
            self._streams[wish.label] = stream
        self._wanted.clear()

    def close(self, label: str, now: float) -> None:
        """Close the channel *label*; nothing if there is none."""
        stream = self._streams.get(label)
        if self._core is not None and stream is not None:
            self._core.close(stream, now)

    def send(self, wish: SendData, now: float) -> None:
        """Send a message, if it can leave in time."""
        core, stream = self._core, self._streams.get(wish.label)
        if core is None or stream is None:
            self._drops["data before its channel"] += 1
        elif core.buffered(stream) > MIN_BUFFERED and core.delay(stream) > wish.patience:
            self._drops["data that would come too late"] += 1
        elif not core.send(stream, wish.data, now=now):
            self._drops["data to a full channel"] += 1

    def hold_back(self, until: float, now: float) -> None:
        """Let the peer send nothing new until then."""
        if self._core is not None:
            self._core.hold_back(until, now)

    def crowded(self, label: str) -> float:
        """Seconds until the channel *label* has room again; 0 if it has, or never will."""
        core, stream = self._core, self._streams.get(label)
        if core is None or stream is None:
            return 0.0
        buffered = core.buffered(stream)
        if not CROWDED < buffered < HOPELESS:
            return 0.0
        # Of a channel that has heard nothing back yet, nobody knows how fast it is.
        return max(core.delay(stream) * (1 - CROWDED / 2 / buffered), SOONEST)
