"""One PeerConnection of a client: the same peer as the server's, in the opposite role.

The server is ICE-lite, so the client checks and decides (full agent, controlling).
Each connection has a UDP socket of its own, as in a browser: the server tells
peers apart by the address that they send from.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import trio

from trio_sfu.core import Entropy
from trio_sfu.dtls.certificate import Certificate
from trio_sfu.ice import credentials
from trio_sfu.ice.states import Role
from trio_sfu.net.driver import drive
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.net.mailbox import Mailbox
from trio_sfu.net.udp import UdpSocket
from trio_sfu.peer.events import AddressProved, DtlsRole, Event, RestartIce, Wish
from trio_sfu.peer.media import StreamKey
from trio_sfu.peer.transport import PeerTransport
from trio_sfu.rtp.packet import Outgoing, RtpPacket
from trio_sfu.sdp.attributes import Fingerprint
from trio_sfu.sdp.session import Transport

FEEDBACK: Final = 0.050
"""Seconds: as often as libwebrtc tells of arrivals when there is bandwidth for it. Less
often would be cheaper for a server, and our load shall not be cheaper than real ones."""

OnMedia = Callable[[StreamKey, list[RtpPacket]], None]
OnEvent = Callable[["ClientConnection", Event], None]


class ClientConnection:
    """Sends and receives; `run` is its task, everybody else calls what does not wait."""

    def __init__(
        self,
        host: str,
        certificate: Certificate,
        entropy: Entropy,
        wall: float,
        on_event: OnEvent,
        on_media: OnMedia,
        open_socket: Callable[[str, int], UdpSocket] = UdpSocket,
    ) -> None:
        """*host*: the address of ours to send from."""
        self.mailbox: Mailbox[Wish] = Mailbox()
        self.peer = PeerTransport(
            ice_role=Role.CONTROLLING,
            credentials=credentials.make(entropy),
            certificate=certificate,
            entropy=entropy,
            wall=wall,
            dtls_role=DtlsRole.CLIENT,
            feedback=FEEDBACK,
        )
        self.local = self.peer.ice.local
        """Our newest credentials, which the server is told, or will be."""
        self.fingerprint = certificate.fingerprint
        self._entropy = entropy
        self._host = host
        self._on_event = on_event
        self._on_media = on_media
        self._open_socket = open_socket
        self._endpoint = Endpoint(())
        self._to_send: list[Outgoing] = []

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be this connection's task, until cancelled."""
        with ExitStack() as resources:
            sock = resources.enter_context(self._open_socket(self._host, 0))
            self._endpoint = Endpoint([sock])
            self._endpoint.expect(self.peer.ufrag, self.mailbox)
            self.peer.ice.add_local_candidate(sock.address, trio.current_time())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._endpoint.run)
                task_status.started()
                try:
                    send = self._endpoint.sender(self.mailbox)
                    turns = self._endpoint.turns
                    await drive(self.peer, self.mailbox, self._step, send, turns)
                finally:
                    self.peer.close(trio.current_time())
                    self._endpoint.send(self.peer.take_datagrams())

    def send(self, packets: list[Outgoing]) -> None:
        """Send *packets* as soon as the task runs."""
        self._to_send += packets
        self.mailbox.ring()

    def restart(self) -> None:
        """Begin ICE again; `transport` says how. Media stays on the old path meanwhile."""
        self.local = credentials.make(self._entropy)
        self._endpoint.expect(self.local.ufrag, self.mailbox)
        self.mailbox.wish(RestartIce(self.local))

    def transport(self) -> Transport:
        """Our end, as a description tells it. No candidates: the server learns them by checks."""
        ours = self.local
        return Transport(
            ufrag=ours.ufrag,
            password=ours.password,
            fingerprints=(Fingerprint.parse(str(self.fingerprint)),),
            options=("trickle",),
        )

    def _step(self, now: float) -> None:
        for wish in self.mailbox.take_wishes():
            self.peer.grant(wish, now)
        for stream, packets in self.peer.take_media():
            self._on_media(stream, packets)
        for event in self.peer.take_events():
            if isinstance(event, AddressProved):
                self._endpoint.bind(event.remote, self.mailbox)
            self._on_event(self, event)
        if self._to_send:
            outgoing, self._to_send = self._to_send, []
            self.peer.send_media(outgoing, now)
