"""LiveKit's settings that have no effect here, each with the reason.

A file written for LiveKit starts this server: every key that LiveKit's server knows is
either in `trio_sfu.config` or in this table. Whoever sets one of these is told so in one
line, with what to do instead where there is something. What is in neither is an error,
because a mistyped key that is passed over in silence is found much later, and by
somebody else.

The names are those of livekit-server 1.13.
"""

from collections.abc import Iterator, Mapping
from typing import Final

LATER: Final = "not built here yet"
ONE_PROCESS: Final = "does not apply here: there is one process, and nobody to talk to"
NO_ALLOCATOR: Final = "not built here yet: a subscriber's bandwidth does not choose layers"
ICE_LITE: Final = "does not apply here: ICE is lite, the client chooses the path"

_ANY: Final = "*"
"""Stands for all keys that there may be in a section: LiveKit's knobs of one algorithm."""


def _all(reason: str, names: str) -> Mapping[str, str]:
    return dict.fromkeys(names.split(), reason)


_TABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "rtc": {
        "tcp_port": "not built here yet: media comes by UDP only",
        "port_range_start": "does not apply here: all media comes through rtc.udp_port",
        "port_range_end": "does not apply here: all media comes through rtc.udp_port",
        "use_stun_port_as_ice": LATER,
        "use_external_ip": "not built here yet: name the address with rtc.node_ip",
        "external_ip_only": "not built here yet: name the address with rtc.node_ip",
        "advertise_internal_ip": "not built here yet: name the address with rtc.node_ip",
        "skip_external_ip_validation": "not built here yet: name the address with rtc.node_ip",
        "use_ice_lite": "does not apply here: ICE is always lite",
        "use_mdns": "does not apply here: ICE is lite, nobody's names are looked up",
        "force_tcp": "not built here yet: media comes by UDP only",
        **_all(
            ICE_LITE,
            "host_acceptance_min_wait srflx_acceptance_min_wait prflx_acceptance_min_wait "
            "relay_acceptance_min_wait",
        ),
        **_all(
            "does not apply here: SCTP is written anew, with RFC 9260's own figures",
            "sctp_min_cwnd sctp_fast_rtx_wnd sctp_cwnd_ca_step",
        ),
        "enable_warp": "not built here yet",
        "strict_acks": "does not apply here: LiveKit has done away with it",
        **_all(
            "does not apply here: what was sent is kept for as long as it may be asked for again",
            "packet_buffer_size packet_buffer_size_video packet_buffer_size_audio",
        ),
        **_all(
            "not built here yet: the fallback is to TCP, which there is not",
            "allow_tcp_fallback tcp_fallback_rtt_threshold allow_udp_unstable_fallback",
        ),
        **_all(
            "not built here yet",
            "reconnect_on_publication_error reconnect_on_subscription_error "
            "reconnect_on_data_channel_error",
        ),
        "data_channel_max_buffered_amount": "does not apply here: LiveKit has done away with it",
        "datachannel_slow_threshold": "does not apply here: a slow reader's queue has a bound",
        "datachannel_lossy_target_latency": LATER,
        "datachannel_data_track_target_latency": LATER,
        "enable_rtp_stream_restart_detection": "does not apply here: it is always on",
    },
    "rtc.batch_io": _all(
        "does not apply here: packets always travel in batches", "batch_size max_flush_interval"
    ),
    "rtc.pli_throttle": _all(
        "not built here yet: a key frame is asked for at most every half second",
        "low_quality mid_quality high_quality",
    ),
    "rtc.congestion_control": {
        **_all(
            NO_ALLOCATOR,
            "enabled allow_pause use_send_side_bwe use_send_side_bwe_interceptor "
            "send_side_bwe_pacer",
        ),
    },
    "rtc.congestion_control.stream_allocator": {_ANY: NO_ALLOCATOR},
    "rtc.congestion_control.remote_bwe": {_ANY: NO_ALLOCATOR},
    "rtc.congestion_control.send_side_bwe": {_ANY: NO_ALLOCATOR},
    "rtc.forward_stats": _all(LATER, "summary_interval report_interval report_window"),
    "redis": _all(
        "not built here yet: every server is by itself",
        "address username password db use_tls sentinel_master_name sentinel_username "
        "sentinel_password sentinel_addresses cluster_addresses dial_timeout read_timeout "
        "write_timeout max_redirects pool_timeout pool_size",
    ),
    "redis.tls": _all(
        "not built here yet: every server is by itself",
        "enabled insecure server_name ca_cert_file client_cert_file client_key_file",
    ),
    "audio": {
        "enable_loss_proxying": LATER,
    },
    "video": {
        "dynacast_pause_delay": "not built here yet: publishers send every layer",
        "codec_regression_threshold": LATER,
    },
    "video.stream_tracker_manager": {
        _ANY: "does not apply here: a layer counts as gone when nothing of it came for a while"
    },
    "room": {
        "create_room_timeout": "does not apply here: a room is made in this process, at once",
        "create_room_attempts": "does not apply here: a room is made in this process, at once",
        "update_batch_target_size": "does not apply here: updates are never split",
    },
    "room.playout_delay": _all(LATER, "enabled min max"),
    "turn": _all(
        "not built here yet: there is no TURN server",
        "enabled domain cert_file key_file tls_port udp_port relay_range_start relay_range_end "
        "external_tls bind_addresses per_user_relay_allocation_limit ttl_seconds "
        "allow_restricted_peer_cidrs deny_peer_cidrs",
    ),
    "ingress": _all("not built here yet: there is no ingress", "rtmp_base_url whip_base_url"),
    "webhook.url_notifier": {
        "queue_size": "does not apply here: webhook.resource_url_notifier.max_depth is the bound"
    },
    "node_selector": _all(
        ONE_PROCESS, "kind sort_by algorithm cpu_load_limit sysload_limit regions"
    ),
    "signal_relay": _all(
        ONE_PROCESS,
        "retry_timeout min_retry_interval max_retry_interval stream_buffer_size connect_attempts",
    ),
    "psrpc": _all(ONE_PROCESS, "max_attempts timeout backoff buffer_size"),
    "logging": {
        "sample": "does not apply here: every line is written",
        "component_levels": "does not apply here: there is one level",
        "pion_level": "does not apply here: there is one level",
        **_all(
            "does not apply here: every line is written",
            "sample_initial sample_interval item_sample_seconds item_sample_initial "
            "item_sample_interval",
        ),
    },
    "limit": {"agent_signal_message_size_limit": "not built here yet: there are no agents"},
    "agents": _all(
        "not built here yet: there are no agents",
        "enable_user_data_recording enable_user_data_redaction target_load",
    ),
    "metric.timestamper_config": _all(
        LATER, "one_way_delay_estimator_min_interval one_way_delay_estimator_max_batch"
    ),
    "metric.collector": _all(LATER, "sampling_interval_ms batch_interval_ms"),
    "metric.reporter": _all(LATER, "reporting_interval_ms"),
    "trace": {"jaeger_url": LATER},
    "node_stats": _all(
        ONE_PROCESS, "stats_update_interval stats_rate_measurement_intervals stats_max_delay"
    ),
    "api": _all(
        "does not apply here: a call is done when it is answered",
        "execution_timeout check_interval max_check_interval "
        "enable_psrpc_for_get_list_participants",
    ),
}

EMPTY_SECTIONS: Final = frozenset({"sip", "metric"})
"""Sections of LiveKit's with nothing in them, or with sections only."""

NOT_YET: Final[Mapping[str, str]] = {}
"""Settings of `trio_sfu.config` that nothing acts on yet."""


def _flat() -> Iterator[tuple[str, str]]:
    for section, names in _TABLE.items():
        for name, reason in names.items():
            yield (section if name == _ANY else f"{section}.{name}"), reason


WITHOUT_EFFECT: Final[Mapping[str, str]] = dict(_flat())
"""Why, by key. Of a section that stands here itself any key is taken."""
