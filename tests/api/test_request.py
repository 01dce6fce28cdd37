import pytest

from tests.api.test_http import ROUTES, ask


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("//echo", "/echo"),
        ("///echo", "/echo"),
        ("/%65cho", "/echo"),
        ("http://elsewhere/echo", "/echo"),
        ("http://elsewhere", "/"),
        ("/folder/a/b", "/folder/a/b"),
    ],
)
async def test_a_path_is_found_however_it_is_written(serve, target: str, path: str) -> None:
    async with await (await serve(ROUTES))() as stream:
        answer = await ask(stream, f"GET {target} HTTP/1.1")
        assert answer.body.startswith(f"GET {path} ".encode())


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ("X-Forwarded-For: 192.0.2.7, 10.0.0.1", "192.0.2.7"),
        ("X-Real-IP: 2001:db8::7", "2001:db8::7"),
        ("X-Real-IP: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.7", "192.0.2.7"),
        ("CF-Connecting-IP: 192.0.2.5\r\nX-Forwarded-For: 192.0.2.7", "192.0.2.5"),
        ("X-Forwarded-For: <script>", "127.0.0.1"),
        ("X-Forwarded-For:", "127.0.0.1"),
    ],
)
async def test_a_proxy_may_say_where_a_request_came_from(serve, headers, address) -> None:
    async with await (await serve(ROUTES))() as stream:
        answer = await ask(stream, f"GET /echo HTTP/1.1\r\n{headers}")
        assert answer.body.decode().split()[-1] == address
