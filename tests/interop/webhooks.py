"""Webhooks of whole calls, checked with the receivers of both of LiveKit's server SDKs.

    python tests/interop/webhooks.py [--calls 3] [--json FILE]

Two participants of PyPI `livekit` hold each call: both come, one publishes a sound and a
picture, unpublishes the sound, and both go. The receiver answers every third request with
500. What it accepts must be the whole story of each room, in order, each event once, each
believed by `livekit-api` and by `livekit-server-sdk`; and what somebody else signed, or
changed on the way, must not be.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from calls import HERE, node_clients
from livekit import api, rtc
from server import arguments, enter_namespace, server, token
from verdict import Verdict

DEPARTURE: Final = 1
"""Seconds until an empty room ends."""
PATIENCE: Final = 20.0
"""Seconds for the last event of a call to arrive, repeats included."""

STORY: Final = [
    "room_started -",
    "participant_joined alice",
    "participant_joined bob",
    "track_published alice",
    "track_published alice",
    "track_unpublished alice",
    "participant_left bob",
    "track_unpublished alice",
    "participant_left alice",
    "room_finished -",
]
"""What happens in one call."""


class NodeReceiver:
    """The receiver of npm's livekit-server-sdk, in a process of its own."""

    def __init__(self) -> None:
        node_clients()
        self._process = subprocess.Popen(
            ["node", "webhook_receiver.mjs"],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()

    def receive(self, key: str, secret: str, body: str, signed: str) -> dict[str, Any]:
        """What it found, or `{"error": ...}`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        line = json.dumps({"key": key, "secret": secret, "body": body, "token": signed})
        with self._lock:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Application:
    """What an application would run: believes both SDKs or nobody, and fails now and then."""

    def __init__(self, key: str, secret: str) -> None:
        self.key, self.secret = key, secret
        self.node = NodeReceiver()
        self.python = api.WebhookReceiver(api.TokenVerifier(key, secret))
        self.requests = 0
        self.failed = 0
        self.unbelieved: list[str] = []
        self.headers: set[tuple[str, str]] = set()
        self.accepted: list[api.WebhookEvent] = []
        self.sample: tuple[str, str] = ("", "")
        self._lock = threading.Lock()

    def receive(self, body: str, headers: dict[str, str]) -> int:
        """The status to answer with."""
        with self._lock:
            self.requests += 1
            if self.requests % 3 == 0:
                self.failed += 1
                return 500
        signed = headers["authorization"]
        self.headers.add((headers["content-type"], headers["user-agent"]))
        self.sample = (body, signed)
        try:
            event = self.python.receive(body, signed)
        except Exception as error:
            self.unbelieved.append(f"python: {error!r}")
            return 401
        found = self.node.receive(self.key, self.secret, body, signed)
        if found.get("id") != event.id or found.get("event") != event.event:
            self.unbelieved.append(f"node: {found}")
            return 401
        with self._lock:
            self.accepted.append(event)
        return 200

    def story(self, room: str) -> list[str]:
        return [
            f"{event.event} {event.participant.identity or '-'}"
            for event in self.accepted
            if event.room.name == room
        ]

    def refuses(self, body: str, signed: str, secret: str) -> bool:
        """Whether both receivers refuse it."""
        verifier = api.TokenVerifier(self.key, secret)
        try:
            api.WebhookReceiver(verifier).receive(body, signed)
        except Exception:
            return "error" in self.node.receive(self.key, secret, body, signed)
        return False


@contextmanager
def listening(application: Application) -> Iterator[str]:
    """The URL at which *application* takes webhooks."""

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(application.receive(body, headers))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as receiver:
        receiver.daemon_threads = True
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{receiver.server_port}/webhook"
        receiver.shutdown()


async def hold_call(options: Any, url: str, room: str) -> None:
    """What `STORY` tells of."""
    alice, bob = rtc.Room(), rtc.Room()
    await alice.connect(url, token(options, room, "alice"))
    await bob.connect(url, token(options, room, "bob"))
    sound = rtc.LocalAudioTrack.create_audio_track("sound", rtc.AudioSource(48_000, 1))
    picture = rtc.LocalVideoTrack.create_video_track("picture", rtc.VideoSource(320, 240))
    published = await alice.local_participant.publish_track(
        sound, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    )
    await alice.local_participant.publish_track(
        picture, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
    )
    await asyncio.sleep(0.5)
    await alice.local_participant.unpublish_track(published.sid)
    await asyncio.sleep(0.5)
    await bob.disconnect()
    await asyncio.sleep(0.2)
    await alice.disconnect()


def check(application: Application, verdict: Verdict, rooms: list[str]) -> None:
    for room in rooms:
        story = application.story(room)
        verdict.check(f"{room}: the whole story, in order, each event once", story == STORY, story)
    ids = [event.id for event in application.accepted]
    verdict.check("every event has an id of its own", len(set(ids)) == len(ids) and all(ids))
    verdict.check("none was dropped", all(e.num_dropped == 0 for e in application.accepted))
    verdict.check(
        "both SDKs believed every one", not application.unbelieved, application.unbelieved
    )
    verdict.check("every third request was failed", application.failed >= len(ids) // 3)
    verdict.check(
        "content type and user agent are LiveKit's",
        application.headers == {("application/webhook+json", "LiveKit")},
        application.headers,
    )
    body, signed = application.sample
    verdict.check(
        "both refuse what another secret signed", application.refuses(body, signed, "another")
    )
    changed = body.replace("EV_", "EV-")
    verdict.check(
        "both refuse what was changed", application.refuses(changed, signed, application.secret)
    )
    verdict.figure("events", len(ids))
    verdict.figure("requests", application.requests)
    verdict.figure("failed", application.failed)


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--calls", type=int, default=3, help="one after the other")
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict("webhooks")
    application = Application(options.key, options.secret)
    rooms = [f"call-{number}" for number in range(options.calls)]
    try:
        with listening(application) as hook:
            config = {
                "webhook": {"urls": [hook], "api_key": options.key},
                "room": {"departure_timeout": DEPARTURE},
            }
            with server(options, "--config-body", json.dumps(config)) as url:
                for room in rooms:
                    asyncio.run(hold_call(options, url, room))
                deadline = time.monotonic() + PATIENCE
                while time.monotonic() < deadline:
                    if all("room_finished -" in application.story(room) for room in rooms):
                        break
                    time.sleep(0.05)
        check(application, verdict, rooms)
    finally:
        application.node.close()
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
