"""A participant of one's own: joins a room, publishes, subscribes, says and hears data.

    async with trio.open_nursery() as nursery:
        alice = await nursery.start(run_participant, "ws://127.0.0.1:7880", token)
        camera = await alice.publish_video("camera")
        for number, frame in enumerate(read_ivf(file).frames):
            camera.send(vp8_payloads(frame.data, number), frame.timestamp)

It is made of the cores that the server is made of, in the opposite roles: what it
proves is that they agree with each other, so every claim is also tested with peers
that we did not write. What happens comes out of `events`.
"""

import os
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import attrs
import trio
import trio_websocket
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from trio_sfu.client.connection import ClientConnection
from trio_sfu.client.events import (
    ClientEvent,
    DataHandles,
    DataPacketReceived,
    FrameReceived,
    Left,
    ParticipantsChanged,
    TrackEnded,
    TrackSubscribed,
)
from trio_sfu.client.signalling import (
    Signalling,
    SignallingClosed,
    SignallingRefused,
    connect,
    open_stream,
)
from trio_sfu.client.tracks import LocalTrack, RemoteTrack
from trio_sfu.config import RtcConfig
from trio_sfu.core import Entropy
from trio_sfu.dtls import certificate
from trio_sfu.dtls.certificate import Certificate
from trio_sfu.ice import credentials
from trio_sfu.net.addresses import advertised, own_addresses
from trio_sfu.net.udp import UdpSocket
from trio_sfu.peer.events import (
    AddCandidate,
    ChannelOpened,
    DataReceived,
    Event,
    KeyFrameWanted,
    OpenChannel,
    PeerState,
    SendData,
    SetRemote,
    StateChanged,
)
from trio_sfu.peer.media import StreamKey
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.sdp.agreement import CLIENT, AgreedSection, Sending
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.attributes import Setup
from trio_sfu.sdp.offer import Offerer
from trio_sfu.sdp.session import Origin, SessionDescription
from trio_sfu.signalling import negotiation

EVENTS: Final = 10_000
"""Events that wait for somebody who does not listen; more are dropped, and counted."""

FIRST_SECTIONS: Final = {"audio": 3, "video": 3}
"""Sections in which others' tracks can come from the start, as in other clients' first offers."""

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
DATA_TRACK: Final = "_data_track"


class RequestRefused(Exception):  # noqa: N818 - an answer, and read as one
    """The server does not do what we asked for; *response* is LiveKit's RequestResponse."""

    def __init__(self, response: rtc.RequestResponse) -> None:
        self.response = response
        reason = rtc.RequestResponse.Reason.Name(response.reason)
        super().__init__(f"{reason}: {response.message}")


@attrs.frozen
class _Publishing:
    """A track between AddTrack and the first packet."""

    sending: Sending
    published: trio.Event = attrs.Factory(trio.Event)
    """Or refused."""
    refused: list[rtc.RequestResponse] = attrs.Factory(list)
    answered: trio.Event = attrs.Factory(trio.Event)


class Participant:
    """Made by `run_participant`, unless you bring signalling and sockets of your own."""

    def __init__(
        self,
        signalling: Signalling,
        join: rtc.JoinResponse,
        host: str,
        certificate: Certificate,
        entropy: Entropy,
        open_socket: Callable[[str, int], UdpSocket] = UdpSocket,
        *,
        one_connection: bool = True,
    ) -> None:
        """*one_connection* is as it was asked for: whether *signalling* is `/rtc/v1`'s."""
        self.join = join
        self.sid = join.participant.sid
        self.identity = join.participant.identity
        self.others: dict[str, models.ParticipantInfo] = {
            each.sid: each for each in join.other_participants
        }
        self.remote_tracks: dict[str, RemoteTrack] = {}
        """By the track's SID."""
        self.local_tracks: dict[str, LocalTrack] = {}
        self.dropped_events = 0
        self._signalling = signalling
        self._entropy = entropy
        wall = time.time() - trio.current_time()
        self._connections = [
            ClientConnection(
                host, certificate, entropy, wall, self._on_event, self._on_media, open_socket
            )
            for _ in range(1 if one_connection else 2)
        ]
        self.publisher, self.subscriber = self._connections[0], self._connections[-1]
        """The same on `/rtc/v1`."""
        self._receiving = dict(FIRST_SECTIONS) if one_connection else {}
        """On `/rtc/v1`: in how many sections of each kind the server may send."""
        self._offerer = Offerer(int.from_bytes(entropy(7), "big"), role=CLIENT)
        self._offer_id = 0
        self._publishing: dict[str, _Publishing] = {}
        self._sendings: dict[str, Sending] = {}
        self._sids: dict[str, str] = {}
        self._origin = Origin(int.from_bytes(entropy(7), "big"), 0)
        self._by_mid: dict[str, RemoteTrack] = {}
        self.events: trio.MemoryReceiveChannel[ClientEvent]
        """What happens, in order, until the participant is gone."""
        self._in, self.events = trio.open_memory_channel[ClientEvent](EVENTS)
        self.connected = trio.Event()
        """Set when what the others send can come."""
        self._heard_from = ""
        """The ufrag in the server's last offer."""
        self._publisher_up = trio.Event()
        labels = (RELIABLE, LOSSY, DATA_TRACK)
        self._channels: dict[str, trio.Event] = {label: trio.Event() for label in labels}
        for label in labels:
            ordered = label == RELIABLE
            self.publisher.mailbox.wish(OpenChannel(label, ordered, None if ordered else 0))

    # --- what one does with it

    async def publish_video(self, name: str = "camera", mime: str = "video/VP8") -> LocalTrack:
        """Publish a camera in one layer; returns once packets can be sent."""
        return await self._publish(name, "video", mime, models.TrackSource.CAMERA)

    async def publish_audio(self, name: str = "microphone", mime: str = "audio/opus") -> LocalTrack:
        """Publish a microphone; returns once packets can be sent."""
        return await self._publish(name, "audio", mime, models.TrackSource.MICROPHONE)

    async def _publish(
        self, name: str, kind: str, mime: str, source: models.TrackSource
    ) -> LocalTrack:
        cid = credentials.make(self._entropy).ufrag.replace("/", "-")
        ssrc, rtx_ssrc = (1 + int.from_bytes(self._entropy(4), "big") % 0xFFFF_FFFE for _ in "12")
        sending = Sending(
            kind=kind,
            stream_id=cid,
            track_id=cid,
            cname=cid,
            mime=mime,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc if kind == "video" else None,
        )
        publishing = self._publishing[cid] = _Publishing(sending)
        self._signalling.send(
            rtc.SignalRequest(
                add_track=rtc.AddTrackRequest(
                    cid=cid,
                    name=name,
                    source=source,
                    type=models.TrackType.AUDIO if kind == "audio" else models.TrackType.VIDEO,
                )
            )
        )
        await publishing.published.wait()
        if publishing.refused:
            del self._publishing[cid]
            raise RequestRefused(publishing.refused[0])
        self._sendings[cid] = sending
        self._offer()
        await publishing.answered.wait()
        await self._publisher_up.wait()
        return self.local_tracks[cid]

    def unpublish(self, track: LocalTrack) -> None:
        """Stop publishing *track*."""
        cid = next(cid for cid, each in self.local_tracks.items() if each is track)
        del self.local_tracks[cid], self._sendings[cid]
        self._offer()

    def mute(self, track: LocalTrack, *, muted: bool) -> None:
        """Say that *track* is silent; it is for the caller to stop sending."""
        self.request(rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid=track.sid, muted=muted)))

    async def send_data(self, payload: bytes, *, topic: str = "", reliable: bool = True) -> None:
        """Send *payload* to everybody; waits only until the data channel is there."""
        packet = models.DataPacket(user=models.UserPacket(payload=payload, topic=topic))
        await self.send_packet(packet, reliable=reliable)

    async def send_packet(self, packet: models.DataPacket, *, reliable: bool = True) -> None:
        """Send LiveKit's DataPacket as it is, when the data channel is there."""
        await self._send(RELIABLE if reliable else LOSSY, packet.SerializeToString())

    async def send_frame(self, frame: bytes) -> None:
        """Send a frame of a data track (`trio_sfu.room.frames`), when the channel is there."""
        await self._send(DATA_TRACK, frame)

    async def _send(self, label: str, data: bytes) -> None:
        if not self._sendings and not self._offer_id:
            self._offer()
        await self._channels[label].wait()
        self.publisher.mailbox.wish(SendData(label, data))

    def request(self, request: rtc.SignalRequest) -> None:
        """Ask the server for anything that LiveKit's signalling knows."""
        self._signalling.send(request)

    def leave(self) -> None:
        """Go. `run_participant` returns when the server has closed the socket."""
        self.request(rtc.SignalRequest(leave=rtc.LeaveRequest()))

    # --- signalling

    async def run(
        self, *, task_status: trio.TaskStatus["Participant"] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Be in the room until the server ends it, or cancellation."""
        try:
            async with trio.open_nursery() as nursery:
                for connection in self._connections:
                    await nursery.start(connection.run)
                if self._receiving:
                    self._offer()
                nursery.start_soon(self.keep_alive)
                task_status.started(self)
                await self.converse()
                nursery.cancel_scope.cancel()
        finally:
            self._in.close()

    async def converse(self) -> None:
        """Hear the server until it is over."""
        while True:
            signalling = self._signalling
            try:
                response = await signalling.receive()
            except SignallingClosed:
                if signalling is self._signalling:
                    return
                continue
            match response.WhichOneof("message"):
                case "offer":
                    self._answer(response.offer)
                case "answer":
                    self._accept(response.answer)
                case "media_sections_requirement":
                    requirement = response.media_sections_requirement
                    self._receiving["audio"] += requirement.num_audios
                    self._receiving["video"] += requirement.num_videos
                    self._offer()
                case "track_published":
                    cid = response.track_published.cid
                    self._sids[cid] = response.track_published.track.sid
                    if (publishing := self._publishing.get(cid)) is not None:
                        publishing.published.set()
                case "request_response" if response.request_response.HasField("add_track"):
                    cid = response.request_response.add_track.cid
                    if (publishing := self._publishing.get(cid)) is not None:
                        publishing.refused.append(response.request_response)
                        publishing.published.set()
                case "update":
                    for info in response.update.participants:
                        if info.state == models.ParticipantInfo.State.DISCONNECTED:
                            self.others.pop(info.sid, None)
                        elif info.sid != self.sid:
                            self.others[info.sid] = info
                    self._emit(ParticipantsChanged(tuple(response.update.participants)))
                case "data_track_subscriber_handles":
                    handles = response.data_track_subscriber_handles.sub_handles
                    self._emit(DataHandles({n: each.track_sid for n, each in handles.items()}))
                case "leave":
                    self._emit(Left(response.leave))
                case _:
                    pass

    async def keep_alive(self) -> None:
        """Ping as often as the server asked for."""
        while True:
            await trio.sleep(self.join.ping_interval)
            self._signalling.ping()

    def _offer(self) -> None:
        self._offer_id += 1
        offer = self._offerer.offer(
            self.publisher.transport(), self._sendings.values(), self._receiving
        )
        self._signalling.send(
            rtc.SignalRequest(
                offer=rtc.SessionDescription(type="offer", sdp=str(offer), id=self._offer_id)
            )
        )

    def _accept(self, message: rtc.SessionDescription) -> None:
        if message.id != self._offer_id:
            return
        agreement = self._offerer.accept(SessionDescription.parse(message.sdp))
        self._set_remote(
            self.publisher, negotiation.set_remote(agreement), agreement.transport.candidates
        )
        self.publisher.mailbox.wish(negotiation.configure(agreement))
        for section in agreement.sections:
            if section.sending is None:
                continue
            cid = section.sending.track_id
            if cid not in self.local_tracks:
                self.local_tracks[cid] = LocalTrack(self.publisher, self._sids[cid], section)
            if (publishing := self._publishing.pop(cid, None)) is not None:
                publishing.answered.set()
        if self._receiving:
            self._hear_sections([each for each in agreement.sections if each.direction.receives])

    def resume(self, signalling: Signalling) -> None:
        """Go on over another socket, on which the server will begin with "reconnect"."""
        self._signalling = signalling
        if self._offer_id:
            self.publisher.restart()
            self._offer()

    def _answer(self, message: rtc.SessionDescription) -> None:
        offered = SessionDescription.parse(message.sdp)
        if self._heard_from not in ("", offered.transport.ufrag):
            self.subscriber.restart()  # the server has begun ICE again, and waits for ours
        self._heard_from = offered.transport.ufrag
        self._origin = attrs.evolve(self._origin, version=self._origin.version + 1)
        agreement = answer(
            offered,
            self.subscriber.transport(),
            self._origin,
            role=CLIENT,
            setup=Setup.ACTIVE,
        )
        self._signalling.send(
            rtc.SignalRequest(
                answer=rtc.SessionDescription(
                    type="answer", sdp=str(agreement.description), id=message.id
                )
            )
        )
        self._set_remote(
            self.subscriber, negotiation.set_remote(agreement), agreement.transport.candidates
        )
        self.subscriber.mailbox.wish(negotiation.configure(agreement))
        self._hear_sections([each for each in agreement.sections if each.direction.receives])

    def _set_remote(
        self, connection: ClientConnection, remote: SetRemote, candidates: tuple[str, ...]
    ) -> None:
        connection.mailbox.wish(remote)
        for candidate in candidates:
            connection.mailbox.wish(AddCandidate(candidate))

    def _hear_sections(self, sections: list[AgreedSection]) -> None:
        flowing = {section.track_id: section for section in sections}
        for sid in self.remote_tracks.keys() - flowing.keys():
            track = self.remote_tracks.pop(sid)
            self._by_mid.pop(track.stream.mid, None)
            self._emit(TrackEnded(track))
        for sid, section in flowing.items():
            if sid not in self.remote_tracks:
                owner = section.stream_id.partition("|")[0]
                key = StreamKey(section.mid)
                track = RemoteTrack(sid, owner, section.kind, key, connection=self.subscriber)
                self.remote_tracks[sid] = self._by_mid[section.mid] = track
                self._emit(TrackSubscribed(track))

    # --- from the connections' tasks

    def _on_media(self, stream: StreamKey, packets: list[RtpPacket]) -> None:
        if (track := self._by_mid.get(stream.mid)) is not None:
            track.hear(packets)

    def _on_event(self, connection: ClientConnection, event: Event) -> None:
        match event:
            case StateChanged(PeerState.CONNECTED):
                if connection is self.subscriber:
                    self.connected.set()
                if connection is self.publisher:
                    self._publisher_up.set()
            case ChannelOpened(label) if connection is self.publisher:
                if label in self._channels:
                    self._channels[label].set()
            case DataReceived(label, data) if label == DATA_TRACK:
                self._emit(FrameReceived(data))
            case DataReceived(_, data):
                try:
                    self._emit(DataPacketReceived(models.DataPacket.FromString(data)))
                except DecodeError:
                    self.dropped_events += 1
            case KeyFrameWanted(mid):
                for track in self.local_tracks.values():
                    if track.mid == mid:
                        track.key_frame_wanted.set()
            case _:
                pass

    def _emit(self, event: ClientEvent) -> None:
        try:
            self._in.send_nowait(event)
        except trio.WouldBlock:
            self.dropped_events += 1


async def run_participant(
    url: str,
    token: str,
    *,
    host: str = "",
    one_connection: bool = True,
    certificate_: Certificate | None = None,
    entropy: Entropy = os.urandom,
    task_status: trio.TaskStatus[Participant] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Be in a room until the server ends it, `Participant.leave`, or cancellation.

    *one_connection*: join by `/rtc/v1`, which has one PeerConnection for both ways, else
    by `/rtc`, which has two.

    Starts with the `Participant` once it has joined. *host* is the address to send
    from, "" for the one that this machine would tell others. Raises
    `SignallingRefused` when the server does not let it in.
    """
    mine = certificate_ or certificate.generate(entropy, time.time())
    host = host or advertised(RtcConfig(), own_addresses())[0]
    address = urlsplit(url)
    refusals: list[trio_websocket.ConnectionRejected] = []
    try:
        async with await open_stream(address) as stream, trio.open_nursery() as nursery:
            signalling = await connect(
                nursery, stream, address, token, one_connection=one_connection
            )
            first = await signalling.receive()
            if first.WhichOneof("message") != "join":
                raise SignallingClosed(f"the server begins with {first.WhichOneof('message')}")
            participant = Participant(
                signalling, first.join, host, mine, entropy, one_connection=one_connection
            )
            await participant.run(task_status=task_status)
            nursery.cancel_scope.cancel()
    except* trio_websocket.ConnectionRejected as group:
        refusals.append(_first(group))
    if refusals:
        # Not above: Python 3.11.2, Debian 12's, makes a group of what leaves an `except*`.
        raise SignallingRefused(refusals[0])


def _first(
    group: BaseExceptionGroup[trio_websocket.ConnectionRejected],
) -> trio_websocket.ConnectionRejected:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
