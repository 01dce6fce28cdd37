"""HTTP/1.1 on Trio: one connection, a table of routes, and nobody who can hold us up.

h11 knows the protocol; here is what it needs around it: bytes from a stream, a
deadline for everything that the other side could drag out, a limit for everything
that it could heap up. What a request says is `request`'s to read, and the table of
routes says what we are: this module does not know.

    bytes -> h11 -> Request -> route -> Response -> h11 -> bytes     again, on the same connection
                               socket route -> accept() -> a WebSocket has the stream from here on

What a stranger can try, and what it gets them:

    says nothing, or one byte a minute    closed after HEAD_SECONDS
    sends a head without end              431 at HEAD_LIMIT
    sends a body without end              413 at BODY_LIMIT; all bodies together have a limit too
    never reads what we send              closed after SEND_SECONDS
    opens connections without end         503 above the limit (`frontdoor`)
    sends what is no HTTP                 400, and closed
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import attrs
import h11
import structlog
import trio
from wsproto.utilities import LocalProtocolError

from trio_sfu import __version__
from trio_sfu.api.request import Request, peer_address, read_request
from trio_sfu.api.routes import Response, Route, Routes, SocketRoute, find_route, preflight, text
from trio_sfu.api.websocket import MESSAGE_LIMIT, WebSocket, open_websocket, refuse_handshake

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a request's head. LiveKit's clients put a token and, on `/rtc/v1`, a whole
first offer into the URL: some 10 KiB of it, compressed."""
BODY_LIMIT: Final = 10 * 1024 * 1024
"""Bytes of a request's body; LiveKit's limit."""
BODIES_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of all bodies that are being read or answered at one time."""
HEAD_SECONDS: Final = 10.0
"""From the first byte we wait for to the head's last: nobody types a head."""
IDLE_SECONDS: Final = 60.0
"""Between two requests on one connection; browsers give up at about the same time."""
BODY_SECONDS: Final = 30.0
SEND_SECONDS: Final = 30.0
LINGER_SECONDS: Final = 1.0
"""How long we go on reading after a last answer: a stream closed over unread bytes is
reset, and the reset may overtake the answer."""
CHUNK: Final = 65536

log = structlog.get_logger(__name__)


@attrs.define
class Counters:
    """What the front door has seen."""

    connections: int = 0
    """Open now."""
    answering: int = 0
    """Those of them that are answering now; a WebSocket is, for as long as it lives."""
    bodies: int = 0
    """Bytes held now."""
    refused: int = 0
    malformed: int = 0
    too_slow: int = 0
    failed: int = 0


@attrs.frozen
class Sizes:
    """Bytes that somebody may send us at once; 0 for as many as there is room for."""

    body: int = BODY_LIMIT
    message: int = MESSAGE_LIMIT
    """Of a WebSocket."""


class _TooMuch(Exception):  # noqa: N818 - an answer
    """The body is larger than may be (413) or than there is room for (503)."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class Connection:
    """What h11 and the stream say to each other, for one connection."""

    def __init__(
        self,
        stream: trio.abc.HalfCloseableStream,
        routes: Routes,
        counters: Counters,
        answering: Callable[[], AbstractContextManager[None]],
        sizes: Sizes,
    ) -> None:
        self._stream = stream
        self._sizes = sizes
        self._answering = answering
        self._routes = routes
        self._counters = counters
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._peer = peer_address(stream)

    async def run(self) -> None:
        """Answer requests as long as both sides keep the connection."""
        idle = HEAD_SECONDS
        try:
            while (head := await self._receive_head(idle)) is not None:
                with self._answering():
                    over = await self._answer(head)
                if over:
                    return  # it was a WebSocket
                if {self._h11.our_state, self._h11.their_state} != {h11.DONE}:
                    break
                self._h11.start_next_cycle()
                idle = IDLE_SECONDS
        except h11.RemoteProtocolError as error:
            self._counters.malformed += 1
            await self._say_last(text(error.error_status_hint, f"{error}\n"))
        except trio.TooSlowError:
            self._counters.too_slow += 1
            await self._say_last(text(408, "too slow\n"))
        except trio.BrokenResourceError:
            return
        await linger(self._stream)

    # Hearing

    async def _receive_head(self, idle: float) -> h11.Request | None:
        """None once the other side has closed, or said nothing for *idle* seconds."""
        event = self._h11.next_event()
        if event is h11.NEED_DATA:
            with trio.move_on_after(idle):
                event = await self._receive()
        if event is h11.NEED_DATA:
            untouched = self._h11.trailing_data[0] == b""
            if untouched:
                return None
            with trio.fail_after(HEAD_SECONDS):
                while event is h11.NEED_DATA:
                    event = await self._receive()
        return event if isinstance(event, h11.Request) else None

    async def _receive(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """More bytes, and the event that they complete, if they do."""
        self._h11.receive_data(bytes(await self._stream.receive_some(CHUNK)))
        return self._h11.next_event()

    async def _receive_body(self, head: h11.Request, chunks: list[bytes] | None) -> None:
        """To the body's end. Counts what is put into *chunks*; None throws it away."""
        announced = int(dict(head.headers).get(b"content-length", b"0"))
        limit = self._sizes.body or BODIES_LIMIT
        if announced > limit:
            raise _TooMuch(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self._h11.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        size = 0
        with trio.fail_after(BODY_SECONDS):
            while not isinstance(event := self._h11.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    self._h11.receive_data(bytes(await self._stream.receive_some(CHUNK)))
                    continue
                assert isinstance(event, h11.Data), event
                size += len(event.data)
                if size > limit:
                    raise _TooMuch(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                if chunks is not None:
                    if self._counters.bodies + len(event.data) > BODIES_LIMIT:
                        raise _TooMuch(HTTPStatus.SERVICE_UNAVAILABLE)
                    chunks.append(bytes(event.data))
                    self._counters.bodies += len(event.data)

    @contextmanager
    def _body(self) -> Iterator[list[bytes]]:
        """Chunks that are counted as held until the answer was sent."""
        chunks: list[bytes] = []
        try:
            yield chunks
        finally:
            self._counters.bodies -= sum(map(len, chunks))

    # Answering

    async def _answer(self, head: h11.Request) -> bool:
        """Whether the connection became a WebSocket; those do not come back."""
        try:
            request = read_request(head, self._peer)
        except ValueError as error:
            await self._respond(head, text(400, f"{error}\n"))
            return False
        route = find_route(self._routes, request.path)
        with self._body() as chunks:
            takes_body = isinstance(route, Route) and route.takes_body
            try:
                await self._receive_body(head, chunks if takes_body else None)
            except _TooMuch as error:
                response: Response | None = text(int(error.status), f"{error.status.phrase}\n")
            else:
                request = attrs.evolve(request, body=b"".join(chunks))
                if isinstance(route, SocketRoute) and request.method != "OPTIONS":
                    response = await self._ask_socket_route(route, request, head)
                else:
                    response = await self._ask(route, request)
            if response is not None:
                await self._respond(head, response)
        log.debug(
            "request",
            method=request.method,
            path=request.path,
            status=response.status if response is not None else 101,
            client=request.client,
        )
        return response is None

    async def _ask(self, route: Route | SocketRoute | None, request: Request) -> Response:
        if route is None:
            return text(404, "404 page not found\n")
        methods = route.methods if isinstance(route, Route) else frozenset({"GET"})
        allowed = sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))
        if request.method == "OPTIONS":
            return preflight(request, allowed)
        if request.method not in allowed or not isinstance(route, Route):
            return attrs.evolve(
                text(405, "method not allowed\n"), headers={"Allow": ", ".join(allowed)}
            )
        try:
            return await route.answer(request)
        except Exception:
            return self._failed(request)

    async def _ask_socket_route(
        self, route: SocketRoute, request: Request, head: h11.Request
    ) -> Response | None:
        """None once the stream has been a WebSocket, which then is over."""
        if (refusal := refuse_handshake(request.method, head.headers)) is not None:
            status, words, headers = refusal
            return attrs.evolve(text(status, words), headers=headers)
        accepted = False
        response: Response | None = None
        try:
            async with trio.open_nursery() as nursery:

                async def accept() -> WebSocket:
                    nonlocal accepted
                    accepted = True
                    leftover, _ = self._h11.trailing_data
                    key = request.headers["sec-websocket-key"].encode()
                    return await open_websocket(
                        nursery,
                        self._stream,
                        key,
                        leftover,
                        self._sizes.message or BODIES_LIMIT,
                    )

                try:
                    response = await route.converse(request, accept)
                except Exception:
                    response = self._failed(request)
                nursery.cancel_scope.cancel()
        except* LocalProtocolError:
            # Pinged while we said goodbye: trio-websocket cannot answer any more, and gives up.
            pass
        return None if accepted else response

    def _failed(self, request: Request) -> Response:
        """A bug of ours, while its exception is being handled."""
        self._counters.failed += 1
        log.exception("answering a request failed", path=request.path)
        return text(500, "internal error\n")

    # Speaking

    async def _respond(self, head: h11.Request, response: Response) -> None:
        headers = {
            "Date": formatdate(usegmt=True),
            "Server": f"trio-sfu/{__version__}",
            "Content-Type": response.content_type,
            "Content-Length": str(len(response.body)),
            "X-Content-Type-Options": "nosniff",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "*",
            **response.headers,
        }
        if response.status == 204:
            del headers["Content-Type"], headers["Content-Length"]
        if self._h11.their_state is h11.SEND_BODY:
            headers["Connection"] = "close"  # there is more of the request, unread
        await self._send(
            h11.Response(
                status_code=response.status,
                headers=[
                    (name.encode(), value.encode("latin-1")) for name, value in headers.items()
                ],
                reason=HTTPStatus(response.status).phrase.encode(),
            ),
            *([] if head.method == b"HEAD" else [h11.Data(data=response.body)]),
            h11.EndOfMessage(),
        )

    async def _say_last(self, response: Response) -> None:
        """If an answer is still possible, this one; the connection is of no more use."""
        if self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        goodbye = attrs.evolve(response, headers={"Connection": "close"})
        with suppress(trio.BrokenResourceError, trio.TooSlowError):
            await self._respond(h11.Request(method="GET", target="/", headers=_HOST), goodbye)

    async def _send(self, *events: h11.Event) -> None:
        data = b"".join(self._h11.send(event) or b"" for event in events)
        with trio.fail_after(SEND_SECONDS):
            await self._stream.send_all(data)


_HOST: Final = [("Host", "-")]


async def linger(stream: trio.abc.HalfCloseableStream) -> None:
    """Say that we are done, and read for a moment what still comes, unseen."""
    with trio.move_on_after(LINGER_SECONDS):
        try:
            await stream.send_eof()
            while await stream.receive_some(CHUNK):
                pass
        except trio.BrokenResourceError:
            pass
