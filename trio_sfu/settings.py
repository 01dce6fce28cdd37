"""Reads LiveKit's `livekit.yaml`, and flags, into a `Config`.

A configuration file of LiveKit's works here as it is. What we know and have built is
read; what LiveKit knows and we have not built yet is warned of, key by key; anything
else is an error, because a mistyped key that is passed over in silence is found much
later, and by somebody else. Every error is one line: where, what, and what to do.

YAML guesses what a word means, and guesses wrong: `on` is a truth, `0777` is 511,
`12:30` is 750, and an API key of digits a number. So the file is only parsed into
its nodes here, every scalar of which is a text, and each setting reads its own.
"""

import difflib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

import attrs
import yaml

from trio_sfu.config import Config, ConfigError, Filter, RoomConfig, RtcConfig

UDP_PORTS_LIMIT: Final = 64
"""Sockets that a range of UDP ports may open: each has a task and buffers of megabytes."""
SECRET_LENGTH: Final = 32
"""Bytes that a secret should have: as many as the hash it keys (RFC 7518 section 3.2)."""
SECONDS_LIMIT: Final = 2**31
LOG_LEVELS: Final = ("debug", "info", "warn", "error")


# Reading nodes: each function takes a node of a YAML file, or one made of a flag, and
# raises ValueError with what it expected. None of them repeats a secret.


def _plain(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("a single value")
    return str(node.value)


def _text(node: yaml.Node) -> str:
    try:
        return _plain(node)
    except ValueError:
        raise ValueError("a text") from None


def _whole(node: yaml.Node, least: int, most: int, expected: str) -> int:
    value = _plain(node)
    if value.isascii() and value.isdigit() and least <= int(value[:12]) <= most:
        return int(value)
    raise ValueError(expected)


def _port(node: yaml.Node) -> int:
    return _whole(node, 0, 65535, "a port (0 to 65535)")


def _ports(node: yaml.Node) -> tuple[int, ...]:
    first, dash, last = _plain(node).replace(" ", "").partition("-")
    expected = f"a port (0 to 65535) or a range of up to {UDP_PORTS_LIMIT}, such as 7882-7885"
    ends = [_whole(_scalar(end), 0, 65535, expected) for end in (first, last if dash else first)]
    ports = tuple(range(ends[0], ends[1] + 1))
    if not 0 < len(ports) <= UDP_PORTS_LIMIT:
        raise ValueError(expected)
    return ports


def _seconds(node: yaml.Node) -> int:
    return _whole(node, 0, SECONDS_LIMIT, "a whole number of seconds, such as 300")


def _truth(node: yaml.Node) -> bool:
    value = _plain(node).lower()
    if value in ("true", "yes", "on"):
        return True
    if value in ("false", "no", "off"):
        return False
    raise ValueError("true or false")


def _address(node: yaml.Node) -> str:
    try:
        return str(ip_address(_plain(node)))
    except ValueError:
        raise ValueError("an IP address, such as 192.0.2.1") from None


def _addresses(node: yaml.Node) -> tuple[str, ...]:
    """An empty one is LiveKit's way to say all."""
    values = _list(node)
    if "" in values:
        return ()
    return tuple(_address(_scalar(value)) for value in values)


def _network(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError("networks, such as 10.0.0.0/8") from None


def _list(node: yaml.Node) -> tuple[str, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError("a list")
    return tuple(_text(item) for item in node.value)


def _networks(node: yaml.Node) -> tuple[str, ...]:
    return tuple(_network(value) for value in _list(node))


def _level(node: yaml.Node) -> str:
    value = _plain(node).lower()
    if value not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)}")
    return value


def _keys(node: yaml.Node) -> dict[str, str]:
    """Never says what it got: it might be a secret."""
    expected = "API keys with their secrets, as `key: secret` with a space after the colon"
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(expected)
    keys: dict[str, str] = {}
    for key, secret in node.value:
        if not isinstance(key, yaml.ScalarNode) or not isinstance(secret, yaml.ScalarNode):
            raise ValueError(expected)
        if not key.value or not secret.value:
            raise ValueError(expected)
        keys[str(key.value)] = str(secret.value)
    return keys


@attrs.frozen
class Setting:
    """Where a key's value goes, and how it is read."""

    attribute: str
    """Of `Config`, or of a part of it: "rtc.udp_ports"."""
    read: Callable[[yaml.Node], object]
    secret: bool = False


SETTINGS: Final[Mapping[str, Setting]] = {
    "port": Setting("port", _port),
    "bind_addresses": Setting("bind_addresses", _addresses),
    "keys": Setting("keys", _keys, secret=True),
    "key_file": Setting("key_file", _text),
    "development": Setting("development", _truth),
    "region": Setting("region", _text),
    "log_level": Setting("log_level", _level),
    "logging.level": Setting("log_level", _level),
    "logging.json": Setting("log_json", _truth),
    "rtc.udp_port": Setting("rtc.udp_ports", _ports),
    "rtc.node_ip": Setting("rtc.node_ip", _address),
    "rtc.interfaces.includes": Setting("rtc.interfaces.includes", _list),
    "rtc.interfaces.excludes": Setting("rtc.interfaces.excludes", _list),
    "rtc.ips.includes": Setting("rtc.ips.includes", _networks),
    "rtc.ips.excludes": Setting("rtc.ips.excludes", _networks),
    "rtc.enable_loopback_candidate": Setting("rtc.enable_loopback_candidate", _truth),
    "room.auto_create": Setting("room.auto_create", _truth),
    "room.empty_timeout": Setting("room.empty_timeout", _seconds),
    "room.departure_timeout": Setting("room.departure_timeout", _seconds),
}

INSTEAD: Final[Mapping[str, str]] = {
    "rtc.port_range_start": "all media comes through rtc.udp_port",
    "rtc.port_range_end": "all media comes through rtc.udp_port",
    "rtc.use_external_ip": "name the address with rtc.node_ip",
    "rtc.use_ice_lite": "ICE is always lite here",
    "rtc.batch_io": "packets always travel in batches here",
    "prometheus_port": "",
}
"""What to do about some of the keys below, beside waiting."""

LATER: Final[frozenset[str]] = frozenset(INSTEAD) | {
    "enable_data_tracks",
    "enable_participant_data_blob",
    "redis",
    "turn",
    "webhook",
    "audio",
    "video",
    "node_selector",
    "limit",
    "signal_relay",
    "psrpc",
    "agents",
    "prometheus",
    "debug_handler",
    "node_stats",
    "metric",
    "trace",
    "api",
    "ingress",
    "sip",
    "logging.pion_level",
    "logging.component_levels",
    "logging.sample",
    "logging.file",
    "rtc.tcp_port",
    "rtc.external_ip_only",
    "rtc.stun_servers",
    "rtc.turn_servers",
    "rtc.use_mdns",
    "rtc.force_tcp",
    "rtc.packet_buffer_size",
    "rtc.packet_buffer_size_video",
    "rtc.packet_buffer_size_audio",
    "rtc.pli_throttle",
    "rtc.congestion_control",
    "rtc.allow_tcp_fallback",
    "rtc.tcp_fallback_rtt_threshold",
    "rtc.allow_udp_unstable_fallback",
    "rtc.reconnect_on_publication_error",
    "rtc.reconnect_on_subscription_error",
    "rtc.reconnect_on_data_channel_error",
    "rtc.datachannel_slow_threshold",
    "rtc.datachannel_lossy_target_latency",
    "rtc.datachannel_data_track_target_latency",
    "rtc.sctp_zero_checksum",
    "rtc.sctp_min_cwnd",
    "rtc.sctp_fast_rtx_wnd",
    "rtc.sctp_cwnd_ca_step",
    "rtc.forward_stats",
    "rtc.enable_warp",
    "rtc.enable_rtp_stream_restart_detection",
    "room.enabled_codecs",
    "room.max_participants",
    "room.enable_remote_unmute",
    "room.playout_delay",
    "room.sync_streams",
    "room.create_room_timeout",
    "room.create_room_attempts",
    "room.enable_full_room_in_webhooks",
    "room.update_batch_target_size",
    "room.room_configurations",
}
"""What LiveKit knows and we have not built yet; a section's name stands for all in it."""

SECTIONS: Final[frozenset[str]] = frozenset(
    key.rpartition(".")[0] for key in (*SETTINGS, *LATER) if "." in key
) | {"rtc"}


@attrs.define
class _Found:
    """What a file and flags said, by attribute, and what is to be warned of."""

    values: dict[str, object] = attrs.Factory(dict)
    warnings: list[str] = attrs.Factory(list)


@attrs.frozen
class Flag:
    """A setting from the command line or the environment: *name* is how the operator wrote it."""

    name: str
    key: str
    value: str | Sequence[str]
    """A list for settings that are lists; the text of a YAML mapping for keys."""


def load(
    text: str = "", where: str = "", flags: Sequence[Flag] = (), development: bool = False
) -> tuple[Config, list[str]]:
    """The configuration, and warnings. *where* names the YAML *text* in messages.

    Flags count for more than the text. Raises `ConfigError`.
    """
    found = _Found()
    _read_document(text, where, found)
    for flag in flags:
        setting = SETTINGS[flag.key]
        node = _parse(flag.value, flag.name) if setting.secret else _node_of(flag.value)
        found.values[setting.attribute] = _read_setting(setting, node, flag.name)
    values = found.values
    if key_file := values.pop("key_file", ""):
        values["keys"] = {**_read_key_file(str(key_file)), **_as_keys(values.get("keys"))}
    if development or values.get("development"):
        config = _for_development(values)
    else:
        config = _built(values)
    if not config.keys:
        raise ConfigError(
            "there are no API keys: to try things out run with --dev, else make a pair with "
            "`trio-sfu generate-keys` and give it with --keys, --key-file or `keys:`"
        )
    for key, secret in config.keys.items():
        if len(secret.encode()) < SECRET_LENGTH and not config.development:
            found.warnings.append(
                f"the secret of API key {key} is short and can be guessed: "
                f"give it {SECRET_LENGTH} characters or more (`trio-sfu generate-keys` does)"
            )
    return config, found.warnings


def _for_development(values: Mapping[str, object]) -> Config:
    usual = Config.dev()
    defaults = {name: getattr(usual, name) for name in ("keys", "bind_addresses", "log_level")}
    return _built({**defaults, **values, "development": True})


def _as_keys(value: object) -> Mapping[str, str]:
    return value if isinstance(value, dict) else {}


def _built(values: Mapping[str, object]) -> Config:
    """*values* are by attribute: "rtc.ips.includes"."""
    tree: dict[str, dict[str, object]] = {}
    for attribute, value in values.items():
        parent, _, name = attribute.rpartition(".")
        tree.setdefault(parent, {})[name] = value
    filters = {
        name: Filter(**tree[f"rtc.{name}"])  # type: ignore[arg-type]  # each was read as its type
        for name in ("interfaces", "ips")
        if f"rtc.{name}" in tree
    }
    rtc = RtcConfig(**tree.get("rtc", {}), **filters)  # type: ignore[arg-type]  # likewise
    room = RoomConfig(**tree.get("room", {}))  # type: ignore[arg-type]  # likewise
    return Config(**tree.get("", {}), rtc=rtc, room=room)  # type: ignore[arg-type]  # likewise


def _scalar(value: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", value)


def _node_of(value: str | Sequence[str]) -> yaml.Node:
    if isinstance(value, str):
        return _scalar(value)
    return yaml.SequenceNode("tag:yaml.org,2002:seq", [_scalar(item) for item in value])


def _parse(text: str | Sequence[str], where: str) -> yaml.Node:
    assert isinstance(text, str), "keys come as one text"
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{where}:{line}: this is no YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigError(
            f"{where}: this is no YAML: it has characters that YAML forbids"
        ) from None
    if node is None:
        return yaml.MappingNode("tag:yaml.org,2002:map", [])
    return node


def _read_document(text: str, where: str, found: _Found) -> None:
    root = _parse(text, where)
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{where}:1: expected `key: value` lines, as in livekit.yaml")
    _read_section(root, "", where, found)


def _read_section(node: yaml.MappingNode, path: str, where: str, found: _Found) -> None:
    seen: set[str] = set()
    for key_node, value in node.value:
        here = f"{where}:{key_node.start_mark.line + 1}"
        name = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
        key = path + name
        if key in seen:
            raise ConfigError(f"{here}: {key} is given twice: take one away")
        seen.add(key)
        if value.tag == "tag:yaml.org,2002:null":  # `key:` and nothing after it
            if key not in SETTINGS and key not in LATER and key not in SECTIONS:
                raise _unknown(here, key)
        elif (setting := SETTINGS.get(key)) is not None:
            found.values[setting.attribute] = _read_setting(setting, value, f"{here}: {key}")
        elif key in LATER:
            hint = INSTEAD.get(key, "")
            found.warnings.append(
                f"{here}: {key} is LiveKit's and not built here yet: it has no effect"
                + (f"; {hint}" if hint else "")
            )
        elif key not in SECTIONS:
            raise _unknown(here, key)
        elif not isinstance(value, yaml.MappingNode):
            raise ConfigError(f"{here}: {key}: expected `key: value` lines, indented")
        else:
            _read_section(value, key + ".", where, found)


def _unknown(here: str, key: str) -> ConfigError:
    """With the nearest key that there is."""
    known = {*SETTINGS, *LATER, *SECTIONS}
    near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.7)
    if not near:
        near = sorted(other for other in known if other.endswith("." + key))[:1]
    hint = (
        f"did you mean {near[0]}?" if near else "take it away, or see README.md for what there is"
    )
    return ConfigError(f"{here}: unknown key {key}: {hint}")


def _read_setting(setting: Setting, node: yaml.Node, where: str) -> object:
    try:
        return setting.read(node)
    except ValueError as error:
        got = ""
        if not setting.secret and isinstance(node, yaml.ScalarNode):
            got = f", got {str(node.value)[:80]!r}"
        raise ConfigError(f"{where}: expected {error}{got}") from None


def _read_key_file(path: str) -> Mapping[str, str]:
    """Like `keys:`, in a file of its own that not everybody may read."""
    file = Path(path)
    try:
        mode = file.stat().st_mode
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{path}: the key file cannot be read: {reason}") from None
    if os.name == "posix" and mode & stat.S_IRWXO:
        raise ConfigError(f"{path}: everybody may read the key file: run `chmod o-rwx {path}`")
    return _as_keys(_read_setting(SETTINGS["keys"], _parse(text, path), path))


def read_file(path: str) -> str:
    """The text of a configuration file. Raises `ConfigError`."""
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the configuration is no text in UTF-8") from None
