"""Two ends with a link between them, in virtual time."""

from typing import TypeVar

import attrs

from tests.sim import Link, entropy, run
from trio_sfu.sctp.datachannel import ChannelEvent, ChannelMessage, DataChannels

T = TypeVar("T")


@attrs.define(eq=False)
class Pair:
    """A DTLS client's channels and a server's; both have called `start`."""

    link: Link
    client: DataChannels
    server: DataChannels

    def run(self, seconds: float) -> None:
        run(self.client, self.link, self.server, self.link.now + seconds)

    def send(
        self,
        end: DataChannels,
        stream: int,
        messages: list[bytes],
        limit: float = 600.0,
    ) -> list[ChannelEvent]:
        """Send all, waiting whenever the buffer is full; what the other end said meanwhile."""
        other = self.server if end is self.client else self.client
        events: list[ChannelEvent] = []
        stop = self.link.now + limit
        for message in messages:
            while not end.send(stream, message, now=self.link.now):
                assert self.link.now < stop, f"no room for {limit} s: {self.link}"
                self.run(0.05)
                events += other.take_events()
        while end.buffered(stream):
            assert self.link.now < stop, f"not delivered in {limit} s: {self.link}"
            self.run(0.05)
            events += other.take_events()
        return events


def pair(link: Link | None = None, *, up: bool = True) -> Pair:
    """Two ends that have started and, if *up*, met."""
    link = link or Link(delay=0.02)
    client = DataChannels(entropy(1), dtls_client=True)
    server = DataChannels(entropy(2), dtls_client=False)
    client.start(link.now)
    server.start(link.now)
    both = Pair(link, client, server)
    if up:
        both.run(10.0)
        client.take_events()
        server.take_events()
    return both


def payloads(events: list[ChannelEvent], stream: int) -> list[bytes]:
    """What was received on one stream, in order."""
    return [
        event.data
        for event in events
        if isinstance(event, ChannelMessage) and event.stream == stream
    ]


def only(kind: type[T], events: list[ChannelEvent]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]
