"""The table of routes: which path is answered by whom, and what an answer is.

The rule: a route gets a whole request and gives a whole response. It knows nothing of
the connection; only a socket's route is given one, and only when it accepts.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import attrs

from trio_sfu.api.request import Request
from trio_sfu.api.websocket import WebSocket

METHODS: Final = ("OPTIONS", "HEAD", "GET", "POST", "PATCH", "DELETE")
"""What any page of any origin may use (LiveKit's list)."""
PREFLIGHT_SECONDS: Final = 86400


@attrs.frozen
class Response:
    """An answer; what every answer carries is put in where it is sent."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = attrs.Factory(dict)


def text(status: int, words: str) -> Response:
    """An answer for people: LiveKit's clients show what an error says."""
    return Response(status, words.encode("utf-8", "replace"))


Accept = Callable[[], Awaitable[WebSocket]]
"""Answers 101 and gives the WebSocket. Raises `ConnectionClosed` if nobody is there any more."""


@attrs.frozen
class Route:
    """Answers requests. An exception becomes a 500 and a line in the log."""

    answer: Callable[[Request], Awaitable[Response]]
    methods: frozenset[str] = frozenset({"GET"})
    """HEAD comes with GET, OPTIONS with everything."""
    takes_body: bool = False


@attrs.frozen
class SocketRoute:
    """Holds a conversation over a WebSocket, or refuses to: then it returns a response.

    Called only with a valid handshake; to everything else this path does not exist, as
    with LiveKit.
    """

    converse: Callable[[Request, Accept], Awaitable[Response | None]]


Routes = Mapping[str, Route | SocketRoute]
"""By path. A path that ends with a slash stands for all below it, the longest one first."""


def find_route(routes: Routes, path: str) -> Route | SocketRoute | None:
    """The route of exactly *path*, or of the nearest folder above it that has one."""
    if path in routes:
        return routes[path]
    # The root is a page, not the folder of everything.
    folders = [name for name in routes if name.endswith("/") and name != "/"]
    above = [name for name in folders if path.startswith(name)]
    return routes[max(above, key=len)] if above else None


def preflight(request: Request, allowed: Sequence[str]) -> Response:
    """A browser asks what a page may do (the Fetch standard, section 3.2): all of it.

    The headers are named one by one, because a star does not stand for Authorization.
    """
    headers = {"Allow": ", ".join(allowed)}
    if request.headers.get("access-control-request-method", "").upper() in METHODS:
        headers |= {
            "Access-Control-Allow-Methods": ", ".join(METHODS),
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            "Vary": "Access-Control-Request-Headers",
        }
        if wanted := request.headers.get("access-control-request-headers"):
            headers["Access-Control-Allow-Headers"] = wanted
    return Response(204, headers=headers)
