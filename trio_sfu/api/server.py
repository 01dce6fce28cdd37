"""The whole server: sockets, the task tree, and how it ends.

    serve
      media           UDP, and the rooms with everybody in them; gives `connect`
      front door      a task for each connection; calls `connect`
      signals         (with `run` only) the first SIGINT or SIGTERM ends it, the rooms first

Sockets are bound before anything is started, so that a port that is taken is an error
message and not half a server.
"""

import errno
import gc
import signal
import time
from collections.abc import Callable
from typing import Final, Protocol

import attrs
import structlog
import trio

from trio_sfu import __version__
from trio_sfu.api.http import FrontDoor, Request, Response, Route, Routes, text
from trio_sfu.api.media import run_media
from trio_sfu.api.page import PATH, Page
from trio_sfu.api.rtc import Gate
from trio_sfu.config import Config, cannot_bind
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

EVERYWHERE: Final = ("0.0.0.0", "::")
NO_SUCH_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

log = structlog.get_logger(__name__)


@attrs.frozen
class Running:
    """What `serve` reports once everybody can join."""

    urls: tuple[str, ...]
    """Where HTTP and WebSockets are served: "http://127.0.0.1:7880"."""
    stop: Callable[[], None] = attrs.field(repr=False, eq=False)
    """Ends it all, the rooms first, so that everybody hears why."""


class Media(Protocol):
    """The rooms and what carries their media, as a task: starts with the way into them.

    Raises `ConfigError` before that if a socket cannot be bound.
    """

    async def __call__(
        self, config: Config, *, task_status: trio.TaskStatus[Signalling]
    ) -> None: ...


async def serve(
    config: Config,
    *,
    media: Media = run_media,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, or until `Running.stop`.

    Raises `ConfigError`, perhaps in a group, if it cannot begin.
    """
    listeners = await open_listeners(config)
    try:
        async with trio.open_nursery() as front:
            async with trio.open_nursery() as rooms:
                signalling: Signalling = await rooms.start(media, config)
                door = FrontDoor(routes(config, signalling))
                await front.start(door.serve, listeners)
                running = Running(tuple(map(_url, listeners)), stop=rooms.cancel_scope.cancel)
                log.info("serving", version=__version__, urls=running.urls)
                task_status.started(running)
            # The rooms have ended and told their clients so; let that reach them.
            with trio.move_on_after(LAST_WORDS):
                await door.wait_quiet()
            front.cancel_scope.cancel()
    finally:
        _close(listeners)


def routes(config: Config, signalling: Signalling) -> Routes:
    """Everything that is served over HTTP."""
    return {
        "/": Route(_health),
        **Gate(config.keys, signalling.connect, time.time, signalling.check).routes(),
        **Page(config, time.time).routes(),
    }


async def _health(request: Request) -> Response:
    return text(200, "OK")


async def run(config: Config, *, media: Media = run_media) -> None:
    """`serve` as a program: ends at the first signal, says where it can be visited."""
    async with trio.open_nursery() as nursery:

        async def serve_to_the_end(*, task_status: trio.TaskStatus[Running]) -> None:
            await serve(config, media=media, task_status=task_status)
            nursery.cancel_scope.cancel()

        running: Running = await nursery.start(serve_to_the_end)
        nursery.start_soon(_stop_at_signal, running, nursery.cancel_scope)
        if config.development:
            log.info(f"open {running.urls[0]}{PATH} in two browser tabs: that is a call")
        # What lives now lives to the end: no collection needs to look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)


async def _stop_at_signal(running: Running, scope: trio.CancelScope) -> None:
    """The first signal lets everybody hear of the end, a second does not wait for them."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        stop = running.stop
        async for number in signals:
            log.info("stopping", signal=signal.Signals(number).name)
            stop()
            stop = scope.cancel


async def open_listeners(config: Config) -> list[trio.SocketListener]:
    """TCP sockets for HTTP, all on one port. Raises `ConfigError`.

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
                    raise cannot_bind(error, "TCP", host, port, "--port") from None
            port = listeners[0].socket.getsockname()[1]
    except BaseException:
        _close(listeners)
        raise
    return listeners


def _close(listeners: list[trio.SocketListener]) -> None:
    for listener in listeners:
        listener.socket.close()


def _url(listener: trio.SocketListener) -> str:
    """Where somebody on this machine reaches it."""
    host, port = listener.socket.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
