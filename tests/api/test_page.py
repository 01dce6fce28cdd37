import json

import attrs
import pytest

from trio_sfu.api.page import Page
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Routes, find_route
from trio_sfu.api.tokens import verify
from trio_sfu.config import Config
from trio_sfu.room.grants import Grants

NOW = 1_800_000_000.0


def routes(config: Config) -> Routes:
    return Page(config, lambda: NOW).routes()


DEV = Config.dev()


async def get(path: str, query: dict[str, str] | None = None, config: Config = DEV):
    route = find_route(routes(config), path)
    return await route.answer(Request(method="GET", path=path, query=query or {}))


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/page/", "text/html; charset=utf-8"),
        ("/page/index.html", "text/html; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
async def test_the_files_of_the_page_are_served(path: str, content_type: str) -> None:
    response = await get(path)
    assert (response.status, response.content_type) == (200, content_type)
    assert len(response.body) > 100
    assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_without_its_last_slash_the_page_is_found_with_it() -> None:
    response = await get("/page")
    assert (response.status, response.headers["Location"]) == (307, "/page/")


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "../config.py",
        "..",
        ".",
        "/etc/passwd",
        "//etc/passwd",
        "main.js/",
        "main.js\0",
        "x/",
    ],
)
async def test_nothing_else_is_served(name: str) -> None:
    assert (await get("/page/" + name)).status == 404


async def test_development_mode_gives_a_token_for_the_room_and_name_typed_in() -> None:
    query = {"room": "kitchen", "identity": "alice-1", "name": "Alice"}
    response = await get("/page/token", query)
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
    claims = verify(json.loads(response.body)["token"], Config.dev().keys, NOW)
    assert (claims.identity, claims.name) == ("alice-1", "Alice")
    assert claims.grants == Grants(room_join=True, room="kitchen", can_update_own_metadata=True)


@pytest.mark.parametrize(
    "query", [{}, {"room": "r"}, {"identity": "i"}, {"room": "r" * 257, "identity": "i"}]
)
async def test_a_token_needs_a_room_and_an_identity(query: dict[str, str]) -> None:
    assert (await get("/page/token", query)).status == 400


@pytest.mark.parametrize(
    "config",
    [
        Config(keys={"devkey": "secret"}),
        attrs.evolve(Config.dev(), keys={"key": "own secret"}),
        attrs.evolve(Config.dev(), keys={"devkey": "own secret"}),
        attrs.evolve(Config.dev(), keys={"devkey": "secret", "key": "own secret"}),
    ],
    ids=["no development mode", "own key", "own secret", "another key"],
)
async def test_no_token_is_given_that_is_worth_anything(config: Config) -> None:
    assert (await get("/page/token", {"room": "r", "identity": "i"}, config)).status == 404
