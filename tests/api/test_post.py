"""A POST to whoever it may be ends as a status or as a reason, within its deadline."""

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.post import IDLE_SECONDS, POST_SECONDS, Poster, PostFailed
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, text

Script = Callable[[trio.abc.HalfCloseableStream], object]


class Server:
    """What is at the other end of each connection, one after the other."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.scripts: list[Script] = []
        self.connected: list[tuple[str, int]] = []
        self.streams: list[trio.abc.HalfCloseableStream] = []

    async def connect(self, host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.connected.append((host, port))
        ours, theirs = trio.testing.memory_stream_pair()
        self.streams.append(theirs)
        self.nursery.start_soon(self.scripts.pop(0), theirs)
        return ours


@pytest.fixture
def server(nursery: trio.Nursery) -> Server:
    return Server(nursery)


def front_door(seen: list[Request], status: int = 200) -> Script:
    async def answer(request: Request) -> Response:
        seen.append(request)
        return text(status, "thanks")

    route = Route(answer, frozenset({"POST"}), takes_body=True)
    return FrontDoor({"/": route, "/hook/": route}).greet


def says(data: bytes, *, close: bool = True) -> Script:
    """Whatever it is asked."""

    async def script(stream: trio.abc.HalfCloseableStream) -> None:
        await stream.receive_some(10_000)
        await stream.send_all(data)
        if close:
            await stream.aclose()

    return script


async def test_a_post_arrives_as_it_was_sent(server: Server) -> None:
    seen: list[Request] = []
    server.scripts = [front_door(seen)]
    poster = Poster("http://hooks.example/hook/x?key=1", connect=server.connect)
    assert await poster.post(b'{"a": 1}', {"Authorization": "token"}) == 200
    (request,) = seen
    assert (request.method, request.path, request.body) == ("POST", "/hook/x", b'{"a": 1}')
    assert request.query == {"key": "1"}
    assert request.headers["authorization"] == "token"
    assert request.headers["host"] == "hooks.example"
    assert server.connected == [("hooks.example", 80)]
    await poster.aclose()


@pytest.mark.parametrize(
    ("url", "to", "host"),
    [
        ("http://h", ("h", 80), "h"),
        ("http://h:8080/", ("h", 8080), "h:8080"),
        ("http://[::1]:81/", ("::1", 81), "[::1]:81"),
        ("HTTP://H/", ("h", 80), "h"),
    ],
)
async def test_a_url_says_whom_to_ask(
    server: Server, url: str, to: tuple[str, int], host: str
) -> None:
    seen: list[Request] = []
    server.scripts = [front_door(seen)]
    poster = Poster(url, connect=server.connect)
    await poster.post(b"", {})
    assert server.connected == [to]
    assert seen[0].headers["host"] == host
    await poster.aclose()


@pytest.mark.parametrize("url", ["", "h", "ftp://h/", "http://", "ws://h", "/hook"])
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        Poster(url)


async def test_a_connection_is_used_again(server: Server) -> None:
    seen: list[Request] = []
    server.scripts = [front_door(seen)]
    poster = Poster("http://h/", connect=server.connect)
    for _ in range(3):
        assert await poster.post(b"", {}) == 200
    assert len(server.connected) == 1
    await poster.aclose()


@pytest.mark.virtual_time
async def test_an_old_connection_is_not_used_again(server: Server) -> None:
    seen: list[Request] = []
    server.scripts = [front_door(seen), front_door(seen)]
    poster = Poster("http://h/", connect=server.connect)
    await poster.post(b"", {})
    await trio.sleep(IDLE_SECONDS + 1)
    await poster.post(b"", {})
    assert len(server.connected) == 2
    await poster.aclose()


async def test_a_connection_that_was_closed_meanwhile_is_replaced(server: Server) -> None:
    seen: list[Request] = []
    server.scripts = [front_door(seen), front_door(seen)]
    poster = Poster("http://h/", connect=server.connect)
    await poster.post(b"1", {})
    await server.streams[0].aclose()
    assert await poster.post(b"2", {}) == 200
    assert [each.body for each in seen] == [b"1", b"2"]
    await poster.aclose()


async def test_what_was_answered_wrongly_is_not_sent_twice(server: Server) -> None:
    async def once_right_then_wrong(stream: trio.abc.HalfCloseableStream) -> None:
        await stream.receive_some(10_000)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await stream.receive_some(10_000)
        await stream.send_all(b"nonsense\r\n\r\n")

    server.scripts = [once_right_then_wrong]
    poster = Poster("http://h/", connect=server.connect)
    assert await poster.post(b"", {}) == 200
    with pytest.raises(PostFailed, match="no HTTP"):
        await poster.post(b"", {})


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.0 500 Oh\r\n\r\nlong ago", 500),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", 302),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12", PostFailed),
        (b"SSH-2.0-OpenSSH\r\n\r\n", PostFailed),
        (b"", PostFailed),
        (b"\xff" * 1000, PostFailed),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000, PostFailed),
    ],
)
async def test_whatever_is_answered_is_a_status_or_a_failure(
    server: Server, said: bytes, status: int | type[PostFailed]
) -> None:
    server.scripts = [says(said)]
    poster = Poster("http://h/", connect=server.connect)
    if isinstance(status, int):
        assert await poster.post(b"", {}) == status
    else:
        with pytest.raises(PostFailed):
            await poster.post(b"", {})
    await poster.aclose()


async def test_an_endless_answer_is_not_read_to_its_end(server: Server) -> None:
    async def endless(stream: trio.abc.HalfCloseableStream) -> None:
        await stream.receive_some(10_000)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                await stream.send_all(b"a" * 10_000)
        except trio.BrokenResourceError:
            hung_up.set()

    hung_up = trio.Event()
    server.scripts = [endless]
    assert await Poster("http://h/", connect=server.connect).post(b"", {}) == 200
    await hung_up.wait()


@pytest.mark.virtual_time
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"])
async def test_who_says_nothing_more_is_given_up(server: Server, said: bytes) -> None:
    server.scripts = [says(said, close=False)]
    started = trio.current_time()
    with pytest.raises(PostFailed, match="within 10 s"):
        await Poster("http://h/", connect=server.connect).post(b"", {})
    assert trio.current_time() - started == pytest.approx(POST_SECONDS)


async def test_nobody_there_is_a_failure_with_a_reason() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    with pytest.raises(PostFailed, match=r"127\.0\.0\.1"):
        await Poster(f"http://127.0.0.1:{port}/").post(b"", {})


async def test_over_tls_only_who_is_trusted_is_told(nursery: trio.Nursery, tmp_path: Path) -> None:
    # fmt: off
    await trio.run_process([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate"),
    ], capture_stdout=True, capture_stderr=True)
    # fmt: on
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    seen: list[Request] = []
    door = front_door(seen)

    async def greet(stream: trio.SocketStream) -> None:
        await door(trio.SSLStream(stream, ours, server_side=True, https_compatible=True))

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    nursery.start_soon(partial(trio.serve_listeners, greet, listeners))
    stranger = Poster(f"https://localhost:{port}/")
    with pytest.raises(PostFailed, match="TLS: self-signed certificate"):
        await stranger.post(b"a secret", {})
    assert seen == []
    trusting = ssl.create_default_context(cafile=str(tmp_path / "certificate"))
    friend = Poster(f"https://localhost:{port}/", tls=trusting)
    for _ in range(2):
        assert await friend.post(b"a secret", {}) == 200
    assert [each.body for each in seen] == [b"a secret"] * 2
    await friend.aclose()


def test_its_repr_keeps_a_key_in_the_url_to_itself() -> None:
    assert "KEY" not in repr(Poster("http://hooks.example/KEY?k=KEY"))
