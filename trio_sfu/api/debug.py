"""What is in the process now, for whoever runs it: tasks, rooms, queues, and a capture.

    /debug/tasks                         the task tree, and what each task waits for
    /debug/rooms                         who is where, and how long every queue is
    /debug/pcap?room=&participant=       their decrypted RTP and RTCP of the next seconds

As text, to be read, or with `format=json`. In development mode all of it is on the
server's own port, as LiveKit's is; else only on `debug_handler.port`, which listens on
this machine alone, and is off until it is set. A capture needs more than being there: a
token that may administer the room.
"""

import json
import types
from collections.abc import Callable, Iterator
from typing import Final

import attrs
import structlog
import trio

from trio_sfu.api.pcap import SECONDS_LIMIT, Capture
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, Routes, text
from trio_sfu.api.tokens import Claims
from trio_sfu.api.webhooks import Courier
from trio_sfu.room.connection import PeerConnection
from trio_sfu.room.journal import names
from trio_sfu.room.node import Node
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.signalling.join import Refused

TASKS_LIMIT: Final = 5000
"""Tasks shown: looking at them stops everything."""
CAPTURES_LIMIT: Final = 4
"""Captures at one time."""
CAPTURE_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


@attrs.define
class Debug:
    """The routes below `/debug/`."""

    node: Node
    claims: Callable[[Request], Claims | None]
    """What a request's token says; raises `Refused`."""
    couriers: list[Courier] = attrs.Factory(list)
    captures: int = 0
    """Under way."""

    def routes(self) -> Routes:
        return {
            "/debug/tasks": Route(self.tasks),
            "/debug/rooms": Route(self.rooms),
            "/debug/pcap": Route(self.pcap),
        }

    async def tasks(self, request: Request) -> Response:
        """The task tree of this process."""
        tree = task_tree()
        if _wants_json(request):
            return _json(tree)
        return text(200, "\n".join(_lines(tree)) + "\n")

    async def rooms(self, request: Request) -> Response:
        """All rooms, with every queue's length."""
        found = {
            "node": self.node.sid,
            "draining": self.node.draining,
            "webhooks": {each.receiver: each.waiting for each in self.couriers},
            "rooms": [_room(room) for room in self.node.rooms.values()],
        }
        if _wants_json(request):
            return _json(found)
        return text(200, "\n".join(_lines(found)) + "\n")

    async def pcap(self, request: Request) -> Response:
        """A participant's packets of the next `seconds`, as a file for Wireshark."""
        name, identity = request.query.get("room", ""), request.query.get("participant", "")
        try:
            claims = self.claims(request)
        except Refused as refused:
            return text(refused.status, refused.text)
        grants = claims.grants if claims is not None else None
        if grants is None or not grants.room_admin or grants.room != name or not name:
            return text(401, "permissions denied: a token with roomAdmin for this room is needed")
        seconds = _seconds(request.query.get("seconds", ""))
        if seconds is None:
            return text(400, f"seconds must be a number up to {SECONDS_LIMIT:g}")
        room = self.node.rooms.get(name)
        participant = None if room is None else room.participants.get(identity)
        if room is None or participant is None:
            return text(404, "participant does not exist")
        if self.captures >= CAPTURES_LIMIT:
            return text(503, "as many captures are under way as may be")
        log.warning("packets are captured", seconds=seconds, **names(room, participant))
        capture = await self._capture(participant, seconds)
        log.info("packets were captured", packets=capture.packets, **names(room, participant))
        shown = "".join(each if each.isascii() and each.isalnum() else "-" for each in identity)
        return Response(
            200,
            capture.file(),
            "application/vnd.tcpdump.pcap",
            {"Content-Disposition": f'attachment; filename="{shown}.pcap"'},
        )

    async def _capture(self, participant: Participant, seconds: float) -> Capture:
        capture = Capture(self.node.config.wall)
        peers = [each.peer for each in participant.connections.values()]
        self.captures += 1
        for peer in peers:
            peer.taps.append(capture)
        try:
            with trio.move_on_after(seconds):
                await participant.gone.wait()
        finally:
            self.captures -= 1
            for peer in peers:
                peer.taps.remove(capture)
        return capture


def _wants_json(request: Request) -> bool:
    return request.query.get("format") == "json"


def _json(value: object) -> Response:
    return Response(200, json.dumps(value).encode(), "application/json")


def _seconds(given: str) -> float | None:
    try:
        seconds = float(given or CAPTURE_SECONDS)
    except ValueError:
        return None
    return seconds if 0 < seconds <= SECONDS_LIMIT else None


# --- tasks


def task_tree() -> dict[str, object]:
    """Every task with where it waits, and those that it looks after."""
    root = trio.lowlevel.current_root_task()
    assert root is not None, "asked by a task"
    return _task(root, [TASKS_LIMIT])


def _task(task: trio.lowlevel.Task, left: list[int]) -> dict[str, object]:
    left[0] -= 1
    shown: dict[str, object] = {"task": task.name.removeprefix("trio_sfu."), "at": _where(task)}
    children: list[object] = []
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda each: each.name):
            if left[0] <= 0:
                return shown | {"children": [*children, {"task": "and more"}]}
            children.append(_task(child, left))
    return shown | ({"children": children} if children else {})


def _where(task: trio.lowlevel.Task) -> str:
    """The innermost line of ours that it waits in."""
    where = ""
    awaited: object = task.coro
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if isinstance(frame, types.FrameType) and "trio_sfu" in frame.f_code.co_filename:
            file = frame.f_code.co_filename.rpartition("trio_sfu/")[2]
            where = f"{file}:{frame.f_lineno} {frame.f_code.co_name}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return where


# --- rooms


def _room(room: Room) -> dict[str, object]:
    return {
        "room": room.name,
        "sid": room.sid,
        "participants": [_participant(each) for each in room.participants.values()],
    }


def _participant(participant: Participant) -> dict[str, object]:
    return {
        "participant": participant.identity,
        "sid": participant.sid,
        "state": participant.state.name,
        "publishes": [track.sid for track in participant.tracks.values()],
        "connections": [_connection(each) for each in participant.connections.values()],
    }


def _connection(connection: PeerConnection) -> dict[str, object]:
    peer = connection.peer
    found = peer.statistics()
    drops = found.drops + found.ice_refused + found.dtls_dropped + found.srtp_rejected
    return {
        "connection": connection.target.name.lower(),
        "state": connection.state.name,
        "mailbox": len(connection.mailbox.datagrams) + len(connection.mailbox.wishes),
        "mailbox dropped": connection.mailbox.dropped,
        "drops": dict(drops),
        "subscriptions": [
            {
                "track": each.track.sid,
                "of": each.track.publisher.identity,
                "queue": len(each.queue),
                "layer": each.forwarder.current if each.forwarder is not None else None,
                "drops": (
                    {why.name: count for why, count in each.forwarder.drops.items()}
                    if each.forwarder is not None
                    else {}
                ),
            }
            for each in connection.subscriptions.values()
        ],
    }


def _lines(value: object, indent: str = "") -> Iterator[str]:
    """*value* as people read it: a line for each thing, what belongs to it below."""
    if isinstance(value, dict):
        plain = {name: each for name, each in value.items() if not isinstance(each, list)}
        yield indent + "  ".join(
            str(each) if name == "task" else f"{name}={each}"
            for name, each in plain.items()
            if each != ""
        )
        for name, each in value.items():
            if isinstance(each, list) and each:
                if name != "children":
                    yield f"{indent}  {name}:"
                for item in each:
                    yield from _lines(item, indent + "    ")
    else:
        yield f"{indent}{value}"
