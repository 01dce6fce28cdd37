"""One client's signalling conversation: a WebSocket on one side, two channels on the other.

    client ---- WebSocket ---- reader ----> requests  -----> session, where the room is
                            \\  pings answered here
                             - writer <---- responses <-----

When either end is over, so is the other: a WebSocket that has gone closes *requests*,
a session that has closed *responses* is followed by a close of the WebSocket, once its
last words are out.

What a slow or hostile client can hold up is nothing but itself. The reader never waits
for anybody but the client: what the session does not take, for want of room, ends the
conversation. The writer gives each message a deadline. The pings of LiveKit's own are
answered here, beside the session, because a client takes their absence for a dead
server, and a session may be busy.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Final

import trio
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol.rtc import Pong, SignalRequest, SignalResponse

from trio_sfu.api.websocket import (
    CLOSE_SECONDS,
    GOING_AWAY,
    INVALID_DATA,
    NORMAL,
    POLICY,
    SEND_SECONDS,
    TOO_BIG,
    ConnectionClosed,
    WebSocket,
)
from trio_sfu.signalling.infos import encoded

PING_SECONDS: Final = 10.0
"""Between two pings of the WebSocket's own, and how long a pong may take (LiveKit: 10)."""
FLUSH_SECONDS: Final = 0.25
"""For each of a session's last words, once it has ended (LiveKit's 250 ms)."""
REQUESTS_LIMIT: Final = 256
"""Requests that a session has yet to take. A join with many tracks and candidates makes
some dozens at once; more is somebody who does not let the session breathe."""
RESPONSES_LIMIT: Final = 256
"""Responses that a client has yet to be sent; LiveKit's queue is as long, about."""
TEXT_LIMIT: Final = 128 * 1024
"""Characters of a message in JSON, of which a hostile one costs 2 µs each to read (protobuf: a
thirtieth). The longest honest one holds two descriptions of a dozen tracks, some 80 KiB."""
PONGS_LIMIT: Final = 4
"""Answers to pings that wait to be sent; whoever pings faster than it reads gets fewer."""


Ending = tuple[int, str]
"""Code and reason of our closing frame."""

GONE: Final[Ending] = (0, "")
"""Nobody is left to say goodbye to."""


class Conversation:
    """Carries one session's messages over one WebSocket. See `run`."""

    def __init__(self, websocket: WebSocket, milliseconds: Callable[[], int]) -> None:
        """*milliseconds* since 1970: clients measure with them."""
        self.rtt = 0
        """Milliseconds to the client and back, as it last said; 0 before it does."""
        self._websocket = websocket
        self._milliseconds = milliseconds
        self._speaks_json = False
        self._endings: list[Ending] = []

    async def run(
        self,
        requests: trio.MemorySendChannel[SignalRequest],
        responses: trio.MemoryReceiveChannel[SignalResponse],
        first: SignalResponse,
    ) -> None:
        """Until either side ends; then both channels and the WebSocket are closed."""
        pongs_in, pongs_out = trio.open_memory_channel[SignalResponse](PONGS_LIMIT)
        with requests, responses, pongs_in, pongs_out:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._part, nursery, self._read(requests, pongs_in))
                    nursery.start_soon(self._part, nursery, self._write(responses, first))
                    nursery.start_soon(self._part, nursery, self._write(pongs_out))
                    nursery.start_soon(self._part, nursery, self._ping())
            finally:
                if not self._endings:  # cancelled: the server stops, and with it the session
                    with trio.move_on_after(FLUSH_SECONDS, shield=True), suppress(ConnectionClosed):
                        await self._write(responses)
                    with trio.move_on_after(CLOSE_SECONDS, shield=True):
                        await self._websocket.close(GOING_AWAY)
            if self._endings[0] != GONE:
                await self._websocket.close(*self._endings[0])

    async def _part(self, nursery: trio.Nursery, part: Coroutine[object, None, Ending]) -> None:
        """The first part to end ends the others."""
        try:
            ending = await part
        except ConnectionClosed:
            ending = GONE
        self._endings.append(ending)
        nursery.cancel_scope.cancel()

    async def _read(
        self,
        requests: trio.MemorySendChannel[SignalRequest],
        pongs: trio.MemorySendChannel[SignalResponse],
    ) -> Ending:
        while True:
            message = await self._websocket.receive()
            if isinstance(message, str):
                self._speaks_json = True
                if len(message) > TEXT_LIMIT:
                    return TOO_BIG, f"more than {TEXT_LIMIT} characters"
            request = decode_request(message)
            if request is None:
                return INVALID_DATA, "this is no SignalRequest"
            pong = self._pong(request)
            try:
                if pong is not None:
                    pongs.send_nowait(pong)
                elif request.WhichOneof("message") is not None:
                    requests.send_nowait(request)
            except trio.WouldBlock:
                if pong is None:
                    return POLICY, "too many requests at once"
            except trio.BrokenResourceError:
                pass  # the session has ended, and its last words are on their way

    async def _write(
        self, responses: trio.MemoryReceiveChannel[SignalResponse], *first: SignalResponse
    ) -> Ending:
        for response in first:
            await self._websocket.send(self._encode(response))
        async for response in responses:
            ended = responses.statistics().open_send_channels == 0
            seconds = FLUSH_SECONDS if ended else SEND_SECONDS
            await self._websocket.send(self._encode(response), seconds)
        return NORMAL, ""

    async def _ping(self) -> Ending:
        while True:
            await trio.sleep(PING_SECONDS)
            await self._websocket.ping(PING_SECONDS)

    def _pong(self, request: SignalRequest) -> SignalResponse | None:
        """The answer if *request* is a ping, of the old kind or the new."""
        match request.WhichOneof("message"):
            case "ping":
                return SignalResponse(pong=self._milliseconds())
            case "ping_req":
                self.rtt = request.ping_req.rtt or self.rtt
                return SignalResponse(
                    pong_resp=Pong(
                        last_ping_timestamp=request.ping_req.timestamp,
                        timestamp=self._milliseconds(),
                    )
                )
        return None

    def _encode(self, response: SignalResponse) -> bytes | str:
        if self._speaks_json:
            return json_format.MessageToJson(response, indent=None)
        return encoded(response)


def decode_request(message: bytes | str) -> SignalRequest | None:
    """A binary message is protobuf, a text is protobuf's JSON; None if it is neither.

    What we do not know in it is passed over: clients are newer than servers.
    """
    try:
        if isinstance(message, bytes):
            return SignalRequest.FromString(message)
        return json_format.Parse(message, SignalRequest(), ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, RecursionError):
        return None
