"""A call of stock clients goes on while the server reads its configuration again.

    PYTHONPATH=. python tests/interop/reloading.py [--json FILE]

Two Python clients (PyPI `livekit`) talk to each other by data messages. SIGHUP changes the
API key: they go on, a token of the old key is refused, one of the new key lets in. A file
that is wrong changes nothing. Then one is removed for good, with the server SDK: the token
that it has lets nobody in any more, a new one does.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import attrs
from livekit import api, rtc

ROOT = Path(__file__).parents[2]
SECRET = "a secret of more than thirty-two bytes"
SECONDS = 30.0


@attrs.define
class Server:
    """A server in a process of its own, with a configuration that can be rewritten."""

    file: Path
    process: "subprocess.Popen[str]"
    url: str = ""

    def wait_for(self, words: str) -> str:
        """The next line of its log with *words*."""
        assert self.process.stderr is not None, "a pipe"
        for line in self.process.stderr:
            if words in line:
                return line
        raise AssertionError(f"the server ended before it said {words!r}")

    def reread(self, text: str, words: str) -> None:
        """Give it another configuration, and wait until it says *words*."""
        self.file.write_text(text)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(words)


def with_key(key: str) -> str:
    """A configuration."""
    return f"keys: {{{key}: {SECRET}}}\nrtc: {{node_ip: 127.0.0.1}}\n"


def token(key: str, identity: str) -> str:
    """For the one room."""
    grants = api.VideoGrants(room_join=True, room="kitchen")
    made = api.AccessToken(key, SECRET).with_identity(identity).with_grants(grants)
    return made.with_ttl(timedelta(hours=1)).to_jwt()


async def refusal(url: str, ticket: str) -> str:
    """What a client is told that may not come in; "" if it may."""
    room = rtc.Room()
    try:
        await asyncio.wait_for(room.connect(url, ticket), SECONDS)
    except rtc.ConnectError as error:
        return str(error)
    await room.disconnect()
    return ""


async def call(server: Server) -> dict[str, bool]:
    """What was to be seen, and whether it was."""
    url = server.url.replace("http", "ws")
    alice, bob = rtc.Room(), rtc.Room()
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    bob.on("data_received", lambda packet: heard.put_nowait(packet.data))

    async def goes_on(word: bytes) -> bool:
        await alice.local_participant.publish_data(word)
        return await asyncio.wait_for(heard.get(), SECONDS) == word

    await alice.connect(url, token("old", "alice"))
    await bob.connect(url, token("old", "bob"))
    seen = {"a message arrives": await goes_on(b"1")}
    await asyncio.to_thread(server.reread, with_key("new"), "was read again")
    seen["and after the key has changed"] = await goes_on(b"2")
    refused = await refusal(url, token("old", "carol"))
    seen["the old key lets nobody in"] = "invalid API key" in refused
    ticket = token("new", "carol")
    seen["the new key does"] = await refusal(url, ticket) == ""
    await asyncio.to_thread(server.reread, "prot: 7880\n", "stays as it is")
    seen["and after a wrong file"] = await goes_on(b"3")
    seen["which changed nothing"] = await refusal(url, ticket) == ""
    carol, gone = rtc.Room(), asyncio.Event()
    carol.on("disconnected", lambda reason: gone.set())
    await carol.connect(url, ticket)
    before = int(time.time()) + 1
    removal = api.RoomParticipantIdentity(room="kitchen", identity="carol", revoke_token_ts=before)
    async with api.LiveKitAPI(server.url, "new", SECRET) as admin:
        await admin.room.remove_participant(removal)
    await asyncio.wait_for(gone.wait(), SECONDS)
    seen["a revoked token lets nobody in"] = "revoked" in await refusal(url, ticket)
    await asyncio.sleep(before + 0.1 - time.time())  # tokens count by whole seconds
    seen["a newer one does"] = await refusal(url, token("new", "carol")) == ""
    await alice.disconnect()
    await bob.disconnect()
    return seen


def main() -> None:
    """One line a thing; a non-zero status if one was not so."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "livekit.yaml"
        file.write_text(with_key("old"))
        arguments = ("--config", str(file), "--port=0", "--udp-port=0", "--bind=127.0.0.1")
        with subprocess.Popen(
            [sys.executable, "-m", "trio_sfu", *arguments],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        ) as process:
            server = Server(file, process)
            try:
                found = re.search(r"http://[\d.:]+", server.wait_for("serving"))
                assert found is not None, "it says where it serves"
                server.url = found[0]
                seen = asyncio.run(call(server))
            finally:
                process.terminate()
                process.communicate(timeout=SECONDS)
    for words, so in seen.items():
        print(f"{'ok  ' if so else 'MISS'} {words}")
    if options.json is not None:
        options.json.write_text(json.dumps(seen, indent=1))
    if not all(seen.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
