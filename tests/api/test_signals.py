"""What a real process does when it is told to end while somebody is there."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from livekit.protocol import models, rtc

from tests.api.test_http import ask
from tests.api.test_rtc import UPGRADE
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.client.signalling import Signalling, connect, open_stream
from trio_sfu.room.grants import Grants

ROOT = Path(__file__).parents[2]


class Server:
    """A server of its own process, in development mode, and what it says."""

    def __init__(self) -> None:
        # fmt: off
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "trio_sfu", "run", "--dev", "--bind", "127.0.0.1",
                "--port", "0", "--udp-port", "0",
            ],
            cwd=ROOT, text=True, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        # fmt: on
        self.said: list[str] = []

    async def until(self, pattern: str) -> "re.Match[str]":
        assert self.process.stderr is not None
        while True:
            line = await trio.to_thread.run_sync(self.process.stderr.readline)
            assert line, f"it never said {pattern}: {''.join(self.said)}"
            self.said.append(line)
            if found := re.search(pattern, line):
                return found

    async def end(self) -> str:
        """All that it has said, once it has ended by itself."""
        _, rest = await trio.to_thread.run_sync(lambda: self.process.communicate(timeout=60))
        said = "".join(self.said) + rest
        assert self.process.returncode == 0, said
        assert "Traceback" not in said
        return said


def token(room: str) -> str:
    claims = Claims(identity="alice", grants=Grants(room_join=True, room=room))
    return sign(claims, "devkey", "secret", time.time())


@asynccontextmanager
async def joined(url: str, room: str) -> AsyncIterator[Signalling]:
    parts = urlsplit(url.replace("http", "ws"))
    async with await open_stream(parts) as stream, trio.open_nursery() as nursery:
        signalling = await connect(nursery, stream, parts, token(room))
        assert (await signalling.receive()).WhichOneof("message") == "join"
        yield signalling
        nursery.cancel_scope.cancel()


async def status_of(url: str, request: str) -> int:
    async with await open_stream(urlsplit(url)) as stream:
        return int((await ask(stream, request)).status)


@pytest.mark.slow
@pytest.mark.parametrize("impatient", [False, True], ids=["one signal", "a second signal"])
async def test_a_signal_waits_for_who_is_there_and_a_second_one_does_not(
    impatient: bool,
) -> None:
    server = Server()
    with server.process:
        url = (await server.until(r"(http://127\.0\.0\.1:\d+)/page/"))[1]
        async with joined(url, "kitchen") as alice:
            server.process.send_signal(signal.SIGTERM)
            await server.until("draining: waiting for 1 participant in 1 room")
            assert await status_of(url, "GET / HTTP/1.1") == 406
            cellar = f"GET /rtc?access_token={token('cellar')} HTTP/1.1{UPGRADE}"
            assert await status_of(url, cellar) == 503
            if impatient:
                server.process.send_signal(signal.SIGTERM)
                while (last := await alice.receive()).WhichOneof("message") != "leave":
                    pass
                assert last.leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
            else:
                alice.send(rtc.SignalRequest(leave=rtc.LeaveRequest()))
            said = await server.end()
        assert ("drained: nobody is left" in said) == (not impatient)
        assert "eyJ" not in said
