"""What a client publishes, and what it hears: packets made of payloads, and the other way round."""

import contextlib
from typing import Final

import attrs
import trio

from trio_sfu.client.connection import ClientConnection
from trio_sfu.peer.events import RequestKeyFrame
from trio_sfu.peer.media import StreamKey
from trio_sfu.rtp.packet import Outgoing, RtpPacket
from trio_sfu.sdp.agreement import AgreedSection

PACKETS: Final = 500
"""Lists of packets that wait in a remote track."""


class LocalTrack:
    """What we publish: give it payloads, it makes packets."""

    def __init__(self, connection: ClientConnection, sid: str, section: AgreedSection) -> None:
        sending = section.sending
        assert sending is not None, "agreed on by the server"
        assert sending.ssrc is not None, "declared in our offer"
        self.sid = sid
        self.mid = section.mid
        self.ssrc = sending.ssrc
        self.payload_type = next(
            number for number, each in section.formats.items() if each.mime == sending.mime
        )
        self.key_frame_wanted = trio.Event()
        """Set when somebody needs a key frame; replace it once one is sent."""
        self.packets = 0
        self._connection = connection
        self._sequence = 1

    def send(self, payloads: list[bytes], timestamp: int) -> None:
        """One frame: its payloads, in order, and its RTP timestamp. Never waits."""
        outgoing: list[Outgoing] = []
        for number, payload in enumerate(payloads, 1):
            marker = number == len(payloads)
            sequence, ticks = self._sequence & 0xFFFF, timestamp & 0xFFFF_FFFF
            packet = RtpPacket(self.payload_type, marker, sequence, ticks, self.ssrc, {}, payload)
            outgoing.append(Outgoing(packet, sequence, ticks, self.ssrc, self.payload_type, marker))
            self._sequence += 1
        self.packets += len(payloads)
        self._connection.send(outgoing)


@attrs.define(eq=False)
class RemoteTrack:
    """What somebody else publishes and we hear."""

    sid: str
    participant_sid: str
    kind: str
    stream: StreamKey
    received: int = 0
    """Packets, repeats not counted twice."""
    bytes: int = 0
    """Of payload."""
    dropped: int = 0
    """Packets that nobody took in time."""
    _connection: ClientConnection = attrs.field(kw_only=True)
    _in: trio.MemorySendChannel[list[RtpPacket]] = attrs.field(init=False)
    _out: trio.MemoryReceiveChannel[list[RtpPacket]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._in, self._out = trio.open_memory_channel(PACKETS)

    async def receive(self) -> list[RtpPacket]:
        """The next packets, in the order in which they came."""
        return await self._out.receive()

    def take_packets(self) -> list[RtpPacket]:
        """All that has come and was not received yet; never waits."""
        taken: list[RtpPacket] = []
        with contextlib.suppress(trio.WouldBlock):
            while True:
                taken += self._out.receive_nowait()
        return taken

    def request_key_frame(self) -> None:
        self._connection.mailbox.wish(RequestKeyFrame(self.stream))

    def hear(self, packets: list[RtpPacket]) -> None:
        """From the connection's task."""
        self.received += len(packets)
        for packet in packets:
            self.bytes += len(packet.payload)
        try:
            self._in.send_nowait(packets)
        except trio.WouldBlock:
            self.dropped += len(packets)
