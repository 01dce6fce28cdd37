import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trio_sfu import __version__
from trio_sfu.api.tokens import verify
from trio_sfu.cli import main, without_tokens
from trio_sfu.room.grants import Grants

SECRET = "a secret of more than thirty-two bytes"
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "LIVEKIT_KEYS", "LIVEKIT_CONFIG", "NODE_IP", "UDP_PORT", "LIVEKIT_REGION":
        monkeypatch.delenv(name, raising=False)


def trio_sfu(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_the_version_is_the_packages() -> None:
    assert trio_sfu("--version").output == f"trio-sfu {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_says_how_to_try_it(arguments: tuple[str, ...]) -> None:
    result = trio_sfu(*arguments)
    assert result.exit_code == 0
    assert "trio-sfu run --dev\n" in result.output


@pytest.mark.parametrize("command", ["run", "create-join-token", "generate-keys"])
def test_every_command_explains_itself(command: str) -> None:
    result = trio_sfu(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) >= 6


def test_generated_keys_are_taken_where_keys_are_given() -> None:
    keys = trio_sfu("generate-keys").output
    assert re.fullmatch(r"API\w{12}: \w{43}\n", keys)
    assert keys != trio_sfu("generate-keys").output
    result = trio_sfu("create-join-token", "--room", "r", "--identity", "i", "--keys", keys)
    assert result.exit_code == 0


def test_a_token_is_printed_with_a_link_to_the_page() -> None:
    result = trio_sfu(
        "create-join-token", "--room", "kitchen", "--identity", "alice", "--name", "Alice",
        "--metadata", "m", "--no-publish", "--hidden", "--valid-for", "0.5",
        "--url", "https://sfu.example/", "--keys", f"key: {SECRET}",
    )  # fmt: skip
    token, link = result.stdout.splitlines()
    assert link == f"https://sfu.example/page/?token={token}"
    claims = verify(token, {"key": SECRET}, time.time())
    assert (claims.identity, claims.name, claims.metadata) == ("alice", "Alice", "m")
    assert claims.expires - time.time() == pytest.approx(1800, abs=10)
    assert claims.grants == Grants(
        room_join=True,
        room="kitchen",
        can_publish=False,
        can_update_own_metadata=True,
        hidden=True,
    )


def test_without_keys_a_token_is_for_development_mode() -> None:
    result = trio_sfu("create-join-token", "--room", "r", "--identity", "i")
    token, _ = result.stdout.splitlines()
    assert verify(token, {"devkey": "secret"}, time.time()).identity == "i"
    assert "everybody knows" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        (
            ("run",),
            {},
            "trio-sfu: there are no API keys: to try things out run with --dev, else make a pair "
            "with `trio-sfu generate-keys` and give it with --keys, --key-file or `keys:`",
        ),
        (
            ("run", "--dev", "--port", "http"),
            {},
            "trio-sfu: --port: expected a port (0 to 65535), got 'http'",
        ),
        (
            ("run", "--dev"),
            {"NODE_IP": "here"},
            "trio-sfu: NODE_IP: expected an IP address, such as 192.0.2.1, got 'here'",
        ),
        (
            ("run", "--dev"),
            {"UDP_PORT": "9-8"},
            "trio-sfu: UDP_PORT: expected a port (0 to 65535) or a range of up to 64, such as "
            "7882-7885, got '9-8'",
        ),
        (
            ("run",),
            {"LIVEKIT_KEYS": "key:secret"},
            "trio-sfu: LIVEKIT_KEYS: expected API keys with their secrets, as `key: secret` with a "
            "space after the colon",
        ),
        (
            ("run",),
            {"LIVEKIT_CONFIG": "prot: 1"},
            "trio-sfu: --config-body:1: unknown key prot: did you mean port?",
        ),
        (
            ("run", "--config", "nowhere.yaml"),
            {},
            "trio-sfu: nowhere.yaml: the configuration cannot be read: No such file or directory",
        ),
        (
            ("create-join-token", "--room", "r", "--identity", "i", "--keys", "k"),
            {},
            "trio-sfu: --keys: expected API keys with their secrets, as `key: secret` with a "
            "space after the colon",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(arguments, environment, line) -> None:
    result = CliRunner().invoke(main, arguments, env=environment)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", line + "\n")


def test_a_log_line_loses_a_token_that_slipped_in() -> None:
    token = trio_sfu("create-join-token", "--room", "r", "--identity", "i").stdout.splitlines()[0]
    line = {"event": f"asked for /rtc?access_token={token}&x=1", "n": 1}
    assert without_tokens(None, "info", line) == {
        "event": "asked for /rtc?access_token=<token>&x=1",
        "n": 1,
    }


CRASH = """
import structlog
from trio_sfu.cli import configure_logging
configure_logging("info", as_json={as_json})
def crash(password):
    raise RuntimeError("a bug")
try:
    crash("hunter" + "2")
except RuntimeError as bug:
    structlog.get_logger().error("crashed", exc_info=bug)
"""


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True])
def test_the_log_of_a_crash_does_not_tell_what_variables_held(as_json: bool) -> None:
    script = CRASH.format(as_json=as_json)
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "a bug" in ran.stderr
    assert "in crash" in ran.stderr
    assert "hunter2" not in ran.stderr


def process(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "trio_sfu", *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_says_where_it_is_and_ends_at_a_signal(number: signal.Signals) -> None:
    with process("run", "--dev", "--port", "0", "--udp-port", "0") as server:
        lines = []
        while "in two browser tabs" not in (line := server.stderr.readline()):
            assert line, (lines, server.wait(10))
            lines.append(line)
        url = re.search(r"http://127\.0\.0\.1:(\d+)/page/", line)
        assert url is not None
        with socket.create_connection(("127.0.0.1", int(url[1]))) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(1000).endswith(b"OK")
        server.send_signal(number)
        _, rest = server.communicate(timeout=60)
        assert server.returncode == 0, rest
        assert "Traceback" not in rest


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("run", "--dev", "--port", str(port), "--udp-port", "0") as server:
            out, err = server.communicate(timeout=60)
    assert (server.returncode, out) == (2, "")
    assert err.splitlines()[-1] == (
        f"trio-sfu: TCP port {port} on 127.0.0.1 is taken: stop what uses it, or choose another "
        "(--port)"
    )
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_log_for_machines_is_json(tmp_path: Path) -> None:
    import json

    file = tmp_path / "f.yaml"
    file.write_text(f"keys: {{key: {SECRET}}}\nlogging: {{json: true}}\nredis: {{address: x}}\n")
    with process("run", "--config", str(file), "--port", "0", "--udp-port", "0") as server:
        warning, media, serving = (json.loads(server.stderr.readline()) for _ in range(3))
        server.terminate()
        server.communicate(timeout=60)
    assert warning["level"] == "warning"
    assert warning["event"].startswith(f"{file}:3: redis.address has no effect: not built here yet")
    assert (media["event"], serving["event"]) == ("media", "serving")
