"""The rooms and what carries their media: UDP sockets, the node, and how to join it.

run_media
  reader, one a socket
  rooms, each a nursery of its own
"""

import errno
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

import structlog
import trio

from trio_sfu.api import tokens
from trio_sfu.config import Config, cannot_bind
from trio_sfu.core import Address
from trio_sfu.dtls import certificate
from trio_sfu.ice.candidate import host_candidates
from trio_sfu.net.addresses import advertised, own_addresses
from trio_sfu.net.endpoint import Endpoint
from trio_sfu.net.udp import UdpSocket
from trio_sfu.room.node import Node, NodeConfig
from trio_sfu.room.observe import Observer
from trio_sfu.signalling.serve import Signalling

EVERYWHERE: Final = ("0.0.0.0", "::")
"""Media comes to all of our addresses, whichever are told: each answer leaves from the
address that was asked."""

log = structlog.get_logger(__name__)


async def run_media(
    config: Config,
    observers: Sequence[Observer] = (),
    *,
    task_status: trio.TaskStatus[Signalling],
) -> None:
    """Keep rooms until cancelled; starts with the way into them. *observers* are told
    what happens there.

    Raises `ConfigError` before that if a UDP port cannot be bound.
    """
    with ExitStack() as resources:
        sockets = [resources.enter_context(each) for each in open_sockets(config)]
        wall = time.time() - trio.current_time()
        candidates = host_candidates(addresses(config, sockets))
        log.info("media", candidates=[f"{each.host}:{each.port}" for each in candidates])
        async with trio.open_nursery() as nursery:
            endpoint = Endpoint(sockets)
            node = Node(
                NodeConfig(
                    certificate=certificate.generate(os.urandom, time.time()),
                    candidates=tuple(each.encode() for each in candidates),
                    entropy=os.urandom,
                    wall=wall,
                    room=config.room,
                    limits=config.limit,
                    audio=config.audio,
                    region=config.region,
                    stun_servers=config.rtc.stun_servers,
                    turn_servers=config.rtc.turn_servers,
                    active_red=config.audio.active_red_encoding,
                    sign=partial(tokens.renew, config.keys, time.time),
                    data_tracks=config.enable_data_tracks,
                    data_blobs=config.enable_participant_data_blob,
                ),
                endpoint,
                nursery,
                observers=observers,
            )
            nursery.start_soon(endpoint.run)
            task_status.started(Signalling(node))
            await trio.sleep_forever()


def open_sockets(config: Config) -> list[UdpSocket]:
    """A socket for each port and address family. IPv6 may lack, as in many a container."""
    sockets: list[UdpSocket] = []
    with ExitStack() as undo:
        for wanted in config.rtc.udp_ports:
            port = wanted
            for host in EVERYWHERE:
                try:
                    sock = UdpSocket(host, port)
                except OSError as error:
                    if host == EVERYWHERE[0] or error.errno == errno.EADDRINUSE:
                        raise cannot_bind(error, "UDP", host, port, "--udp-port") from None
                    continue
                undo.callback(sock.close)
                sockets.append(sock)
                port = sock.address[1]
        undo.pop_all()
    return sockets


def addresses(config: Config, sockets: list[UdpSocket]) -> list[Address]:
    """What to tell clients: every address to be told, with the port of each socket for it."""
    return [
        (host, sock.address[1])
        for host in advertised(config.rtc, own_addresses())
        for sock in sockets
        if (":" in host) == (":" in sock.address[0])
    ]
