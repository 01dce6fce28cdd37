from functools import partial

import attrs
import pytest
import trio

from tests.api.test_http import ask
from tests.api.test_rtc import UPGRADE
from trio_sfu.api.server import Running, open_listeners, serve
from trio_sfu.config import Config, ConfigError, PrometheusConfig, RtcConfig

# Any port that is free: these are real sockets.
DEV = attrs.evolve(Config.dev(), port=0, rtc=RtcConfig(udp_ports=(0,)))


async def connected(running: Running) -> trio.SocketStream:
    host, _, port = running.urls[0].removeprefix("http://").rpartition(":")
    return await trio.open_tcp_stream(host, int(port))


async def test_a_server_is_healthy_and_has_a_page(nursery) -> None:
    running = await nursery.start(serve, DEV)
    async with await connected(running) as stream:
        answer = await ask(stream, "GET / HTTP/1.1")
        assert (answer.status, answer.body) == (200, b"OK")
        assert (await ask(stream, "GET /page/ HTTP/1.1")).status == 200
        token = (await ask(stream, "GET /page/token?room=r&identity=i HTTP/1.1")).body
        assert (await ask(stream, "GET /rtc/validate HTTP/1.1")).status == 401
        assert (await ask(stream, f"GET /rtc HTTP/1.1{UPGRADE}")).status == 401
        assert b"eyJ" in token


async def test_both_families_are_served_on_one_port(nursery) -> None:
    for hosts in ("127.0.0.1", "::1"), ():
        listeners = await open_listeners(attrs.evolve(DEV, bind_addresses=hosts))
        ports = {listener.socket.getsockname()[1] for listener in listeners}
        assert len(ports) == 1
        for listener in listeners:
            await listener.aclose()


async def test_a_port_that_is_taken_is_one_line_and_leaves_nothing_open(nursery) -> None:
    running = await nursery.start(serve, attrs.evolve(DEV, bind_addresses=("127.0.0.1",)))
    port = int(running.urls[0].rpartition(":")[2])
    again = attrs.evolve(DEV, port=port)
    with pytest.raises(ConfigError, match=f"^TCP port {port} on 127.0.0.1 is taken: stop what"):
        await serve(again)
    # The second address is free, the first is not; the other way round it is closed again.
    with pytest.raises(ConfigError, match="is taken"):
        await serve(attrs.evolve(again, bind_addresses=("::1", "127.0.0.1")))
    await nursery.start(serve, attrs.evolve(again, bind_addresses=("::1",)))


async def test_an_address_that_was_named_must_exist() -> None:
    config = attrs.evolve(DEV, bind_addresses=("127.0.0.1", "192.0.2.77"))
    with pytest.raises(ConfigError, match="this machine has no such address"):
        await serve(config)


async def test_media_that_cannot_begin_ends_the_server(nursery) -> None:
    async def media(config: Config, observers, *, task_status) -> None:
        raise ConfigError("UDP port 7882 on all addresses is taken")

    with pytest.RaisesGroup(ConfigError, flatten_subgroups=True):
        await serve(DEV, media=media)


async def test_cancelling_closes_every_socket(nursery) -> None:
    scope = trio.CancelScope()

    async def main(task_status) -> None:
        with scope:
            await serve(DEV, task_status=task_status)

    running = await nursery.start(main)
    stream = await connected(running)
    scope.cancel()
    with trio.fail_after(30):
        assert await stream.receive_some() == b""
    await stream.aclose()
    with pytest.raises(OSError, match="all attempts to connect"):
        await connected(running)


def test_main_runs_without_pytests_nursery() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, DEV))
            nursery.cancel_scope.cancel()

    trio.run(main)


async def test_metrics_have_a_port_of_their_own(nursery) -> None:
    probe = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = probe[0].socket.getsockname()[1]
    await probe[0].aclose()
    config = attrs.evolve(
        DEV, bind_addresses=("127.0.0.1",), prometheus=PrometheusConfig(port=port)
    )
    running = await nursery.start(serve, config)
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        answer = await ask(stream, "GET /metrics HTTP/1.1")
        assert (answer.status, b"livekit_room_total" in answer.body) == (200, True)
    async with await connected(running) as stream:
        assert (await ask(stream, "GET /metrics HTTP/1.1")).status == 404
    with pytest.raises(ConfigError, match=r"TCP port .* is taken.*prometheus\.port"):
        await serve(config)
