"""Two whole peers: a client that checks and sends, a server that is lite and listens."""

import math
from collections.abc import Callable
from functools import lru_cache

from tests.peer.sections import AUDIO_FORMATS, EXTENSIONS, OPUS, VIDEO_FORMATS, VP8
from tests.sim import Link, entropy, run
from trio_sfu.core import Address, Datagram
from trio_sfu.dtls import certificate
from trio_sfu.dtls.certificate import Certificate
from trio_sfu.ice import credentials
from trio_sfu.ice.candidate import host_candidate
from trio_sfu.ice.states import Role
from trio_sfu.peer.events import (
    AddCandidate,
    Configure,
    DtlsRole,
    Event,
    PeerState,
    SetRemote,
    Wish,
)
from trio_sfu.peer.media import AUDIO, VIDEO, ReceiveSection, SendSection, StreamKey
from trio_sfu.peer.transport import PeerTransport
from trio_sfu.rtp.packet import Outgoing, RtpPacket

CLIENT: Address = ("198.51.100.1", 40_000)
SERVER: Address = ("192.0.2.1", 7882)
CAMERA, MICROPHONE = StreamKey("1"), StreamKey("0")
WALL = 1.7e9


@lru_cache
def certificate_of(seed: int) -> Certificate:
    return certificate.generate(entropy(seed), WALL)


class End:
    """One peer as a core that keeps what it heard, and may send a picture every 33 ms."""

    def __init__(self, role: Role, dtls: DtlsRole, address: Address, seed: int) -> None:
        self.address = address
        self.peer = PeerTransport(
            ice_role=role,
            credentials=credentials.make(entropy(seed)),
            certificate=certificate_of(seed % 2),
            entropy=entropy(seed),
            wall=WALL,
            dtls_role=dtls,
        )
        self.events: list[Event] = []
        self.heard: dict[StreamKey, list[int]] = {CAMERA: [], MICROPHONE: []}
        self.sent = 0
        self.every: Callable[[float], list[Outgoing]] | None = None
        """What is sent at each tick, given the time; None sends nothing."""
        self.period = 1 / 30
        self._tick = math.inf

    @property
    def connected(self) -> bool:
        return self.peer.state is PeerState.CONNECTED

    def begin(self, every: Callable[[float], list[Outgoing]], now: float) -> None:
        self.every, self._tick = every, now

    def end(self) -> None:
        self._tick = math.inf

    def wish(self, wish: Wish, now: float) -> None:
        self.peer.grant(wish, now)
        self._listen()

    @property
    def deadline(self) -> float:
        return min(self._tick, self.peer.deadline)

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        self.peer.receive(datagrams, now)
        self._listen()

    def handle_timeout(self, now: float) -> None:
        if now >= self.peer.deadline:
            self.peer.handle_timeout(now)
        if now >= self._tick and self.every is not None:
            self._tick += self.period
            packets = self.every(now)
            self.sent += len(packets)
            self.peer.send_media(packets, now)
        self._listen()

    def take_datagrams(self) -> list[Datagram]:
        return self.peer.take_datagrams()

    def _listen(self) -> None:
        self.events += self.peer.take_events()
        for key, packets in self.peer.take_media():
            self.heard[key] += [packet.index for packet in packets]


class Pair:
    """Both ends, told of each other as descriptions would."""

    def __init__(self, link: Link, seed: int = 0) -> None:
        self.link = link
        self.client = End(Role.CONTROLLING, DtlsRole.CLIENT, CLIENT, 2 * seed)
        self.server = End(Role.LITE, DtlsRole.SERVER, SERVER, 2 * seed + 1)
        for mine, theirs, role, lite in (
            (self.client, self.server, DtlsRole.CLIENT, True),
            (self.server, self.client, DtlsRole.SERVER, False),
        ):
            fingerprints = (certificate_of(int(theirs is self.server)).fingerprint,)
            mine.wish(SetRemote(theirs.peer.ice.local, fingerprints, role, lite), link.now)
        self.client.peer.ice.add_local_candidate(CLIENT, link.now)
        self.client.wish(AddCandidate(host_candidate(SERVER).encode()), link.now)
        self.client.wish(Configure(receive=(), send=SENT), link.now)
        self.server.wish(Configure(receive=RECEIVED, send=()), link.now)

    def run(self, until: float | Callable[[], bool], limit: float = 120.0) -> None:
        run(self.client, self.link, self.server, until, limit)

    def connect(self) -> None:
        self.run(lambda: self.client.connected and self.server.connected)


SENT = (
    SendSection("0", AUDIO, 800, "me", AUDIO_FORMATS, EXTENSIONS),
    SendSection("1", VIDEO, 700, "me", VIDEO_FORMATS, EXTENSIONS, rtx_ssrc=701),
)
RECEIVED = (
    ReceiveSection("0", AUDIO, AUDIO_FORMATS, EXTENSIONS),
    ReceiveSection("1", VIDEO, VIDEO_FORMATS, EXTENSIONS),
)

# A VP8 descriptor and the start of an inter frame: enough to pass for a picture.
PICTURE = b"\x90\x80\x80\x01" + b"\x11\x02\x00" + bytes(1000)
KEY = b"\x90\x80\x80\x01" + b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00" + bytes(1000)


def outgoing(ssrc: int, payload_type: int, number: int, ticks: int, payload: bytes) -> Outgoing:
    packet = RtpPacket(payload_type, True, number & 0xFFFF, ticks, ssrc, {}, payload)
    return Outgoing(packet, number & 0xFFFF, ticks, ssrc, payload_type, True)


class Camera:
    """Three packets a picture, numbered without end."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, now: float) -> list[Outgoing]:
        ticks = int(now * 90_000) & 0xFFFF_FFFF
        numbers = range(self.number, self.number + 3)
        self.number += 3
        return [outgoing(700, VP8, number, ticks, PICTURE) for number in numbers]


def voice(number: int) -> Outgoing:
    return outgoing(800, OPUS, number, 960 * number, b"\xf8\xff\xfe")
