import base64

import pytest
import trio

from trio_sfu.api.websocket import PrefixedStream, refuse_handshake

KEY = base64.b64encode(bytes(range(16)))
VALID = {
    b"host": b"x",
    b"connection": b"keep-alive, Upgrade",
    b"upgrade": b"WebSocket",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": KEY,
}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, None),
        ({b"connection": b"Upgrade"}, None),
        ({b"sec-websocket-extensions": b"permessage-deflate"}, None),
        ({b"sec-websocket-protocol": b"a, b"}, None),
        ({b"connection": None}, 404),
        ({b"connection": b"keep-alive"}, 404),
        ({b"upgrade": None}, 404),
        ({b"upgrade": b"h2c"}, 404),
        ({b"sec-websocket-version": None}, 426),
        ({b"sec-websocket-version": b"8"}, 426),
        ({b"sec-websocket-key": None}, 400),
        ({b"sec-websocket-key": b"short"}, 400),
        ({b"sec-websocket-key": base64.b64encode(bytes(15))}, 400),
        ({b"sec-websocket-key": KEY + b" "}, 400),
        ({b"sec-websocket-key": KEY + b"\r\nx: y"}, 400),
    ],
    ids=str,
)
def test_a_handshake_is_checked_before_it_is_handed_on(changes, status) -> None:
    headers = [(name, value) for name, value in (VALID | changes).items() if value is not None]
    refusal = refuse_handshake("GET", headers)
    assert (refusal and refusal[0]) == status


def test_two_keys_are_none_and_a_handshake_is_a_get() -> None:
    headers = [*VALID.items(), (b"sec-websocket-key", KEY)]
    assert refuse_handshake("GET", headers)[0] == 400
    assert refuse_handshake("POST", VALID.items())[0] == 405


@pytest.mark.parametrize("max_bytes", [1, 3, 100, None])
async def test_what_was_read_before_is_read_first(max_bytes: int | None) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    stream = PrefixedStream(b"read before, ", theirs)
    await ours.send_all(b"read now")
    await ours.send_eof()
    data = b""
    while piece := await stream.receive_some(max_bytes):
        assert max_bytes is None or len(piece) <= max_bytes
        data += piece
    assert data == b"read before, read now"
    await stream.wait_send_all_might_not_block()
    await stream.send_all(b"back")
    await stream.send_eof()
    assert await ours.receive_some() == b"back"
    await stream.aclose()
