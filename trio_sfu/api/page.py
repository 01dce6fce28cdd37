"""Serves the page, on which two browser tabs are a call, and in development mode its tickets.

The files are those of `trio_sfu/page/`, and only those: a path is looked up among
their names, never put together to one of the file system's.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import attrs

from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, Routes, text
from trio_sfu.api.rtc import IDENTITY_LIMIT, ROOM_NAME_LIMIT
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.config import DEV_KEY, DEV_SECRET, Config
from trio_sfu.room.grants import Grants

PATH: Final = "/page/"

# Fixed here, because what a machine's table of types says differs from machine to machine,
# and browsers refuse modules of a wrong type.
CONTENT_TYPES: Final[Mapping[str, str]] = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "json": "application/json",
}
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",  # the page's address may hold a token
    # Its own scripts only; but it may be told to use another server.
    "Content-Security-Policy": (
        "default-src 'self'; connect-src *; img-src 'self' data: blob:; media-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'"
    ),
}
TOKEN_LIFETIME: Final = 3600
"""Seconds. A tab that is reloaded fetches another."""


@attrs.frozen
class Page:
    """The routes below `/page/`."""

    config: Config
    seconds: Callable[[], float]
    """Since 1970."""
    files: Mapping[str, Traversable] = attrs.Factory(
        lambda: dict(_files(resources.files("trio_sfu") / "page"))
    )

    def routes(self) -> Routes:
        """For the front door's table."""
        routes = {PATH.rstrip("/"): Route(_redirect), PATH: Route(self.file)}
        # Nobody may get a ticket from here that is worth anything: only with the keys that
        # everybody knows, so that everybody could have made it, is one given.
        if self.config.development and self.config.keys == {DEV_KEY: DEV_SECRET}:
            routes[PATH + "token"] = Route(self.token)
        return routes

    async def file(self, request: Request) -> Response:
        """One of the page's files; read each time, so that who works on them sees it."""
        name = request.path.removeprefix(PATH) or "index.html"
        if (file := self.files.get(name)) is None:
            return text(404, "404 page not found\n")
        content_type = CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        return Response(200, file.read_bytes(), content_type, HEADERS)

    async def token(self, request: Request) -> Response:
        """A token for the room and identity in the query, as `{"token": "..."}`."""
        room, identity = request.query.get("room", ""), request.query.get("identity", "")
        for what, value, limit in (
            ("room", room, ROOM_NAME_LIMIT),
            ("identity", identity, IDENTITY_LIMIT),
        ):
            if not 0 < len(value.encode()) <= limit:
                return text(400, f"{what} must be 1 to {limit} bytes long\n")
        grants = Grants(room_join=True, room=room, can_update_own_metadata=True)
        claims = Claims(identity=identity, name=request.query.get("name", ""), grants=grants)
        token = sign(claims, DEV_KEY, DEV_SECRET, self.seconds(), TOKEN_LIFETIME)
        body = json.dumps({"token": token}).encode()
        return Response(200, body, "application/json", {"Cache-Control": "no-store"})


async def _redirect(request: Request) -> Response:
    """Without its last slash, the page would look for its files elsewhere."""
    return Response(307, headers={"Location": PATH})


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _files(item, f"{above}{item.name}/")
        else:
            yield above + item.name, item
