import pytest

from tests.api.test_http import ROUTES, ask, crash, echo, size
from trio_sfu.api.routes import Route, find_route


@pytest.mark.parametrize("target", ["/nowhere", "/echo/", "/echo/more", "/folder", "*"])
async def test_everything_else_is_not_found(serve, target: str) -> None:
    async with await (await serve(ROUTES))() as stream:
        assert (await ask(stream, f"GET {target} HTTP/1.1")).status == 404


def test_the_nearest_folder_has_the_route() -> None:
    routes = {"/": Route(echo), "/a/": Route(size), "/a/b/": Route(crash)}
    found = {path: find_route(routes, path) for path in ("/a/b/c/d", "/a/b", "/a/x", "/x", "")}
    assert found == {
        "/a/b/c/d": routes["/a/b/"],
        "/a/b": routes["/a/"],
        "/a/x": routes["/a/"],
        "/x": None,
        "": None,
    }
