"""What Prometheus reads: LiveKit's names where LiveKit has one, `trio_sfu_` for the rest.

Dashboards that were made for LiveKit's server go on working: names, labels and limits of
the histograms are those that its own port shows. What it has and we do not count is left
out, never 0: an absent line is honest.

Three kinds of figures, by where they come from. What *happens* (somebody joins, a room
ends) is heard from the rooms and counted at once. What *is* (rooms, tracks, lags) and
what *has passed* (packets, drops) is looked at when somebody reads: see `tally`. And how
well streams do (jitter, loss, round trips) is sampled every five seconds, as LiveKit
does, of some streams in turn, so that a large room costs no more than a small one.
"""

import base64
import hmac
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import trio
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from trio_sfu.api.admission import Admission
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.looplag import LoopLag
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, Routes
from trio_sfu.api.tally import Accounts, Tally
from trio_sfu.api.webhooks import Courier
from trio_sfu.config import Config, PrometheusConfig
from trio_sfu.room.info import TrackKind
from trio_sfu.room.node import Node
from trio_sfu.room.observe import (
    Happening,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantSeated,
    RoomFinished,
    TrackPublished,
    TrackSubscribed,
)
from trio_sfu.room.subscription import Subscription
from trio_sfu.room.track import PublishedTrack

SAMPLE_SECONDS: Final = 5.0
"""Between two samples of how streams do; LiveKit's."""
SAMPLED: Final = 500
"""Streams a sample looks at; where there are more, each has its turn."""

ROOM_SECONDS: Final = (5, 10, 60, 300, 600, 1800, 3600, 7200, 18000, 36000)
SESSION_SECONDS: Final = tuple(each * 1000 for each in ROOM_SECONDS)
START_MS: Final = tuple(100 * 10 ** (step / 7) for step in range(15))
JITTER_US: Final = (1000, 10000, 30000, 50000, 70000, 100000, 300000, 600000, 1000000)
LOSS_PERCENT: Final = (0, 0.1, 0.3, 0.5, 0.7, 1, 5, 10, 40, 100)
RTT_MS: Final = (50, 100, 150, 200, 250, 500, 750, 1000, 5000, 10000)
FORWARD_NS: Final = (5e4, 1e5, 2.5e5, 5e5, 1e6, 2e6, 3e6, 5e6, 1e7, 2e7)
LAG_SECONDS: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
PAUSE_SECONDS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)


@attrs.frozen
class Sources:
    """What is looked at when somebody reads."""

    node: Node
    lag: LoopLag
    admission: Admission
    couriers: Sequence[Courier] = ()
    doors: Sequence[FrontDoor] = ()


class Metrics:
    """All figures of one server; an `Observer` of its rooms."""

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.registry = CollectorRegistry()
        self.bytes_per_sec = 0.0
        """Of media, in and out, as of the last sample."""
        self._sources: Sources | None = None
        self._node = {"node_id": "", "node_type": "SERVER"}
        self._joins: Counter[str] = Counter()
        self._published: Counter[str] = Counter()
        self._subscribed = 0
        self._next = 0
        """Of the streams, which is sampled next."""
        self._last_bytes: tuple[float, int] | None = None
        histogram = self._histogram
        self._room_duration = histogram("livekit_room_duration_seconds", ROOM_SECONDS)
        self._session_duration = histogram("livekit_session_duration_ms", SESSION_SECONDS)
        self._session_start = histogram("livekit_session_start_time_ms", START_MS)
        streams = ("direction", "source", "type", "country")
        self._jitter = histogram("livekit_jitter_us", JITTER_US, *streams)
        self._loss = histogram("livekit_packet_loss_percent", LOSS_PERCENT, *streams)
        self._rtt = histogram("livekit_rtt_ms", RTT_MS, *streams)
        self._forward = histogram("livekit_forward_latency_ns", FORWARD_NS)
        self._lag = histogram("trio_sfu_loop_lag_seconds", LAG_SECONDS)
        self._pauses = histogram("trio_sfu_gc_pause_seconds", PAUSE_SECONDS, "generation")
        ProcessCollector(registry=self.registry)

    def _histogram(self, name: str, limits: Sequence[float], *labels: str) -> Histogram:
        return Histogram(
            name, _HELP[name], (*self._node, *labels), buckets=limits, registry=self.registry
        )

    # --- what happens

    def observe(self, happening: Happening) -> None:
        self.accounts.observe(happening)
        match happening:
            case RoomFinished(room):
                self._seen(self._room_duration, self._wall() - room.created_at)
            case ParticipantSeated():
                self._joins["rtc_init"] += 1
                self._joins["signal_connected"] += 1
            case ParticipantJoined(_, participant):
                self._joins["rtc_connected"] += 1
                self._joins["rtc_active"] += 1
                self._joins["rtc_success"] += 1
                start = self._wall() - participant.joined_at
                self._seen(self._session_start, start * 1000)
            case ParticipantLeft(_, participant, aborted):
                if aborted:
                    self._joins["rtc_canceled"] += 1
                else:
                    lasted = self._wall() - participant.joined_at
                    self._seen(self._session_duration, lasted * 1000)
            case TrackPublished(_, track):
                self._published[_kind(track)] += 1
            case TrackSubscribed():
                self._subscribed += 1
            case _:
                pass

    def saw_lag(self, lag: float) -> None:
        """One look of `LoopLag`."""
        self._seen(self._lag, max(0.0, lag))

    def saw_pause(self, generation: int, seconds: float) -> None:
        """One collection of garbage."""
        self._pauses.labels(**self._node, generation=str(generation)).observe(seconds)

    def _seen(self, histogram: Histogram, value: float) -> None:
        histogram.labels(**self._node).observe(value)

    def _wall(self) -> float:
        return self._sources.node.wall_time() if self._sources is not None else 0.0

    # --- how streams do

    def look_at(self, sources: Sources) -> None:
        """From now on there is something to read."""
        self._sources = sources
        self._node["node_id"] = sources.node.sid

    async def sample(self, config: Config) -> None:
        """Look every so often, as far as somebody wants to know, until cancelled."""
        while True:
            await trio.sleep(SAMPLE_SECONDS)
            if config.prometheus.port:
                await self.sample_streams()
            if config.limit.bytes_per_sec:
                await self.sample_bytes()

    async def sample_streams(self) -> None:
        """Look how some streams do, the next in turn."""
        if self._sources is None:
            return
        streams: list[PublishedTrack | Subscription] = []
        for room in self._sources.node.rooms.values():
            for participant in room.participants.values():
                streams += participant.tracks.values()
                streams += participant.subscriptions.values()
        start = self._next if self._next < len(streams) else 0
        chosen = streams[start : start + SAMPLED]
        self._next = start + SAMPLED
        for number, stream in enumerate(chosen):
            if isinstance(stream, PublishedTrack):
                self._sample_track(stream)
            else:
                self._sample_subscription(stream)
            if number % 50 == 49:
                await trio.lowlevel.checkpoint()

    async def sample_bytes(self) -> None:
        """Look how much passes."""
        tally = await self._tally()
        now, octets = trio.current_time(), tally.incoming.octets + tally.outgoing.octets
        if self._last_bytes is not None and now > self._last_bytes[0]:
            before, old = self._last_bytes
            self.bytes_per_sec = (octets - old) / (now - before)
        self._last_bytes = now, octets

    def _sample_track(self, track: PublishedTrack) -> None:
        incoming = track.connection.peer.incoming
        labels = self._labels(track, "incoming")
        for key, found in incoming.statistics().items():
            if key.mid == track.info.mid and found.packets:
                self._jitter.labels(**labels).observe(found.jitter * 1e6)
                expected = found.packets + max(0, found.lost)
                self._loss.labels(**labels).observe(100 * max(0, found.lost) / expected)
                if incoming.rtt is not None:
                    self._rtt.labels(**labels).observe(incoming.rtt * 1000)

    def _sample_subscription(self, subscription: Subscription) -> None:
        if subscription.forwarder is None:
            return
        labels = self._labels(subscription.track, "outgoing")
        found = subscription.connection.peer.outgoing.statistics_of(subscription.ssrc)
        if found is None or not found.packets:
            return
        self._loss.labels(**labels).observe(100 * found.fraction_lost)
        self._jitter.labels(**labels).observe(found.jitter * 1e6)
        if found.rtt is not None:
            self._rtt.labels(**labels).observe(found.rtt * 1000)
        self._seen(self._forward, subscription.connection.latency * 1e9)

    def _labels(self, track: PublishedTrack, direction: str) -> dict[str, str]:
        source = track.info.source.name
        return {
            **self._node,
            "direction": direction,
            "source": source,
            "type": _kind(track),
            "country": "",
        }

    # --- reading

    async def read(self) -> bytes:
        """All figures, as Prometheus reads them."""
        if self._sources is None:
            return b""
        found = _Found(list(self._look(self._sources, await self._tally())))
        reading = CollectorRegistry()
        reading.register(found)
        return generate_latest(self.registry) + generate_latest(reading)

    async def _tally(self) -> Tally:
        assert self._sources is not None, "asked before"
        return await self.accounts.tally(self._sources.node)

    def _look(self, sources: Sources, tally: Tally) -> Iterator[Metric]:
        node = sources.node
        rooms = list(node.rooms.values())
        people = sum(len(room.participants) for room in rooms)
        yield self._metric("livekit_room_total", "gauge", {(): len(rooms)})
        yield self._metric("livekit_participant_total", "gauge", {(): people})
        kinds = ("kind",)
        yield self._metric("livekit_track_published_total", "gauge", _kinds(tally.published), kinds)
        yield self._metric(
            "livekit_track_subscribed_total", "gauge", _kinds(tally.subscribed), kinds
        )
        yield self._metric(
            "livekit_participant_join_total", "counter", _by(self._joins), ("state",)
        )
        yield self._metric(
            "livekit_track_publish_counter",
            "unknown",
            {(kind, "success"): count for kind, count in self._published.items()},
            ("kind", "state"),
        )
        yield self._metric(
            "livekit_track_subscribe_counter",
            "unknown",
            {("", "success"): self._subscribed},
            ("error", "state"),
        )
        yield from self._look_at_media(tally)
        endpoint = node.endpoint.statistics()
        yield self._metric(
            "livekit_node_packet_total",
            "gauge",
            {("in",): endpoint.received, ("dropped",): endpoint.overflowed},
            ("type",),
        )
        yield from self._look_at_webhooks(sources.couriers)
        yield self._metric("trio_sfu_loop_lag_average_seconds", "gauge", {(): sources.lag.lag})
        yield self._metric(
            "trio_sfu_joins_refused_total", "counter", _by(sources.admission.refused), ("too_much",)
        )
        yield self._metric("trio_sfu_draining", "gauge", {(): int(node.draining)})
        yield self._metric("trio_sfu_peers", "gauge", {(): endpoint.mailboxes})
        for name in "connections", "refused", "malformed", "too_slow", "failed":
            count = sum(getattr(door.counters, name) for door in sources.doors)
            kind = "gauge" if name == "connections" else "counter"
            suffix = "" if kind == "gauge" else "_total"
            yield self._metric(f"trio_sfu_http_{name}{suffix}", kind, {(): count})

    def _look_at_media(self, tally: Tally) -> Iterator[Metric]:
        both = (("incoming", tally.incoming), ("outgoing", tally.outgoing))
        sent = ("direction", "transmission", "country")

        def each(name: str) -> dict[tuple[str, ...], float]:
            return {(way, ""): getattr(totals, name) for way, totals in both}

        def initial_and_again(name: str) -> dict[tuple[str, ...], float]:
            return {(way, "initial", ""): getattr(totals, name) for way, totals in both}

        packets = initial_and_again("packets") | {
            (way, "retransmit", ""): totals.repeats for way, totals in both
        }
        yield self._metric("livekit_packet_total", "counter", packets, sent)
        yield self._metric("livekit_packet_bytes", "unknown", initial_and_again("octets"), sent)
        way = ("direction", "country")
        yield self._metric("livekit_packet_loss_total", "counter", each("lost"), way)
        yield self._metric("livekit_nack_total", "counter", each("nacks"), way)
        yield self._metric("livekit_pli_total", "counter", each("plis"), way)
        yield self._metric("livekit_fir_total", "counter", each("firs"), way)
        yield self._metric("trio_sfu_duplicates_total", "counter", {(): tally.incoming.duplicates})
        yield self._metric("trio_sfu_drops_total", "counter", tally.drops, ("where", "reason"))

    def _look_at_webhooks(self, couriers: Sequence[Courier]) -> Iterator[Metric]:
        dispatched: Counter[tuple[str, ...]] = Counter()
        for courier in couriers:
            dispatched.update(courier.dispatched)
        yield self._metric(
            "livekit_webhook_dispatch_total", "counter", dispatched, ("status", "reason")
        )
        waiting = sum(courier.waiting for courier in couriers)
        yield self._metric("trio_sfu_webhooks_waiting", "gauge", {(): waiting})

    def _metric(
        self,
        name: str,
        kind: str,
        values: Mapping[Any, float],
        labels: Sequence[str] = (),
    ) -> Metric:
        """*values* are by what their *labels* say: tuples of as many texts."""
        # Of a counter's name the type's line shows only what is before "_total".
        shown = name.removesuffix("_total") if kind == "counter" else name
        metric = Metric(shown, _HELP[name], kind)
        for key, value in values.items():
            metric.add_sample(name, {**self._node, **dict(zip(labels, key, strict=True))}, value)
        return metric

    def routes(self, config: PrometheusConfig) -> Routes:
        """For a front door of its own: `/metrics`, and `/` because LiveKit's has it."""
        gate = _Gate(config.username, config.password, self)
        return {"/": Route(gate.answer), "/metrics": Route(gate.answer)}


@attrs.frozen(eq=False)
class _Found(Collector):
    """What was looked at, for prometheus_client to write."""

    metrics: list[Metric]

    def collect(self) -> list[Metric]:
        return self.metrics


@attrs.frozen
class _Gate:
    username: str
    password: str = attrs.field(repr=False)
    metrics: Metrics

    async def answer(self, request: Request) -> Response:
        if not self._allows(request.headers.get("authorization", "")):
            challenge = {"WWW-Authenticate": 'Basic realm="Protected Area"'}
            return Response(401, headers=challenge)
        return Response(200, await self.metrics.read(), CONTENT_TYPE_LATEST)

    def _allows(self, authorization: str) -> bool:
        if not self.username or not self.password:
            return True
        scheme, _, given = authorization.partition(" ")
        wanted = base64.b64encode(f"{self.username}:{self.password}".encode())
        given_bytes = given.strip().encode("utf-8", "replace")
        return scheme.lower() == "basic" and hmac.compare_digest(given_bytes, wanted)


def _kind(track: PublishedTrack) -> str:
    return track.info.kind.name


def _kinds(counts: Counter[TrackKind]) -> dict[tuple[str, ...], float]:
    return {(kind.name,): counts[kind] for kind in TrackKind}


def _by(counts: Counter[str]) -> dict[tuple[str, ...], float]:
    return {(name,): count for name, count in counts.items()}


_HELP: Final = {
    "livekit_room_total": "Rooms that there are.",
    "livekit_room_duration_seconds": "How long rooms lasted.",
    "livekit_participant_total": "Participants that there are.",
    "livekit_participant_join_total": "Participants by how far they came.",
    "livekit_session_duration_ms": "How long participants stayed who were connected.",
    "livekit_session_start_time_ms": "From joining to a connection that carries media.",
    "livekit_track_published_total": "Tracks that are published.",
    "livekit_track_subscribed_total": "Subscriptions through which a track can flow.",
    "livekit_track_publish_counter": "Tracks that were published.",
    "livekit_track_subscribe_counter": "Subscriptions whose client took the track.",
    "livekit_packet_total": "RTP packets.",
    "livekit_packet_bytes": "Bytes of RTP payload.",
    "livekit_packet_loss_total": "RTP packets that the network lost.",
    "livekit_packet_loss_percent": "Share of a stream's packets that is lost, sampled.",
    "livekit_jitter_us": "Jitter of a stream, sampled.",
    "livekit_rtt_ms": "Round trip to a stream's client, sampled.",
    "livekit_nack_total": "Packets that were asked for again.",
    "livekit_pli_total": "Key frames that were asked for by PLI.",
    "livekit_fir_total": "Key frames that were asked for by FIR.",
    "livekit_forward_latency_ns": "From a packet's arrival to its sending, sampled.",
    "livekit_node_packet_total": "Datagrams: received, and dropped by the kernel.",
    "livekit_webhook_dispatch_total": "Webhooks by what became of them.",
    "trio_sfu_webhooks_waiting": "Webhooks that have yet to arrive.",
    "trio_sfu_loop_lag_seconds": "How late the event loop was, ten looks a second.",
    "trio_sfu_loop_lag_average_seconds": "The same, as admission sees it.",
    "trio_sfu_gc_pause_seconds": "Time that collections of garbage stopped everything.",
    "trio_sfu_joins_refused_total": "Joins that got 503, by what there was too much of.",
    "trio_sfu_draining": "1 while no new rooms begin.",
    "trio_sfu_peers": "Peers that can be reached over UDP.",
    "trio_sfu_duplicates_total": "RTP packets that came twice, or too late.",
    "trio_sfu_drops_total": "Packets that went no further, by where and why.",
    "trio_sfu_http_connections": "TCP connections that are open.",
    "trio_sfu_http_refused_total": "TCP connections above the limit.",
    "trio_sfu_http_malformed_total": "Connections that sent what is no HTTP.",
    "trio_sfu_http_too_slow_total": "Connections that were too slow.",
    "trio_sfu_http_failed_total": "Requests that failed by a bug of ours.",
}
