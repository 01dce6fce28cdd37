"""What a client hears: its wishes, what it is offered of them, and what its answer binds.

The room says what is to be heard (`Participant.subscriptions`). Each subscription
becomes a section of our next offer, and is bound to it once the client's answer takes
the track's codec; only then does media pass. A track that the client cannot take is
unsubscribed from, and the client told why.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs
from livekit.protocol import models, rtc

from trio_sfu.room.connection import PeerConnection
from trio_sfu.room.info import TrackKind, TrackSettings
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.room.track import PublishedTrack
from trio_sfu.sdp.agreement import AgreedSection, Sending
from trio_sfu.signalling import negotiation

MAX_SETTINGS: Final = 1_000
"""Tracks whose settings are remembered before they are subscribed to."""
MAX_SID: Final = 64
"""Characters of a SID that is remembered; ours have twenty."""


class Subscribing:
    """One client's subscriptions, on their way into sections."""

    def __init__(
        self,
        room: Room,
        participant: Participant,
        respond: Callable[[rtc.SignalResponse], None],
        clock: Callable[[], float],
    ) -> None:
        self._room = room
        self._participant = participant
        self._respond = respond
        self._clock = clock
        self._settings: dict[str, TrackSettings] = {}

    def subscribe(self, track: PublishedTrack) -> None:
        self._participant.declined.discard(track.sid)
        self._room.subscribe(self._participant, track)

    def unsubscribe(self, track: PublishedTrack) -> None:
        self._participant.declined.add(track.sid)
        if (subscription := self._participant.subscriptions.get(track.sid)) is not None:
            self._room.unsubscribe(subscription)

    def change_settings(self, sid: str, settings: TrackSettings) -> None:
        """Settings may come before the subscription that they are for."""
        if len(sid) > MAX_SID:
            return
        self._settings.pop(sid, None)
        self._settings[sid] = settings
        if len(self._settings) > MAX_SETTINGS:
            del self._settings[next(iter(self._settings))]
        if (subscription := self._participant.subscriptions.get(sid)) is not None:
            subscription.change(settings, self._clock())

    def disable(self, sid: str) -> None:
        """The client shows this one nowhere just now; all else that it asked of it stays."""
        before = self._settings.get(sid, TrackSettings())
        self.change_settings(sid, attrs.evolve(before, disabled=True))

    def sendings(self) -> list[Sending]:
        """All that is to be sent to the client, as a description tells it."""
        return [
            Sending(
                kind=track.info.kind.value,
                stream_id=track.stream_id,
                track_id=track.sid,
                cname=track.stream_id,
                mime=track.info.mime,
                ssrc=subscription.ssrc,
                rtx_ssrc=subscription.rtx_ssrc if track.info.kind is TrackKind.VIDEO else None,
                stereo=track.info.stereo,
            )
            for subscription in self._participant.subscriptions.values()
            for track in [subscription.track]
        ]

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
        if sending is not None and subscription.bind(negotiation.formats(section), now):
            subscription.mid = section.mid
            connection.subscriptions[section.mid] = subscription
            if not old:
                if (settings := self._settings.get(sid)) is not None:
                    subscription.change(settings, now)
                self._room.bound(subscription)
        else:
            self.unsubscribe(subscription.track)
            self._respond(
                rtc.SignalResponse(
                    subscription_response=rtc.SubscriptionResponse(
                        track_sid=sid, err=models.SubscriptionError.SE_CODEC_UNSUPPORTED
                    )
                )
            )
