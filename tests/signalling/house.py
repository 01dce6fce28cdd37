"""A node with rooms, and who comes to visit: real classes on a network in memory.

`House.knock` gives a `Caller`: only the two channels that the front end holds, so a
test sees every message. `House.visit` gives our whole client (ICE, DTLS, media) in
virtual time.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from zlib import crc32

import attrs
import trio
from livekit.protocol import models, rtc
from trio.testing import wait_all_tasks_blocked

from tests.sim import entropy
from tests.sim.switch import Switch
from trio_sfu.client.participant import Participant as Client
from trio_sfu.client.signalling import SignallingClosed
from trio_sfu.config import RoomConfig
from trio_sfu.dtls import certificate
from trio_sfu.dtls.certificate import Certificate
from trio_sfu.ice.candidate import host_candidates
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.room.grants import Grants
from trio_sfu.room.node import MAX_ROOMS, Node, NodeConfig
from trio_sfu.room.observe import Happening, Observer
from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.sdp.agreement import CLIENT, Agreement, Sending
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.attributes import Fingerprint, Setup
from trio_sfu.sdp.offer import Offerer
from trio_sfu.sdp.session import Origin, SessionDescription, Transport
from trio_sfu.signalling.join import ClientInfo, JoinRequest
from trio_sfu.signalling.serve import Signalling

WALL = 1.7e9
RESPONSES = 256
DEFAULTS = RoomConfig()


@lru_cache
def certificate_of(seed: int) -> Certificate:
    return certificate.generate(entropy(seed), WALL)


def ask(identity: str, room: str = "kitchen", **fields: object) -> JoinRequest:
    """*identity*'s request to join; *fields* of JoinRequest, or rights of a token."""
    rights = {name: fields.pop(name) for name in list(fields) if name in _RIGHTS}
    grants = Grants(room=room, room_join=True, **rights)
    fields = {"client": ClientInfo(), "protocol": 17, **fields}
    return JoinRequest(room=room, identity=identity, grants=grants, **fields)


_RIGHTS = {field.name for field in attrs.fields(Grants)} - {"room"}


THEIRS = Transport(
    "abcd",
    "aPasswordOfTwentyFourAbc",
    (Fingerprint("sha-256", bytes(range(32))),),
    options=("trickle",),
)
_SOURCES = {"audio": models.TrackSource.MICROPHONE, "video": models.TrackSource.CAMERA}
_MIMES = {"audio": "audio/opus", "video": "video/VP8"}


def sending(kind: str, track_id: str, **fields: object) -> Sending:
    """What a client offers for one track."""
    fields = {"mime": _MIMES[kind], "ssrc": 1 + crc32(track_id.encode()) // 2, **fields}
    return Sending(kind, track_id, track_id, track_id, **fields)


class Caller:
    """The front end's ends of one client's two channels."""

    def __init__(self, responses: int = RESPONSES) -> None:
        self.sendings: dict[str, Sending] = {}
        """What the next offer sends, by msid track id."""
        self.receiving: dict[str, int] = {}
        """On `/rtc/v1`: in how many sections of each kind the next offer lets us send."""
        self.offer_id = 0
        self.told_in = False
        """Whether joining has returned."""
        self._offerer = Offerer(7, role=CLIENT)
        self._origin = Origin(8, 0)
        self.requests, self.requests_out = trio.open_memory_channel[rtc.SignalRequest](256)
        self.responses_in, self.responses = trio.open_memory_channel[rtc.SignalResponse](responses)
        self.identity = ""

    def say(self, **message: object) -> None:
        self.requests.send_nowait(rtc.SignalRequest(**message))

    async def hear(self) -> list[rtc.SignalResponse]:
        """All that the client has been told, once everybody rests."""
        await wait_all_tasks_blocked()
        return list(self._told())

    async def hear_of(self, kind: str) -> list[object]:
        return [getattr(each, kind) for each in await self.hear() if kind_of(each) == kind]

    async def wait_for(self, kind: str, seconds: float = 60.0) -> object:
        """The next message of *kind*; what comes before it is passed over."""
        with trio.fail_after(seconds):
            while True:
                response = await self.responses.receive()
                if kind_of(response) == kind:
                    return getattr(response, kind)

    def _told(self) -> Iterator[rtc.SignalResponse]:
        while True:
            try:
                yield self.responses.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return

    def announce(self, kind: str, cid: str, **fields: object) -> None:
        """AddTrack."""
        request = {"cid": cid, "type": kind.upper(), "source": _SOURCES[kind], **fields}
        self.say(add_track=rtc.AddTrackRequest(**request))

    def offer(self) -> None:
        """Offer what `sendings` says."""
        self.say(offer=self.description())

    def description(self) -> rtc.SessionDescription:
        """The next offer, not yet said."""
        self.offer_id += 1
        sdp = str(self._offerer.offer(THEIRS, self.sendings.values(), self.receiving))
        return rtc.SessionDescription(type="offer", sdp=sdp, id=self.offer_id)

    def accept(self, answered: rtc.SessionDescription) -> Agreement:
        """What the server's answer to the last offer settles."""
        return self._offerer.accept(SessionDescription.parse(answered.sdp))

    async def publish(self, kind: str, cid: str, **fields: object) -> str:
        """Announce and offer a track as Chromium does; returns its SID."""
        self.announce(kind, cid, **fields)
        self.sendings[cid] = sending(kind, cid)
        return await self.renegotiate()

    async def renegotiate(self) -> str:
        """Offer, and accept the answer; returns the SID of the last published track."""
        self.offer()
        told = await self.hear()
        (answered,) = [each.answer for each in told if kind_of(each) == "answer"]
        self.accept(answered)
        published = [each.track_published for each in told if kind_of(each) == "track_published"]
        return published[-1].track.sid if published else ""

    async def answer(self, *, number: int | None = None, **options: object) -> list[str]:
        """Answer the newest offer of the server; returns the track ids that flow by it."""
        told = await self.hear()
        (offer,) = [each.offer for each in told if kind_of(each) == "offer"]
        return self.answer_to(offer, number=number, **options)

    def answer_to(
        self, offer: rtc.SessionDescription, *, number: int | None = None, **options: object
    ) -> list[str]:
        options = {"role": CLIENT, "setup": Setup.ACTIVE, **options}
        agreed = answer(SessionDescription.parse(offer.sdp), THEIRS, self._origin, **options)
        number = offer.id if number is None else number
        sdp = str(agreed.description)
        self.say(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=number))
        return [each.track_id for each in agreed.sections if each.direction.receives]

    def hang_up(self) -> None:
        """As when the WebSocket is gone."""
        self.requests.close()
        self.responses.close()


def kind_of(message: rtc.SignalResponse | rtc.SignalRequest) -> str | None:
    return message.WhichOneof("message")


def kinds(messages: list[rtc.SignalResponse]) -> list[str | None]:
    return [kind_of(each) for each in messages]


class InMemory:
    """What `client.signalling.Signalling` is to our client."""

    def __init__(self, caller: Caller, heard: list[rtc.SignalResponse]) -> None:
        self.caller = caller
        self.heard = heard

    def send(self, request: rtc.SignalRequest) -> None:
        try:
            self.caller.requests.send_nowait(request)
        except trio.BrokenResourceError:
            pass

    def ping(self) -> None:
        pass

    async def receive(self) -> rtc.SignalResponse:
        try:
            response = await self.caller.responses.receive()
            self.heard.append(response)
            return response
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise SignallingClosed("over") from None


class House:
    """A server without HTTP."""

    def __init__(
        self,
        nursery: trio.Nursery,
        switch: Switch,
        config: RoomConfig,
        max_rooms: int,
        node: dict[str, object],
    ) -> None:
        self.switch = switch
        self.nursery = nursery
        sock = switch.open("192.0.2.1", 7882)
        self.endpoint = Endpoint([sock])
        self.happenings: list[Happening] = []
        """What observers were told."""
        self.observers: list[Observer] = [self.happenings.append]
        self.node = Node(
            NodeConfig(
                certificate=certificate_of(0),
                candidates=tuple(each.encode() for each in host_candidates([sock.address])),
                entropy=entropy(4711),
                wall=WALL,
                room=config,
                **node,
            ),
            self.endpoint,
            nursery,
            max_rooms=max_rooms,
            observers=[lambda happening: [each(happening) for each in self.observers]],
        )
        self.signalling = Signalling(self.node)
        self.one_connection = True
        """Whether visitors come by `/rtc/v1`."""
        self._visitors = 0

    @property
    def rooms(self) -> dict[str, Room]:
        return self.node.rooms

    def room(self, name: str = "kitchen") -> Room:
        return self.rooms[name]

    async def activate(self, identity: str, room: str = "kitchen") -> None:
        """As when *identity*'s connection is up."""
        self.rooms[room].activate(self.participant(identity, room))
        await wait_all_tasks_blocked()

    def participant(self, identity: str, room: str = "kitchen") -> Participant:
        return self.rooms[room].participants[identity]

    async def knock(
        self,
        identity: str,
        room: str = "kitchen",
        *,
        caller: Caller | None = None,
        **fields: object,
    ) -> Caller:
        """*identity* joins, and has been told nothing yet; see `ask` for *fields*.

        *caller*: that has something to bring, if it has.
        """
        caller = caller or Caller()
        caller.identity = identity
        join = ask(identity, room, **fields)
        await self.signalling.connect(join, caller.requests_out, caller.responses_in)
        return caller

    async def resume(self, identity: str, sid: str = "", **fields: object) -> Caller:
        """*identity* comes back on another socket, as whoever had that *sid*: now in the room,
        if it is ""."""
        caller = Caller()
        caller.identity = identity
        sid = sid or self.participant(identity).sid
        join = ask(identity, reconnect=True, participant_sid=sid, **fields)
        await self.signalling.connect(join, caller.requests_out, caller.responses_in)
        return caller

    async def enter(self, identity: str, room: str = "kitchen", **fields: object) -> Caller:
        """As `knock`, and has heard what there was to hear."""
        caller = await self.knock(identity, room, **fields)
        await caller.hear()
        return caller

    async def attend(self, identity: str, room: str = "kitchen", **fields: object) -> Caller:
        """As `enter`, and its connection is up; the first offer is answered."""
        caller = await self.knock(identity, room, **fields)
        if fields.get("can_subscribe", True):
            await caller.answer()
        await self.activate(identity, room)
        await caller.hear()
        return caller

    async def visit(
        self,
        identity: str,
        room: str = "kitchen",
        *,
        own: object = None,
        heard: list[rtc.SignalResponse] | None = None,
        **fields: object,
    ) -> Client:
        """*identity* joins with our client, whose tasks live in *own* or the house's nursery.

        All that it is told after Join comes into *heard*, too.
        """
        one_connection = bool(fields.setdefault("one_connection", self.one_connection))
        caller = await self.knock(identity, room, **fields)
        join = await caller.wait_for("join")
        self._visitors += 1
        client = Client(
            InMemory(caller, [] if heard is None else heard),
            join,
            f"198.51.100.{self._visitors}",
            certificate_of(1),
            entropy(100 + self._visitors),
            self.switch.open,
            one_connection=one_connection,
        )
        started: Client = await (own or self.nursery).start(client.run)
        return started


async def run_house(
    config: RoomConfig,
    delay: float,
    max_rooms: int,
    node: dict[str, object],
    task_status: trio.TaskStatus[House],
) -> None:
    switch = Switch(delay=delay)
    async with trio.open_nursery() as nursery:
        house = House(nursery, switch, config, max_rooms, node)
        nursery.start_soon(switch.run)
        nursery.start_soon(house.endpoint.run)
        task_status.started(house)
        await trio.sleep(math.inf)


async def open_house(
    nursery: trio.Nursery,
    config: RoomConfig = DEFAULTS,
    delay: float = 0.01,
    max_rooms: int = MAX_ROOMS,
    **node: object,
) -> House:
    """*node* are fields of its NodeConfig."""
    house: House = await nursery.start(run_house, config, delay, max_rooms, node)
    return house


def tables(house: House) -> dict[str, object]:
    """All tables of a house, as plain values: what must be right whoever is cancelled when."""
    return {
        name: {
            identity: {
                "tracks": sorted(each.tracks),
                "subscriptions": sorted(each.subscriptions),
                "subscribers": {
                    sid: sorted(track.subscriptions) for sid, track in each.tracks.items()
                },
                "sections": sorted(
                    track.sid for c in each.connections.values() for track in c.tracks.values()
                ),
            }
            for identity, each in room.participants.items()
        }
        for name, room in house.rooms.items()
    }
