"""How far those come who join, publish and subscribe, and how long it takes them.

An `Observer` of the rooms: each step is heard when it happens, and nothing here is asked
for per packet. Steps that have a beginning and an end are counted twice, as `attempt` and
as `success`: what is between the two numbers is under way, or failed.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import trio
from prometheus_client.metrics_core import Metric

from trio_sfu.api.families import Families
from trio_sfu.peer.events import PeerState
from trio_sfu.room.info import TrackInfo
from trio_sfu.room.observe import (
    ConnectionChanged,
    Happening,
    ParticipantGreeted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantSeated,
    RoomFinished,
    SubscriptionBegun,
    TrackAnnounced,
    TrackPublished,
    TrackSubscribed,
)
from trio_sfu.room.participant import Participant

STATES: Final = {
    PeerState.CONNECTED: ("ice_connected", "connected"),
    PeerState.DISCONNECTED: ("disconnected",),
    PeerState.FAILED: ("failed",),
}
"""What LiveKit calls them. It tells ICE and DTLS apart; here either is up when both are."""


class Progress:
    """Counts all that happens in the rooms of one server."""

    def __init__(self, families: Families, wall: Callable[[], float]) -> None:
        """*wall* is the node's time, in seconds since 1970."""
        self._families = families
        self._wall = wall
        self._joins: Counter[tuple[str]] = Counter()
        self._published: Counter[tuple[str, str]] = Counter()
        self._subscribed = Counter({("", "attempt"): 0, ("", "success"): 0})
        self._states: Counter[tuple[str, str]] = Counter()
        self._operations: Counter[tuple[str, str, str]] = Counter()
        self._announced: dict[str, dict[str, float]] = {}
        """When, by the track's SID, by whoever announced it; until it is published."""
        families.histogram("livekit_room_duration_seconds")
        families.histogram("livekit_session_duration_ms", "protocol_version")
        families.histogram("livekit_session_join_latency_ms", "protocol_version")
        families.histogram("livekit_session_start_time_ms", "protocol_version")
        families.histogram(
            "livekit_pubsubtime_ms",
            *("direction", "source", "type", "country", "sdk", "kind", "count"),
        )

    def observe(self, happening: Happening) -> None:
        seen = self._families.seen
        match happening:
            case RoomFinished(room):
                seen("livekit_room_duration_seconds", self._wall() - room.created_at)
            case ParticipantSeated(_, participant):
                self._joins["rtc_init",] += 1
                self._joins["signal_connected",] += 1
                self._operations["participant_join", "success", ""] += 1
                for target in participant.connections:
                    self._operations["peer_connection", "success", ""] += 1
                    self._states[target.name, "started"] += 1
            case ParticipantGreeted(_, participant, seconds):
                self._took("livekit_session_join_latency_ms", participant, seconds)
            case ParticipantJoined(_, participant):
                for state in "rtc_connected", "rtc_active", "rtc_success":
                    self._joins[state,] += 1
                lasted = self._wall() - participant.joined_at
                self._took("livekit_session_start_time_ms", participant, lasted)
            case ParticipantLeft(_, participant, aborted):
                self._announced.pop(participant.sid, None)
                if aborted:
                    self._joins["rtc_canceled",] += 1
                else:
                    lasted = self._wall() - participant.joined_at
                    self._took("livekit_session_duration_ms", participant, lasted)
            case ConnectionChanged(_, connection):
                for state in STATES.get(connection.state, ()):
                    self._states[connection.target.name, state] += 1
            case _:
                self._observe_track(happening)

    def _observe_track(self, happening: Happening) -> None:
        now = trio.current_time()
        match happening:
            case TrackAnnounced(_, participant, info):
                self._published[info.kind.name, "attempt"] += 1
                self._announced.setdefault(participant.sid, {})[info.sid] = now
            case TrackPublished(_, track):
                publisher = track.publisher
                self._published[track.info.kind.name, "success"] += 1
                since = self._announced.get(publisher.sid, {}).pop(track.sid, None)
                if since is not None:
                    self._flows("publish", track.info, publisher, now - since)
            case SubscriptionBegun():
                self._subscribed["", "attempt"] += 1
            case TrackSubscribed(_, subscription):
                self._subscribed["", "success"] += 1
                subscriber = subscription.subscriber
                lasted = now - subscription.since
                self._flows("subscribe", subscription.track.info, subscriber, lasted)
            case _:
                pass

    def _took(self, name: str, participant: Participant, seconds: float) -> None:
        self._families.seen(name, seconds * 1000, protocol_version=str(participant.who.protocol))

    def _flows(self, direction: str, info: TrackInfo, whose: Participant, seconds: float) -> None:
        self._families.seen(
            "livekit_pubsubtime_ms",
            seconds * 1000,
            direction=direction,
            source=info.source.name,
            type=info.kind.name,
            country="",
            sdk=whose.who.sdk,
            kind=whose.who.kind.name,
            count="1",  # every one is the first: a subscription that begins again is another
        )

    def read(self, messages: Counter[tuple[str, str]]) -> Iterator[Metric]:
        """What was counted; *messages* are the signalling's, by direction and kind."""
        metric = self._families.metric
        yield metric("livekit_participant_join_total", "counter", self._joins, ("state",))
        yield metric("livekit_track_publish_counter", "unknown", self._published, ("kind", "state"))
        yield metric(
            "livekit_track_subscribe_counter", "unknown", self._subscribed, ("error", "state")
        )
        yield metric(
            "livekit_peer_connection_state", "unknown", self._states, ("transport", "state")
        )
        operations = self._operations.copy()
        for kind in "offer", "answer":
            if count := messages["response", kind]:
                operations[kind, "success", ""] = count
        yield metric(
            "livekit_node_service_operation",
            "unknown",
            operations,
            ("type", "status", "error_type"),
        )
        passed: Counter[tuple[str, str, str]] = Counter()
        for (direction, _), count in messages.items():
            passed["signal", "success", direction] += count
        yield metric("livekit_node_messages", "unknown", passed, ("type", "status", "direction"))
