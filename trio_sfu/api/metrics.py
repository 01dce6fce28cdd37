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
from collections.abc import Iterator, Sequence
from statistics import fmean, pstdev
from typing import Final

import attrs
import trio
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from trio_sfu.api.admission import Admission
from trio_sfu.api.families import Families
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.looplag import LoopLag
from trio_sfu.api.progress import Progress
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, Routes
from trio_sfu.api.tally import Accounts, Tally
from trio_sfu.api.twirp import Answered
from trio_sfu.api.webhooks import Courier
from trio_sfu.config import Config, PrometheusConfig
from trio_sfu.room.info import TrackKind
from trio_sfu.room.node import Node
from trio_sfu.room.observe import Happening
from trio_sfu.room.subscription import Subscription
from trio_sfu.room.track import PublishedTrack

SAMPLE_SECONDS: Final = 5.0
"""Between two samples of how streams do; LiveKit's."""
SAMPLED: Final = 500
"""Streams a sample looks at; where there are more, each has its turn."""

_OF_STREAMS: Final = (
    "livekit_jitter_us",
    "livekit_packet_loss_percent",
    "livekit_packet_out_of_order_percent",
    "livekit_rtt_ms",
)


@attrs.frozen
class Sources:
    """What is looked at when somebody reads."""

    node: Node
    lag: LoopLag
    admission: Admission
    couriers: Sequence[Courier] = ()
    doors: Sequence[FrontDoor] = ()
    messages: Counter[tuple[str, str]] = attrs.Factory(Counter)
    """Of the signalling, as `Signalling.messages`."""


class Metrics:
    """All figures of one server; an `Observer` of its rooms."""

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.bytes_per_sec = 0.0
        """Of media, in and out, as of the last sample."""
        self._families = families = Families()
        self._progress = Progress(families, self._wall)
        self._sources: Sources | None = None
        self._calls: Counter[tuple[str, str, str, str]] = Counter()
        self._latencies: list[float] = []
        """In nanoseconds, of the last sample."""
        self._next = 0
        """Of the streams, which is sampled next."""
        self._last_bytes: tuple[float, int] | None = None
        for name in _OF_STREAMS:
            families.histogram(name, "direction", "source", "type", "country")
        families.histogram("livekit_forward_latency_ns")
        families.histogram("livekit_node_twirp_request_latency_ms", "service", "method", "status")
        families.histogram("livekit_webhook_queue_length")
        families.histogram("trio_sfu_loop_lag_seconds")
        families.histogram("trio_sfu_gc_pause_seconds", "generation")
        ProcessCollector(registry=families.registry)

    # --- what happens

    def observe(self, happening: Happening) -> None:
        self.accounts.observe(happening)
        self._progress.observe(happening)

    def saw_lag(self, lag: float) -> None:
        """One look of `LoopLag`."""
        self._families.seen("trio_sfu_loop_lag_seconds", max(0.0, lag))

    def saw_pause(self, generation: int, seconds: float) -> None:
        """One collection of garbage."""
        self._families.seen("trio_sfu_gc_pause_seconds", seconds, generation=str(generation))

    def saw_call(self, call: Answered) -> None:
        """One call of the server API."""
        service = call.service.rpartition(".")[2]
        # As LiveKit has it: a success by its number, a failure by whose it is.
        status = str(call.status) if call.status < 400 else f"{call.status // 100}xx"
        self._calls[service, call.method, status, call.code] += 1
        self._families.seen(
            "livekit_node_twirp_request_latency_ms",
            call.seconds * 1000,
            service=service,
            method=call.method,
            status=status,
        )

    def saw_queue(self, length: int) -> None:
        """One webhook, behind others of its room."""
        self._families.seen("livekit_webhook_queue_length", length)

    def _wall(self) -> float:
        return self._sources.node.wall_time() if self._sources is not None else 0.0

    # --- how streams do

    def look_at(self, sources: Sources) -> None:
        """From now on there is something to read."""
        self._sources = sources
        self._families.node["node_id"] = sources.node.sid

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
        self._latencies.clear()
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
        labels, seen = self._labels(track, "incoming"), self._families.seen
        for key, found in incoming.statistics().items():
            if key.mid == track.info.mid and found.packets:
                expected = found.packets + max(0, found.lost)
                seen("livekit_jitter_us", found.jitter * 1e6, **labels)
                seen("livekit_packet_loss_percent", 100 * max(0, found.lost) / expected, **labels)
                late = 100 * found.out_of_order / found.packets
                seen("livekit_packet_out_of_order_percent", late, **labels)
                if incoming.rtt is not None:
                    seen("livekit_rtt_ms", incoming.rtt * 1000, **labels)

    def _sample_subscription(self, subscription: Subscription) -> None:
        if subscription.forwarder is None:
            return
        labels, seen = self._labels(subscription.track, "outgoing"), self._families.seen
        found = subscription.connection.peer.outgoing.statistics_of(subscription.ssrc)
        if found is None or not found.packets:
            return
        seen("livekit_packet_loss_percent", 100 * found.fraction_lost, **labels)
        seen("livekit_jitter_us", found.jitter * 1e6, **labels)
        if found.rtt is not None:
            seen("livekit_rtt_ms", found.rtt * 1000, **labels)
        latency = subscription.connection.latency * 1e9
        seen("livekit_forward_latency_ns", latency)
        self._latencies.append(latency)

    def _labels(self, track: PublishedTrack, direction: str) -> dict[str, str]:
        source = track.info.source.name
        return {
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
        return generate_latest(self._families.registry) + generate_latest(reading)

    async def _tally(self) -> Tally:
        assert self._sources is not None, "asked before"
        return await self.accounts.tally(self._sources.node)

    def _look(self, sources: Sources, tally: Tally) -> Iterator[Metric]:
        node, metric = sources.node, self._families.metric
        rooms = list(node.rooms.values())
        people = sum(len(room.participants) for room in rooms)
        yield metric("livekit_room_total", "gauge", {(): len(rooms)})
        yield metric("livekit_participant_total", "gauge", {(): people})
        kinds = ("kind",)
        yield metric("livekit_track_published_total", "gauge", _kinds(tally.published), kinds)
        yield metric("livekit_track_subscribed_total", "gauge", _kinds(tally.subscribed), kinds)
        yield from self._progress.read(sources.messages)
        yield metric(
            "livekit_node_twirp_request_status",
            "unknown",
            self._calls,
            ("service", "method", "status", "code"),
        )
        yield from self._look_at_media(tally)
        endpoint = node.endpoint.statistics()
        yield metric(
            "livekit_node_packet_total",
            "gauge",
            {("in",): endpoint.received, ("dropped",): endpoint.overflowed},
            ("type",),
        )
        yield from self._look_at_webhooks(sources.couriers)
        yield metric("trio_sfu_loop_lag_average_seconds", "gauge", {(): sources.lag.lag})
        yield metric(
            "trio_sfu_joins_refused_total", "counter", _by(sources.admission.refused), ("too_much",)
        )
        yield metric("trio_sfu_draining", "gauge", {(): int(node.draining)})
        yield metric("trio_sfu_peers", "gauge", {(): endpoint.mailboxes})
        for name in "connections", "refused", "malformed", "too_slow", "failed":
            count = sum(getattr(door.counters, name) for door in sources.doors)
            kind = "gauge" if name == "connections" else "counter"
            suffix = "" if kind == "gauge" else "_total"
            yield metric(f"trio_sfu_http_{name}{suffix}", kind, {(): count})

    def _look_at_media(self, tally: Tally) -> Iterator[Metric]:
        metric = self._families.metric
        both = (("incoming", tally.incoming), ("outgoing", tally.outgoing))
        sent = ("direction", "transmission", "country")

        def each(name: str) -> dict[tuple[str, ...], float]:
            return {(way, ""): getattr(totals, name) for way, totals in both}

        def initial_and_again(name: str) -> dict[tuple[str, ...], float]:
            return {(way, "initial", ""): getattr(totals, name) for way, totals in both}

        packets = initial_and_again("packets") | {
            (way, "retransmit", ""): totals.repeats for way, totals in both
        }
        yield metric("livekit_packet_total", "counter", packets, sent)
        yield metric("livekit_packet_bytes", "unknown", initial_and_again("octets"), sent)
        way = ("direction", "country")
        yield metric("livekit_packet_loss_total", "counter", each("lost"), way)
        yield metric(
            "livekit_packet_out_of_order_total",
            "counter",
            {("incoming", ""): tally.incoming.out_of_order},
            way,
        )
        yield metric("livekit_nack_total", "counter", each("nacks"), way)
        yield metric("livekit_pli_total", "counter", each("plis"), way)
        yield metric("livekit_fir_total", "counter", each("firs"), way)
        spread = self._latencies or [0.0]
        yield metric("livekit_forward_latency", "gauge", {(): fmean(spread)})
        yield metric("livekit_forward_jitter", "gauge", {(): pstdev(spread)})
        yield metric("trio_sfu_duplicates_total", "counter", {(): tally.incoming.duplicates})
        yield metric("trio_sfu_drops_total", "counter", tally.drops, ("where", "reason"))

    def _look_at_webhooks(self, couriers: Sequence[Courier]) -> Iterator[Metric]:
        metric = self._families.metric
        dispatched: Counter[tuple[str, ...]] = Counter()
        for courier in couriers:
            dispatched.update(courier.dispatched)
        yield metric("livekit_webhook_dispatch_total", "counter", dispatched, ("status", "reason"))
        waiting = sum(courier.waiting for courier in couriers)
        yield metric("trio_sfu_webhooks_waiting", "gauge", {(): waiting})

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
