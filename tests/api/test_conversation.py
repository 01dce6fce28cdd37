"""A conversation from the front door to a session that the test plays, in virtual time."""

import contextlib
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
from google.protobuf import json_format
from hypothesis import example, given
from hypothesis import strategies as st
from livekit.protocol.rtc import LeaveRequest, Ping, SignalRequest, SignalResponse
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from trio_sfu.api.conversation import (
    PING_SECONDS,
    REQUESTS_LIMIT,
    RESPONSES_LIMIT,
    TEXT_LIMIT,
    decode_request,
)
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.rtc import Gate
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.api.websocket import MESSAGE_LIMIT, SEND_SECONDS
from trio_sfu.room.grants import Grants
from trio_sfu.signalling.join import JoinRequest

SECRET = "a secret of more than thirty-two bytes"
NOW = 1_800_000_000
TOKEN = sign(Claims(identity="alice", grants=Grants(room_join=True, room="r")), "key", SECRET, NOW)
FIRST = SignalResponse(pong=1)
LEAVE = SignalResponse(leave=LeaveRequest(action=LeaveRequest.DISCONNECT))
MUTE = SignalRequest(mute={"sid": "TR_x", "muted": True})


@attrs.define
class Talk:
    """The client's WebSocket, the stream below it, and the session's two channels."""

    door: FrontDoor
    stream: trio.abc.HalfCloseableStream
    requests: trio.MemoryReceiveChannel[SignalRequest] = attrs.field(init=False)
    responses: trio.MemorySendChannel[SignalResponse] = attrs.field(init=False)
    client: WebSocketConnection = attrs.field(init=False)

    async def connect(
        self,
        join: JoinRequest,
        requests: trio.MemoryReceiveChannel[SignalRequest],
        responses: trio.MemorySendChannel[SignalResponse],
    ) -> None:
        self.requests, self.responses = requests, responses
        await responses.send(FIRST)

    async def hear(self) -> SignalResponse:
        message = await self.client.get_message()
        if isinstance(message, str):
            return json_format.Parse(message, SignalResponse())
        return SignalResponse.FromString(message)

    async def say(self, request: SignalRequest) -> None:
        await self.client.send_message(request.SerializeToString())

    async def wait_closed(self) -> int:
        """The code with which the server closed."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.client.get_message()
        return self.client.closed.code

    async def wait_session_told(self) -> None:
        """Return once the session knows that its client has gone, however it looks."""
        async for _ in self.requests:
            pass
        with pytest.raises(trio.BrokenResourceError):
            await self.responses.send(FIRST)


@pytest.fixture
def talk(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> Callable[..., Awaitable[Talk]]:
    """`await talk()`: a client has joined and heard the session's first words."""

    async def talk(pair=trio.testing.memory_stream_pair) -> Talk:
        ours, theirs = pair()
        door = FrontDoor({})
        talk = Talk(door, ours)
        door = talk.door = FrontDoor(Gate({"key": SECRET}, talk.connect, lambda: NOW).routes())
        nursery.start_soon(door.greet, theirs)
        talk.client = await wrap_client_stream(
            nursery, ours, "localhost", f"/rtc?access_token={TOKEN}"
        )
        assert await talk.hear() == FIRST
        return talk

    return talk


async def test_requests_and_responses_pass_in_order(autojump_clock, talk) -> None:
    alice = await talk()
    for number in range(5):
        await alice.say(SignalRequest(mute={"sid": f"TR_{number}"}))
        await alice.responses.send(SignalResponse(pong=number))
    assert [(await alice.requests.receive()).mute.sid[-1] for _ in range(5)] == list("01234")
    assert [(await alice.hear()).pong for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_pings_are_answered_although_the_session_does_nothing(autojump_clock, talk) -> None:
    alice = await talk()
    await alice.say(SignalRequest(ping=5))
    assert (await alice.hear()).pong == NOW * 1000
    await alice.say(SignalRequest(ping_req=Ping(timestamp=7, rtt=30)))
    pong = (await alice.hear()).pong_resp
    assert (pong.last_ping_timestamp, pong.timestamp) == (7, NOW * 1000)
    assert alice.requests.statistics().current_buffer_used == 0


async def test_who_speaks_json_is_answered_in_json_from_then_on(autojump_clock, talk) -> None:
    alice = await talk()
    await alice.client.send_message('{"mute": {"sid": "TR_x", "muted": true}, "newer": {}}')
    assert await alice.requests.receive() == MUTE
    await alice.responses.send(LEAVE)
    assert json_format.Parse(str(await alice.client.get_message()), SignalResponse()) == LEAVE
    await alice.say(MUTE)
    assert await alice.requests.receive() == MUTE
    await alice.client.send_message('{"ping": "5"}')
    assert await alice.client.get_message() == f'{{"pong": "{NOW * 1000}"}}'


@pytest.mark.parametrize("message", [b"", SignalRequest(), "{}", '{"unheard_of": 1}'])
async def test_requests_that_we_do_not_know_are_passed_over(autojump_clock, talk, message) -> None:
    alice = await talk()
    if isinstance(message, SignalRequest):
        message = message.SerializeToString() + b"\xfa\x3f\x00"  # a field of the future
    await alice.client.send_message(message)
    await alice.say(MUTE)
    assert await alice.requests.receive() == MUTE


@pytest.mark.parametrize("message", [b"\xff", "", "no json", "[" * 100_000, '{"ping": "x"}'])
async def test_what_is_no_request_ends_the_conversation(autojump_clock, talk, message) -> None:
    alice = await talk()
    await alice.client.send_message(message)
    assert await alice.wait_closed() == 1007
    await alice.wait_session_told()


@pytest.mark.parametrize("message", [bytes(MESSAGE_LIMIT + 1), " " * (TEXT_LIMIT + 1)])
async def test_too_large_a_message_ends_the_conversation(autojump_clock, talk, message) -> None:
    alice = await talk()
    await alice.client.send_message(message)
    assert await alice.wait_closed() == 1009
    await alice.wait_session_told()


async def test_a_client_that_closes_is_answered_and_the_session_told(autojump_clock, talk) -> None:
    alice = await talk()
    await alice.client.aclose()
    await alice.wait_session_told()
    await trio.testing.wait_all_tasks_blocked()
    assert alice.door.counters.connections == 0


async def test_a_client_that_vanishes_is_noticed(autojump_clock, talk) -> None:
    alice = await talk()
    await trio.aclose_forcefully(alice.stream)
    await alice.wait_session_told()


async def test_a_session_that_ends_says_its_last_words_before_the_close(
    autojump_clock, talk
) -> None:
    alice = await talk()
    for _ in range(RESPONSES_LIMIT):
        alice.responses.send_nowait(FIRST)
    await alice.responses.send(LEAVE)
    alice.responses.close()
    for _ in range(RESPONSES_LIMIT):
        assert await alice.hear() == FIRST
    assert await alice.hear() == LEAVE
    assert await alice.wait_closed() == 1000
    async for _ in alice.requests:
        pass


async def test_a_session_may_stop_listening_before_it_stops_speaking(autojump_clock, talk) -> None:
    alice = await talk()
    alice.requests.close()
    await alice.say(MUTE)
    await alice.say(SignalRequest(ping=5))
    assert (await alice.hear()).pong
    await alice.responses.send(LEAVE)
    alice.responses.close()
    assert await alice.hear() == LEAVE
    assert await alice.wait_closed() == 1000


async def test_more_requests_than_the_session_takes_end_the_conversation(
    autojump_clock, talk
) -> None:
    alice = await talk()
    for _ in range(REQUESTS_LIMIT + 1):
        await alice.say(MUTE)
    assert await alice.wait_closed() == 1008
    await alice.wait_session_told()


async def test_a_client_that_answers_pings_stays_for_ever(autojump_clock, talk) -> None:
    alice = await talk()
    await trio.sleep(100 * PING_SECONDS)
    await alice.say(MUTE)
    assert await alice.requests.receive() == MUTE


class Deaf(trio.abc.HalfCloseableStream):
    """The client's end of a stream that one day delivers nothing any more, in one direction."""

    def __init__(self, inner: trio.abc.HalfCloseableStream) -> None:
        self.inner = inner
        self.hears, self.speaks = True, True

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        while not self.hears:
            await trio.sleep_forever()
        return await self.inner.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.speaks:
            await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.inner.send_eof()

    async def aclose(self) -> None:
        await self.inner.aclose()


def deaf_pair(pair) -> tuple[Deaf, trio.abc.HalfCloseableStream]:
    ours, theirs = pair()
    return Deaf(ours), theirs


async def test_a_client_that_answers_no_ping_is_gone(autojump_clock, talk) -> None:
    alice = await talk(lambda: deaf_pair(trio.testing.memory_stream_pair))
    alice.stream.speaks = False
    start = trio.current_time()
    await alice.wait_session_told()
    assert trio.current_time() - start == pytest.approx(2 * PING_SECONDS, abs=1)


async def test_a_client_that_never_reads_is_cut_off(autojump_clock, talk) -> None:
    """In lockstep, as if the kernel's buffers were full from the start."""
    alice = await talk(lambda: deaf_pair(trio.testing.lockstep_stream_pair))
    alice.stream.hears = False
    # What its reader task is waiting for already still arrives, hence a few.
    for _ in range(4):
        await alice.responses.send(FIRST)
    start = trio.current_time()
    await alice.wait_session_told()
    assert trio.current_time() - start == pytest.approx(SEND_SECONDS, abs=1)
    assert alice.door.counters.failed == 0


async def test_the_last_words_to_a_client_that_never_reads_are_short(autojump_clock, talk) -> None:
    alice = await talk(lambda: deaf_pair(trio.testing.lockstep_stream_pair))
    alice.stream.hears = False
    for _ in range(4):
        alice.responses.send_nowait(LEAVE)
    alice.responses.close()
    start = trio.current_time()
    async for _ in alice.requests:
        pass
    assert trio.current_time() - start < 1


async def test_a_server_that_stops_says_that_it_goes(talk, nursery, autojump_clock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    alice = Talk(FrontDoor({}), ours)
    door = FrontDoor(Gate({"key": SECRET}, alice.connect, lambda: NOW).routes())
    async with trio.open_nursery() as server:
        server.start_soon(door.greet, theirs)
        alice.client = await wrap_client_stream(
            nursery, ours, "localhost", f"/rtc?access_token={TOKEN}"
        )
        await alice.hear()
        server.cancel_scope.cancel()
    assert await alice.wait_closed() == 1001
    await alice.wait_session_told()


@pytest.mark.parametrize("checkpoints", range(0, 60, 2))
async def test_cancelling_at_any_checkpoint_leaves_nothing(
    autojump_clock, checkpoints: int
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    alice = Talk(FrontDoor({}), ours)
    door = FrontDoor(Gate({"key": SECRET}, alice.connect, lambda: NOW).routes())
    async with trio.open_nursery() as client:
        async with trio.open_nursery() as server:
            server.start_soon(door.greet, theirs)

            async def talk() -> None:
                try:
                    alice.client = await wrap_client_stream(
                        client, ours, "localhost", f"/rtc?access_token={TOKEN}"
                    )
                    while True:
                        await alice.say(MUTE)
                        await alice.hear()
                except ConnectionClosed:
                    pass

            client.start_soon(talk)
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            server.cancel_scope.cancel()
        assert door.counters.connections == 0
        assert door.counters.failed == 0
        if hasattr(alice, "requests"):
            await alice.wait_session_told()
        client.cancel_scope.cancel()


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_whatever_comes_is_a_request_or_none(message: bytes | str) -> None:
    assert isinstance(decode_request(message), SignalRequest | None)


FRAMES = [
    b"\x82\x85\0\0\0\0hello",  # binary, whole
    b"\x02\x83\0\0\0\0abc",  # binary, begins
    b"\x80\x80\0\0\0\0",  # continuation, ends
    b"\x89\x80\0\0\0\0",  # ping
    b"\x8a\x80\0\0\0\0",  # pong
    b"\x88\x82\0\0\0\0\x03\xe8",  # close
    b"\x88\x81\0\0\0\0\x03",  # close, cut short
    b"\x81\x82\0\0\0\0\xff\xff",  # text that is none
    b"\x82\x05hello",  # not masked
    b"\x83\x80\0\0\0\0",  # an opcode that there is not
    b"\xf2\x80\0\0\0\0",  # reserved bits
    b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",  # longer than the world
    b"\x89\xfe\x01\x00\0\0\0\0" + bytes(256),  # too long a ping
]


@given(st.lists(st.sampled_from(FRAMES) | st.binary(max_size=12), max_size=8))
@example([FRAMES[0], FRAMES[0], FRAMES[3], FRAMES[3], FRAMES[0], FRAMES[0], FRAMES[3]])  # goodbye?
def test_whatever_frames_come_the_conversation_ends_and_nothing_crashes(
    pieces: list[bytes],
) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        alice = Talk(FrontDoor({}), ours)
        door = FrontDoor(Gate({"key": SECRET}, alice.connect, lambda: NOW).routes())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.greet, theirs)
            await ours.send_all(
                f"GET /rtc?access_token={TOKEN} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
                + b"".join(pieces[:2])
            )
            for piece in pieces[2:]:
                try:
                    await ours.send_all(piece)
                except trio.BrokenResourceError:
                    break
            await trio.testing.wait_all_tasks_blocked()
            await ours.send_eof()
            await alice.wait_session_told()
        assert (door.counters.connections, door.counters.failed) == (0, 0)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
