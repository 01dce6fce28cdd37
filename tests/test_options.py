from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from trio_sfu.cli import Source, main, sources
from trio_sfu.config import SETTINGS, Config
from trio_sfu.known import WITHOUT_EFFECT
from trio_sfu.options import LONG, SHORT, environment, variable_of

SECRET = "a secret of more than thirty-two bytes"


Read = Callable[..., tuple[Config, list[str]]]


@pytest.fixture
def read() -> Read:
    """What a command with the server's options reads from these arguments and variables."""
    found: list[tuple[Config, list[str]]] = []

    @click.command
    @sources
    def command(**given: object) -> None:
        found.append(Source(given).read())

    def read(*arguments: str, **variables: str) -> tuple[Config, list[str]]:
        result = CliRunner().invoke(command, ["--dev", *arguments], env=variables)
        assert result.exit_code == 0, result.output
        return found.pop()

    return read


def test_every_key_is_a_flag_and_a_variable() -> None:
    flags = {f"--{key}" for key in LONG} | {short.flag for short in SHORT}
    assert {f"--{key}" for key in (*SETTINGS, *WITHOUT_EFFECT)} <= flags
    assert variable_of("rtc.udp_port") == "LIVEKIT_RTC_UDP_PORT"
    names = [variable_of(key) for key in (*SETTINGS, *WITHOUT_EFFECT)]
    assert len(set(names)) == len(names)


def test_a_flag_beats_the_environment_and_that_beats_the_file(
    read: Read,
) -> None:
    file = {"LIVEKIT_CONFIG": "room: {max_participants: 1}\nregion: file"}
    assert read(**file)[0].room.max_participants == 1
    both = {**file, "LIVEKIT_ROOM_MAX_PARTICIPANTS": "2"}
    assert read(**both)[0].room.max_participants == 2
    config, _ = read("--room.max_participants", "3", **both)
    assert (config.room.max_participants, config.region) == (3, "file")


def test_a_short_flag_and_the_long_one_are_the_same_setting(read: Read) -> None:
    assert read("--udp-port", "7-9")[0].rtc.udp_ports == (7, 8, 9)
    assert read("--rtc.udp_port", "7-9")[0].rtc.udp_ports == (7, 8, 9)
    assert read(LIVEKIT_RTC_UDP_PORT="7-9")[0].rtc.udp_ports == (7, 8, 9)
    assert read(UDP_PORT="7-9")[0].rtc.udp_ports == (7, 8, 9)


def test_truths_may_stand_alone_and_lists_are_yaml(read: Read) -> None:
    config, _ = read("--logging.json", "--webhook.urls", "[http://a, http://b]")
    assert config.log_json
    assert config.webhook.urls == ("http://a", "http://b")
    config, _ = read("--room.auto_create=false")
    assert not config.room.auto_create


def test_what_has_no_effect_is_warned_of_however_it_is_said(read: Read) -> None:
    reason = WITHOUT_EFFECT["redis.address"]
    for name, arguments, variables in (
        ("--redis-host", ("--redis-host", "h"), {}),
        ("--redis.address", ("--redis.address", "h"), {}),
        ("REDIS_HOST", (), {"REDIS_HOST": "h"}),
        ("LIVEKIT_REDIS_ADDRESS", (), {"LIVEKIT_REDIS_ADDRESS": "h"}),
    ):
        _, warnings = read(*arguments, **variables)
        assert warnings == [f"{name}: redis.address has no effect: {reason}"]


def test_the_server_runs_where_no_command_is_named() -> None:
    result = CliRunner().invoke(main, ["--dev", "--region", "here", "--port", "x"])
    assert result.output == "trio-sfu: --port: expected a port (0 to 65535), got 'x'\n"


def test_unknown_keys_may_be_let_pass(read: Read) -> None:
    file = {"LIVEKIT_CONFIG": "prot: 1\nregion: here"}
    config, warnings = read("--disable-strict-config", **file)
    assert config.region == "here"
    assert warnings == ["--config-body:1: unknown key prot: did you mean port?"]


def test_what_kubernetes_says_of_a_service_called_livekit_is_no_port() -> None:
    assert environment({"LIVEKIT_PORT": "tcp://10.0.0.1:7880"}) == []
    (flag,) = environment({"LIVEKIT_PORT": "7000"})
    assert (flag.name, flag.key, flag.value) == ("LIVEKIT_PORT", "port", "7000")


def test_the_configuration_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(f"keys: {{a: {SECRET}}}")
    source = Source({"config": str(file)})
    assert list(source.read()[0].keys) == ["a"]
    file.write_text(f"keys: {{b: {SECRET}}}")
    assert list(source.read()[0].keys) == ["b"]


def test_ports_says_what_must_be_open() -> None:
    result = CliRunner().invoke(main, ["ports", "--dev"])
    assert result.output == "TCP Ports\n7880 - HTTP service\nUDP Ports\n7882 - ICE/UDP\n"
    result = CliRunner().invoke(
        main, ["ports", "--dev", "--port", "1", "--udp-port", "5-7", "--prometheus.port", "2"]
    )
    assert result.output == (
        "TCP Ports\n1 - HTTP service\n2 - Prometheus, not for clients\nUDP Ports\n5-7 - ICE/UDP\n"
    )


def test_help_puts_together_what_belongs_together() -> None:
    lines = CliRunner().invoke(main, ["run", "--help"]).output.splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Configuration:", "Who may come in:", "Network:", "Options:"]
    assert not any("redis" in line for line in lines)
