"""Webhooks arrive signed and in order, whatever the receiver does; what does not is counted."""

import time
from collections import Counter
from collections.abc import Callable, MutableMapping

import attrs
import pytest
import trio
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol import rtc
from livekit.protocol.webhook import WebhookEvent
from trio.testing import wait_all_tasks_blocked

from tests.signalling.house import House, open_house
from tests.sim import entropy
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, text
from trio_sfu.api.webhooks import Webhooks
from trio_sfu.config import Config, ConfigError, Filter, RoomConfig, WebhookConfig
from trio_sfu.room.observe import RoomStarted

pytestmark = pytest.mark.virtual_time

KEYS = {"key": "a secret of more than thirty-two bytes"}
ROOM = RoomConfig()
URL = "http://hooks.example/hook"


class Receiver:
    """An application's end: keeps what it is sent, answers as it is told."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.requests: list[Request] = []
        self.events: list[WebhookEvent] = []
        """Those that it answered with 200."""
        self.answers: Callable[[int, WebhookEvent], int] = lambda number, event: 200
        self.seconds = 0.0
        self.unreachable = False
        self.at_once = self.most_at_once = 0
        route = Route(self.answer, frozenset({"POST"}), takes_body=True)
        self.door = FrontDoor({"/hook": route})

    async def connect(self, host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if self.unreachable:
            raise OSError("nobody there")
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.door.greet, theirs)
        return ours

    async def answer(self, request: Request) -> Response:
        self.requests.append(request)
        event = WebhookReceiver(TokenVerifier("key", KEYS["key"])).receive(
            request.body.decode(), request.headers["authorization"]
        )
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await trio.sleep(self.seconds)
        self.at_once -= 1
        status = self.answers(len(self.requests), event)
        if status == 200:
            self.events.append(event)
        return text(status, "")

    def told(self) -> list[str]:
        return [event.event for event in self.events]


@attrs.define
class Application:
    receiver: Receiver
    house: House
    webhooks: Webhooks

    def dispatched(self) -> Counter[tuple[str, str]]:
        (courier,) = self.webhooks.couriers
        return courier.dispatched


@pytest.fixture
def now() -> float:
    """The receiver of LiveKit's SDK asks the real clock whether a token is still good."""
    return time.time()


async def build(
    nursery: trio.Nursery, now: float, room: RoomConfig = ROOM, **config: object
) -> Application:
    receiver = Receiver(nursery)
    webhook = WebhookConfig(urls=(URL,), api_key="key", **config)
    settings = Config(keys=KEYS, webhook=webhook, room=room)
    webhooks = Webhooks(settings, entropy(1), lambda: now, connect=receiver.connect)
    nursery.start_soon(webhooks.run)
    house = await open_house(nursery, room)
    house.observers.append(webhooks.observe)
    return Application(receiver, house, webhooks)


async def hold_a_call(house: House) -> None:
    alice = await house.attend("alice", metadata="hers")
    bob = await house.attend("bob")
    await alice.publish("audio", "mic")
    await trio.sleep(1)
    alice.say(leave=rtc.LeaveRequest())
    await trio.sleep(1)
    bob.say(leave=rtc.LeaveRequest())
    await trio.sleep(house.room().config.departure_timeout + 1)


async def come_and_go(house: House, identity: str) -> None:
    caller = await house.enter(identity)
    caller.say(leave=rtc.LeaveRequest())
    await wait_all_tasks_blocked()


CALL = [
    "room_started",
    "participant_joined",
    "participant_joined",
    "track_published",
    "track_unpublished",
    "participant_left",
    "participant_left",
    "room_finished",
]


async def test_how_many_of_a_room_wait_is_told_with_each(nursery: trio.Nursery, now: float) -> None:
    application = await build(nursery, now)
    application.receiver.seconds = 1
    lengths: list[int] = []
    application.webhooks.couriers[0].queued = lengths.append
    await application.house.attend("alice")
    assert lengths == [1, 2]  # it has yet to hear that the room started
    await application.webhooks.wait_idle()


async def test_a_whole_call_arrives_in_order(
    nursery: trio.Nursery, now: float, log_lines: list[MutableMapping[str, object]]
) -> None:
    application = await build(nursery, now)
    await hold_a_call(application.house)
    await application.webhooks.wait_idle()
    receiver = application.receiver
    assert receiver.told() == CALL
    for request in receiver.requests:
        assert request.headers["content-type"] == "application/webhook+json"
        assert request.headers["user-agent"] == "LiveKit"
    assert len({event.id for event in receiver.events}) == len(CALL)
    assert all(event.id.startswith("EV_") for event in receiver.events)
    assert {event.created_at for event in receiver.events} == {int(now)}
    assert application.dispatched() == {("success", ""): len(CALL)}
    assert "eyJ" not in str(log_lines)
    assert KEYS["key"] not in str(log_lines)


async def test_each_event_says_what_livekits_does(nursery: trio.Nursery, now: float) -> None:
    application = await build(nursery, now)
    await hold_a_call(application.house)
    await application.webhooks.wait_idle()
    events = {}
    for event in application.receiver.events:
        events.setdefault(event.event, event)
    joined, published = events["participant_joined"], events["track_published"]
    assert joined.participant.metadata == "hers"
    assert joined.participant.state == 2  # ACTIVE
    assert joined.room.departure_timeout == 20
    assert (published.room.name, published.room.departure_timeout) == ("kitchen", 0)
    assert (published.participant.identity, published.participant.metadata) == ("alice", "")
    assert published.track.sid.startswith("TR_AM")
    assert events["participant_left"].participant.disconnect_reason == 1  # CLIENT_INITIATED
    assert events["participant_left"].participant.state == 3
    assert {event.room.sid for event in application.receiver.events} == {joined.room.sid}


async def test_of_tracks_the_whole_room_is_told_if_wanted(
    nursery: trio.Nursery, now: float
) -> None:
    application = await build(nursery, now, RoomConfig(enable_full_room_in_webhooks=True))
    await hold_a_call(application.house)
    await application.webhooks.wait_idle()
    published = application.receiver.events[3]
    assert (published.event, published.room.departure_timeout) == ("track_published", 20)


async def test_who_never_connected_has_aborted_and_never_joined(
    nursery: trio.Nursery, now: float
) -> None:
    application = await build(nursery, now)
    caller = await application.house.enter("carl")
    caller.say(leave=rtc.LeaveRequest())
    await trio.sleep(1)
    assert application.receiver.told() == ["room_started", "participant_connection_aborted"]


async def test_a_receiver_that_fails_every_third_time_has_all_in_order(
    nursery: trio.Nursery, now: float
) -> None:
    application = await build(nursery, now)
    application.receiver.answers = lambda number, event: 500 if number % 3 == 0 else 200
    await hold_a_call(application.house)
    await application.webhooks.wait_idle()
    assert application.receiver.told() == CALL
    assert len(application.receiver.requests) > len(CALL)
    assert all(event.num_dropped == 0 for event in application.receiver.events)


async def test_a_dead_receiver_is_given_up_and_told_what_it_missed(
    nursery: trio.Nursery, now: float, log_lines: list[MutableMapping[str, object]]
) -> None:
    application = await build(nursery, now, RoomConfig(departure_timeout=300))
    application.receiver.unreachable = True
    for identity in "alice", "bob":
        await come_and_go(application.house, identity)
    await trio.sleep(31)
    assert application.dispatched() == {("dropped", "age"): 3}
    application.receiver.unreachable = False
    await come_and_go(application.house, "carl")
    await trio.sleep(1)
    (event,) = application.receiver.events
    assert (event.participant.identity, event.num_dropped) == ("carl", 3)
    said = [line for line in log_lines if "webhook" in line["event"]]
    assert [line["event"] for line in said] == [
        "webhooks do not arrive",
        "a webhook was dropped",
        "webhooks arrive again",
    ]
    assert said[0]["receiver"] == "hooks.example"


async def test_a_full_queue_drops_what_comes_and_says_so(nursery: trio.Nursery, now: float) -> None:
    application = await build(nursery, now, max_depth=2)
    application.receiver.seconds = 3
    for identity in "alice", "bob", "carl":
        await come_and_go(application.house, identity)
    await trio.sleep(7)
    await come_and_go(application.house, "dave")
    await trio.sleep(7)
    told = [
        (each.event, each.participant.identity, each.num_dropped)
        for each in application.receiver.events
    ]
    assert told == [
        ("room_started", "", 0),
        ("participant_connection_aborted", "alice", 0),
        ("participant_connection_aborted", "dave", 2),
    ]
    assert application.dispatched()["dropped", "overflow"] == 2


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (401, 1), (302, 1), (429, 6), (503, 6)])
async def test_a_refusal_is_final_unless_it_means_later(
    nursery: trio.Nursery, now: float, status: int, tries: int
) -> None:
    application = await build(nursery, now)
    application.receiver.answers = lambda number, event: status
    await application.house.enter("alice")
    await trio.sleep(35)
    of_first = [r for r in application.receiver.requests if b"room_started" in r.body]
    assert len(of_first) == tries


async def test_a_slow_receiver_of_one_room_does_not_hold_up_another(
    nursery: trio.Nursery, now: float
) -> None:
    application = await build(nursery, now)
    receiver = application.receiver
    receiver.answers = lambda number, event: 500 if event.room.name == "bad" else 200
    await application.house.enter("alice", "bad")
    await application.house.enter("bob", "good")
    await trio.sleep(0.1)
    assert [event.room.name for event in receiver.events] == ["good"]


async def test_a_receiver_has_only_so_many_requests_at_a_time(
    nursery: trio.Nursery, now: float
) -> None:
    application = await build(nursery, now)
    application.receiver.seconds = 1
    for number in range(25):
        await application.house.enter("alice", f"room-{number}")
    await trio.sleep(10)
    assert application.receiver.most_at_once == 10
    assert len(application.receiver.events) == 25


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filter(includes=("room_started",)), ["room_started"]),
        (Filter(excludes=("room_started",)), CALL[1:]),
        (
            Filter(
                includes=("room_started", "room_finished"),
                excludes=("room_started",),
            ),
            ["room_finished"],
        ),
    ],
)
async def test_only_what_is_wanted_is_sent(
    nursery: trio.Nursery, now: float, filters: Filter, expected: list[str]
) -> None:
    application = await build(nursery, now, events=filters)
    await hold_a_call(application.house)
    await application.webhooks.wait_idle()
    assert application.receiver.told() == expected


@pytest.mark.parametrize(
    ("webhook", "message"),
    [
        (WebhookConfig(urls=(URL,)), "webhook.api_key must be one of the API keys"),
        (WebhookConfig(urls=(URL,), api_key="other"), "it is 'other'"),
        (WebhookConfig(urls=("hooks",), api_key="key"), "webhook.urls: expected a URL"),
    ],
)
def test_what_cannot_work_is_said_before_the_start(webhook: WebhookConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Webhooks(Config(keys=KEYS, webhook=webhook), entropy(1), lambda: 0.0)


async def test_without_a_receiver_nothing_is_made(nursery: trio.Nursery) -> None:
    webhooks = Webhooks(Config(keys=KEYS), entropy(1), lambda: 0.0)
    house = await open_house(nursery)
    await house.enter("alice")
    webhooks.observe(RoomStarted(house.room()))
    await webhooks.wait_idle()
    await wait_all_tasks_blocked()
