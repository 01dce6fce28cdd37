"""The families of metrics: how they are called, what they mean, where histograms' limits are.

Names, labels and limits are LiveKit's, as its own port shows them, or begin with `trio_sfu_`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric

_ROOM_SECONDS: Final = (5, 10, 60, 300, 600, 1800, 3600, 7200, 18000, 36000)
_PERCENT: Final = (0, 0.1, 0.3, 0.5, 0.7, 1, 5, 10, 40, 100)

LIMITS: Final[Mapping[str, Sequence[float]]] = {
    "livekit_room_duration_seconds": _ROOM_SECONDS,
    "livekit_session_duration_ms": [each * 1000 for each in _ROOM_SECONDS],
    "livekit_session_join_latency_ms": [10 * 10 ** (step * 3 / 14) for step in range(15)],
    "livekit_session_start_time_ms": [100 * 10 ** (step / 7) for step in range(15)],
    "livekit_pubsubtime_ms": (100, 200, 500, 700, 1000, 5000, 10000),
    "livekit_jitter_us": (1000, 10000, 30000, 50000, 70000, 100000, 300000, 600000, 1000000),
    "livekit_packet_loss_percent": _PERCENT,
    "livekit_packet_out_of_order_percent": _PERCENT,
    "livekit_rtt_ms": (50, 100, 150, 200, 250, 500, 750, 1000, 5000, 10000),
    "livekit_forward_latency_ns": (5e4, 1e5, 2.5e5, 5e5, 1e6, 2e6, 3e6, 5e6, 1e7, 2e7),
    "livekit_node_twirp_request_latency_ms": (
        *(5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000),
    ),
    "livekit_webhook_queue_length": (1, 2, 3, 4, 5, 10, 20, 40, 80),
    "trio_sfu_loop_lag_seconds": (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0),
    "trio_sfu_gc_pause_seconds": (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
}
"""Upper ones of each histogram's buckets."""

HELP: Final = {
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
    "livekit_session_join_latency_ms": "From asking to join to being told that one is in.",
    "livekit_peer_connection_state": "Connections by how far they came.",
    "livekit_pubsubtime_ms": "From announcing a track, or beginning to send it, to its flow.",
    "livekit_node_messages": "Signalling messages.",
    "livekit_node_service_operation": "Joins, connections, offers and answers.",
    "livekit_node_twirp_request_status": "Calls of the server API by what they were answered.",
    "livekit_node_twirp_request_latency_ms": "How long calls of the server API took.",
    "livekit_packet_out_of_order_total": "RTP packets that came after later ones, unasked.",
    "livekit_packet_out_of_order_percent": "Share of a stream's packets that is such, sampled.",
    "livekit_forward_latency": "The average of the last sample, in nanoseconds.",
    "livekit_forward_jitter": "How far from the average the last sample was, in nanoseconds.",
    "livekit_webhook_queue_length": "Webhooks of a room that wait, as one more comes.",
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


class Families:
    """All histograms of one server, and the labels that each of its lines has."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.node = {"node_id": "", "node_type": "SERVER"}
        self._histograms: dict[str, Histogram] = {}

    def histogram(self, name: str, *labels: str) -> None:
        """There is a histogram *name*, with these *labels* of its own."""
        self._histograms[name] = Histogram(
            name, HELP[name], (*self.node, *labels), buckets=LIMITS[name], registry=self.registry
        )

    def seen(self, name: str, value: float, **labels: str) -> None:
        """One more *value* in the histogram *name*."""
        self._histograms[name].labels(**self.node, **labels).observe(value)

    def metric(
        self, name: str, kind: str, values: Mapping[Any, float], labels: Sequence[str] = ()
    ) -> Metric:
        """*values* are by what their *labels* say: tuples of as many texts."""
        # Of a counter's name the type's line shows only what is before "_total".
        shown = name.removesuffix("_total") if kind == "counter" else name
        metric = Metric(shown, HELP[name], kind)
        for key, value in values.items():
            metric.add_sample(name, {**self.node, **dict(zip(labels, key, strict=True))}, value)
        return metric
