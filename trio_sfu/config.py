"""What an operator can set: frozen values with their reasons, under LiveKit's names.

These classes are the one place that knows what there is. The file (`trio_sfu.settings`),
the flags and the environment (`trio_sfu.options`), `--help` and docs/configuration.md
(`trio_sfu.reference`) are all made of what `setting` writes down here. A program that
embeds the server makes a `Config` itself.
"""

import errno
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from trio_sfu import kinds
from trio_sfu.kinds import Kind, TurnServer

HTTP_PORT: Final = 7880
UDP_PORT: Final = 7882
DEV_KEY: Final = "devkey"
DEV_SECRET: Final = "secret"

CODECS: Final = (
    "video/VP8",
    "video/H264",
    "video/VP9",
    "video/AV1",
    "audio/opus",
    "audio/red",
    "audio/PCMU",
    "audio/PCMA",
)
"""What a client may publish. VP8 first, video before audio: Flutter 2.4.2 needs it so."""


class ConfigError(Exception):
    """One line for an operator: where, what, and what to do."""


@attrs.frozen
class Setting:
    """What is known of one key, besides its default."""

    kind: Kind
    about: str
    """For whoever sets it: one or two sentences."""
    key: str
    """Its name in a file, if it is not its attribute's. With dots it is the whole path."""
    live: bool
    """Read again at SIGHUP; everything else needs a restart."""
    ours: bool
    """LiveKit has no such key: take it away before giving the file to LiveKit's server."""
    secret: bool
    """Its value stands in no message, no log and no repr."""


def setting(
    default: object,
    kind: Kind,
    about: str,
    *,
    key: str = "",
    live: bool = False,
    ours: bool = False,
    secret: bool = False,
) -> Any:
    """An attribute that an operator can set."""
    known = Setting(kind, about, key, live, ours, secret)
    shown = (lambda value: f"<{len(value)} secret>") if secret else True
    if isinstance(default, dict):
        return attrs.field(factory=dict, repr=shown, metadata={"setting": known})
    return attrs.field(default=default, repr=shown, metadata={"setting": known})


def section(
    default: object,
    about: str,
    *,
    kind: Kind | None = None,
    keys: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """An attribute that is a section of the file.

    *kind* replaces that of all in it; *keys* say where else than there an attribute stands.
    """
    return attrs.field(default=default, metadata={"section": about, "kind": kind, "keys": keys})


@attrs.frozen(kw_only=True)
class Filter:
    """Which of several things to use: those included (all, if none are) but not those excluded."""

    includes: tuple[str, ...] = setting((), kinds.TEXTS, "Only these; empty means all.")
    excludes: tuple[str, ...] = setting((), kinds.TEXTS, "Never these.")

    def lets_through(self, matches: Callable[[str], bool]) -> bool:
        """*matches* says whether an entry is about the thing in question."""
        included = not self.includes or any(map(matches, self.includes))
        return included and not any(map(matches, self.excludes))


@attrs.frozen(kw_only=True)
class RtcConfig:
    """How media reaches us."""

    udp_ports: tuple[int, ...] = setting(
        (UDP_PORT,),
        kinds.PORTS,
        "Everybody's media comes through one UDP port; a range (7882-7885) opens several "
        "sockets, each with buffers of its own. 0 takes any that is free.",
        key="udp_port",
    )
    node_ip: str = setting(
        "",
        kinds.NODE_IP,
        "The one address to tell clients, for a host that is reached by another than it has "
        "(behind NAT, in a container). Both families: `192.0.2.1,2001:db8::1`.",
    )
    interfaces: Filter = section(
        Filter(), 'Whose addresses are told to clients, by interface ("eth0").'
    )
    ips: Filter = section(
        Filter(),
        'Which addresses are told to clients, by network ("10.0.0.0/8").',
        kind=kinds.NETWORKS,
    )
    enable_loopback_candidate: bool = setting(
        False, kinds.TRUTH, "Tell clients of 127.0.0.1 and ::1 too, even if there are others."
    )
    stun_servers: tuple[str, ...] = setting(
        (),
        kinds.STUN_SERVERS,
        "Told to clients. They need none to reach this server, so there are none unless you name "
        "some (LiveKit's server then names public ones).",
    )
    turn_servers: tuple[TurnServer, ...] = setting(
        (),
        kinds.TURN_SERVERS,
        "Told to clients, for those who get no UDP through. With a `secret` (coturn's "
        "`static-auth-secret`) each gets a name and a password that end after `ttl` seconds.",
        secret=True,
    )


@attrs.frozen(kw_only=True)
class RoomConfig:
    """What holds for a room unless a token or the API says otherwise."""

    auto_create: bool = setting(
        True,
        kinds.TRUTH,
        "A room begins to exist when somebody joins it. If false, it must be made by the API, "
        "or by a token with `roomCreate`.",
        live=True,
    )
    empty_timeout: int = setting(
        300, kinds.SECONDS, "Seconds that a room stays which nobody has joined yet.", live=True
    )
    departure_timeout: int = setting(
        20, kinds.SECONDS, "Seconds that a room stays after the last one left.", live=True
    )
    join_timeout: int = setting(
        60,
        kinds.SECONDS,
        "Seconds in which whoever joins must have a connection, or is removed. More is for "
        "those who come for the signalling alone.",
        live=True,
        ours=True,
    )
    max_participants: int = setting(
        0, kinds.COUNT, "How many may be in a room at a time; 0 is no limit.", live=True
    )
    enabled_codecs: tuple[str, ...] = setting(
        CODECS, kinds.CODECS, "What may be published in a room, best first.", live=True
    )
    enable_remote_unmute: bool = setting(
        False,
        kinds.TRUTH,
        "The API may unmute somebody's track, and not only mute it. Ask your users first.",
        live=True,
    )
    enable_full_room_in_webhooks: bool = setting(
        False, kinds.TRUTH, "Webhooks about tracks tell all of the room, not its name and SID only."
    )
    sync_streams: bool = setting(
        False,
        kinds.TRUTH,
        "Put the camera and the microphone of a participant into one stream, as well as both "
        "parts of a shared screen, so that browsers keep them in time.",
    )
    room_configurations: Mapping[str, Mapping[str, object]] = setting(
        {},
        kinds.ROOMS,
        "What a room can be like, by a name: a token chooses with `roomPreset`, CreateRoom with "
        "`room_preset`; what they say themselves counts for more. `egress` has no effect.",
        live=True,
    )
    max_quality: str = setting(
        "high",
        kinds.one_of("low", "medium", "high"),
        "The highest layer of a simulcast video that anybody gets in any room. A token or a "
        "room can lower it further.",
        live=True,
        ours=True,
    )


@attrs.frozen(kw_only=True)
class LimitConfig:
    """What a client may make us keep, and from where on nobody new is let in. 0 is no limit."""

    max_metadata_size: int = setting(
        512 * 1024,
        kinds.SIZE,
        "Bytes of a room's metadata, and of a participant's. Everybody in a room is sent it.",
        live=True,
    )
    max_attributes_size: int = setting(
        64 * 1024,
        kinds.SIZE,
        "Bytes of all of a participant's attributes, names and values.",
        live=True,
    )
    max_room_name_length: int = setting(256, kinds.COUNT, "Bytes of a room's name.", live=True)
    max_participant_identity_length: int = setting(
        256, kinds.COUNT, "Bytes of an identity.", live=True
    )
    max_participant_name_length: int = setting(
        256, kinds.COUNT, "Bytes of a participant's name.", live=True
    )
    max_data_blob_key_length: int = setting(
        256, kinds.COUNT, "Bytes of a data blob's key.", live=True
    )
    max_data_blob_size: int = setting(
        64_000,
        kinds.SIZE,
        "Bytes of all of a participant's data blobs.",
        key="max_data_blobs_size",
        live=True,
    )
    max_data_track_custom_encoding_length: int = setting(
        32, kinds.COUNT, "Bytes of the name of a data track's own encoding.", live=True
    )
    subscription_limit_video: int = setting(
        0, kinds.LIMIT, "Videos that one participant may get at a time.", live=True
    )
    subscription_limit_audio: int = setting(
        0, kinds.LIMIT, "Sounds that one participant may get at a time.", live=True
    )
    num_tracks: int = setting(
        0,
        kinds.LIMIT,
        "Tracks, in and out together, above which this server takes nobody more (503).",
        live=True,
    )
    bytes_per_sec: float = setting(
        0.0,
        kinds.REAL,
        "Bytes a second, in and out together, above which this server takes nobody more (503).",
        live=True,
    )
    loop_lag: float = setting(
        0.1,
        kinds.DURATION,
        "What is due comes later than this: nobody new is let in (503). LiveKit's servers look "
        "at the processor's load, but ours is one thread, which is full long before.",
        live=True,
        ours=True,
    )
    signal_message_size_limit: int = setting(
        2 * 1024 * 1024, kinds.SIZE, "Bytes of one message of a client.", live=True
    )
    max_api_request_body_size: int = setting(
        10 * 1024 * 1024, kinds.SIZE, "Bytes of a request to the API.", live=True
    )


@attrs.frozen(kw_only=True)
class AudioConfig:
    """Sound: who is told to be speaking, from the levels that packets carry."""

    active_level: int = setting(
        35,
        kinds.whole(0, 127, "a level (0, the loudest, to 127)"),
        "-dBov: a packet as loud as this, or louder, is heard. 0 is the loudest, 127 silence.",
    )
    min_percentile: int = setting(
        40,
        kinds.whole(0, 100, "a percentage (0 to 100)"),
        "The part of an interval, in per cent, that must be heard to be speech.",
    )
    update_interval: int = setting(
        400,
        kinds.whole(20, 60_000, "milliseconds (20 to 60000)"),
        "Milliseconds between two looks at who speaks, and of sound looked at.",
    )
    smooth_intervals: int = setting(
        2,
        kinds.whole(0, 1000, "a number of intervals (0 to 1000)"),
        "Over how many intervals a level is smoothed; 0 does not.",
    )
    active_red_encoding: bool = setting(
        False,
        kinds.TRUTH,
        "Send clients that take it redundant audio also of publishers who send plain Opus.",
    )


@attrs.frozen(kw_only=True)
class WebhookConfig:
    """Who is told over HTTP what happens in rooms."""

    urls: tuple[str, ...] = setting((), kinds.TEXTS, "Each is told everything, by POST.")
    api_key: str = setting(
        "", kinds.TEXT, "Whose secret signs, one of `keys`; the receiver checks with it."
    )
    events: Filter = section(
        Filter(),
        "Which events are told.",
        keys={
            "includes": "webhook.filter_params.include_events",
            "excludes": "webhook.filter_params.exclude_events",
        },
    )
    max_age: float = setting(
        30.0,
        kinds.DURATION,
        "An event that could not be told for so long is dropped.",
        key="webhook.resource_url_notifier.max_age",
    )
    max_depth: int = setting(
        200,
        kinds.COUNT,
        "Events of one room that one receiver has yet to take; more are dropped.",
        key="webhook.resource_url_notifier.max_depth",
    )
    num_workers: int = setting(
        10,
        kinds.COUNT,
        "Requests to one receiver at a time.",
        key="webhook.url_notifier.num_workers",
    )


@attrs.frozen(kw_only=True)
class PrometheusConfig:
    """Metrics, on a port of their own."""

    port: int = setting(0, kinds.PORT, "TCP; `/metrics` is served there. 0: no metrics.")
    username: str = setting("", kinds.TEXT, "Asked for by HTTP's basic authentication, if set.")
    password: str = setting("", kinds.TEXT, "The password that belongs to it.", secret=True)


@attrs.frozen(kw_only=True)
class DebugHandlerConfig:
    """What there is in the process, for its operator."""

    port: int = setting(
        0, kinds.PORT, "TCP, on this machine only. 0: served in development mode alone."
    )


@attrs.frozen(kw_only=True)
class TlsConfig:
    """TLS for HTTP and WebSockets, for whoever has no proxy in front that does it."""

    cert_file: str = setting(
        "",
        kinds.TEXT,
        "The certificate, with those of the authorities that lead to it, in PEM. With it, "
        "`port` speaks https and wss only.",
        live=True,
        ours=True,
    )
    key_file: str = setting(
        "",
        kinds.TEXT,
        "Its private key, in PEM, which not everybody may read.",
        live=True,
        ours=True,
    )


@attrs.frozen(kw_only=True)
class Config:
    """Everything that can be set."""

    keys: Mapping[str, str] = setting(
        {},
        kinds.KEYS,
        "API keys with their secrets. Tokens are signed with them; the first signs what the "
        "server signs itself. Changed by SIGHUP: who is in stays in.",
        live=True,
        secret=True,
    )
    key_file: str = setting(
        "",
        kinds.TEXT,
        "A file of such pairs, which not everybody may read (chmod 600). It counts beside "
        "`keys`, and less. `$HOME` and `~` are understood.",
        live=True,
    )
    port: int = setting(
        HTTP_PORT, kinds.PORT, "TCP, for HTTP and WebSockets. 0 takes any that is free."
    )
    bind_addresses: tuple[str, ...] = setting(
        (), kinds.ADDRESSES, "Where to listen for HTTP; empty is everywhere."
    )
    development: bool = setting(
        False,
        kinds.TRUTH,
        "For one's own machine: keys that everybody knows, HTTP on loopback only, much log. "
        "The same as `--dev`.",
    )
    region: str = setting("", kinds.TEXT, "Told to clients.")
    log_level: str = setting(
        "info",
        kinds.one_of("debug", "info", "warn", "error"),
        "What is logged: this and what is graver.",
        key="logging.level",
    )
    log_json: bool = setting(
        False, kinds.TRUTH, "Log lines for machines, one JSON object each.", key="logging.json"
    )
    enable_data_tracks: bool = setting(True, kinds.TRUTH, "Clients may publish data tracks.")
    enable_participant_data_blob: bool = setting(
        False, kinds.TRUTH, "Clients may leave data blobs with us, for others to fetch."
    )
    rtc: RtcConfig = section(RtcConfig(), "How media reaches us.")
    room: RoomConfig = section(
        RoomConfig(), "What holds for a room unless a token or the API says otherwise."
    )
    limit: LimitConfig = section(
        LimitConfig(),
        "What a client may make us keep, and from where on nobody new is let in. 0 is no limit.",
    )
    audio: AudioConfig = section(
        AudioConfig(), "Who is told to be speaking, and how sound is sent."
    )
    webhook: WebhookConfig = section(WebhookConfig(), "Who is told what happens in rooms.")
    prometheus: PrometheusConfig = section(PrometheusConfig(), "Metrics, on a port of their own.")
    debug_handler: DebugHandlerConfig = section(
        DebugHandlerConfig(), "What there is in the process, for its operator."
    )
    tls: TlsConfig = section(
        TlsConfig(), "TLS for HTTP and WebSockets, where no proxy in front does it."
    )

    @classmethod
    def dev(cls) -> "Config":
        """For trying things on one's own machine: keys that everybody knows, on loopback."""
        return cls(
            keys={DEV_KEY: DEV_SECRET},
            bind_addresses=("127.0.0.1", "::1"),
            log_level="debug",
            development=True,
        )


OLD_NAMES: Final[Mapping[str, str]] = {
    "log_level": "logging.level",
    "prometheus_port": "prometheus.port",
    "room.max_metadata_size": "limit.max_metadata_size",
    "room.max_room_name_length": "limit.max_room_name_length",
    "room.max_participant_identity_length": "limit.max_participant_identity_length",
}
"""Keys that LiveKit calls deprecated, with what they are called now."""


@attrs.frozen
class Known:
    """A setting in its place."""

    key: str
    """In a file: "rtc.udp_port"."""
    attribute: str
    """Of `Config`: "rtc.udp_ports"."""
    default: object
    setting: Setting

    @property
    def kind(self) -> Kind:
        return self.setting.kind


def settings_of(config: attrs.AttrsInstance, key: str = "", attribute: str = "") -> Iterator[Known]:
    """Every setting of *config* and its sections, with what *config* says as its default."""
    for field in attrs.fields(type(config)):
        value = getattr(config, field.name)
        path = attribute + field.name
        known: Setting | None = field.metadata.get("setting")
        if known is not None:
            name = known.key or field.name
            yield Known(name if "." in name else key + name, path, value, known)
            continue
        kind: Kind | None = field.metadata["kind"]
        keys: Mapping[str, str] = field.metadata["keys"]
        for each in settings_of(value, f"{key}{field.name}.", f"{path}."):
            yield Known(
                keys.get(each.attribute.removeprefix(f"{path}."), each.key),
                each.attribute,
                each.default,
                each.setting if kind is None else attrs.evolve(each.setting, kind=kind),
            )


SETTINGS: Final[Mapping[str, Known]] = {each.key: each for each in settings_of(Config())}
"""Everything that can be set, by its key in a file."""

SECTIONS: Final[Mapping[str, str]] = {"logging": "What is said on stderr."} | {
    name: about
    for name, about in (
        (field.name, field.metadata.get("section")) for field in attrs.fields(Config)
    )
    if about is not None
}
"""What the sections on the first level are about."""


def cannot_bind(error: OSError, protocol: str, host: str, port: int, flag: str) -> ConfigError:
    """What to tell somebody whose server could not bind *protocol* ("TCP") at *host*, *port*.

    *flag* is what they may change it with.
    """
    place = f"{protocol} port {port} on {host or 'all addresses'}"
    match error.errno:
        case errno.EADDRINUSE:
            return ConfigError(f"{place} is taken: stop what uses it, or choose another ({flag})")
        case errno.EACCES:
            return ConfigError(
                f"{place} is not for everybody: choose one above 1023 ({flag}), or run with the "
                "right to it (CAP_NET_BIND_SERVICE)"
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return ConfigError(
                f"{place}: this machine has no such address: choose another (--bind)"
            )
    return ConfigError(f"{place} cannot be used: {error.strerror}")
