import contextlib

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.http import BODY_LIMIT, HEAD_LIMIT
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, Routes, text


async def echo(request: Request) -> Response:
    """What came, in one line each."""
    return text(200, f"{request.method} {request.path} {dict(request.query)} {request.client}")


async def size(request: Request) -> Response:
    return text(200, str(len(request.body)))


async def crash(request: Request) -> Response:
    raise RuntimeError("a bug in our own code")


ROUTES: Routes = {
    "/": Route(echo),
    "/echo": Route(echo),
    "/body": Route(size, frozenset({"POST"}), takes_body=True),
    "/crash": Route(crash),
    "/folder/": Route(echo),
}


class Answer:
    """A response as it came: status, headers by lower-case name, body, and what followed."""

    def __init__(self, connection: h11.Connection, head: h11.Response, body: bytes) -> None:
        self.status = head.status_code
        self.headers = {name.decode(): value.decode() for name, value in head.headers}
        self.body = body
        self.closes = connection.their_state is h11.MUST_CLOSE


async def hear(stream: trio.abc.ReceiveStream, method: str = "GET") -> Answer:
    """The next response on *stream*. Raises `EOFError` if there is none."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    head, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await stream.receive_some()
            if not data and head is None:
                raise EOFError
            connection.receive_data(bytes(data))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return Answer(connection, head, body)


async def ask(stream: trio.abc.HalfCloseableStream, lines: str, method: str = "GET") -> Answer:
    await stream.send_all((lines + "\r\nHost: x\r\n\r\n").encode())
    return await hear(stream, method)


async def test_several_requests_are_answered_on_one_connection(serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        for number in range(3):
            answer = await ask(stream, f"GET /echo?n={number}&a=b+c&a=d HTTP/1.1")
            query = {"n": str(number), "a": "b c"}
            assert (answer.status, answer.body.decode()) == (
                200,
                f"GET /echo {query} 127.0.0.1",
            )
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_requests_that_come_at_once_are_answered_in_order(serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        await stream.send_all(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(3))
        )
        data = b""
        while data.count(b"404 page not found") < 3:
            data += await stream.receive_some()


async def test_head_is_get_without_its_body(serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        head = await ask(stream, "HEAD /echo HTTP/1.1", "HEAD")
        get = await ask(stream, "GET /echo HTTP/1.1")
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers["content-length"]) == len(get.body) + len("HEAD") - len("GET")


async def test_a_method_that_a_route_does_not_have_is_named_as_such(serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        answer = await ask(stream, "DELETE /echo HTTP/1.1")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert (await ask(stream, "GET /body HTTP/1.1")).headers["allow"] == "OPTIONS, POST"


async def test_any_origin_may_read_every_answer(serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        for target in "/echo", "/nowhere", "/crash":
            answer = await ask(stream, f"GET {target} HTTP/1.1\r\nOrigin: https://a.example")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["access-control-expose-headers"] == "*"


async def test_a_preflight_allows_what_it_asks_for(serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        answer = await ask(
            stream,
            "OPTIONS /body HTTP/1.1\r\nOrigin: https://a.example\r\n"
            "Access-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: authorization, x-own",
        )
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-methods"] == (
            "OPTIONS, HEAD, GET, POST, PATCH, DELETE"
        )
        assert answer.headers["access-control-allow-headers"] == "authorization, x-own"
        assert answer.headers["access-control-max-age"] == "86400"
        assert (await ask(stream, "GET /echo HTTP/1.1")).status == 200


@pytest.mark.parametrize("how", ["whole", "chunked"])
async def test_a_body_comes_whole_to_a_route_that_takes_one(serve, how: str) -> None:
    async with await (await serve(ROUTES))() as stream:
        for _ in range(2):
            if how == "whole":
                body = b"Content-Length: 5\r\n\r\nhello"
            else:
                body = b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
            await stream.send_all(b"POST /body HTTP/1.1\r\nHost: x\r\n" + body)
            assert (await hear(stream)).body == b"5"


async def test_who_waits_to_be_asked_for_a_body_is_asked(serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        await stream.send_all(
            b"POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(b"hi")
        assert (await hear(stream)).body == b"2"


async def test_too_large_a_body_is_refused_before_it_is_sent(serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        answer = await ask(stream, f"POST /body HTTP/1.1\r\nContent-Length: {BODY_LIMIT + 1}")
        assert (answer.status, answer.closes) == (413, True)


async def test_who_sends_too_large_a_body_all_the_same_can_still_read_why(serve) -> None:
    """A socket that is closed over unread bytes is reset, and the answer lost."""
    async with await (await serve(ROUTES))() as stream:
        head = f"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_LIMIT + 1}\r\n\r\n"
        await stream.send_all(head.encode() + bytes(4 * 1024 * 1024))
        assert (await hear(stream)).status == 413
        assert await stream.receive_some() == b""


async def test_a_body_that_only_turns_out_too_large_is_refused(nursery, serve) -> None:
    async with await (await serve(ROUTES))() as stream:
        await stream.send_all(
            b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"

        async def send() -> None:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while True:
                    await stream.send_all(chunk)

        nursery.start_soon(send)
        assert (await hear(stream)).status == 413


async def test_all_bodies_together_have_a_limit(serve) -> None:
    """Six fit, the seventh does not; and once they are answered there is room again."""
    visit = await serve(ROUTES)
    whole = BODY_LIMIT
    head = f"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: {whole}\r\n\r\n".encode()
    held = []
    for _ in range(6):
        stream = await visit()
        await stream.send_all(head + bytes(whole - 1))
        held.append(stream)
    async with await visit() as seventh:
        with contextlib.suppress(trio.BrokenResourceError):  # refused before it was all sent
            await seventh.send_all(head + bytes(whole))
        assert (await hear(seventh)).status == 503
    for stream in held:
        await stream.send_all(b"!")
        assert (await hear(stream)).body == str(whole).encode()
        await stream.aclose()
    async with await visit() as again:
        await again.send_all(head + bytes(whole))
        assert (await hear(again)).status == 200


async def test_a_bug_is_a_500_and_a_line_in_the_log(serve, log_lines) -> None:
    async with await (await serve(ROUTES))() as stream:
        assert (await ask(stream, "GET /crash HTTP/1.1")).status == 500
        assert (await ask(stream, "GET /echo HTTP/1.1")).status == 200
    assert [line["event"] for line in log_lines if line["log_level"] == "error"] == [
        "answering a request failed"
    ]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\r\n\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /e cho HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: x\r\nBad\x00name: y\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\n Host: x\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /echo?" + b"a&" * 200 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /" + b"a" * HEAD_LIMIT, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (HEAD_LIMIT // 6 + 1), 431),
        (b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
    ids=range(15),
)
async def test_what_is_no_http_is_refused_and_costs_its_own_connection(
    serve, data: bytes, status: int
) -> None:
    visit = await serve(ROUTES)
    async with await visit() as stream:
        await stream.send_all(data)
        assert (await hear(stream)).status == status
    async with await visit() as stream:
        assert (await ask(stream, "GET /echo HTTP/1.1")).status == 200


@pytest.mark.parametrize(
    "data", [b"", b"GET / HT", b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_who_hangs_up_in_the_middle_is_forgotten(serve, data: bytes) -> None:
    visit = await serve(ROUTES, connection_limit=1)
    for _ in range(5):
        async with await visit() as stream:
            await stream.send_all(data)
            await stream.send_eof()
            while await stream.receive_some():
                pass
    async with await visit() as stream:
        assert (await ask(stream, "GET /echo HTTP/1.1")).status == 200


async def time_until_closed(stream: trio.abc.HalfCloseableStream) -> float:
    start = trio.current_time()
    with contextlib.suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass
    return trio.current_time() - start


async def test_who_says_nothing_is_let_go(autojump_clock, enter) -> None:
    stream = enter(FrontDoor(ROUTES))
    assert 9 < await time_until_closed(stream) < 12


async def drip(stream: trio.abc.SendStream, data: bytes) -> None:
    """A byte a second, for as long as somebody listens."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        for byte in data:
            await stream.send_all(bytes([byte]))
            await trio.sleep(1)


async def test_a_head_that_drips_in_is_not_waited_for(autojump_clock, enter, nursery) -> None:
    stream = enter(FrontDoor(ROUTES))
    nursery.start_soon(drip, stream, b"GET /echo HTTP/1.1\r\nHost: x\r\n")
    assert (await hear(stream)).status == 408
    assert trio.current_time() < 12


async def test_a_kept_connection_that_says_nothing_is_let_go_later(autojump_clock, enter) -> None:
    stream = enter(FrontDoor(ROUTES))
    assert (await ask(stream, "GET /echo HTTP/1.1")).status == 200
    assert 59 < await time_until_closed(stream) < 62


async def test_a_body_that_drips_in_is_not_waited_for(autojump_clock, enter, nursery) -> None:
    door = FrontDoor(ROUTES)
    stream = enter(door)
    await stream.send_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n")

    nursery.start_soon(drip, stream, bytes(98))
    assert (await hear(stream)).status == 408
    assert trio.current_time() < 32
    await trio.sleep(2)
    assert (door.counters.bodies, door.counters.too_slow) == (0, 1)


async def test_who_never_reads_an_answer_is_let_go(autojump_clock, nursery) -> None:
    door = FrontDoor(ROUTES)
    ours, theirs = trio.testing.lockstep_stream_pair()
    nursery.start_soon(door.greet, theirs)
    await ours.send_all(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
    await trio.sleep(5)
    assert door.counters.connections == 1
    await trio.sleep(40)
    assert (door.counters.connections, door.counters.too_slow) == (0, 1)


@given(
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from(
            [
                b"GET / HTTP/1.1\r\n",
                b"Host: x\r\n",
                b"\r\n",
                b"Content-Length: 3\r\n",
                b"abc",
                b"Upgrade: websocket\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"POST /body HTTP/1.1\r\n",
            ]
        ),
        max_size=12,
    )
)
def test_whatever_comes_a_connection_ends_and_nothing_crashes(pieces: list[bytes]) -> None:
    async def main() -> None:
        door = FrontDoor(ROUTES)
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.greet, theirs)
            for piece in pieces:
                try:
                    await ours.send_all(piece)
                except trio.BrokenResourceError:
                    break
            await ours.send_eof()
            while await ours.receive_some():
                pass
        assert (door.counters.connections, door.counters.bodies) == (0, 0)
        assert door.counters.failed == 0

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("checkpoints", range(12))
async def test_cancelling_at_any_checkpoint_leaves_nothing(checkpoints: int) -> None:
    door = FrontDoor(ROUTES)
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.greet, theirs)
        await ours.send_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" * 2)
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert (door.counters.connections, door.counters.bodies) == (0, 0)
    await time_until_closed(ours)
