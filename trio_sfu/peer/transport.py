"""One remote peer, whole: ICE, DTLS, SRTP, SCTP and its media, as one core.

This is where protocols meet, and the only place. No socket, clock or dice: "two
peers connect, exchange media, lose a tenth of it and recover" is a unit test of
two plain objects.

    datagram --+-- STUN --> IceAgent         which addresses are the peer's
               +-- DTLS --> DtlsConnection --> keys
               |                 +-- data --> DataChannels (SCTP)
               +-- SRTP --> SrtpReceiver --> IncomingMedia --> take_media()
               +-- SRTCP -> SrtpReceiver --> both media halves

    send_media --> OutgoingMedia --> SrtpSender --+
    DataChannels --> DtlsConnection --------------+--> take_datagrams()
    IceAgent -------------------------------------+

What concerns one hop stays in here (repeats, reports, feedback); what concerns
two peers is the room's, and leaves as an event.
"""

import math
from collections import Counter
from typing import Final

import attrs

from trio_sfu.core import INSIDE, Datagram, Entropy
from trio_sfu.dtls.certificate import Certificate
from trio_sfu.dtls.connection import DtlsConnection
from trio_sfu.dtls.events import DtlsState
from trio_sfu.dtls.flights import Role as HandshakeRole
from trio_sfu.errors import WireError
from trio_sfu.ice.agent import IceAgent
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.states import AddressProved as IceAddressProved
from trio_sfu.ice.states import IceState, Path
from trio_sfu.ice.states import Role as IceRole
from trio_sfu.peer.channels import LabelledChannels
from trio_sfu.peer.demux import Protocol, protocol_of
from trio_sfu.peer.events import (
    AddCandidate,
    AddressProved,
    BandwidthReported,
    CloseChannel,
    Configure,
    DtlsRole,
    Event,
    HoldBack,
    KeyFrameWanted,
    OpenChannel,
    PeerState,
    RequestKeyFrame,
    RestartIce,
    SendData,
    SetRemote,
    StateChanged,
    Wish,
)
from trio_sfu.peer.media import ReceiveSection, SendSection, StreamKey
from trio_sfu.peer.reports import compounds
from trio_sfu.peer.sending import KeyFrameWanted as SendingKeyFrameWanted
from trio_sfu.peer.sending import OutgoingMedia
from trio_sfu.peer.streams import IncomingMedia
from trio_sfu.peer.tap import Tap
from trio_sfu.rtp.arrival import IDLE_INTERVAL
from trio_sfu.rtp.feedback import Remb
from trio_sfu.rtp.packet import Outgoing, RtpPacket, parse
from trio_sfu.rtp.rtcp import decode_compound
from trio_sfu.rtp.srtp import SrtpProfile, SrtpReceiver, SrtpSender
from trio_sfu.rtp.twcc import TransportFeedback
from trio_sfu.sctp import datachannel as sctp

MAX_EARLY: Final = 64
"""SRTP packets that may come before the handshake is done: the client's first keys
arrive with its last flight, and its media may overtake that. More are not kept."""

KEYS_WITHIN: Final = 3.0
"""Times as long as ICE took may pass from its first path to the keys (LiveKit's rule): where
checks come through and the handshake does not, waiting longer helps nobody."""
KEYS_SOONEST: Final = 10.0
KEYS_LATEST: Final = 20.0
"""Seconds, whatever ICE took; LiveKit's numbers."""

UNREAD: Final = frozenset({(TransportFeedback.PACKET_TYPE, TransportFeedback.FORMAT)})
"""RTCP that nobody here reads: the most costly thing that a peer says. It waits for an
estimator that wants it."""

_DTLS_ROLES: Final = {
    DtlsRole.CLIENT: HandshakeRole.CLIENT,
    DtlsRole.SERVER: HandshakeRole.SERVER,
}
_ICE_STATES: Final = {
    IceState.CONNECTED: PeerState.CONNECTED,
    IceState.CHECKING: PeerState.DISCONNECTED,
    IceState.DISCONNECTED: PeerState.DISCONNECTED,
    IceState.FAILED: PeerState.FAILED,
}
"""Of a peer with keys. CHECKING is then a restart after the path was lost."""
_LOST: Final = frozenset({IceState.DISCONNECTED, IceState.FAILED})


@attrs.frozen
class PeerStatistics:
    """What has been dropped at this hop, by reason, and what its parts count."""

    drops: Counter[str]
    ice_refused: Counter[str]
    dtls_dropped: Counter[str]
    srtp_rejected: Counter[str]


class PeerTransport:
    """A Core that carries media and data to and from one remote peer."""

    def __init__(
        self,
        *,
        ice_role: IceRole,
        credentials: Credentials,
        certificate: Certificate,
        entropy: Entropy,
        wall: float,
        dtls_role: DtlsRole = DtlsRole.SERVER,
        feedback: float = IDLE_INTERVAL,
        numbers: bool = True,
    ) -> None:
        """*wall*: seconds since 1970 at zero of the clock that `now` is of.

        *dtls_role* may still change with the peer's description. *feedback* is as for
        `IncomingMedia`, *numbers* as for `OutgoingMedia`.
        """
        self.drops: Counter[str] = Counter()
        self.taps: list[Tap] = []
        """Empty but for somebody who looks for a fault."""
        self.state = PeerState.NEW
        self.ice = IceAgent(ice_role, credentials, entropy)
        self.incoming = IncomingMedia(1 + int.from_bytes(entropy(4), "big") % 0xFFFF_FFFE, feedback)
        self.outgoing = OutgoingMedia(wall, entropy, numbers=numbers)
        self._certificate = certificate
        self._entropy = entropy
        self._dtls_role = dtls_role
        self._dtls = DtlsConnection(_DTLS_ROLES[dtls_role], certificate, entropy)
        self._channels = LabelledChannels(self.drops)
        self._sender: SrtpSender | None = None
        self._receiver: SrtpReceiver | None = None
        self._early: list[Datagram] = []
        self._media: list[tuple[StreamKey, list[RtpPacket]]] = []
        self._events: list[Event] = []
        self._out: list[Datagram] = []
        self._began = math.inf
        """When ICE could begin: the peer was first described."""
        self._keys_due = math.inf
        """When there must be keys; known from ICE's first path on, until they are there."""
        self._overdue = False
        """They were not there by then, and are not yet."""
        self._control_deadline = math.inf
        """Of ICE, DTLS and SCTP, which media does not move."""
        self._kept_deadline = math.inf
        """Of all but outgoing media, which alone changes when media is sent."""

    @property
    def ufrag(self) -> str:
        """By which the peer's checks find us."""
        return self.ice.local.ufrag

    @property
    def round_trip(self) -> float:
        """Seconds to the peer and back, as its data channels have it; 0 if not measured yet."""
        return self._channels.round_trip

    # --- Core

    @property
    def deadline(self) -> float:
        kept, outgoing = self._kept_deadline, self.outgoing.deadline
        return kept if kept < outgoing else outgoing

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        stun: list[Datagram] = []
        dtls: list[Datagram] = []
        rtp: list[bytes] = []
        rtcp: list[bytes] = []
        for datagram in datagrams:
            data = datagram.data
            match protocol_of(data):
                case Protocol.RTP:
                    rtp.append(data)
                case Protocol.RTCP:
                    rtcp.append(data)
                case Protocol.STUN:
                    stun.append(datagram)
                case Protocol.DTLS:
                    dtls.append(datagram)
                case Protocol.UNKNOWN:
                    self.drops["unknown protocol"] += 1
        if stun:
            self.ice.receive(stun, now)
            self._follow_ice(now)
        if dtls:
            self._receive_dtls(dtls, now)
        if rtp or rtcp:
            if self._receiver is None:
                self._keep_early(rtp, rtcp)
            else:
                self._receive_srtp(self._receiver, rtp, rtcp, now)
        if stun or dtls:
            self._flush(now)
        else:
            self._flush_media(now)

    def handle_timeout(self, now: float) -> None:
        if now >= self.ice.deadline:
            self.ice.handle_timeout(now)
            self._follow_ice(now)
        if now >= self._dtls.deadline:
            self._dtls.handle_timeout(now)
            self._follow_dtls(now)
        if now >= self._channels.deadline:
            self._channels.handle_timeout(now)
            self._events += self._channels.take_events()
        if now >= self._keys_due:
            self._keys_due, self._overdue = math.inf, True
            self._change_state()
        self._flush(now)

    def take_datagrams(self) -> list[Datagram]:
        taken, self._out = self._out, []
        return taken

    # --- the media plane: lists

    def take_media(self) -> list[tuple[StreamKey, list[RtpPacket]]]:
        """What the peer sent, in order, by encoding."""
        taken, self._media = self._media, []
        return taken

    def send_media(self, packets: list[Outgoing], now: float) -> None:
        """Send *packets*; before the peer is connected they are dropped, and counted."""
        path = self.ice.selected
        if self._sender is None or path is None:
            self.drops["not connected"] += len(packets)
            return
        rendered = self.outgoing.send(packets, now)
        if self.taps:
            self._tap(rendered, now, sent=True)
        self._send_srtp(self._sender.protect(rendered), path)

    # --- the control plane: names

    def take_events(self) -> list[Event]:
        taken, self._events = self._events, []
        return taken

    def grant(self, wish: Wish, now: float) -> None:
        """Do what somebody asked of this peer."""
        match wish:
            case SendData():
                self._channels.send(wish, now)
            case RequestKeyFrame(stream):
                self.incoming.request_key_frame(stream, now)
            case Configure(receive, send):
                self._configure(receive, send, now)
            case SetRemote():
                self._set_remote(wish, now)
            case AddCandidate(""):
                self.ice.end_of_candidates(now)
            case AddCandidate(line):
                self.ice.add_remote_candidate(line, now)
            case OpenChannel():
                self._channels.open(wish, now)
            case CloseChannel(label):
                self._channels.close(label, now)
            case RestartIce(credentials):
                self.ice.restart(credentials, now)
            case HoldBack(seconds):
                self._channels.hold_back(now + seconds, now)
        self._follow_ice(now)
        self._flush(now)

    def crowded(self, label: str) -> float:
        """Seconds until the data channel *label* has room again; 0 if it has, or never will."""
        return self._channels.crowded(label)

    def close(self, now: float) -> None:
        """Say goodbye, as far as one can: what is then left to take is the last."""
        self.outgoing.stop(now)
        self._flush(now)
        self._dtls.close(now)
        self._flush(now)

    # --- what each protocol has to say

    def _configure(
        self, receive: tuple[ReceiveSection, ...], send: tuple[SendSection, ...], now: float
    ) -> None:
        self.incoming.configure(receive)
        self.outgoing.configure(send, now)

    def _set_remote(self, wish: SetRemote, now: float) -> None:
        if wish.dtls_role is not self._dtls_role and self._dtls.state is not DtlsState.CONNECTED:
            self._dtls_role = wish.dtls_role
            self._dtls = DtlsConnection(
                _DTLS_ROLES[wish.dtls_role], self._certificate, self._entropy
            )
        self._began = min(self._began, now)
        self._dtls.set_remote_fingerprints(list(wish.fingerprints))
        self.ice.set_remote(wish.credentials, now, lite=wish.ice_lite)
        self._follow_dtls(now)

    def _follow_ice(self, now: float) -> None:
        for event in self.ice.take_events():
            if isinstance(event, IceAddressProved):
                self._events.append(AddressProved(event.remote))
        if self.ice.selected is not None:
            self._dtls.start(now)
            self._await_keys(now)
        self._change_state()

    def _await_keys(self, now: float) -> None:
        """There is a path; if it is the first, there must soon be keys."""
        if self._receiver is None and self._keys_due == math.inf and not self._overdue:
            taken = KEYS_WITHIN * max(0.0, now - self._began)
            self._keys_due = now + min(max(taken, KEYS_SOONEST), KEYS_LATEST)

    def _receive_dtls(self, datagrams: list[Datagram], now: float) -> None:
        proved = [
            Datagram(datagram.data, INSIDE, INSIDE)
            for datagram in datagrams
            if self.ice.proved(datagram.remote)
        ]
        if len(proved) < len(datagrams):
            self.drops["DTLS from an unproved address"] += len(datagrams) - len(proved)
        if proved:
            self._dtls.receive(proved, now)
            self._follow_dtls(now)

    def _follow_dtls(self, now: float) -> None:
        self._dtls.take_events()
        keys = self._dtls.srtp
        if keys is not None and self._receiver is None:
            profile = SrtpProfile(keys.profile.value)
            self._sender = SrtpSender(profile, keys.local_key, keys.local_salt)
            self._receiver = SrtpReceiver(profile, keys.remote_key, keys.remote_salt)
            client = self._dtls_role is DtlsRole.CLIENT
            self._keys_due, self._overdue = math.inf, False
            self._channels.start(sctp.DataChannels(self._entropy, dtls_client=client), now)
            early, self._early = self._early, []
            self.receive(early, now)
        messages = self._dtls.take_application()
        if messages:
            self._channels.receive([Datagram(each, INSIDE, INSIDE) for each in messages], now)
            self._events += self._channels.take_events()
        self._change_state()

    def _keep_early(self, rtp: list[bytes], rtcp: list[bytes]) -> None:
        room = MAX_EARLY - len(self._early)
        self._early += [Datagram(data, INSIDE, INSIDE) for data in (*rtp, *rtcp)[:room]]
        self.drops["before the keys"] += max(0, len(rtp) + len(rtcp) - room)

    def _receive_srtp(
        self, receiver: SrtpReceiver, rtp: list[bytes], rtcp: list[bytes], now: float
    ) -> None:
        if rtp:
            packets: list[RtpPacket] = []
            plain_rtp = receiver.unprotect(rtp)
            if self.taps:
                self._tap(plain_rtp, now, sent=False)
            for data in plain_rtp:
                try:
                    packets.append(parse(data))
                except WireError:
                    self.drops["malformed RTP"] += 1
            self._media += self.incoming.accept(packets, now)
        for data in rtcp:
            plain = receiver.unprotect_rtcp(data)
            if plain is None:
                continue
            if self.taps:
                self._tap([plain], now, sent=False)
            try:
                messages = decode_compound(plain, UNREAD)
            except WireError:
                self.drops["malformed RTCP"] += 1
                continue
            for message in messages:
                self.incoming.hear(message, now)
                self.outgoing.hear(message, now)
        for event in self.outgoing.take_events():
            match event:
                case SendingKeyFrameWanted(mid):
                    self._events.append(KeyFrameWanted(mid))
                case Remb(bitrate=bitrate):
                    self._events.append(BandwidthReported(bitrate))
                case _:
                    pass

    def _change_state(self) -> None:
        reason = ""
        if self._dtls.state is DtlsState.FAILED:
            state, reason = PeerState.FAILED, f"DTLS: {self._dtls.failure}"
        elif self._overdue:
            state, reason = PeerState.FAILED, "DTLS: not done in time"
        elif self._receiver is not None or self.ice.state in _LOST:
            state = _ICE_STATES.get(self.ice.state, PeerState.NEW)
        else:
            state = PeerState.NEW
        if state is not self.state:
            if state in (PeerState.DISCONNECTED, PeerState.FAILED) and not reason:
                reason = "ICE: nothing heard"
            self.state = state
            final = self._dtls.state is DtlsState.FAILED
            self._events.append(StateChanged(state, reason, final))

    # --- on the way out

    def _flush(self, now: float) -> None:
        """Bring what each protocol has to send onto the path that ICE chose."""
        for datagram in self._channels.take_datagrams():
            self._dtls.send(datagram.data)
        path = self.ice.selected
        dtls = self._dtls.take_datagrams()
        self._out += self.ice.take_datagrams()
        if path is not None:
            self._out += [Datagram(each.data, path.remote, path.local) for each in dtls]
        self._control_deadline = min(
            self.ice.deadline,
            self._dtls.deadline,
            self._keys_due,
            self._channels.deadline,
        )
        self._flush_media(now)

    def _flush_media(self, now: float) -> None:
        """The part of it that media can cause; most of what comes is media, or about it."""
        incoming, outgoing = self.incoming, self.outgoing
        # Taken even where it cannot be sent, or it would be due for ever.
        repeats = outgoing.take_repeats()
        deadline, rtcp = incoming.deadline, []
        if deadline <= now or outgoing.deadline <= now:
            rtcp = [*incoming.take_rtcp(now), *outgoing.take_rtcp(now)]
            self._media += incoming.take_stand_ins()
            deadline = incoming.deadline
        path = self.ice.selected
        if self._sender is not None and path is not None:
            if self.taps:
                self._tap([*repeats, *compounds(rtcp)], now, sent=True)
            if repeats:
                self._send_srtp(self._sender.protect(repeats), path)
            if rtcp:
                protect = self._sender.protect_rtcp
                self._send_srtp([protect(compound) for compound in compounds(rtcp)], path)
        self._kept_deadline = min(self._control_deadline, deadline)

    def _tap(self, packets: list[bytes], now: float, *, sent: bool) -> None:
        """Show *packets* as they are without encryption, on the path that they take."""
        path = self.ice.selected
        if path is not None:
            for tap in self.taps:
                for data in packets:
                    if sent:
                        tap.take(data, path.local, path.remote, now)
                    else:
                        tap.take(data, path.remote, path.local, now)

    def _send_srtp(self, packets: list[bytes], path: Path) -> None:
        remote, local = path.remote, path.local
        self._out += [Datagram(data, remote, local) for data in packets]

    def statistics(self) -> PeerStatistics:
        return PeerStatistics(
            drops=Counter(self.drops),
            ice_refused=Counter({each.name: count for each, count in self.ice.refused.items()}),
            dtls_dropped=Counter({each.name: count for each, count in self._dtls.drops.items()}),
            srtp_rejected=Counter(
                {each.name: n for each, n in self._receiver.rejected.items()}
                if self._receiver is not None
                else {}
            ),
        )
