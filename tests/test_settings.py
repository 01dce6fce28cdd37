import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.config import OLD_NAMES, SETTINGS, Config, ConfigError, Filter, RoomConfig, RtcConfig
from trio_sfu.kinds import TurnServer
from trio_sfu.known import WITHOUT_EFFECT
from trio_sfu.room.options import AgentOrder, RoomOptions, preset
from trio_sfu.settings import SECTIONS, Flag, load, read_file

SECRET = "a secret of more than thirty-two bytes"
KEYS = f"keys: {{key: {SECRET}}}\n"


def test_a_file_of_livekits_is_read() -> None:
    config, warnings = load(
        f"""
        # as in LiveKit's own sample
        port: 7990
        bind_addresses: [192.0.2.1, "2001:db8::1"]
        region: here
        log_level: warn
        logging:
          json: true
        keys:
          key1: {SECRET}1
          0123: {SECRET}2
        rtc:
          udp_port: 7000-7003
          node_ip: 198.51.100.7
          interfaces:
            includes: [eth0]
          ips:
            excludes: [10.1.2.3/8, "fd00::/8"]
          enable_loopback_candidate: yes
        room:
          auto_create: off
          empty_timeout: 10
          departure_timeout: 5
        """,
        "livekit.yaml",
    )
    assert config == Config(
        keys={"key1": SECRET + "1", "0123": SECRET + "2"},
        port=7990,
        bind_addresses=("192.0.2.1", "2001:db8::1"),
        region="here",
        log_level="warn",
        log_json=True,
        rtc=RtcConfig(
            udp_ports=(7000, 7001, 7002, 7003),
            node_ip="198.51.100.7",
            interfaces=Filter(includes=("eth0",)),
            ips=Filter(excludes=("10.0.0.0/8", "fd00::/8")),
            enable_loopback_candidate=True,
        ),
        room=RoomConfig(auto_create=False, empty_timeout=10, departure_timeout=5),
    )
    assert warnings == []


def test_what_is_not_said_has_its_default() -> None:
    config, _ = load(KEYS + "rtc:\nroom:\nregion:\nredis:\n", "f")
    assert config == Config(keys={"key": SECRET})


@pytest.mark.parametrize("text", ["bind_addresses: ['']", "bind_addresses:\n- ''\n- 192.0.2.1"])
def test_an_empty_address_is_all_of_them(text: str) -> None:
    assert load(f"{KEYS}{text}", "f")[0].bind_addresses == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # What is no YAML, and what is no mapping
        ("a: b: c", "f:1: this is no YAML: mapping values are not allowed here"),
        ("port: [1", "f:1: this is no YAML: expected ',' or ']', but got '<stream end>'"),
        ("a\x00b", "f: this is no YAML: it has characters that YAML forbids"),
        ("- port", "f:1: expected `key: value` lines, as in livekit.yaml"),
        ("port", "f:1: expected `key: value` lines, as in livekit.yaml"),
        # Unknown keys
        ("\nprot: 7880", "f:2: unknown key prot: did you mean port?"),
        ("udp_port: 7882", "f:1: unknown key udp_port: did you mean rtc.udp_port?"),
        ("rtc: {udp_prot: 1}", "f:1: unknown key rtc.udp_prot: did you mean rtc.udp_port?"),
        (
            "rtc:\n  xyz:",
            "f:2: unknown key rtc.xyz: take it away, or see docs/configuration.md for what there "
            "is",
        ),
        (
            "? [a]\n: b",
            "f:1: unknown key ?: take it away, or see docs/configuration.md for what there is",
        ),
        ("port: 1\nport: 2", "f:2: port is given twice: take one away"),
        (
            '"a\\nb": 1',
            "f:1: unknown key a\\nb: take it away, or see docs/configuration.md for what there is",
        ),
        (
            'keys: {"a\\nb": c, "a\\nb": c}',
            "f:1: a\\nb is given twice: take one away",
        ),
        # Wrong types and values
        ("port: seven", "f:1: port: expected a port (0 to 65535), got 'seven'"),
        ("port: 65536", "f:1: port: expected a port (0 to 65535), got '65536'"),
        ("port: -1", "f:1: port: expected a port (0 to 65535), got '-1'"),
        ("port: 0x10", "f:1: port: expected a port (0 to 65535), got '0x10'"),
        ("port: 12:30", "f:1: port: expected a port (0 to 65535), got '12:30'"),
        ("port: ٣", "f:1: port: expected a port (0 to 65535), got '٣'"),
        ("port: " + "9" * 100, f"f:1: port: expected a port (0 to 65535), got '{'9' * 80}'"),
        ("port: [7880]", "f:1: port: expected a port (0 to 65535), got ['7880']"),
        ("region: {}", "f:1: region: expected a text"),
        (
            "bind_addresses: 127.0.0.1",
            "f:1: bind_addresses: expected a list of IP addresses, such as [192.0.2.1], got "
            "'127.0.0.1'",
        ),
        (
            "bind_addresses: [localhost]",
            "f:1: bind_addresses: expected a list of IP addresses, such as [192.0.2.1], got "
            "['localhost']",
        ),
        (
            "log_level: loud",
            "f:1: log_level: expected one of debug, info, warn, error, got 'loud'",
        ),
        ("logging: {json: 1}", "f:1: logging.json: expected true or false, got '1'"),
        ("rtc: 7882", "f:1: rtc: expected `key: value` lines, indented"),
        (
            "rtc:\n\n  udp_port: 5-1",
            "f:3: rtc.udp_port: expected a port (0 to 65535) or a range of up to 64, such as "
            "7882-7885, got '5-1'",
        ),
        (
            "rtc: {udp_port: 1-65}",
            "f:1: rtc.udp_port: expected a port (0 to 65535) or a range of up to 64, such as "
            "7882-7885, got '1-65'",
        ),
        (
            "rtc: {node_ip: example.org}",
            "f:1: rtc.node_ip: expected an IP address, such as 192.0.2.1, got 'example.org'",
        ),
        (
            "rtc: {ips: {includes: [ten]}}",
            "f:1: rtc.ips.includes: expected a list of networks, such as 10.0.0.0/8, got ['ten']",
        ),
        (
            "room: {empty_timeout: 5m}",
            "f:1: room.empty_timeout: expected a whole number of seconds, such as 300, got '5m'",
        ),
        # Keys, without saying what they are
        (
            "keys: key:secret",
            "f:1: keys: expected API keys with their secrets, as `key: secret` with a space "
            "after the colon",
        ),
        (
            "keys: {key: }",
            "f:1: keys: expected API keys with their secrets, as `key: secret` with a space "
            "after the colon",
        ),
        (
            "keys: {key: [secret]}",
            "f:1: keys: expected API keys with their secrets, as `key: secret` with a space "
            "after the colon",
        ),
        (
            "port: 7880",
            "there are no API keys: to try things out run with --dev, else make a pair with "
            "`trio-sfu generate-keys` and give it with --keys, --key-file or `keys:`",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(text, "f")
    assert str(raised.value) == message


@pytest.mark.parametrize("key", sorted(WITHOUT_EFFECT))
def test_what_livekit_knows_and_has_no_effect_here_is_warned_of(key: str) -> None:
    text = "{any: 1}"
    for name in reversed(key.split(".")):
        text = f"{{{name}: {text}}}"
    _, warnings = load(text, "f", development=True)
    assert warnings == [f"f:1: {key} has no effect: {WITHOUT_EFFECT[key]}"]


def test_what_has_no_effect_for_one_reason_is_one_line() -> None:
    text = "redis:\n  address: x\n  db: 1\nrtc: {port_range_start: 5, port_range_end: 6}"
    _, warnings = load(text, "f", development=True)
    assert warnings == [
        "f:2: redis.address, redis.db have no effect: not built here yet: every server is by "
        "itself",
        "f:4: rtc.port_range_start, rtc.port_range_end have no effect: does not apply here: all "
        "media comes through rtc.udp_port",
    ]


def test_who_does_not_want_what_is_not_there_hears_nothing() -> None:
    text = (
        "turn: {enabled: false, domain: example.org}\n"
        "rtc: {tcp_port: 0, use_external_ip: no, turn_servers: []}"
    )
    assert load(text, "f", development=True)[1] == []


def test_no_key_is_both_with_effect_and_without() -> None:
    assert not set(SETTINGS) & set(WITHOUT_EFFECT)
    assert not SECTIONS & set(SETTINGS)
    assert not SECTIONS & set(WITHOUT_EFFECT)


def test_flags_count_for_more_than_the_file() -> None:
    flags = [
        Flag("--port", "port", "1"),
        Flag("--bind", "bind_addresses", ("192.0.2.1", "::1")),
        Flag("--udp-port", "rtc.udp_port", "2"),
        Flag("--keys", "keys", f"a: {SECRET}\nb: {SECRET}"),
    ]
    config, _ = load(KEYS + "port: 7\nregion: r\nrtc: {udp_port: 7, node_ip: '::1'}", "f", flags)
    assert config == Config(
        port=1,
        bind_addresses=("192.0.2.1", "::1"),
        region="r",
        keys={"a": SECRET, "b": SECRET},
        rtc=RtcConfig(udp_ports=(2,), node_ip="::1"),
    )


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (Flag("--port", "port", "x"), "--port: expected a port (0 to 65535), got 'x'"),
        (
            Flag("--keys", "keys", "key:secret"),
            "--keys: expected API keys with their secrets, as `key: secret` with a space after "
            "the colon",
        ),
        (
            Flag("--keys", "keys", "{"),
            "--keys:1: this is no YAML: expected the node content, but found '<stream end>'",
        ),
        (
            Flag("--bind", "bind_addresses", ("everywhere",)),
            "--bind: expected a list of IP addresses, such as [192.0.2.1], got ('everywhere',)",
        ),
    ],
)
def test_what_is_wrong_with_a_flag_is_said_in_one_line(flag: Flag, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(flags=[flag])
    assert str(raised.value) == message


def test_development_needs_no_keys_and_takes_its_own() -> None:
    assert load(development=True) == (Config.dev(), [])
    assert load("development: true", "f") == (Config.dev(), [])
    config, _ = load("keys: {a: b}\nlog_level: info", "f", development=True)
    assert (config.keys, config.log_level, config.development) == ({"a": "b"}, "info", True)


def test_a_short_secret_is_warned_of_but_not_shown() -> None:
    _, warnings = load("keys: {key: sh0rt}", "f")
    (warning,) = warnings
    assert warning.startswith("the secret of API key key is short")
    assert "sh0rt" not in warning


def test_keys_come_from_a_file_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"a: {SECRET}\nb: {SECRET}\n")
    file.chmod(0o640)
    config, _ = load(f"key_file: {file}", "f")
    assert config.keys == {"a": SECRET, "b": SECRET}
    config, _ = load(
        flags=[Flag("--key-file", "key_file", str(file)), Flag("--keys", "keys", "c: d")]
    )
    assert list(config.keys) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("mode", "text", "message"),
    [
        (0o644, f"a: {SECRET}", "{}: everybody may read the key file: run `chmod o-rwx {}`"),
        (0o602, f"a: {SECRET}", "{}: everybody may read the key file: run `chmod o-rwx {}`"),
        (
            0o600,
            "nonsense",
            "{}: expected API keys with their secrets, as `key: secret` with a space after the "
            "colon",
        ),
        (0o600, "\udcff", "{}: the key file cannot be read: it is no text"),
        (None, "", "{}: the key file cannot be read: No such file or directory"),
    ],
)
def test_what_is_wrong_with_a_key_file_is_said(tmp_path: Path, mode, text, message) -> None:
    file = tmp_path / "keys"
    if mode is not None:
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        file.chmod(mode)
    with pytest.raises(ConfigError) as raised:
        load(f"key_file: {file}", "f")
    assert str(raised.value) == message.replace("{}", str(file))


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the configuration cannot be read: No such file"):
        read_file(str(tmp_path / "none"))
    (tmp_path / "f").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="the configuration is no text in UTF-8"):
        read_file(str(tmp_path / "f"))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5_000,
        "webhook: {urls: " + "[" * 200 + "]" * 200 + "}",
        "{a: " * 5_000,
        # A billion laughs, a circle, and simply too much.
        "region: &a x\n"
        + "\n".join(f"x{i}: &b{i} [{f'*b{i - 1}, ' * 9 if i else '*a'}]" for i in range(9)),
        "webhook: {urls: &a [*a]}",
        "webhook: {urls: [&a [" + "x, " * 1000 + "], " + "*a, " * 1000 + "]}",
        "# " + "x" * 2_000_000,
    ],
)
def test_a_file_that_says_too_much_is_refused_at_once(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"too (much|deep|long)|unknown key|no YAML|expected a"):
        load(text, "f", development=True)
    assert time.monotonic() - started < 5


@given(
    st.text()
    | st.recursive(
        st.text(max_size=5),
        lambda inner: (
            st.dictionaries(
                st.sampled_from([*SETTINGS, *WITHOUT_EFFECT, "rtc", "room"]), inner, max_size=3
            )
            | st.lists(inner, max_size=2)
        ),
    ).map(repr)
)
def test_whatever_a_file_says_the_answer_is_a_config_or_one_line(text: str) -> None:
    message = ""
    try:
        assert load(text, "f", development=True)[0].development
    except ConfigError as error:
        message = str(error)
    assert "\n" not in message


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["low", "1s", "-1", "1e999", "5ms5", "192.0.2.1", "::/0", "7-9", "audio/opus", "0x1F", "on"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["mime", "fmtp_line", "a", "enabled"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def nested(settings: dict[str, object]) -> dict[str, object]:
    """By section, as in a file, of *settings* by whole keys."""
    tree: dict[str, object] = {}
    for key, value in settings.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            below = branch.setdefault(section, {})
            if not isinstance(below, dict):
                return tree
            branch = below
        branch[name] = value
    return tree


@given(
    st.dictionaries(st.sampled_from([*SETTINGS, *WITHOUT_EFFECT, *OLD_NAMES]), VALUES, max_size=5)
)
def test_whatever_a_known_key_is_given_the_answer_is_a_config_or_one_line(settings) -> None:
    settings.pop("key_file", None)
    text = yaml.safe_dump(nested(settings), allow_unicode=True)
    flags = [Flag(f"--{key}", key, str(value)) for key, value in settings.items()]
    for said in (text, ()), ("", flags):
        try:
            config, warnings = load(said[0], "f", said[1], development=True)
        except ConfigError as error:
            warnings = [str(error)]
        else:
            assert config.development
        assert not any("\n" in line for line in warnings)


# --- STUN and TURN servers of others


def turn_servers(entries: str) -> tuple[tuple[TurnServer, ...], list[str]]:
    config, warnings = load(f"{KEYS}rtc:\n  turn_servers: {entries}\n", "f")
    return config.rtc.turn_servers, warnings


def test_servers_for_clients_are_read_as_livekit_has_them(tmp_path: Path) -> None:
    config, warnings = load(KEYS + "rtc: {stun_servers: [stun.example.org, '[::1]:3478']}", "f")
    assert config.rtc.stun_servers == ("stun.example.org", "[::1]:3478")
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    file.chmod(0o600)
    found, warnings = turn_servers(
        "[{host: a.example, port: 3478, protocol: UDP, username: u, credential: c},"
        " {host: b.example, port: 443, protocol: tls, secret: s, ttl: 60},"
        f" {{host: c.example, port: 80, secret_file: {file}}}]"
    )
    assert [each.url for each in found] == [
        "turn:a.example:3478?transport=udp",
        "turns:b.example:443?transport=tcp",
        "turn:c.example:80?transport=tcp",
    ]
    assert [each.secret for each in found] == ["", "s", "from a file"]
    assert [each.ttl for each in found] == [14_400, 60, 14_400]
    assert warnings == []


@pytest.mark.parametrize(
    "entry",
    [
        "{host: a.example, port: 3478}",
        "{host: a.example, port: 3478, username: u}",
        "{host: a.example, port: 3478, secret_file: /of/no/such/file}",
    ],
)
def test_a_server_that_browsers_would_refuse_is_left_out_with_a_warning(entry: str) -> None:
    found, (warning,) = turn_servers(f"[{entry}]")
    assert found == ()
    assert warning.startswith("rtc.turn_servers: a.example has no effect: ")


@pytest.mark.parametrize(
    "text",
    [
        "stun_servers: ['stun:stun.example.org']",
        "stun_servers: ['a b']",
        "stun_servers: ['a.example:0']",
        "stun_servers: a.example",
        "turn_servers: [{host: a.example, secret: hush}]",
        "turn_servers: [{host: 'a.example?', port: 1, secret: hush}]",
        "turn_servers: [{host: a.example, port: 1, protocol: sctp, secret: hush}]",
        "turn_servers: [{host: a.example, port: 1, secret: hush, user: u}]",
        "turn_servers: [hush]",
        "turn_servers: {host: hush}",
    ],
)
def test_what_is_no_such_server_is_an_error_that_tells_no_secret(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected a list of (STUN|TURN) servers") as error:
        load(f"{KEYS}rtc: {{{text}}}", "f")
    assert "hush" not in str(error.value)


def test_a_servers_secrets_stand_in_no_repr() -> None:
    config, _ = load(
        KEYS + "rtc: {turn_servers: [{host: a, port: 1, username: u, credential: hush}]}", "f"
    )
    assert "hush" not in repr(config) + repr(config.rtc.turn_servers)


# --- presets of rooms


def test_presets_are_read_in_any_spelling_of_their_keys() -> None:
    text = """
    room:
      room_configurations:
        small: {max_participants: 2, emptyTimeout: 9, departuretimeout: 5, syncStreams: yes}
        large:
          metadata: soup
          tags: {a: b}
          egress: {room: {file_outputs: []}}
          agents: [{agentName: robot, attributes: {k: v}}]
    """
    config, warnings = load(text, "f", development=True)
    rooms = config.room.room_configurations
    assert preset(rooms, "small") == RoomOptions(
        max_participants=2, empty_timeout=9, departure_timeout=5, sync_streams=True
    )
    assert preset(rooms, "large") == RoomOptions(
        metadata="soup",
        tags={"a": "b"},
        agents=(AgentOrder(agent_name="robot", attributes={"k": "v"}),),
    )
    assert preset(rooms, "") == RoomOptions()
    assert preset(rooms, "other") is None
    assert warnings == []


@pytest.mark.parametrize(
    "text",
    [
        "[small]",
        "{small: 3}",
        "{small: {size: 3}}",
        "{small: {empty_timeout: 3, emptyTimeout: 4}}",
        "{small: {empty_timeout: soon}}",
        "{small: {agents: robot}}",
        "{'': {}}",
    ],
)
def test_what_is_no_preset_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"f:1: room.room_configurations: expected for each"):
        load(f"room: {{room_configurations: {text}}}", "f", development=True)
