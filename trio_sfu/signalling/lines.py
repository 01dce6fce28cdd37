"""Which socket a session has just now: a client may come back on another.

    front end ====== line ====== switchboard ------ session
                 (two channels)       |
    front end ====== line ============+

A `Line` is the session's ends of the two channels that a front end holds the others of.
The newest is spoken on. An older one is closed, which closes its socket; what still comes
from it is done all the same, for the client said so.
"""

import math
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import structlog
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse

if TYPE_CHECKING:
    from trio_sfu.signalling.session import Session

log = structlog.get_logger(__name__)


@attrs.frozen(eq=False)
class Line:
    """A session's ends of the two channels of one socket."""

    requests: trio.MemoryReceiveChannel[SignalRequest]
    responses: trio.MemorySendChannel[SignalResponse]

    def hang_up(self, *last_words: SignalResponse) -> None:
        """Close it, and with it the client's socket; *last_words* if there is room for them."""
        try:
            for each in last_words:
                self.responses.send_nowait(each)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            log.info("a goodbye did not fit")
        self.responses.close()


class Switchboard:
    """Carries one session's messages, on whatever line there is."""

    def __init__(
        self, session: "Session", nursery: trio.Nursery, messages: Counter[tuple[str, str]]
    ) -> None:
        """Lines are listened to in *nursery*; what passes is counted in *messages*."""
        self.session = session
        self.line: Line | None = None
        self._nursery = nursery
        self._messages = messages

    def plug(self, line: Line) -> None:
        """Speak and listen on *line* from now on."""
        old, self.line = self.line, line
        if old is not None:
            old.hang_up()
        self._nursery.start_soon(self._listen, line)

    def unplug(self) -> None:
        """Have no line, until there is another."""
        line, self.line = self.line, None
        if line is not None:
            line.hang_up()
            self.session.lose_signal()

    async def _listen(self, line: Line) -> None:
        async with line.requests:
            async for request in line.requests:
                self._messages["request", request.WhichOneof("message") or ""] += 1
                self.session.receive(request)
        if self.line is line:
            self.unplug()

    async def speak(self, bell: "Bell") -> None:
        """Tell the client what there is to tell, when it is due; until cancelled.

        A client that does not listen holds up this task, and nobody else: meanwhile the
        session keeps what there is to say, as far as `session.MAX_RESPONSES`.
        """
        session = self.session
        while True:
            now = trio.current_time()
            if now >= session.deadline:
                session.handle_timeout(now)
            if (line := self.line) is not None:
                await self._say(line, session.take_responses())
                if session.hangs_up and line is self.line:
                    self.unplug()
            await bell.wait(session.deadline)

    async def _say(self, line: Line, responses: list[SignalResponse]) -> None:
        for index, response in enumerate(responses):
            try:
                await line.responses.send(response)
                self._messages["response", response.WhichOneof("message") or ""] += 1
            except trio.ClosedResourceError:  # another line has taken its place
                self.session.keep(responses[index:])
                return
            except trio.BrokenResourceError:  # the front end is gone
                self.session.keep(responses[index:])
                if line is self.line:
                    self.unplug()
                return


class Bell:
    """Wakes one waiter; rung before it waits, it does not wait."""

    def __init__(self) -> None:
        self._rung = False
        self._waiter = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        self._rung = True
        self._waiter.unpark()

    async def wait(self, deadline: float = math.inf) -> None:
        if self._rung:
            await trio.lowlevel.checkpoint()
        else:
            with trio.move_on_at(deadline):
                await self._waiter.park()
        self._rung = False
