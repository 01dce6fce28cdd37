"""A whole peer of ours with aiortc as the other side: ICE, DTLS, SRTP, SCTP, RTP, over loopback.

aiortc shares nothing with libwebrtc, which all of LiveKit's clients are made of.
"""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import aioice.ice
import pytest
import trio
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)

from trio_sfu.core import Datagram
from trio_sfu.dtls import certificate
from trio_sfu.ice import credentials
from trio_sfu.ice.candidate import host_candidate
from trio_sfu.ice.states import Role
from trio_sfu.net.driver import drive
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.net.mailbox import Mailbox
from trio_sfu.net.udp import UdpSocket
from trio_sfu.peer.events import (
    AddCandidate,
    AddressProved,
    DataReceived,
    Event,
    RequestKeyFrame,
    SendData,
    Wish,
)
from trio_sfu.peer.transport import PeerTransport
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.attributes import Fingerprint
from trio_sfu.sdp.session import Origin, SessionDescription, Transport
from trio_sfu.signalling import negotiation

T = TypeVar("T")

pytestmark = [pytest.mark.interop, pytest.mark.slow]


class Aiortc:
    """A camera and a data channel that echoes, in an event loop and a thread of its own."""

    def __init__(self) -> None:
        self.offer: Future[str] = Future()
        self.answer: Future[str] = Future()
        self.done: Future[None] = Future()
        self.greeting: Future[object] = Future()

    def run(self) -> None:
        asyncio.run(self._talk())

    async def _talk(self) -> None:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTrack(VideoStreamTrack())
        channel = connection.createDataChannel("_reliable")
        channel.on("open", partial(self._greet, channel))
        channel.on("message", self.greeting.set_result)
        await connection.setLocalDescription(await connection.createOffer())
        self.offer.set_result(connection.localDescription.sdp)
        text = await asyncio.wrap_future(self.answer)
        await connection.setRemoteDescription(RTCSessionDescription(text, "answer"))
        await asyncio.wrap_future(self.done)
        await connection.close()

    def _greet(self, channel: RTCDataChannel) -> None:
        channel.send(b"hello from aiortc")


class Ours:
    """A server's end of one connection, on a socket of its own."""

    def __init__(self, sock: UdpSocket, role: Role) -> None:
        now = trio.current_time()
        self.certificate = certificate.generate(os.urandom, time.time())
        self.peer = PeerTransport(
            ice_role=role,
            credentials=credentials.make(os.urandom),
            certificate=self.certificate,
            entropy=os.urandom,
            wall=time.time() - now,
        )
        self.peer.ice.add_local_candidate(sock.address, now)
        self.mailbox: Mailbox[Wish] = Mailbox()
        self.endpoint = Endpoint([sock])
        self.endpoint.expect(self.peer.ufrag, self.mailbox)
        self.candidate = host_candidate(sock.address).encode()
        self.events: list[Event] = []
        self.packets: list[RtpPacket] = []
        self._awaited: dict[trio.Event, Callable[[], bool]] = {}
        self._send: Callable[[list[Datagram]], None] = self.endpoint.sender(self.mailbox)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.endpoint.run)
            await drive(self.peer, self.mailbox, self._step, self._send, self.endpoint.turns)

    def answer(self, offer: str) -> str:
        ours = self.peer.ice.local
        agreement = answer(
            SessionDescription.parse(offer),
            Transport(
                ours.ufrag,
                ours.password,
                (Fingerprint.parse(str(self.certificate.fingerprint)),),
                lite=self.peer.ice.role is Role.LITE,
                candidates=(self.candidate,),
                complete=True,
            ),
            Origin(1, 1),
        )
        for wish in (negotiation.set_remote(agreement), negotiation.configure(agreement)):
            self.mailbox.wish(wish)
        for candidate in agreement.transport.candidates:
            self.mailbox.wish(AddCandidate(candidate))
        return str(agreement.description)

    def _step(self, now: float) -> None:
        for wish in self.mailbox.take_wishes():
            self.peer.grant(wish, now)
        for event in self.peer.take_events():
            if isinstance(event, AddressProved):
                self.endpoint.bind(event.remote, self.mailbox)
            self.events.append(event)
        for key, packets in self.peer.take_media():
            if not self.packets:
                self.peer.grant(RequestKeyFrame(key), now)
            self.packets += packets
        for event, condition in self._awaited.items():
            if condition():
                event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        came = trio.Event()
        self._awaited[came] = condition
        self.mailbox.ring()
        await came.wait()


async def result(future: Future[T]) -> T:
    return await trio.to_thread.run_sync(future.result, abandon_on_cancel=True)


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED], ids=lambda role: role.name)
async def test_aiortc_sends_a_picture_and_a_message_and_hears_one(role: Role) -> None:
    theirs = Aiortc()
    with UdpSocket("127.0.0.1", 0) as sock, trio.fail_after(30):
        ours = Ours(sock, role)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.to_thread.run_sync, theirs.run, abandon_on_cancel=True))
            offer = await result(theirs.offer)
            nursery.start_soon(ours.run)
            theirs.answer.set_result(ours.answer(offer))
            greeting = DataReceived("_reliable", b"hello from aiortc")
            await ours.until(lambda: greeting in ours.events and len(ours.packets) > 20)
            ours.mailbox.wish(SendData("_reliable", b"hello to aiortc"))
            assert await result(theirs.greeting) == b"hello to aiortc"
            await ours.until(lambda: any(p.frame.key_frame for p in ours.packets if p.frame))
            theirs.done.set_result(None)
            nursery.cancel_scope.cancel()
    indexes = [packet.index for packet in ours.packets]
    assert sorted(indexes) == list(range(min(indexes), max(indexes) + 1))
