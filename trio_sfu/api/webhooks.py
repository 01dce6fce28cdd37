"""Webhooks: whoever runs an application hears over HTTP what happens in its rooms.

    room -> observe() -> a queue for each room and receiver -> POST, again and again -> receiver

An application builds its own tables from these events, so their order matters: of one
room, a receiver is sent the next event only when the last has arrived, or has been
given up. Rooms do not wait for each other, receivers do not either, and a room never
waits for anybody: `observe` puts into a queue, and a queue has a limit.

What a receiver can do to us is therefore little. One that is slow has some requests
under way at a time and no more. One that is dead is asked at growing pauses until what
there was to tell is too old to be news. What is given up is counted, logged once for
each spell of it, and told: the next event that arrives from that room says how many
are missing before it (`num_dropped`).

An event is believed by its signature: the header Authorization is a token of the API
key that both sides know, with the hash of the body in it. It is no access token: it
grants nothing.
"""

import base64
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

import attrs
import structlog
import trio
from google.protobuf import json_format
from livekit.protocol.webhook import WebhookEvent

from trio_sfu.api.post import Connector, Poster, PostFailed
from trio_sfu.api.tokens import sign_body
from trio_sfu.config import Config, ConfigError, WebhookConfig
from trio_sfu.core import Entropy
from trio_sfu.room import ids
from trio_sfu.room.observe import Happening
from trio_sfu.signalling.notices import ROOM_FINISHED, webhook_event

CONTENT_TYPE: Final = "application/webhook+json"
USER_AGENT: Final = "LiveKit"
"""Receivers may look for it; LiveKit's says so."""
PAUSES: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds before the second try, the third, ...; the last goes for all after it. LiveKit's
first is as long."""
AGAIN: Final = frozenset({408, 425, 429})
"""Statuses below 500 that mean "later"; of the others a second try would be told the same."""
WAITING_LIMIT: Final = 20_000
"""Events for one receiver that wait, of all rooms together: some 40 MB."""
LAST_SECONDS: Final = 5.0
"""For what there is to tell when the server stops: `room_finished`, mostly."""

log = structlog.get_logger(__name__)


@attrs.frozen
class _Letter:
    event: WebhookEvent
    since: float
    """On Trio's clock."""
    missing: int
    """Events that were dropped between the one before and this."""


@attrs.define
class _Room:
    """What one receiver has yet to be told of one room."""

    missing: int
    """Events that were given up since the last one that arrived."""
    letters: deque[_Letter] = attrs.Factory(deque)
    overflowed: int = 0
    """Events that were dropped behind the last letter."""
    finished: bool = False


def _ignore(room: str) -> None:
    pass


def _uncounted(length: int) -> None:
    pass


class Courier:
    """Takes events to one receiver."""

    def __init__(self, poster: Poster, config: WebhookConfig, sign: Callable[[bytes], str]) -> None:
        self.dispatched: Counter[tuple[str, str]] = Counter()
        """By status and reason, LiveKit's metric: ("success", ""), ("dropped", "overflow")."""
        self.waiting = 0
        self.queued: Callable[[int], None] = _uncounted
        """Told of each event how many of its room wait now, that one included."""
        self._poster = poster
        self._config = config
        self._sign = sign
        self._rooms: dict[str, _Room] = {}
        self._missing: dict[str, int] = {}
        """For rooms that go on, but have nothing to tell now: what was given up."""
        self._workers = trio.CapacityLimiter(max(1, config.num_workers))
        self._start: Callable[[str], None] = _ignore
        """Starts a room's task, while there is somebody to run it."""
        self._idle = trio.lowlevel.ParkingLot()
        self._failing = False

    @property
    def receiver(self) -> str:
        return self._poster.receiver

    def put(self, room: str, event: WebhookEvent) -> None:
        """Have *event* told, after all that was put in for the same room. Never waits."""
        queue = self._rooms.get(room)
        if queue is None:
            queue = self._rooms[room] = _Room(self._missing.pop(room, 0))
            self._start(room)
        queue.finished = event.event == ROOM_FINISHED
        if len(queue.letters) >= self._config.max_depth or self.waiting >= WAITING_LIMIT:
            self._note_drop(queue, event, "overflow")
            queue.overflowed += 1
            return
        queue.letters.append(_Letter(event, trio.current_time(), queue.overflowed))
        self.queued(len(queue.letters))
        queue.overflowed = 0
        self.waiting += 1

    async def run(self) -> None:
        """Deliver, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._start = lambda room: nursery.start_soon(self._deliver_room, room)
                for room in self._rooms:
                    self._start(room)
                await trio.sleep_forever()
        finally:
            self._start = _ignore
            await self._poster.aclose()

    async def wait_idle(self) -> None:
        """Return when everything was delivered or given up."""
        while self._rooms:
            await self._idle.park()
        await trio.lowlevel.checkpoint()

    async def _deliver_room(self, room: str) -> None:
        """A task for each room about which there is something to tell."""
        queue = self._rooms[room]
        try:
            while queue.letters:
                letter = queue.letters[0]
                queue.missing += letter.missing
                letter.event.num_dropped = queue.missing
                if (reason := await self._deliver(letter)) is None:
                    queue.missing = 0
                else:
                    self._note_drop(queue, letter.event, reason)
                    queue.missing += 1
                queue.letters.popleft()
                self.waiting -= 1
        except Exception:
            log.exception("telling of a room crashed", receiver=self.receiver, room=room)
        finally:
            # `put` finds either this queue with its task, or none: nothing waits in between.
            self.waiting -= len(queue.letters)
            del self._rooms[room]
            missing = queue.missing + queue.overflowed + len(queue.letters)
            if missing and not queue.finished:
                self._missing[room] = missing
            if not self._rooms:
                self._idle.unpark_all()

    async def _deliver(self, letter: _Letter) -> str | None:
        """Until it has arrived, or is given up: then for what reason."""
        body = json_format.MessageToJson(letter.event, indent=None).encode()
        until = letter.since + self._config.max_age
        tries = 0
        while trio.current_time() < until:
            failure = await self._try(body)
            if failure is None:
                self.dispatched["success", ""] += 1
                if self._failing:
                    self._failing = False
                    log.info("webhooks arrive again", receiver=self.receiver)
                return None
            if tries == 1 or not failure.again:  # once is no news
                self._complain(failure)
            if not failure.again:
                return failure.reason
            pause = PAUSES[min(tries, len(PAUSES) - 1)]
            tries += 1
            await trio.sleep_until(min(until, trio.current_time() + pause))
        return "age"

    async def _try(self, body: bytes) -> "_Failure | None":
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": USER_AGENT,
            "Authorization": self._sign(body),
        }
        async with self._workers:
            try:
                status = await self._poster.post(body, headers)
            except PostFailed as failed:
                return _Failure("unreachable", str(failed), again=True)
        if status < 300:
            return None
        again = status >= 500 or status in AGAIN
        return _Failure(f"status {status}", f"it answered {status}", again=again)

    def _complain(self, failure: "_Failure") -> None:
        if not self._failing:
            self._failing = True
            log.warning("webhooks do not arrive", receiver=self.receiver, reason=failure.why)

    def _note_drop(self, queue: _Room, event: WebhookEvent, reason: str) -> None:
        if not queue.missing + queue.overflowed:  # once for each spell of it
            log.warning(
                "a webhook was dropped",
                receiver=self.receiver,
                reason=reason,
                webhook=event.event,
                id=event.id,
                room=event.room.name,
            )
        self.dispatched["dropped", reason] += 1


@attrs.frozen
class _Failure:
    reason: str
    """One of few, for a metric."""
    why: str
    again: bool = attrs.field(kw_only=True)


class Webhooks:
    """All receivers; an `Observer` of the rooms."""

    def __init__(
        self,
        config: Config,
        entropy: Entropy,
        seconds: Callable[[], float],
        *,
        connect: Connector = trio.open_tcp_stream,
    ) -> None:
        """*seconds* since 1970; *connect* is as for `Poster`. Raises `ConfigError`."""
        webhook = config.webhook
        if webhook.urls and webhook.api_key not in config.keys:
            raise ConfigError(
                "webhook.api_key must be one of the API keys, with whose secret webhooks are "
                f"signed; it is {webhook.api_key!r}"
            )
        self._keys: Mapping[str, str] = config.keys
        self._api_key = webhook.api_key
        self._secret = config.keys.get(webhook.api_key, "")
        self._events = webhook.events
        self._full_room = config.room.enable_full_room_in_webhooks
        self._entropy = entropy
        self._seconds = seconds
        self.couriers: list[Courier] = []
        for url in webhook.urls:
            try:
                poster = Poster(url, connect=connect)
            except ValueError as error:
                raise ConfigError(f"webhook.urls: expected {error}, got {url!r}") from None
            self.couriers.append(Courier(poster, webhook, self._sign))

    def observe(self, happening: Happening) -> None:
        """Have it told, if it is of a kind that is."""
        if not self.couriers:
            return
        event = webhook_event(happening, full_room=self._full_room)
        if event is None or not self._wanted(event.event):
            return
        event.id = ids.make_sid(ids.EVENT, self._entropy)
        event.created_at = int(self._seconds())
        for courier in self.couriers:
            copy = WebhookEvent()
            copy.CopyFrom(event)  # each receiver misses others
            courier.put(event.room.name, copy)

    def _wanted(self, name: str) -> bool:
        return self._events.lets_through(lambda entry: entry == name)

    def _sign(self, body: bytes) -> str:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        self._secret = self._keys.get(self._api_key, self._secret)
        return sign_body(digest, self._api_key, self._secret, self._seconds())

    async def run(self) -> None:
        """Deliver, until cancelled."""
        async with trio.open_nursery() as nursery:
            for courier in self.couriers:
                nursery.start_soon(courier.run)

    async def wait_idle(self) -> None:
        """Return when everything was delivered or given up."""
        for courier in self.couriers:
            await courier.wait_idle()
