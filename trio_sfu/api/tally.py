"""Adds up what all connections of a node count for themselves, without holding anybody up.

A packet is counted where it passes anyway, so to count costs nothing more. To add it
all up does: a room of 500 has a quarter of a million subscriptions. So that is done when
somebody asks, one connection at a time, with a pause for whoever has something to do.

A counter must never become less, or whoever reads it takes that for a restart. So what
those who left have counted is added to what is kept here, once, at the moment in which
they leave; and what is being added up goes by who was there when it began.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import attrs
import trio

from trio_sfu.peer.totals import MediaTotals
from trio_sfu.room.connection import PeerConnection
from trio_sfu.room.info import TrackKind
from trio_sfu.room.node import Node
from trio_sfu.room.observe import Happening, ParticipantLeft

PAUSE_EVERY: Final = 500
"""Streams after which somebody else has a turn: about a millisecond's worth."""


@attrs.define
class Tally:
    """What some connections have counted."""

    incoming: MediaTotals = attrs.Factory(MediaTotals)
    outgoing: MediaTotals = attrs.Factory(MediaTotals)
    drops: Counter[tuple[str, str]] = attrs.Factory(Counter)
    """By where (in the order in which a packet passes) and why."""
    published: Counter[TrackKind] = attrs.Factory(Counter)
    subscribed: Counter[TrackKind] = attrs.Factory(Counter)
    """What there is now, unlike all above."""

    def copy(self) -> "Tally":
        return Tally(attrs.evolve(self.incoming), attrs.evolve(self.outgoing), Counter(self.drops))

    def add(self, connection: PeerConnection) -> None:
        """All that *connection* has counted since it began."""
        peer = connection.peer
        self.incoming.add(peer.incoming.totals())
        self.outgoing.add(peer.outgoing.totals())
        found = peer.statistics()
        self._drop("mailbox", {"overflow": connection.mailbox.dropped})
        self._drop("peer", found.drops)
        self._drop("ice", found.ice_refused)
        self._drop("dtls", found.dtls_dropped)
        self._drop("srtp", found.srtp_rejected)
        self._drop("stream", {why.name: n for why, n in peer.incoming.unwanted.items()})
        self._drop("forwarder", {why.name: n for why, n in connection.drops.items()})
        self._drop("sender", {"unknown": peer.outgoing.unknown})

    def add_tracks(self, connection: PeerConnection) -> None:
        """What its client publishes and hears, and what those subscriptions drop that go
        on; `PeerConnection.drops` has the others."""
        for track in connection.tracks.values():
            self.published[track.info.kind] += 1
        for subscription in connection.subscriptions.values():
            self.subscribed[subscription.track.info.kind] += 1
            if subscription.forwarder is not None:
                for why, count in subscription.forwarder.drops.items():
                    self.drops["forwarder", why.name] += count

    def _drop(self, where: str, reasons: "Counter[str] | dict[str, int]") -> None:
        for why, count in reasons.items():
            if count:
                self.drops[where, _words(why)] += count


def _words(reason: str) -> str:
    return reason.lower().replace(" ", "_")


class Accounts:
    """Of one node, those who left included. An `Observer`, for them."""

    def __init__(self) -> None:
        self._past = Tally()

    def observe(self, happening: Happening) -> None:
        if isinstance(happening, ParticipantLeft):
            for connection in happening.participant.connections.values():
                self._past.add(connection)
                self._past.add_tracks(connection)

    async def tally(self, node: Node) -> Tally:
        """All that there is and was."""
        total, connections = self._past.copy(), list(_connections(node))
        streams = 0
        for connection in connections:
            total.add(connection)
            total.add_tracks(connection)
            streams += 1 + len(connection.subscriptions)
            if streams >= PAUSE_EVERY:
                streams = 0
                await trio.lowlevel.checkpoint()
        endpoint = node.endpoint.statistics()
        total.drops["endpoint", "unknown"] += endpoint.unknown
        total.drops["kernel", "overflow"] += endpoint.overflowed
        total.drops["kernel", "refused"] += endpoint.refused
        return total


def _connections(node: Node) -> Iterable[PeerConnection]:
    for room in node.rooms.values():
        for participant in room.participants.values():
            yield from participant.connections.values()
