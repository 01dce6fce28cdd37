"""A room of five hundred who only talk to the signalling: what each is told is what happened.

Everybody has a WebSocket of their own, and nobody a connection for media. A dice decides
who comes, goes, comes back under the same name, and says what of themselves. A *model*
knows what happened; everybody's *view* is what a client makes of what it is told. After
each round of accidents the views must come to equal the model, and on the way nobody may
be told anything that never was, or something old after something new.

    python tests/interop/room_of_500.py [--people 500] [--accidents 200] [--seed 1] [--json FILE]

Time is measured and told, but decides nothing: everybody lives in this one process, which
takes longer to read what five hundred are told than the server takes to tell them.
"""

import argparse
import math
import random
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import attrs
import trio
import trio_websocket
from livekit.protocol import models, rtc
from server import arguments, server, token
from verdict import Verdict

from trio_sfu.client.signalling import Signalling, SignallingClosed, connect, open_stream

ROUNDS: Final = 4
AT_ONCE: Final = 16
"""How many join at a time."""
PATIENCE: Final = 60.0
"""Seconds in which everybody must have heard of a round; the last of them leave in threes."""
GRACE: Final = 0.2
"""Seconds in which a change should reach everybody; told, not judged."""

State = models.ParticipantInfo.State
Said = tuple[str, str, tuple[tuple[str, str], ...]]
"""Name, metadata and attributes."""


def said(info: models.ParticipantInfo) -> Said:
    return info.name, info.metadata, tuple(sorted(info.attributes.items()))


@attrs.define(eq=False)
class Model:
    """What happened: of everybody who was ever there, all they ever said, in order."""

    present: dict[str, Said] = attrs.Factory(dict)
    history: dict[str, list[Said]] = attrs.Factory(dict)

    def say(self, identity: str, what: Said) -> None:
        self.present[identity] = what
        self.history.setdefault(identity, []).append(what)


@attrs.define(eq=False)
class Member:
    """One client, and what it makes of what it is told."""

    identity: str
    model: Model
    wrong: list[str]
    changed: Callable[[], None]
    signalling: Signalling | None = None
    view: dict[str, Said] = attrs.Factory(dict)
    sids: dict[str, str] = attrs.Factory(dict)
    versions: dict[str, int] = attrs.Factory(dict)
    """The newest that was told, by SID."""
    leave_reason: int | None = None
    told: int = 0
    joined: trio.Event = attrs.Factory(trio.Event)
    gone: trio.Event = attrs.Factory(trio.Event)
    _places: dict[str, int] = attrs.Factory(dict)
    """How far in each one's history this member has heard."""

    async def run(self, url: str, ticket: str) -> None:
        where = urlsplit(url)
        try:
            async with await open_stream(where) as stream, trio.open_nursery() as nursery:
                self.signalling = await connect(nursery, stream, where, ticket)
                await self._listen(self.signalling)
                nursery.cancel_scope.cancel()
        finally:
            self.gone.set()
            self.changed()

    async def _listen(self, signalling: Signalling) -> None:
        try:
            while True:
                response = await signalling.receive()
                self.told += 1
                match response.WhichOneof("message"):
                    case "join":
                        self._hear(response.join.participant)
                        for each in response.join.other_participants:
                            self._hear(each)
                        self.joined.set()
                    case "update":
                        for each in response.update.participants:
                            self._hear(each)
                    case "leave":
                        self.leave_reason = response.leave.reason
                        return
                    case _:
                        continue
                self.changed()
        except (SignallingClosed, trio_websocket.ConnectionClosed):
            return

    def _hear(self, info: models.ParticipantInfo) -> None:
        identity, sid = info.identity, info.sid
        if info.state == State.DISCONNECTED:
            if self.sids.get(identity) == sid:
                del self.sids[identity], self.view[identity]
            return
        if info.version < self.versions.get(sid, 0):
            self.wrong.append(f"{self.identity} is told an old version of {identity}")
        self.versions[sid] = info.version
        what = said(info)
        history = self.model.history.get(identity, [])
        place = self._places.get(identity, 0)
        while place < len(history) and history[place] != what:
            place += 1
        if place == len(history):
            self.wrong.append(
                f"{self.identity} is told {what} of {identity}, which "
                + ("was before" if what in history else "never was")
            )
        else:
            self._places[identity] = place
        self.sids[identity], self.view[identity] = sid, what


class Crowd:
    """Everybody, the dice, and what is compared."""

    def __init__(self, url: str, options: argparse.Namespace, nursery: trio.Nursery) -> None:
        self.model = Model()
        self.wrong: list[str] = []
        self.members: dict[str, Member] = {}
        self.told = 0
        self._url, self._options, self._nursery = url, options, nursery
        self._dice = random.Random(f"crowd {options.seed}")
        self._room = f"crowd-{options.seed}"
        self._serial = 0
        self._news = trio.Event()

    def _changed(self) -> None:
        self._news.set()

    async def join(self, identity: str) -> None:
        ticket = token(self._options, self._room, identity)
        member = Member(identity, self.model, self.wrong, self._changed)
        before = self.members.get(identity)
        self.model.say(identity, ("", "", ()))
        self.members[identity] = member
        self._nursery.start_soon(member.run, self._url, ticket)
        await member.joined.wait()
        if before is not None:
            await before.gone.wait()
            if before.leave_reason != models.DisconnectReason.DUPLICATE_IDENTITY:
                self.wrong.append(f"{identity} left with {before.leave_reason}, for another")
            self.told += before.told

    async def join_all(self, count: int) -> None:
        limit = trio.CapacityLimiter(AT_ONCE)

        async def one(number: int) -> None:
            async with limit:
                await self.join(f"guest-{number}")

        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(one, number)

    async def leave(self, identity: str) -> None:
        member = self.members.pop(identity)
        del self.model.present[identity]
        assert member.signalling is not None
        member.signalling.send(rtc.SignalRequest(leave=rtc.LeaveRequest()))
        await member.gone.wait()
        self.told += member.told

    def change(self, identity: str) -> None:
        """Say something new: a name, metadata, or an attribute more or less."""
        self._serial += 1
        word = f"{self._serial}"
        name, metadata, attributes = self.model.present[identity]
        request = rtc.UpdateParticipantMetadata(request_id=self._serial)
        match self._dice.randrange(3):
            case 0:
                request.name = name = f"name {word}"
            case 1:
                request.metadata = metadata = f"metadata {word}"
            case _:
                kept = dict(attributes)
                key = f"key {self._dice.randrange(3)}"
                request.attributes[key] = "" if key in kept and self._dice.random() < 0.5 else word
                kept.pop(key, None)
                if request.attributes[key]:
                    kept[key] = word
                attributes = tuple(sorted(kept.items()))
        self.model.say(identity, (name, metadata, attributes))
        member = self.members[identity]
        assert member.signalling is not None
        member.signalling.send(rtc.SignalRequest(update_metadata=request))

    async def accident(self) -> None:
        """Whatever the dice says."""
        identity = self._dice.choice(sorted(self.members))
        match self._dice.randrange(10):
            case 0:
                await self.leave(identity)
            case 1:
                await self.join(identity)  # again, while still there
            case 2:
                self._serial += 1
                await self.join(f"latecomer-{self._serial}")
            case _:
                self.change(identity)

    async def agree(self) -> float:
        """Seconds until everybody's view is the model; infinite if they never agree."""
        started = trio.current_time()
        with trio.move_on_after(PATIENCE):
            while True:
                self._news = trio.Event()
                if all(each.view == self.model.present for each in self.members.values()):
                    return trio.current_time() - started
                await self._news.wait()
        for member in self.members.values():
            if missed := self.model.present.items() - member.view.items():
                self.wrong.append(f"{member.identity} never heard {next(iter(missed))}")
            for surplus in member.view.keys() - self.model.present.keys():
                self.wrong.append(f"{member.identity} never heard that {surplus} left")
        return math.inf


async def play(url: str, options: argparse.Namespace, verdict: Verdict) -> None:
    async with trio.open_nursery() as nursery:
        crowd = Crowd(url, options, nursery)
        started = trio.current_time()
        await crowd.join_all(options.people)
        joined = trio.current_time() - started
        agreed = await crowd.agree()
        verdict.check(f"{options.people} are in, and know of each other", agreed < math.inf)
        crowd.change("guest-0")
        change = await crowd.agree()
        rounds: list[float] = []
        for _ in range(ROUNDS):
            for _ in range(options.accidents // ROUNDS):
                await crowd.accident()
            rounds.append(await crowd.agree())
        verdict.check(
            f"everybody was told what happened, after each of {ROUNDS} rounds",
            all(each < math.inf for each in rounds),
        )
        verdict.check(
            "nobody was told what never was, or the old after the new",
            not crowd.wrong,
            "; ".join(crowd.wrong[:3]),
        )
        verdict.figures |= {
            "people": options.people,
            "accidents": options.accidents,
            "seed": options.seed,
            "seconds to join": round(joined, 2),
            "seconds until all know all": figure(agreed),
            "seconds for one change to reach all": figure(change),
            "a change should take at most": GRACE,
            "seconds until all agree, after each round": list(map(figure, rounds)),
            "messages": crowd.told + sum(each.told for each in crowd.members.values()),
        }
        nursery.cancel_scope.cancel()


def figure(seconds: float) -> float | None:
    """As JSON can tell it."""
    return round(seconds, 3) if seconds < math.inf else None


def main() -> int:
    parser = arguments("A room of five hundred, and what each of them is told.")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--accidents", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    verdict = Verdict("room-of-500")
    # Who has no connection for media would be removed after a minute.
    patient = "room: {join_timeout: 3600}, logging: {level: warn}"
    with server(options, "--config-body", f"{{{patient}}}") as url:
        trio.run(play, url, options, verdict)
    return verdict.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
