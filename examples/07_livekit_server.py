"""The whole server inside a Trio program, and two participants who call each other.

    python examples/07_livekit_server.py

`serve` is a task like any other: it starts, says where it can be reached, and ends when it
is cancelled. Any LiveKit client could join; here our own do, over real sockets.
"""

import itertools
import logging
import time

import attrs
import structlog
import trio

from trio_sfu.api.server import Running, serve
from trio_sfu.api.tokens import Claims, sign
from trio_sfu.client import events as client
from trio_sfu.client.media import synthetic_vp8, vp8_payloads
from trio_sfu.client.participant import Participant, run_participant
from trio_sfu.config import DEV_KEY, DEV_SECRET, Config, RtcConfig
from trio_sfu.room.grants import Grants

RTC = RtcConfig(udp_ports=(0,), node_ip="127.0.0.1")  # port 0: any that is free
CONFIG = attrs.evolve(Config.dev(), port=0, bind_addresses=("127.0.0.1",), rtc=RTC)


def token(identity: str) -> str:
    claims = Claims(identity=identity, grants=Grants(room="lobby", room_join=True))
    return sign(claims, DEV_KEY, DEV_SECRET, time.time())


async def film(alice: Participant) -> None:
    """Send a picture thirty times a second, a key frame whenever somebody needs one."""
    camera = await alice.publish_video()
    print(f"alice publishes {camera.sid}")
    for number in itertools.count():
        picture = synthetic_vp8(3000, key=camera.key_frame_wanted.is_set())
        camera.key_frame_wanted = trio.Event()
        camera.send(vp8_payloads(picture, number), 3000 * number)
        await trio.sleep(1 / 30)


async def watch(bob: Participant) -> None:
    """Say what comes, and return after a second of pictures and a greeting."""
    greeted = pictures = 0
    async for event in bob.events:
        match event:
            case client.TrackSubscribed(track):
                print(f"bob hears of {track.sid}, and waits for its first key frame")
                while pictures < 30:
                    packets = await track.receive()
                    pictures += sum(packet.marker for packet in packets)
                print(f"bob saw {pictures} pictures, {track.received} packets, none lost")
            case client.DataPacketReceived(packet):
                print(f"{packet.participant_identity} says: {packet.user.payload.decode()}")
                greeted += 1
        if greeted and pictures:
            return


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(serve, CONFIG)
        print("a server at", url := running.urls[0].replace("http", "ws"))
        alice = await nursery.start(run_participant, url, token("alice"))
        bob = await nursery.start(run_participant, url, token("bob"))
        await bob.connected.wait()
        nursery.start_soon(film, alice)
        await alice.send_data(b"hello, everybody", topic="chat")
        with trio.fail_after(20):
            await watch(bob)
        print("that was a call; the server, the room and both of them end by cancellation")
        nursery.cancel_scope.cancel()


trio.run(main)
