"""aiortc's SCTP as the peer, over a lossy path, in virtual time: its event loop's clock is ours."""

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.sctp.pair import only, payloads
from tests.sim import entropy
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.sctp.datachannel import (
    ChannelClosed,
    ChannelEvent,
    ChannelMessage,
    ChannelOpened,
    DataChannels,
)
from trio_sfu.sctp.states import State

aiortc = pytest.importorskip("aiortc", reason="the peer of these tests")
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport  # noqa: E402 - see above

pytestmark = pytest.mark.interop


class _Jump(selectors.SelectSelector):
    """Waits for nothing: the time that would have passed has passed."""

    clock = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nobody has anything left to do"
        self.clock += max(0.0, timeout)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.clock


class _Dtls:
    """As much of aiortc's RTCDtlsTransport as its SCTP looks at."""

    state = "connected"

    def __init__(self, role: str, send: Callable[[bytes], None]) -> None:
        self._role, self._send = role, send

    def _register_data_receiver(self, receiver: object) -> None:
        pass

    _unregister_data_receiver = _register_data_receiver

    async def _send_data(self, data: bytes) -> None:
        self._send(data)


class Meeting:
    """DataChannels here, aiortc there, a lossy path between."""

    def __init__(self, *, client: bool, loss: float = 0.0, seed: int = 0) -> None:
        self.loop = asyncio.get_running_loop()
        self.ours = DataChannels(entropy(seed), dtls_client=client)
        self.theirs = RTCSctpTransport(
            _Dtls("server" if client else "client", self._to_us)  # type: ignore[arg-type] # a stand-in
        )
        self.theirs.on("datachannel", self._adopt)
        self.channels: dict[str, Any] = {}
        self.heard: dict[str, list[str | bytes]] = {}
        self.events: list[ChannelEvent] = []
        self._loss, self._dice = loss, random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def now(self) -> float:
        return self.loop.time()

    def _adopt(self, channel: Any) -> None:
        """Keep a channel of theirs, and what it hears."""
        heard = self.heard[channel.label] = []
        self.channels[channel.label] = channel
        channel.on("message", heard.append)

    def open(self, label: str, **options: Any) -> Any:
        """A channel that aiortc opens."""
        parameters = aiortc.rtcdatachannel.RTCDataChannelParameters(label=label, **options)
        channel = aiortc.RTCDataChannel(self.theirs, parameters)
        self._adopt(channel)
        return channel

    async def start(self) -> "Meeting":
        self.ours.start(self.now)
        self.follow()
        await self.theirs.start(RTCSctpCapabilities(maxMessageSize=262_144), 5000)
        await asyncio.sleep(10)
        assert self.ours.state is State.ESTABLISHED
        assert self.theirs.state == "connected"
        return self

    def follow(self) -> None:
        """Do what every owner of a core does after every call."""
        for datagram in self.ours.take_datagrams():
            if self._dice.random() >= self._loss:
                self.loop.call_later(0.02, self._to_them, datagram.data)
        self.events += self.ours.take_events()
        if self._timer is not None:
            self._timer.cancel()
        if self.ours.deadline < float("inf"):
            self._timer = self.loop.call_at(self.ours.deadline, self._timeout)

    def _timeout(self) -> None:
        self.ours.handle_timeout(self.now)
        self.follow()

    def _to_us(self, data: bytes) -> None:
        def arrive() -> None:
            self.ours.receive([Datagram(data, INSIDE, INSIDE)], self.now)
            self.follow()

        if self._dice.random() >= self._loss:
            self.loop.call_later(0.02, arrive)

    def _to_them(self, data: bytes) -> None:
        task = self.loop.create_task(self.theirs._handle_data(data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def send(self, stream: int, data: bytes, *, text: bool = False) -> None:
        while not self.ours.send(stream, data, text=text, now=self.now):
            self.follow()
            await asyncio.sleep(0.1)
        self.follow()


def meet(scenario: Callable[[Meeting], Awaitable[None]], **options: Any) -> None:
    """Run a scenario against the clock that jumps."""

    async def main() -> None:
        meeting = Meeting(**options)
        await meeting.start()
        await scenario(meeting)
        await meeting.theirs.stop()

    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        runner.run(main())


both_roles = pytest.mark.parametrize("client", [True, False], ids=["client", "server"])


@both_roles
def test_messages_of_every_kind_and_size_in_both_directions(client: bool) -> None:
    large = bytes(range(256)) * 256

    async def scenario(meeting: Meeting) -> None:
        stream = meeting.ours.open("ours", now=meeting.now)
        meeting.follow()
        theirs = meeting.open("theirs", protocol="sub")
        await asyncio.sleep(1)
        opened = only(ChannelOpened, meeting.events)
        assert [(event.label, event.protocol) for event in opened] == [("theirs", "sub")]
        assert opened[0].stream == theirs.id
        assert theirs.readyState == "open" and meeting.ours.is_open(stream)
        for data, text in ((b"grob", False), ("grün".encode(), True), (b"", True), (b"", False)):
            await meeting.send(stream, data, text=text)
            await meeting.send(opened[0].stream, data, text=text)
        await meeting.send(stream, large)
        for message in (b"grob", "grün", "", b"", large, large * 3 + bytes(60_000)):
            theirs.send(message)
            meeting.channels["ours"].send(message)
        await asyncio.sleep(30)
        assert meeting.heard["ours"] == [b"grob", "grün", "", b"", large]
        assert meeting.heard["theirs"] == [b"grob", "grün", "", b""]
        for number in (stream, opened[0].stream):
            assert [
                (event.data, event.text)
                for event in only(ChannelMessage, meeting.events)
                if event.stream == number
            ] == [
                (b"grob", False),
                ("grün".encode(), True),
                (b"", True),
                (b"", False),
                (large, False),
                (large * 3 + bytes(60_000), False),
            ]

    meet(scenario, client=client)


@both_roles
@pytest.mark.parametrize("seed", range(2))
def test_reliable_channels_survive_loss(client: bool, seed: int) -> None:
    messages = [number.to_bytes(2, "big") * (1 + 211 * (number % 9)) for number in range(60)]

    async def scenario(meeting: Meeting) -> None:
        stream = meeting.ours.open("c", now=meeting.now)
        meeting.follow()
        await asyncio.sleep(10)
        for message in messages:
            await meeting.send(stream, message)
            meeting.channels["c"].send(message)
        await asyncio.sleep(300)
        assert meeting.heard["c"] == messages
        assert payloads(meeting.events, stream) == messages

    meet(scenario, client=client, loss=0.1, seed=seed)


@both_roles
def test_lossy_channels_lose_and_go_on(client: bool) -> None:
    messages = [number.to_bytes(2, "big") * 900 for number in range(200)]

    async def scenario(meeting: Meeting) -> None:
        stream = meeting.ours.open("l", ordered=False, max_retransmits=0, now=meeting.now)
        meeting.follow()
        theirs = meeting.open("t", ordered=False, maxRetransmits=0)
        await asyncio.sleep(10)
        for message in messages:
            await meeting.send(stream, message)
            theirs.send(message)
            await asyncio.sleep(0.05)
        await asyncio.sleep(60)
        for heard in (
            [data for data in meeting.heard["l"] if isinstance(data, bytes)],
            payloads(meeting.events, theirs.id),
        ):
            assert len(set(heard)) == len(heard)
            assert set(heard) < set(messages) and len(heard) > 100
        await meeting.send(stream, b"end")
        assert meeting.ours.statistics().messages_abandoned > 0
        await asyncio.sleep(60)
        assert meeting.ours.buffered(stream) == 0
        assert meeting.ours.statistics().held == 0

    meet(scenario, client=client, loss=0.1, seed=3)


@both_roles
@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_channels_close_from_either_side(client: bool, loss: float) -> None:
    async def scenario(meeting: Meeting) -> None:
        streams = [meeting.ours.open(label, now=meeting.now) for label in ("a", "b", "c")]
        meeting.follow()
        await asyncio.sleep(10)
        meeting.ours.close(streams[0], meeting.now)
        meeting.follow()
        meeting.channels["b"].close()
        await asyncio.sleep(60)
        closed = sorted(event.stream for event in only(ChannelClosed, meeting.events))
        assert closed == streams[:2]
        assert [meeting.channels[label].readyState for label in "abc"] == [
            "closed",
            "closed",
            "open",
        ]
        again = meeting.ours.open("again", now=meeting.now)
        assert again == streams[0]
        await meeting.send(again, b"hello")
        await asyncio.sleep(60)
        assert meeting.heard["again"] == [b"hello"]

    meet(scenario, client=client, loss=loss, seed=5)


def test_an_abort_of_theirs_ends_ours() -> None:
    async def scenario(meeting: Meeting) -> None:
        await meeting.theirs.stop()
        await asyncio.sleep(1)
        assert meeting.ours.state is State.ENDED

    meet(scenario, client=True)


def test_an_abort_of_ours_ends_theirs() -> None:
    async def scenario(meeting: Meeting) -> None:
        meeting.ours.abort(meeting.now)
        meeting.follow()
        await asyncio.sleep(1)
        assert meeting.theirs.state == "closed"

    meet(scenario, client=False)


def test_a_shutdown_of_ours_ends_both() -> None:
    async def scenario(meeting: Meeting) -> None:
        meeting.ours.shutdown(meeting.now)
        meeting.follow()
        await asyncio.sleep(1)
        assert meeting.ours.state is State.ENDED
        assert meeting.theirs.state == "closed"

    meet(scenario, client=False)
