"""The orderly end of an association: everything queued still arrives (RFC 9260 section 9.2).

    one end    SHUTDOWN ──>   <── SHUTDOWN ACK   SHUTDOWN COMPLETE ──>    the other

The rule: SHUTDOWN leaves when all of our data has been acknowledged, and not before;
so does SHUTDOWN ACK. Either is repeated until it is answered, but not for ever, as
there is nothing left to lose. `trio_sfu.sctp.states` says what may come when.
"""

from collections.abc import Callable
from typing import Final

from trio_sfu.sctp.chunks import Sack, Shutdown, ShutdownAck, ShutdownComplete
from trio_sfu.sctp.inbound import Inbound
from trio_sfu.sctp.outbound import Outbound
from trio_sfu.sctp.packing import Packing
from trio_sfu.sctp.states import OPENING, Event, Standing, State, Timer
from trio_sfu.timers import Timers

T2_INTERVAL: Final = 1.0
T2_ATTEMPTS: Final = 8
"""How often SHUTDOWN or SHUTDOWN ACK go out, and the seconds between."""


class Closing:
    """One association's end; *end* is called with the reason when it is over."""

    def __init__(
        self,
        standing: Standing,
        packing: Packing,
        timers: Timers[Timer],
        end: Callable[[str], None],
    ) -> None:
        self._standing = standing
        self._packing = packing
        self._timers = timers
        self._end = end
        self._attempts = 0

    def advance(self, outbound: Outbound, inbound: Inbound, now: float) -> None:
        """Go on if one of us wants to end and all data has arrived."""
        waiting = self._standing.state in (State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED)
        if waiting and outbound.idle:
            self._standing.step(Event.ALL_ACKNOWLEDGED)
            self._timers.cancel(Timer.HEARTBEAT)
            self._say(inbound, now)

    def repeat(self, inbound: Inbound, now: float) -> None:
        """Nothing was answered for an interval."""
        self._attempts += 1
        if self._attempts == T2_ATTEMPTS:
            self._end("the peer never finished the shutdown")
        else:
            self._say(inbound, now)

    def say_again(self, inbound: Inbound) -> None:
        """The peer still sends data: it does not know of our SHUTDOWN yet."""
        self._packing.say(Shutdown(inbound.cumulative & 0xFFFFFFFF))

    def _say(self, inbound: Inbound, now: float) -> None:
        if self._standing.state is State.SHUTDOWN_SENT:
            self._packing.say(Shutdown(inbound.cumulative & 0xFFFFFFFF))
        else:
            self._packing.say(ShutdownAck())
        self._timers.arm(Timer.T2, now + T2_INTERVAL)

    def hear(self, chunk: Shutdown, outbound: Outbound, inbound: Inbound, now: float) -> None:
        """The peer wants to end, and says what it has got until now."""
        outbound.acknowledge(Sack(chunk.cumulative, outbound.peer_window), now)
        if self._standing.state is State.SHUTDOWN_SENT:
            self._standing.step(Event.SHUTDOWN)
            self._say(inbound, now)
        elif self._standing.state is State.SHUTDOWN_ACK_SENT:
            self._packing.say(ShutdownAck())
        elif self._standing.state is not State.SHUTDOWN_RECEIVED:
            self._standing.step(Event.SHUTDOWN)

    def hear_acknowledged(self, tag: int) -> None:
        """SHUTDOWN ACK came under *tag*; perhaps of an association that we forgot (8.4)."""
        if self._standing.state in OPENING or self._standing.state is State.ENDED:
            self._packing.emit(tag, [ShutdownComplete(reflected=True).encode()])
        elif self._standing.step(Event.SHUTDOWN_ACK):
            self._packing.emit(self._packing.peer_tag, [ShutdownComplete().encode()])
            self._end("shut down")
