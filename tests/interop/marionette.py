"""Just enough of Marionette, Firefox's own remote control, to run a script in a page.

Marionette is JSON over TCP. A message is its length in decimal, a colon, and so many
bytes. A command is [0, number, name, parameters]; its answer [1, number, error, result].
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

START_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 40.0
PREFERENCES: Final = {
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.gmp-manager.updateEnabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.tabs.remote.autostart": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.min_background_timeout_value": 4,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class Firefox:
    """A headless Firefox with one tab."""

    def __init__(self, executable: str, frequency: float = 440) -> None:
        """*frequency*: of the tone that its microphone, which is no real one, picks up."""
        self._home = Path(tempfile.mkdtemp(prefix="firefox-"))
        port = _free_port()
        preferences = {
            **PREFERENCES,
            "marionette.port": port,
            "media.navigator.audio.fake_frequency": int(frequency),
        }
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in preferences.items()]
        (self._home / "user.js").write_text("\n".join(lines))
        # fmt: off
        command = [
            executable, "--headless", "--marionette", "--no-remote", "--profile", str(self._home),
        ]
        # fmt: on
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "HOME": str(self._home), "MOZ_HEADLESS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._number = 0
        self._socket = self._connect(port)
        self._stream = self._socket.makefile("rb")
        self._read()  # its greeting
        self._command("WebDriver:NewSession", {"capabilities": {}})
        self._command("WebDriver:SetTimeouts", {"script": int(ANSWER_SECONDS * 1000)})

    def open(self, url: str) -> None:
        """Goes to *url* and waits until it is there."""
        self._command("WebDriver:Navigate", {"url": url})

    def run(self, expression: str, *arguments: Any) -> Any:
        """What a JavaScript expression or promise comes to; in it `$` are the arguments."""
        script = f"""
            const [done] = Array.from(arguments).slice(-1), $ = Array.from(arguments).slice(0, -1);
            Promise.resolve().then(() => ({expression}))
                .then((value) => done({{ value }}),
                      (error) => done({{ error: `${{error}} ${{error.stack}}` }}));
        """
        parameters = {
            "script": script,
            "args": list(arguments),
            "newSandbox": False,
            "sandbox": None,
        }
        answer = self._command("WebDriver:ExecuteAsyncScript", parameters)["value"]
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("value")

    def close(self) -> None:
        """Ends the browser and leaves nothing of it behind."""
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _connect(self, port: int) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS + 5)
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, result = self._read()
        assert number == self._number, "answers come in the order of the commands"
        if error is not None:
            raise RuntimeError(f"{name}: {error['error']}: {error['message']}")
        return result

    def _read(self) -> Any:
        length = b""
        while (digit := self._stream.read(1)) != b":":
            if not digit:
                raise ConnectionError("Firefox has gone")
            length += digit
        return json.loads(self._stream.read(int(length)))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
