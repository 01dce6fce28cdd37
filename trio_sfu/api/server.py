"""The whole server: sockets, the task tree, and how it ends.

    serve
      media           UDP, and the rooms with everybody in them; gives `connect`
      webhooks        a task for each room of which there is something to tell
      loop lag        how late we are; above a limit nobody new is let in
      metrics         a port of their own; what has to be sampled is
      drain           once asked to, waits until nobody is left
      front door      a task for each connection; calls `connect`
      SIGHUP          (with `run` only) has the configuration read again
      signals         (with `run` only) SIGINT or SIGTERM drains, a second one stops

Sockets are bound before anything is started, so that a port that is taken is an error
message and not half a server.
"""

import errno
import gc
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final, Protocol

import attrs
import structlog
import trio

from trio_sfu import __version__
from trio_sfu.api.admission import Admission, Load
from trio_sfu.api.debug import Debug
from trio_sfu.api.drain import Drain
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.http import Sizes
from trio_sfu.api.live import Live, Read
from trio_sfu.api.looplag import STALE_SECONDS, LoopLag, collections_watched
from trio_sfu.api.media import run_media
from trio_sfu.api.metrics import Metrics, Sources
from trio_sfu.api.page import PATH, Page
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, Routes, text
from trio_sfu.api.rtc import Gate
from trio_sfu.api.services import services
from trio_sfu.api.tls import Certificates
from trio_sfu.api.twirp import Answered, Twirp
from trio_sfu.api.webhooks import LAST_SECONDS, Webhooks
from trio_sfu.config import Config, LimitConfig, TlsConfig, cannot_bind
from trio_sfu.room.node import Node
from trio_sfu.room.observe import Observer
from trio_sfu.signalling.serve import Signalling

BACKLOG: Final = 1024
"""Connections that the kernel may hold for us: a room's worth that comes back at once."""

LAST_WORDS: Final = 1.0
"""Seconds for what was said last to reach its clients, when the server stops."""

COLLECT: Final = (5_000, 5, 2)
"""How many new objects make Python look for dead cycles, and how many such looks a
deeper one. Media makes thousands of objects a second that live for a while (what was
sent may be asked for again) and are in no cycle: with Python's own figures (700, 10, 10)
looking at them took a twentieth of all time. Those who left are in cycles, and old, so
the deepest look must not be put off for long, or memory grows by 8 KiB a join."""

SCRAPERS: Final = 32
"""Connections at one time of those who read metrics, or look into the process."""

EVERYWHERE: Final = ("0.0.0.0", "::")
NO_SUCH_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

log = structlog.get_logger(__name__)


@attrs.frozen
class Running:
    """What `serve` reports once everybody can join."""

    urls: tuple[str, ...]
    """Where HTTP and WebSockets are served: "http://127.0.0.1:7880"."""
    drain: Callable[[], None] = attrs.field(repr=False, eq=False)
    """Lets nothing new begin, and ends it all when nobody is left."""
    stop: Callable[[], None] = attrs.field(repr=False, eq=False)
    """Ends it all, the rooms first, so that everybody hears why."""


class Media(Protocol):
    """The rooms and what carries their media, as a task: starts with the way into them.

    Raises `ConfigError` before that if a socket cannot be bound.
    """

    async def __call__(
        self,
        config: Config,
        observers: Sequence[Observer] = (),
        *,
        task_status: trio.TaskStatus[Signalling],
    ) -> None: ...


async def serve(
    config: Config,
    *,
    live: Live | None = None,
    media: Media = run_media,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, or until `Running.stop`.

    What *live* (by itself: *config*) says later than now holds then. Raises `ConfigError`,
    perhaps in a group, if it cannot begin.
    """
    live = live or Live(config)
    config = attrs.evolve(config, keys=live.keys)
    certificates: Certificates | None = None
    if config.tls.cert_file:
        certificates = Certificates(config.tls)
        live.follow(lambda now: certificates.read(now.tls))
    webhooks = Webhooks(config, os.urandom, time.time)
    metrics = Metrics()
    for courier in webhooks.couriers:
        courier.queued = metrics.saw_queue
    lag = LoopLag(metrics.saw_lag)
    with ExitStack() as sockets:
        listeners = await open_listeners(config)
        sockets.callback(_close, listeners)
        scraped = await open_metrics_listeners(config)
        sockets.callback(_close, scraped)
        looked_into = await open_debug_listeners(config)
        sockets.callback(_close, looked_into)
        sockets.enter_context(collections_watched(metrics.saw_pause))
        async with trio.open_nursery() as front:
            front.start_soon(webhooks.run)
            async with trio.open_nursery() as rooms:
                observers = [webhooks.observe, metrics.observe]
                signalling: Signalling = await rooms.start(media, config, observers)
                admission = Admission(
                    signalling.connect,
                    limit=lambda: _limit(live.config),
                    load=lambda: Load(lag.lag, signalling.node.tracks, metrics.bytes_per_sec),
                )
                node = signalling.node
                drain = Drain(node, rooms.cancel_scope.cancel)
                gate = Gate(
                    config.keys,
                    admission,
                    time.time,
                    signalling.check,
                    lambda: live.config.limit,
                    lambda: live.config.room,
                )
                debug = Debug(node, gate.claims, webhooks.couriers)
                door = FrontDoor(
                    routes(config, gate, node, lag, debug, metrics.saw_call),
                    secure=None if certificates is None else certificates.context,
                    sizes=lambda: sizes(live.config.limit),
                )
                metrics.look_at(
                    Sources(node, lag, admission, webhooks.couriers, [door], signalling.messages)
                )
                rooms.start_soon(lag.run)
                rooms.start_soon(drain.run)
                rooms.start_soon(metrics.sample, config)
                live.follow(lambda now: node.reconfigure(now.room, now.limit))
                await front.start(door.serve, listeners)
                if scraped:
                    side_door = FrontDoor(metrics.routes(config.prometheus), SCRAPERS)
                    await front.start(side_door.serve, scraped)
                    log.info(
                        "metrics", urls=[f"{_url(each, TlsConfig())}/metrics" for each in scraped]
                    )
                if looked_into:
                    back_door = FrontDoor(debug.routes(), SCRAPERS)
                    await front.start(back_door.serve, looked_into)
                running = Running(
                    tuple(_url(each, config.tls) for each in listeners),
                    drain.begin,
                    rooms.cancel_scope.cancel,
                )
                log.info("serving", version=__version__, urls=running.urls)
                task_status.started(running)
            # The rooms have ended and told their clients so; let that reach them.
            with trio.move_on_after(LAST_WORDS):
                await door.wait_quiet()
            with trio.move_on_after(LAST_SECONDS):
                await webhooks.wait_idle()
            front.cancel_scope.cancel()


def sizes(limit: LimitConfig) -> Sizes:
    """What the front door takes at once."""
    return Sizes(limit.max_api_request_body_size, limit.signal_message_size_limit)


def routes(
    config: Config,
    gate: Gate,
    node: Node,
    lag: LoopLag,
    debug: Debug,
    answered: Callable[[Answered], None],
) -> Routes:
    """Everything that is served over HTTP to clients."""
    return {
        "/": Route(Health(node, lag).answer),
        **gate.routes(),
        **Twirp(services(node), gate.claims, answered=answered).routes(),
        **Page(config, time.time).routes(),
        **(debug.routes() if config.development else {}),
    }


def _limit(config: Config) -> LimitConfig:
    """In development mode browsers share the processor: that we are late says nothing of us."""
    return attrs.evolve(config.limit, loop_lag=0.0) if config.development else config.limit


@attrs.frozen
class Health:
    """Whether somebody new should come here. LiveKit's path, statuses and first words."""

    node: Node
    lag: LoopLag

    async def answer(self, request: Request) -> Response:
        if self.node.draining:
            return text(406, "Not Ready\nthis server is about to stop")
        if (age := self.lag.age) > STALE_SECONDS:
            return text(406, f"Not Ready\nthis server stood still for {age:.1f} s")
        return text(200, "OK")


async def run(config: Config, read: Read | None = None, *, media: Media = run_media) -> None:
    """`serve` as a program: ends at a signal, says where it can be visited.

    *read* is what SIGHUP has read again.
    """
    live = Live(config)
    async with trio.open_nursery() as nursery:

        async def serve_to_the_end(*, task_status: trio.TaskStatus[Running]) -> None:
            await serve(config, live=live, media=media, task_status=task_status)
            nursery.cancel_scope.cancel()

        running: Running = await nursery.start(serve_to_the_end)
        nursery.start_soon(_stop_at_signal, running, nursery.cancel_scope)
        if read is not None:
            nursery.start_soon(live.follow_signals, read)
        if config.development:
            log.info(f"open {running.urls[0]}{PATH} in two browser tabs: that is a call")
        # What lives now lives to the end: no collection needs to look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)


async def _stop_at_signal(running: Running, scope: trio.CancelScope) -> None:
    """The first signal waits for everybody to leave, the second tells them to, and who
    sends a third does not wait for that either."""
    steps = [("draining", running.drain), ("stopping", running.stop), ("ending", scope.cancel)]
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            word, step = steps.pop(0) if len(steps) > 1 else steps[0]
            log.info(word, signal=signal.Signals(number).name)
            step()


async def open_metrics_listeners(config: Config) -> list[trio.SocketListener]:
    """For whoever reads metrics; none if they have no port. Raises `ConfigError`."""
    if not config.prometheus.port:
        return []
    return await open_listeners(
        attrs.evolve(config, port=config.prometheus.port), "prometheus.port"
    )


async def open_debug_listeners(config: Config) -> list[trio.SocketListener]:
    """For whoever looks into the process: on this machine only. Raises `ConfigError`."""
    if not config.debug_handler.port:
        return []
    here = attrs.evolve(
        config, port=config.debug_handler.port, bind_addresses=Config.dev().bind_addresses
    )
    return await open_listeners(here, "debug_handler.port")


async def open_listeners(config: Config, setting: str = "--port") -> list[trio.SocketListener]:
    """TCP sockets for HTTP, all on one port. Raises `ConfigError`, which names *setting*.

    Of addresses that the operator did not name, those may be missing that this machine
    does not have (IPv6, in many a container), as long as there is another.
    """
    hosts = config.bind_addresses or EVERYWHERE
    named = hosts not in (EVERYWHERE, Config.dev().bind_addresses)
    listeners: list[trio.SocketListener] = []
    port = config.port
    try:
        for host in hosts:
            try:
                listeners += await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
            except OSError as error:
                if named or not listeners or error.errno not in NO_SUCH_ADDRESS:
                    raise cannot_bind(error, "TCP", host, port, setting) from None
            port = listeners[0].socket.getsockname()[1]
    except BaseException:
        _close(listeners)
        raise
    return listeners


def _close(listeners: list[trio.SocketListener]) -> None:
    for listener in listeners:
        listener.socket.close()


def _url(listener: trio.SocketListener, tls: TlsConfig) -> str:
    """Where somebody on this machine reaches it."""
    host, port = listener.socket.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "https" if tls.cert_file else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
