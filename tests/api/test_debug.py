"""What can be looked into, by whom, and that it says what is so."""

import json
import struct
import time

import attrs
import pytest
import trio

from tests.api.test_http import Answer, ask
from tests.api.test_metrics import hold_a_call
from tests.signalling.house import House, open_house
from trio_sfu.api.debug import Debug, task_tree
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.rtc import Gate
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.room.grants import Grants

pytestmark = pytest.mark.virtual_time

KEYS = {"key": "a secret of more than thirty-two bytes"}


@attrs.define
class Visit:
    house: House
    enter: object

    async def get(self, path: str, **grants: object) -> Answer:
        head = ""
        if grants:
            claims = Claims(identity="operator", grants=Grants(**grants))
            head = f"\r\nAuthorization: Bearer {sign(claims, 'key', KEYS['key'], time.time())}"
        gate = Gate(KEYS, self.house.signalling.connect, time.time)
        stream = self.enter(FrontDoor(Debug(self.house.node, gate.claims).routes()))
        answer = await ask(stream, f"GET {path} HTTP/1.1{head}")
        await stream.aclose()
        return answer


@pytest.fixture
async def visit(nursery: trio.Nursery, enter) -> Visit:
    return Visit(await open_house(nursery), enter)


async def test_rooms_show_who_is_there_and_every_queue(visit: Visit) -> None:
    await hold_a_call(visit.house)
    found = json.loads((await visit.get("/debug/rooms?format=json")).body)
    (room,) = found["rooms"]
    alice, bob = room["participants"]
    assert [each["participant"] for each in (alice, bob)] == ["alice", "bob"]
    assert len(alice["publishes"]) == 2
    subscriptions = [s for c in bob["connections"] for s in c["subscriptions"]]
    assert {each["track"] for each in subscriptions} == set(alice["publishes"])
    assert {each["queue"] for each in subscriptions} == {0}
    assert {c["state"] for c in alice["connections"]} <= {"CONNECTED", "NEW"}
    words = (await visit.get("/debug/rooms")).body.decode()
    assert "participant=bob" in words
    assert "queue=0" in words


async def test_tasks_show_the_tree_and_where_each_waits(visit: Visit) -> None:
    await visit.house.enter("alice")
    words = (await visit.get("/debug/tasks")).body.decode()
    assert "room.contain.contain" in words
    assert "signalling/" in words
    tree = json.loads((await visit.get("/debug/tasks?format=json")).body)
    assert tree["children"]


async def test_the_tree_is_of_all_tasks() -> None:
    def count(task: dict) -> int:
        return 1 + sum(map(count, task.get("children", ())))

    before = count(task_tree())
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(trio.sleep_forever)
        assert count(task_tree()) == before + 10
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "grants",
    [
        {},
        {"room_join": True, "room": "kitchen"},
        {"room_admin": True, "room": "cellar"},
        {"room_admin": True},
        {"room_list": True, "room_create": True},
    ],
)
async def test_a_capture_is_for_the_rooms_administrator_only(
    visit: Visit, grants: dict[str, object]
) -> None:
    await visit.house.enter("alice")
    answer = await visit.get("/debug/pcap?room=kitchen&participant=alice", **grants)
    assert answer.status == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("participant=nobody", 404),
        ("", 404),
        ("participant=alice&seconds=0", 400),
        ("participant=alice&seconds=61", 400),
        ("participant=alice&seconds=nan", 400),
        ("participant=alice&seconds=long", 400),
    ],
)
async def test_a_capture_of_nobody_or_for_ever_is_refused(
    visit: Visit, query: str, status: int
) -> None:
    await visit.house.enter("alice")
    path = f"/debug/pcap?room=kitchen&{query}"
    assert (await visit.get(path, room_admin=True, room="kitchen")).status == status


async def test_a_capture_has_what_a_participant_sends_decrypted(
    visit: Visit, nursery: trio.Nursery
) -> None:
    _, _, sound = await hold_a_call(visit.house)
    answers: list[Answer] = []

    async def capture() -> None:
        path = "/debug/pcap?room=kitchen&participant=alice&seconds=3"
        answers.append(await visit.get(path, room_admin=True, room="kitchen"))

    nursery.start_soon(capture)
    await trio.sleep(0.5)
    for number in range(20):
        sound.send([b"what she says"], number * 960)
        await trio.sleep(0.02)
    await trio.sleep(4)
    (answer,) = answers
    assert answer.status == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="alice.pcap"'
    assert struct.unpack("=I", answer.body[:4]) == (0xA1B2C3D4,)
    assert answer.body.count(b"what she says") == 20
    peers = [each.peer for each in visit.house.participant("alice").connections.values()]
    assert [peer.taps for peer in peers] == [[] for _ in peers]
