"""Both server SDKs of LiveKit, PyPI's (protobuf) and npm's (JSON), call every method of the API.

    python tests/interop/server_sdks.py [--url ws://...] [--sdk python|node] [--json FILE]

Each call is made right, with stock clients in the room that have to notice it, and wrong. The
figures hold every answer by SDK and step: status, code and text of what was refused.
"""

import asyncio
import json
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message
from livekit import api, rtc
from livekit.protocol import room as rooms
from server import arguments, enter_namespace, server, token
from verdict import Verdict

SECONDS: Final = 10.0
ABSENT: Final = (404, "not_found")
DENIED: Final = 401

Outcome = dict[str, Any]


class PythonSdk:
    """PyPI's livekit-api: protobuf on the wire."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        http = url.replace("ws", "http", 1)
        self._apis = {
            "right": api.LiveKitAPI(http, key, secret),
            "wrong": api.LiveKitAPI(http, key, f"{secret}, but another"),
        }

    async def ask(self, method: str, fields: dict[str, Any], which: str) -> Outcome:
        lk = self._apis[which]
        calls: dict[str, tuple[type[Message] | None, Callable[..., Any]]] = {
            "CreateRoom": (rooms.CreateRoomRequest, lk.room.create_room),
            "ListRooms": (rooms.ListRoomsRequest, lk.room.list_rooms),
            "DeleteRoom": (rooms.DeleteRoomRequest, lk.room.delete_room),
            "UpdateRoomMetadata": (rooms.UpdateRoomMetadataRequest, lk.room.update_room_metadata),
            "ListParticipants": (rooms.ListParticipantsRequest, lk.room.list_participants),
            "GetParticipant": (rooms.RoomParticipantIdentity, lk.room.get_participant),
            "RemoveParticipant": (rooms.RoomParticipantIdentity, lk.room.remove_participant),
            "ForwardParticipant": (rooms.ForwardParticipantRequest, lk.room.forward_participant),
            "MoveParticipant": (rooms.MoveParticipantRequest, lk.room.move_participant),
            "MutePublishedTrack": (rooms.MuteRoomTrackRequest, lk.room.mute_published_track),
            "UpdateParticipant": (rooms.UpdateParticipantRequest, lk.room.update_participant),
            "UpdateSubscriptions": (rooms.UpdateSubscriptionsRequest, lk.room.update_subscriptions),
            "SendData": (rooms.SendDataRequest, lk.room.send_data),
            "CreateDispatch": (
                api.CreateAgentDispatchRequest,
                lk.agent_dispatch.create_dispatch,
            ),
            "ListEgress": (api.ListEgressRequest, lk.egress.list_egress),
            "ListIngress": (api.ListIngressRequest, lk.ingress.list_ingress),
            "ListSIPInboundTrunk": (api.ListSIPInboundTrunkRequest, lk.sip.list_inbound_trunk),
        }
        try:
            if method == "DeleteDispatch":
                answer: Any = await lk.agent_dispatch.delete_dispatch(
                    fields["dispatchId"], fields["room"]
                )
            elif method == "ListDispatch":
                answer = await lk.agent_dispatch.list_dispatch(fields["room"])
            else:
                takes, call = calls[method]
                assert takes is not None
                answer = await call(json_format.ParseDict(fields, takes()))
        except api.TwirpError as error:
            return {"status": error.status, "code": error.code, "text": error.message}
        return {"answer": _plain(answer)}

    async def close(self) -> None:
        for each in self._apis.values():
            await each.aclose()


class NodeSdk:
    """npm's livekit-server-sdk: JSON on the wire."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        script = str(Path(__file__).with_suffix(".mjs"))
        self._node = subprocess.Popen(
            ["node", script, url.replace("ws", "http", 1), key, secret],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def ask(self, method: str, fields: dict[str, Any], which: str) -> Outcome:
        line = json.dumps({"method": method, "fields": fields, "secret": which})
        outcome: Outcome = json.loads(await asyncio.to_thread(self._exchange, line))
        return outcome

    def _exchange(self, line: str) -> str:
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(line + "\n")
        self._node.stdin.flush()
        return self._node.stdout.readline()

    async def close(self) -> None:
        assert self._node.stdin is not None
        self._node.stdin.close()
        self._node.wait(SECONDS)


def _plain(answer: Any) -> Any:
    """As the Node SDK gives it: what is listed without the message around the list."""
    if isinstance(answer, list):
        return [_plain(each) for each in answer]
    if not isinstance(answer, Message):
        return answer
    plain = json_format.MessageToDict(answer)
    lists = {"ListRoomsResponse": "rooms", "ListParticipantsResponse": "participants"}
    name = type(answer).__name__
    if name in lists:
        return plain.get(lists[name], [])
    return plain.get("track", {}) if name == "MuteRoomTrackResponse" else plain


class Person:
    """Somebody in the room, with PyPI's `livekit`, and what they noticed."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.room = rtc.Room()
        self.data: list[tuple[str, bytes]] = []
        self.heard: list[str] = []
        """Tracks that it was subscribed to."""
        self.ended = ""
        self.room.on("data_received", self._on_data)
        self.room.on("disconnected", self._on_end)
        self.room.on("track_subscribed", self._on_track)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        self.data.append((packet.topic or "", packet.data))

    def _on_track(self, track: Any, publication: Any, participant: Any) -> None:
        self.heard.append(publication.sid)

    def _on_end(self, reason: Any) -> None:
        self.ended = rtc.DisconnectReason.Name(reason)

    async def speak(self) -> str:
        """Publish a microphone; its SID."""
        track = rtc.LocalAudioTrack.create_audio_track("voice", rtc.AudioSource(48000, 1))
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        return (await self.room.local_participant.publish_track(track, options)).sid


async def notice(look: Callable[[], bool]) -> bool:
    """Whether *look* comes to be true in time."""
    for _ in range(int(SECONDS / 0.05)):
        if look():
            return True
        await asyncio.sleep(0.05)
    return False


class Script:
    """One SDK's calls, in a room of its own."""

    def __init__(self, options: Any, url: str, name: str, verdict: Verdict) -> None:
        self.options, self.url, self.name, self.verdict = options, url, name, verdict
        self.room = f"sdk-{name}-{secrets.token_hex(4)}"
        self.answers: dict[str, Outcome] = {}
        self.worked: set[str] = set()
        self.people: list[Person] = []

    async def right(self, method: str, /, **fields: Any) -> Any:
        """A call that succeeds; its answer."""
        outcome = await self.sdk.ask(method, fields, "right")
        self._note(method, outcome)
        if "answer" not in outcome or method not in self.worked:
            self.worked.add(method)
            self.check(method, "answer" in outcome, outcome)
        return outcome.get("answer") or {}

    async def wrong(
        self,
        what: str,
        method: str,
        status: int,
        code: str = "",
        /,
        which: str = "right",
        **fields: Any,
    ) -> None:
        """A call that is refused."""
        outcome = await self.sdk.ask(method, fields, which)
        self._note(f"{method}: {what}", outcome)
        found = outcome.get("status"), outcome.get("code")
        fits = found[0] == status and (not code or found[1] == code)
        self.check(f"{method}, {what}", fits, outcome if "answer" not in outcome else "it worked")

    def _note(self, step: str, outcome: Outcome) -> None:
        self.answers[step] = outcome if "answer" not in outcome else {"status": 200}

    def check(self, what: str, holds: bool, found: object = "") -> None:
        self.verdict.check(f"{self.name}: {what}", holds, found if not holds else "")

    async def join(self, identity: str, **how: bool) -> Person:
        person = Person(identity)
        ticket = token(self.options, self.room, identity)
        await person.room.connect(self.url, ticket, rtc.RoomOptions(**how))
        self.people.append(person)
        return person

    # --- the calls

    async def hold(self) -> None:
        """All of it, in the order in which one thing needs another."""
        kind = {"python": PythonSdk, "node": NodeSdk}[self.name]
        self.sdk: PythonSdk | NodeSdk = kind(self.url, self.options.key, self.options.secret)
        try:
            await self.rooms_come()
            alice = await self.join("alice")
            bob = await self.join("bob", auto_subscribe=False)
            sid = await alice.speak()
            await self.people_change(alice, bob, sid)
            await self.data_flow(alice, bob)
            await self.agents_are_asked_for()
            await self.refusals()
            await self.rooms_go(alice, bob)
        finally:
            for each in self.people:
                await each.room.disconnect()
            await self.sdk.close()

    async def rooms_come(self) -> None:
        made = await self.right(
            "CreateRoom",
            name=self.room,
            emptyTimeout=77,
            departureTimeout=33,
            maxParticipants=9,
            metadata="soup",
        )
        said = [
            made.get(each)
            for each in ("emptyTimeout", "departureTimeout", "maxParticipants", "metadata")
        ]
        self.check("a room is as it was asked for", said == [77, 33, 9, "soup"], said)
        again = await self.right("CreateRoom", name=self.room)
        self.check("asked for again it is the same", again.get("sid") == made.get("sid"), again)
        listed = await self.right("ListRooms", names=[self.room])
        self.check("it is listed", [each["sid"] for each in listed] == [made["sid"]], listed)

    async def people_change(self, alice: Person, bob: Person, sid: str) -> None:
        where = {"room": self.room, "identity": "alice"}
        await notice(lambda: "alice" in bob.room.remote_participants)
        seen = bob.room.remote_participants["alice"]
        listed = await self.right("ListParticipants", room=self.room)
        self.check(
            "both are listed", sorted(each["identity"] for each in listed) == ["alice", "bob"]
        )
        for _ in range(20):  # LiveKit's own server answers from a store that lags a little
            got = await self.right("GetParticipant", **where)
            if tracks := [each["sid"] for each in got.get("tracks", [])]:
                break
            await asyncio.sleep(0.1)
        self.check("a participant has its track", tracks == [sid], got)
        await self.right(
            "UpdateParticipant", **where, name="Alice", metadata="m", attributes={"k": "v"}
        )
        noticed = await notice(lambda: (seen.name, seen.metadata) == ("Alice", "m"))
        self.check("the other hears of a new name", noticed, seen.name)
        noticed = await notice(lambda: alice.room.local_participant.attributes.get("k") == "v")
        self.check("so does whom it is about", noticed)
        muted = await self.right("MutePublishedTrack", **where, trackSid=sid, muted=True)
        self.check("a muted track says so", muted.get("muted") is True, muted)
        noticed = await notice(lambda: seen.track_publications[sid].muted)
        self.check("the other hears of it", noticed)
        await self.wrong(
            "not enabled", "MutePublishedTrack", 412, "failed_precondition", **where, trackSid=sid
        )
        their = {"room": self.room, "identity": "bob"}
        self.check("who is not to hear by itself hears nothing", bob.heard == [], bob.heard)
        await self.right("UpdateSubscriptions", **their, trackSids=[sid], subscribe=True)
        self.check("a subscription begins", await notice(lambda: bob.heard == [sid]), bob.heard)
        # Its end is no event in this client, with LiveKit's server neither.
        await self.right("UpdateSubscriptions", **their, trackSids=[sid], subscribe=False)
        permission = {"canSubscribe": True, "canPublish": False, "canPublishData": True}
        await self.right("UpdateParticipant", **where, permission=permission)
        noticed = await notice(lambda: sid not in seen.track_publications)
        self.check("a right that is taken ends the track", noticed)

    async def data_flow(self, alice: Person, bob: Person) -> None:
        await self.right(
            "SendData", room=self.room, data="aGVsbG8=", destinationIdentities=["bob"], topic="t"
        )
        self.check("data come", await notice(lambda: bob.data == [("t", b"hello")]), bob.data)
        self.check("to nobody else", alice.data == [], alice.data)
        await self.right("UpdateRoomMetadata", room=self.room, metadata="cake")
        self.check("a room's metadata come", await notice(lambda: bob.room.metadata == "cake"))

        @bob.room.local_participant.register_rpc_method("echo")
        async def echo(call: rtc.RpcInvocationData) -> str:
            return call.payload.upper()

        for language in ("json", "protobuf"):  # no SDK has this method yet
            fields = {"room": self.room, "destinationIdentity": "bob"}
            call = {**fields, "method": "echo", "payload": "ping"}
            outcome = await asyncio.to_thread(self._perform, language, call)
            self.check(f"PerformRpc in {language}", outcome.get("answer") == "PING", outcome)
            outcome = await asyncio.to_thread(self._perform, language, {**call, "method": "none"})
            self._note(f"PerformRpc in {language}: no such method", outcome)
            self.check("PerformRpc, no such method", outcome.get("status") == 400, outcome)

    def _perform(self, language: str, fields: dict[str, Any]) -> Outcome:
        """PerformRpc, by hand."""
        request = json_format.ParseDict(fields, rooms.PerformRpcRequest())
        body = json.dumps(fields).encode() if language == "json" else request.SerializeToString()
        grants = api.VideoGrants(room_admin=True, room=self.room)
        made = api.AccessToken(self.options.key, self.options.secret).with_grants(grants)
        headers = {
            "Content-Type": f"application/{language}",
            "Authorization": f"Bearer {made.with_ttl(timedelta(hours=1)).to_jwt()}",
        }
        url = self.url.replace("ws", "http", 1) + "/twirp/livekit.RoomService/PerformRpc"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as response:
                data = response.read()
        except urllib.error.HTTPError as error:
            said = json.load(error)
            return {"status": error.code, "code": said["code"], "text": said["msg"]}
        if language == "json":
            return {"answer": json.loads(data)["payload"]}
        return {"answer": rooms.PerformRpcResponse.FromString(data).payload}

    async def agents_are_asked_for(self) -> None:
        made = await self.right("CreateDispatch", room=self.room, agentName="robot", metadata="m")
        listed = await self.right("ListDispatch", room=self.room)
        numbers = [each.get("id") for each in listed]
        self.check("a dispatch is listed", made.get("id") in numbers, numbers)
        await self.right("DeleteDispatch", room=self.room, dispatchId=made.get("id", ""))

    async def refusals(self) -> None:
        nobody = {"room": self.room, "identity": "nobody"}
        for method, fields in {
            "GetParticipant": {},
            "RemoveParticipant": {},
            "UpdateParticipant": {"metadata": "m"},
            "MutePublishedTrack": {"trackSid": "TR_none", "muted": True},
            "UpdateSubscriptions": {"trackSids": ["TR_none"]},
        }.items():
            await self.wrong("nobody is there", method, *ABSENT, **nobody, **fields)
        await self.wrong("no such room", "DeleteRoom", *ABSENT, room=f"{self.room}-not")
        await self.wrong(
            "no such room", "UpdateRoomMetadata", *ABSENT, room=f"{self.room}-not", metadata="m"
        )
        bad = (400, "invalid_argument")
        long = {"room": self.room, "identity": "alice"}
        await self.wrong("too long a name", "UpdateParticipant", *bad, **long, name="n" * 257)
        await self.wrong(
            "too much metadata", "UpdateParticipant", *bad, **long, metadata="m" * 524_289
        )
        await self.wrong(
            "too many attributes", "UpdateParticipant", *bad, **long, attributes={"k": "v" * 65_536}
        )
        await self.wrong("too long a name", "CreateRoom", *bad, name="n" * 257)
        moved = {"room": self.room, "identity": "alice", "destinationRoom": "elsewhere"}
        for method in ("MoveParticipant", "ForwardParticipant"):
            await self.wrong("not built", method, 500, "unknown", **moved)
        for method in ("ListEgress", "ListIngress", "ListSIPInboundTrunk"):
            await self.wrong("no worker", method, 500, "internal")
        for method, fields in {
            "CreateRoom": {"name": self.room},
            "ListRooms": {"names": [self.room]},
            "ListParticipants": {"room": self.room},
            "ListEgress": {},
        }.items():
            await self.wrong("another secret", method, DENIED, which="wrong", **fields)

    async def rooms_go(self, alice: Person, bob: Person) -> None:
        await self.right("RemoveParticipant", room=self.room, identity="bob")
        await notice(lambda: bool(bob.ended))
        self.check("who is removed hears so", bob.ended == "PARTICIPANT_REMOVED", bob.ended)
        await self.right("DeleteRoom", room=self.room)
        await notice(lambda: bool(alice.ended))
        self.check("whose room is deleted hears so", alice.ended == "ROOM_DELETED", alice.ended)
        listed = await self.right("ListRooms", names=[self.room])
        self.check("it is listed no more", listed in ([], {}), listed)


def main() -> int:
    """The exit status."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--sdk", choices=["python", "node"], help="only this one")
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict("server_sdks")
    with server(options) as url:
        for name in [options.sdk] if options.sdk else ["python", "node"]:
            script = Script(options, url, name, verdict)
            asyncio.run(script.hold())
            verdict.figures[name] = script.answers
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
