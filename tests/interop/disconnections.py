"""How a client is told that it is over, and why: each of the ways in which a server ends it.

python tests/interop/disconnections.py [--url ws://...] [--client NAME]... [--json FILE]

takeover    somebody joins with the same identity: DUPLICATE_IDENTITY
full        a room for one: the second is not let in, and is told why
deleted     the room is closed by the API: ROOM_DELETED
removed     kicked, and its token revoked: PARTICIPANT_REMOVED, and it does not get in again
expired     its socket is cut, and its token has ended: it is over for the client
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from conversation import until
from livekit import api
from recovering import CLIENTS, Wire
from server import arguments, enter_namespace, server, token
from stock_call import ServerApi
from verdict import Verdict

PATIENCE: Final = 20.0
GIVEN_UP: Final = 90.0
"""Seconds after which a client that may not come back has understood: the Rust core tries ten
times, for longer and longer."""


def main() -> int:
    parser = arguments("How a client is told that it is over.")
    parser.add_argument("--client", action="append", choices=list(CLIENTS), dest="clients")
    parser.add_argument("--case", action="append", choices=list(CASES), dest="cases")
    options = parser.parse_args()
    enter_namespace(options)
    verdict = Verdict("disconnections")
    with server(options) as url:
        for client in options.clients or CLIENTS:
            for case in options.cases or CASES:
                scene = Scene(options, url, client, f"{client}: {case}", verdict)
                try:
                    CASES[case](scene)
                finally:
                    scene.close()
    return verdict.finish(options.json)


class Scene:
    """One case: a room, and who comes to it."""

    def __init__(
        self, options: argparse.Namespace, url: str, client: str, name: str, verdict: Verdict
    ) -> None:
        self.options, self.url, self.client, self.name = options, url, client, name
        self.room = f"over-{secrets.token_hex(4)}"
        self.verdict = verdict
        self.api = ServerApi(url.replace("ws", "http", 1), options.key, options.secret)
        self._parties: list[Any] = []

    def party(self, identity: str) -> Any:
        party = CLIENTS[self.client](identity, 600)
        self._parties.append(party)
        return party

    def join(self, party: Any, url: str = "", ticket: str = "") -> str:
        """What the client says if it is not let in; "" if it is."""
        ticket = ticket or token(self.options, self.room, party.identity)
        try:
            party.ask("connect", url=url or self.url, token=ticket, key=None)
        except Exception as error:
            return " ".join(str(error).split())[:200] or type(error).__name__
        return ""

    def expect(self, party: Any, reason: str, patience: float = PATIENCE) -> None:
        """*party* is disconnected for *reason*."""
        until(lambda: party.ask("endings"), patience)
        found = party.ask("endings")
        self.verdict.figure(self.name, ", ".join(found))
        self.verdict.check(f"{self.name}: {reason}", found == [reason], found)

    def close(self) -> None:
        for party in self._parties:
            party.close()


def takeover(scene: Scene) -> None:
    first, second = scene.party("alice"), scene.party("alice")
    scene.join(first)
    scene.join(second)
    scene.expect(first, "DUPLICATE_IDENTITY")
    time.sleep(1)
    scene.verdict.check(f"{scene.name}: the second stays", second.ask("endings") == [])


def full(scene: Scene) -> None:
    request = api.CreateRoomRequest(name=scene.room, max_participants=1)
    scene.api(lambda server: server.room.create_room(request))
    scene.join(scene.party("alice"))
    refusal = scene.join(scene.party("bob"))
    scene.verdict.figure(scene.name, refusal)
    scene.verdict.check(f"{scene.name}: not let in", bool(refusal), refusal)


def deleted(scene: Scene) -> None:
    alice = scene.party("alice")
    scene.join(alice)
    scene.api(lambda server: server.room.delete_room(api.DeleteRoomRequest(room=scene.room)))
    scene.expect(alice, "ROOM_DELETED")


def removed(scene: Scene) -> None:
    alice = scene.party("alice")
    ticket = token(scene.options, scene.room, "alice")
    scene.join(alice, ticket=ticket)
    who = api.RoomParticipantIdentity(room=scene.room, identity="alice")
    who.revoke_token_ts = int(time.time()) + 1
    scene.api(lambda server: server.room.remove_participant(who))
    scene.expect(alice, "PARTICIPANT_REMOVED")
    refusal = scene.join(scene.party("alice"), ticket=ticket)
    scene.verdict.check(f"{scene.name}: does not get in again", bool(refusal), refusal)


def expired(scene: Scene) -> None:
    wire = Wire(scene.url)
    alice = scene.party("alice")
    scene.join(alice, wire.url)
    time.sleep(2)
    wire.token = (
        api.AccessToken(scene.options.key, scene.options.secret)
        .with_identity("alice")
        .with_ttl(timedelta(hours=-1))
        .with_grants(api.VideoGrants(room_join=True, room=scene.room))
        .to_jwt()
    )
    wire.cut("closed", 0.2)
    until(lambda: alice.ask("endings"), GIVEN_UP)
    found = alice.ask("endings")
    scene.verdict.figure(scene.name, ", ".join(found))
    scene.verdict.check(f"{scene.name}: it is over", len(found) == 1, found)
    wire.close()


CASES: Final[dict[str, Callable[[Scene], None]]] = {
    "takeover": takeover,
    "full": full,
    "deleted": deleted,
    "removed": removed,
    "expired": expired,
}


if __name__ == "__main__":
    sys.exit(main())
