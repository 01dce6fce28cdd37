"""A room in which anything happens, and what everybody must make of it.

*Accidents* are values: who joins, publishes, falls silent, says something of themselves,
lets others hear them or not, loses a right, asks for nonsense, comes back on another
socket. `play` lets them happen to a real room with whole clients on the simulated network,
and to a *model* that knows nothing of how it is done. Whenever it is quiet again, what
each client believes must be what the model says.

    python -m tests.signalling.model [--steps 10000] [--seed 1]

plays by a dice for as long as one likes, and tells the accidents of the first room in
which somebody believed something else.
"""

import argparse
import enum
import logging
import random
import sys
from collections.abc import Iterable
from typing import Final

import attrs
import structlog
import trio
from livekit.protocol import models, rtc
from trio.testing import MockClock

from tests.signalling.house import House, InMemory, open_house
from trio_sfu.client.participant import Participant as Client
from trio_sfu.client.participant import RequestRefused
from trio_sfu.client.tracks import LocalTrack
from trio_sfu.room import changes

PEOPLE: Final = ("alice", "bob", "carol", "dan")
MAX_TRACKS: Final = 3
"""That one publishes: more is slower, and shows nothing else."""
QUIET: Final = 12.0
"""Seconds after which everybody knows: batches of news, negotiation, a token's renewal."""
ROOM: Final = "kitchen"


class Act(enum.Enum):
    """What can happen. Each looks at two dice to tell what it means."""

    JOIN = enum.auto()
    LEAVE = enum.auto()
    RESUME = enum.auto()
    PUBLISH = enum.auto()
    UNPUBLISH = enum.auto()
    MUTE = enum.auto()
    DESCRIBE = enum.auto()
    PERMIT = enum.auto()
    ALLOW = enum.auto()
    SUBSCRIBE = enum.auto()
    UNSUBSCRIBE = enum.auto()
    NONSENSE = enum.auto()
    ROOM = enum.auto()


@attrs.frozen
class Accident:
    act: Act
    who: int
    first: int = 0
    second: int = 0


@attrs.frozen
class View:
    """What one believes of another."""

    name: str
    metadata: str
    attributes: tuple[tuple[str, str], ...]
    can_publish: bool
    can_subscribe: bool
    tracks: tuple[tuple[str, bool], ...]
    """SID, and whether it is muted."""


@attrs.define(eq=False)
class Person:
    """Somebody who is there, as the model has it."""

    client: Client
    heard: list[rtc.SignalResponse]
    can_publish: bool
    can_subscribe: bool
    can_update: bool
    name: str = ""
    metadata: str = ""
    attributes: dict[str, str] = attrs.Factory(dict)
    tracks: dict[str, tuple[LocalTrack, bool]] = attrs.Factory(dict)
    declined: set[str] = attrs.Factory(set)
    allowed: dict[str, set[str] | None] | None = None
    """Whom it lets hear what, by identity; None of one is all, None of all is everybody."""

    def lets(self, identity: str, sid: str) -> bool:
        if self.allowed is None:
            return True
        tracks = self.allowed.get(identity, set())
        return tracks is None or sid in tracks

    def view(self) -> View:
        return View(
            self.name,
            self.metadata,
            tuple(sorted(self.attributes.items())),
            self.can_publish,
            self.can_subscribe,
            tuple(sorted((sid, muted) for sid, (_, muted) in self.tracks.items())),
        )


def view_of(info: models.ParticipantInfo) -> View:
    """What a client reads in LiveKit's words."""
    return View(
        info.name,
        info.metadata,
        tuple(sorted(info.attributes.items())),
        info.permission.can_publish,
        info.permission.can_subscribe,
        tuple(sorted((each.sid, each.muted) for each in info.tracks)),
    )


class Play:
    """The room, the model, and what they are compared by."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.people: dict[str, Person] = {}
        self.metadata = ""
        self.serial = 0

    async def happen(self, accident: Accident) -> None:
        who = PEOPLE[accident.who % len(PEOPLE)]
        person = self.people.get(who)
        if accident.act is Act.ROOM:
            self._change_room()
        elif accident.act is Act.JOIN:
            await self._join(who, accident)
        elif person is not None:
            await self._ACTS[accident.act](self, who, person, accident)

    async def _join(self, who: str, accident: Accident) -> None:
        """For the first time, or again while still there: then the other one goes."""
        if who in self.people:
            self._forget(who)
        rights = {
            "can_publish": accident.first % 4 != 0,
            "can_subscribe": accident.second % 4 != 0,
            "can_update_own_metadata": accident.first % 3 != 0,
        }
        if not self.people:
            self.metadata = self.house.rooms[ROOM].metadata if ROOM in self.house.rooms else ""
        heard: list[rtc.SignalResponse] = []
        one_connection = accident.second % 2 == 0
        client = await self.house.visit(who, heard=heard, one_connection=one_connection, **rights)
        can_publish, can_subscribe, can_update = rights.values()
        self.people[who] = Person(client, heard, can_publish, can_subscribe, can_update)

    def _forget(self, who: str) -> None:
        gone = self.people.pop(who)
        for other in self.people.values():
            other.declined -= gone.tracks.keys()

    async def _leave(self, who: str, person: Person, _: Accident) -> None:
        person.client.leave()
        self._forget(who)

    async def _resume(self, who: str, person: Person, _: Accident) -> None:
        await trio.sleep(QUIET)  # a client resumes that was connected before
        caller = await self.house.resume(who)
        person.client.resume(InMemory(caller, person.heard))

    async def _publish(self, who: str, person: Person, accident: Accident) -> None:
        if len(person.tracks) >= MAX_TRACKS:
            return
        publish = (person.client.publish_audio, person.client.publish_video)[accident.first % 2]
        with trio.fail_after(60):
            try:
                track = await publish(f"track {accident.second % 3}")
            except RequestRefused:
                assert not person.can_publish
            else:
                assert person.can_publish
                person.tracks[track.sid] = (track, False)

    async def _unpublish(self, who: str, person: Person, accident: Accident) -> None:
        if person.tracks:
            self._take_back(person, _pick(person.tracks, accident.first))

    def _take_back(self, person: Person, sid: str) -> None:
        track, _ = person.tracks.pop(sid)
        person.client.unpublish(track)
        for other in self.people.values():
            other.declined.discard(sid)

    async def _mute(self, who: str, person: Person, accident: Accident) -> None:
        if person.tracks:
            sid = _pick(person.tracks, accident.first)
            track, _ = person.tracks[sid]
            muted = accident.second % 2 == 0
            person.client.mute(track, muted=muted)
            person.tracks[sid] = (track, muted)

    async def _describe(self, who: str, person: Person, accident: Accident) -> None:
        self.serial += 1
        request = rtc.UpdateParticipantMetadata(request_id=self.serial)
        key = f"key {accident.second % 2}"
        match accident.first % 4:
            case 0:
                request.name = f"name {self.serial}"
            case 1:
                request.metadata = f"metadata {self.serial}"
            case 2:
                request.attributes[key] = f"value {self.serial}"
            case _:
                request.attributes[key] = ""
        person.client.request(rtc.SignalRequest(update_metadata=request))
        if person.can_update:
            person.name = request.name or person.name
            person.metadata = request.metadata or person.metadata
            merged = {**person.attributes, **request.attributes}
            person.attributes = {name: value for name, value in merged.items() if value}

    async def _permit(self, who: str, person: Person, accident: Accident) -> None:
        """The application gives rights and takes them."""
        person.can_publish = accident.first % 3 != 0
        person.can_subscribe = accident.second % 3 != 0
        room, participant = self.house.room(), self.house.participant(who)
        grants = attrs.evolve(
            participant.who.grants,
            can_publish=person.can_publish,
            can_subscribe=person.can_subscribe,
        )
        changes.permit(room, participant, grants)
        if not person.can_publish:
            for sid in list(person.tracks):
                self._take_back(person, sid)

    async def _allow(self, who: str, person: Person, accident: Accident) -> None:
        """The publisher says who may hear it."""
        permission = rtc.SubscriptionPermission(all_participants=accident.first % 3 == 0)
        if permission.all_participants:
            person.allowed = None
        else:
            other = PEOPLE[accident.second % len(PEOPLE)]
            sids = set(list(person.tracks)[:1])
            every = accident.first % 3 == 1
            permission.track_permissions.add(
                participant_identity=other, all_tracks=every, track_sids=[] if every else sids
            )
            person.allowed = {other: None if every else sids}
        person.client.request(rtc.SignalRequest(subscription_permission=permission))

    async def _choose(self, who: str, person: Person, accident: Accident) -> None:
        wanted = accident.act is Act.SUBSCRIBE
        theirs = [sid for name, each in self.people.items() if name != who for sid in each.tracks]
        if not theirs:
            return
        sid = _pick(theirs, accident.first)
        subscription = rtc.UpdateSubscription(track_sids=[sid], subscribe=wanted)
        person.client.request(rtc.SignalRequest(subscription=subscription))
        (person.declined.discard if wanted else person.declined.add)(sid)

    async def _nonsense(self, who: str, person: Person, accident: Accident) -> None:
        """Nobody else may notice."""
        person.client.request(_NONSENSE[accident.first % len(_NONSENSE)])

    def _change_room(self) -> None:
        if self.people:
            self.serial += 1
            self.metadata = f"room {self.serial}"
            changes.set_room_metadata(self.house.room(), self.metadata)

    _ACTS: Final = {
        Act.LEAVE: _leave,
        Act.RESUME: _resume,
        Act.PUBLISH: _publish,
        Act.UNPUBLISH: _unpublish,
        Act.MUTE: _mute,
        Act.DESCRIBE: _describe,
        Act.PERMIT: _permit,
        Act.ALLOW: _allow,
        Act.SUBSCRIBE: _choose,
        Act.UNSUBSCRIBE: _choose,
        Act.NONSENSE: _nonsense,
    }

    # --- what must be so when it is quiet

    def compare(self) -> None:
        for who, person in self.people.items():
            believed = {each.identity: view_of(each) for each in person.client.others.values()}
            assert len(believed) == len(person.client.others), f"{who} knows somebody twice"
            happened = {name: each.view() for name, each in self.people.items() if name != who}
            assert believed == happened, f"what {who} believes"
            assert set(person.client.remote_tracks) == self._audible(who, person), f"{who} hears"
            told = [each.room_update.room for each in person.heard if each.HasField("room_update")]
            metadata = (told[-1] if told else person.client.join.room).metadata
            assert metadata == self.metadata, f"what {who} knows of the room"

    def _audible(self, who: str, person: Person) -> set[str]:
        """What *who* must hear now."""
        if not person.can_subscribe:
            return set()
        return {
            sid
            for name, other in self.people.items()
            if name != who
            for sid in other.tracks
            if other.lets(who, sid) and sid not in person.declined
        }


_UNKNOWN: Final = "TR_AMnobody000000"
_NONSENSE: Final = (
    rtc.SignalRequest(),
    rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid=_UNKNOWN, muted=True)),
    rtc.SignalRequest(
        subscription=rtc.UpdateSubscription(track_sids=[_UNKNOWN, ""], subscribe=True)
    ),
    rtc.SignalRequest(track_setting=rtc.UpdateTrackSettings(track_sids=[_UNKNOWN], quality=9)),
    rtc.SignalRequest(trickle=rtc.TrickleRequest(candidateInit="nothing", target=7)),
    rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="x", type=models.TrackType.DATA)),
    rtc.SignalRequest(add_track=rtc.AddTrackRequest(cid="y", sid=_UNKNOWN)),
    rtc.SignalRequest(
        subscription_permission=rtc.SubscriptionPermission(
            track_permissions=[rtc.TrackPermission(all_tracks=True)]
        )
    ),
    rtc.SignalRequest(update_audio_track=rtc.UpdateLocalAudioTrack(track_sid=_UNKNOWN)),
    rtc.SignalRequest(answer=rtc.SessionDescription(type="answer", sdp="v=0", id=77)),
    rtc.SignalRequest(update_layers=rtc.UpdateVideoLayers(track_sid=_UNKNOWN)),
    rtc.SignalRequest(
        unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=70_000)
    ),
)


def _pick(among: Iterable[str], dice: int) -> str:
    found = sorted(among)
    return found[dice % len(found)]


async def _play(accidents: Iterable[Accident]) -> None:
    async with trio.open_nursery() as nursery:
        play = Play(await open_house(nursery))
        for accident in accidents:
            await play.happen(accident)
            if accident.second % 3 == 0:
                await trio.sleep(QUIET)
                play.compare()
        await trio.sleep(QUIET)
        play.compare()
        nursery.cancel_scope.cancel()


def play(accidents: Iterable[Accident]) -> None:
    """Let *accidents* happen, one after the other; `AssertionError` where a belief is wrong."""
    trio.run(_play, accidents, clock=MockClock(autojump_threshold=0))


LENGTH: Final = 40
"""Accidents in one room of the long run."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Let anything happen, for long.")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    dice = random.Random(f"accidents {options.seed}")
    acts = list(Act)
    for played in range(0, options.steps, LENGTH):
        accidents = [
            Accident(Act.JOIN, number, dice.randrange(12), dice.randrange(12)) for number in (0, 1)
        ]
        accidents += [
            Accident(dice.choice(acts), *(dice.randrange(12) for _ in "123"))
            for _ in range(LENGTH - len(accidents))
        ]
        try:
            play(accidents)
        except BaseException:
            print(f"after {played} accidents, in this room:", *accidents, sep="\n  ")
            raise
        if played % (LENGTH * 10) == 0:
            print(f"{played} accidents", flush=True)
    print(f"{options.steps} accidents, and everybody always knew what had happened")
    return 0


if __name__ == "__main__":
    sys.exit(main())
