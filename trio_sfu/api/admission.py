"""Whether there is room for somebody new, asked before anybody's call suffers.

A server that takes in everybody serves nobody: when its one thread is full, all calls
stutter, the old ones too. So who is new is told 503, which their client shows, or takes
as a hint to try another server. Who was here before and comes back on another socket
costs nothing new, and is always let through.

What is asked, in this order: whether the loop is late, whether there are as many tracks
as may be, whether as many bytes flow. The first is ours, the others are LiveKit's.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

import attrs
import structlog
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse

from trio_sfu.config import LimitConfig
from trio_sfu.signalling.join import Connect, JoinRequest, Refused

LOG_SECONDS: Final = 5.0
"""Between two lines that say that we are full: everybody who is refused tries again."""

log = structlog.get_logger(__name__)


@attrs.frozen
class Load:
    """How busy this server is."""

    lag: float
    """Seconds."""
    tracks: int
    """Published and subscribed."""
    bytes_per_sec: float
    """Of media, in and out."""


class Admission:
    """A `Connect` in front of another: lets only as many through as there is room for."""

    def __init__(
        self, connect: Connect, limit: Callable[[], LimitConfig], load: Callable[[], Load]
    ) -> None:
        """*limit* as it is configured now."""
        self.refused: Counter[str] = Counter()
        """By what there was too much of."""
        self._connect = connect
        self._limit = limit
        self._load = load
        self._logged = -float("inf")

    async def __call__(
        self,
        join: JoinRequest,
        requests: trio.MemoryReceiveChannel[SignalRequest],
        responses: trio.MemorySendChannel[SignalResponse],
    ) -> None:
        if not join.reconnect:
            self.check(join)
        await self._connect(join, requests, responses)

    @property
    def full(self) -> str:
        """What there is too much of: "loop lag", "tracks", "bytes"; "" if there is room."""
        limit, load = self._limit(), self._load()
        if limit.loop_lag and load.lag > limit.loop_lag:
            return "loop lag"
        if limit.num_tracks and load.tracks >= limit.num_tracks:
            return "tracks"
        if limit.bytes_per_sec and load.bytes_per_sec >= limit.bytes_per_sec:
            return "bytes"
        return ""

    def check(self, join: JoinRequest) -> None:
        """Raises `Refused` if there is no room."""
        if not (full := self.full):
            return
        self.refused[full] += 1
        if trio.current_time() - self._logged >= LOG_SECONDS:
            self._logged = trio.current_time()
            load = self._load()
            log.warning(
                "nobody new is let in",
                too_much=full,
                lag=round(load.lag, 3),
                tracks=load.tracks,
                bytes_per_sec=round(load.bytes_per_sec),
                room=join.room,
                refused=self.refused.total(),
            )
        raise Refused(503, "this server has as much to do as it can")
