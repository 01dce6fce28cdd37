"""What a client hears: its wishes, what it is offered of them, and what its answer binds.

The room says what is to be heard (`Participant.subscriptions`). Each subscription
becomes a section of our next offer, and is bound to it once the client's answer takes
the track's codec; only then does media pass. A track that the client cannot take is
unsubscribed from, and the client told why.
"""

from collections.abc import Callable, Iterable, Mapping

from livekit.protocol import rtc

from trio_sfu.room import reconcile
from trio_sfu.room.connection import PeerConnection
from trio_sfu.room.info import TrackKind
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.room.track import PublishedTrack
from trio_sfu.room.wanted import Failure
from trio_sfu.sdp.agreement import AgreedSection, Sending
from trio_sfu.sdp.formats import OPUS, RED
from trio_sfu.signalling import negotiation, translate
from trio_sfu.signalling.devices import is_firefox, opens_by_packets, takes_red
from trio_sfu.signalling.join import ClientInfo


class Subscribing:
    """One client's subscriptions, on their way into sections."""

    def __init__(
        self,
        room: Room,
        participant: Participant,
        client: ClientInfo,
        respond: Callable[[rtc.SignalResponse], None],
        *,
        active_red: bool,
    ) -> None:
        """*active_red*: plain Opus, too, is made redundant for those who take that."""
        self._room = room
        self._participant = participant
        self._client = client
        self._respond = respond
        self._active_red = active_red

    def sendings(self) -> list[Sending]:
        """All that is to be sent to the client, as a description tells it."""
        return [
            Sending(
                kind=track.info.kind.value,
                stream_id=stream,
                track_id=track.sid,
                cname=stream,
                mime=mimes[0],
                fallbacks=mimes[1:],
                ssrc=subscription.ssrc,
                rtx_ssrc=subscription.rtx_ssrc if track.info.kind is TrackKind.VIDEO else None,
                stereo=track.info.stereo,
            )
            for subscription in (
                *self._participant.subscriptions.values(),
                *self._participant.fading.values(),
            )
            for track in [subscription.track]
            for mimes in [self._mimes(track)]
            for stream in [self._stream_of(track)]
        ]

    def _stream_of(self, track: PublishedTrack) -> str:
        """What the client is told that *track* is a part of. What is of one stream is kept in
        time by browsers. Firefox is not told so, as LiveKit does not."""
        if not self._room.config.sync_streams or is_firefox(self._client):
            return track.stream_id
        return f"{track.publisher.sid}|{track.info.stream}"

    def _mimes(self, track: PublishedTrack) -> tuple[str, ...]:
        """In which codecs the client may have *track*, the best first."""
        mime = track.info.mime
        if mime not in (RED, OPUS) or track.encrypted:
            return (mime,)
        repeating = mime == RED or (self._active_red and not track.info.disable_red)
        return (RED, OPUS) if repeating and takes_red(self._client) else (OPUS,)

    def settle(
        self,
        connection: PeerConnection,
        sections: Iterable[AgreedSection],
        carried: Mapping[str, str],
        now: float,
    ) -> None:
        """Bind what was agreed on; *carried* says by mid which track, by SID."""
        connection.subscriptions.clear()
        for section in sections:
            if (sid := carried.get(section.mid)) is not None:
                self._bind(connection, section, sid, now)

    def _bind(
        self, connection: PeerConnection, section: AgreedSection, sid: str, now: float
    ) -> None:
        subscription = self._participant.subscriptions.get(sid)
        sending = section.sending
        if subscription is None or (sending is not None and sending.ssrc != subscription.ssrc):
            return  # ended, or made anew, since we offered: the next offer says so
        old = subscription.bound
        if not old:
            kind = subscription.track.info.kind
            subscription.settings = self._participant.choices.start(sid, kind)
        if sending is not None and subscription.bind(negotiation.formats(section), now):
            subscription.mid = section.mid
            connection.subscriptions[section.mid] = subscription
            if not old:
                self._room.bound(subscription)
                if opens_by_packets(self._client):
                    subscription.open(now)
        else:
            reconcile.unsupported(self._room, self._participant, sid)
            self._respond(translate.subscription_failed(sid, Failure.CODEC_UNSUPPORTED))
