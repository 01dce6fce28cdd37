"""How long a client that has fallen silent is waited for, and what it is told.

A client is lost in two ways, and each may be mended by itself (wire guide, "Reconnect
and leave"):

    the socket is gone      media goes on. It comes back on another socket (`resume`), or
                            its connections fall silent, too. Where none of them was ever
                            up there is nothing to come back to: it has left.
    a connection failed     Leave, action RESUME, if there is a socket, which is closed
                            after that: the client knows what to do. It has five seconds.

So nobody stays for ever: whoever is gone altogether fails fifteen seconds after its last
check, and leaves five seconds later.
"""

import math
from typing import Final

from trio_sfu.peer.events import PeerState
from trio_sfu.room.connection import PeerConnection
from trio_sfu.room.info import LeaveReason
from trio_sfu.room.participant import Participant

GRACE: Final = 5.0
"""Seconds in which a client must come back whose connection has failed; LiveKit's number."""
REPAIR: Final = 20.0
"""Seconds in which a client that came back must have mended a connection that had failed:
libwebrtc's own limit is 15, and a round trip of signalling comes before it."""


class Recovery:
    """What is known of one client's being there."""

    def __init__(self, participant: Participant) -> None:
        self.away = False
        """There is no socket: what is said to the client is not heard."""
        self.deadline = math.inf
        """When it is given up."""
        self._participant = participant

    def signal_lost(self, now: float) -> None:
        """The socket is gone."""
        self.away = True
        if not self._participant.was_connected:
            self._participant.leave(LeaveReason.SIGNAL_CLOSE)
        elif self._failed:
            self.deadline = min(self.deadline, now + GRACE)

    def resumed(self, now: float) -> None:
        """There is another socket."""
        self.away = False
        self.deadline = now + REPAIR if self._failed else math.inf

    def connection_changed(
        self, connection: PeerConnection, now: float, *, final: bool = False
    ) -> bool:
        """Whether the client must be told to come back now."""
        if connection.state is PeerState.FAILED:
            if final or not self._participant.was_connected:
                # There is nothing that a resume could mend.
                self._participant.leave(LeaveReason.CONNECTION_TIMEOUT, rejoin=True)
                return False
            self.deadline = now + GRACE
            return not self.away
        if not self._failed:
            self.deadline = math.inf
        return False

    def handle_timeout(self, now: float) -> None:
        """It did not come back, or only half."""
        if now >= self.deadline:
            self.deadline = math.inf
            self._participant.leave(LeaveReason.CONNECTION_TIMEOUT)

    @property
    def _failed(self) -> bool:
        connections = self._participant.connections.values()
        return any(each.state is PeerState.FAILED for each in connections)
