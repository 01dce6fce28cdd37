"""aioice as the other side, over real loopback sockets: it did not read our code."""

import asyncio
import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import aioice
import aioice.ice
import pytest

from trio_sfu.core import Address, Datagram
from trio_sfu.ice import credentials
from trio_sfu.ice.agent import IceAgent
from trio_sfu.ice.candidate import Candidate
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.states import IceState, Role
from trio_sfu.ice.stun import is_stun

pytestmark = [pytest.mark.interop, pytest.mark.slow]

LIMIT = 15.0
"""Seconds until a test gives up; all of them take a fraction of one."""


class Peer:
    """aioice's `Connection` in an event loop of its own, in a thread of its own."""

    def __init__(self, *, controlling: bool, patience: float = LIMIT) -> None:
        self.described: Future[tuple[Credentials, list[str]]] = Future()
        self.outcome: Future[bytes] = Future()
        self._controlling, self._patience = controlling, patience
        self._ours: Future[tuple[Credentials, str, bool]] = Future()
        self._leave: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def connect(self, ours: Credentials, candidate: Candidate, *, lite: bool) -> None:
        line = candidate.encode().removeprefix("candidate:")
        self._ours.set_result((ours, line, lite))

    def close(self) -> None:
        self._ours.cancel()
        self._leave.set_result(None)
        self._thread.join(LIMIT)

    def _run(self) -> None:
        try:
            asyncio.run(self._talk())
        except BaseException as error:
            for future in (self.described, self.outcome):
                if not future.done():
                    future.set_exception(error)

    async def _talk(self) -> None:
        connection = aioice.Connection(ice_controlling=self._controlling, use_ipv6=False)
        await connection.gather_candidates()
        lines = [candidate.to_sdp() for candidate in connection.local_candidates]
        mine = Credentials(connection.local_username, connection.local_password)
        self.described.set_result((mine, lines))
        try:
            await self._meet(connection)
            await asyncio.wrap_future(self._leave)
        finally:
            await connection.close()

    async def _meet(self, connection: aioice.Connection) -> None:
        ours, line, lite = await asyncio.wrap_future(self._ours)
        connection.remote_username, connection.remote_password = ours.ufrag, ours.password
        connection.remote_is_lite = lite
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(line))
        await connection.add_remote_candidate(None)
        async with asyncio.timeout(self._patience):
            await connection.connect()
            await connection.send(b"\xf0 are you there?")
            heard = await connection.recv()
        self.outcome.set_result(heard)


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves out loopback, which may be all that there is."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


@contextlib.contextmanager
def opened() -> Iterator[tuple[socket.socket, Address]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        yield udp, udp.getsockname()


def drive(
    agent: IceAgent, udp: socket.socket, local: Address, until: Callable[[], bool]
) -> list[Datagram]:
    """Pump *agent* in real time; what is not STUN is echoed if its sender proved itself."""
    other: list[Datagram] = []
    end = time.monotonic() + LIMIT
    while not until():
        now = time.monotonic()
        assert now < end, f"{agent}, {agent.refused}"
        if now >= agent.deadline:
            agent.handle_timeout(now)
        for datagram in agent.take_datagrams():
            udp.sendto(datagram.data, datagram.remote)
        wait = min(max(agent.deadline - now, 0), 0.02)
        if select.select([udp], [], [], wait)[0]:
            data, remote = udp.recvfrom(2048)
            if is_stun(data):
                agent.receive([Datagram(data, remote, local)], time.monotonic())
            elif agent.proved(remote):
                other.append(Datagram(data, remote, local))
                udp.sendto(data.upper(), remote)
    return other


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("role", "peer_controlling"),
    [
        (Role.LITE, True),
        (Role.CONTROLLED, True),
        (Role.CONTROLLING, False),
        (Role.CONTROLLING, True),
        (Role.CONTROLLED, False),
    ],
    ids=["lite", "controlled", "controlling", "both controlling", "both controlled"],
)
def test_aioice_connects_to_us_and_bytes_go_both_ways(role: Role, peer_controlling: bool) -> None:
    agent = IceAgent(role, credentials.make(os.urandom), os.urandom)
    peer = Peer(controlling=peer_controlling)
    with contextlib.closing(peer), opened() as (udp, local):
        now = time.monotonic()
        theirs, lines = peer.described.result(LIMIT)
        candidate = agent.add_local_candidate(local, now)
        agent.set_remote(theirs, now)
        for line in lines:
            agent.add_remote_candidate(line, now)
        agent.end_of_candidates(now)
        peer.connect(agent.local, candidate, lite=role is Role.LITE)
        heard = drive(agent, udp, local, lambda: peer.outcome.done() and agent.nominated)
        assert peer.outcome.result(LIMIT) == b"\xf0 ARE YOU THERE?"
        assert agent.state is IceState.CONNECTED and agent.nominated
        assert agent.selected is not None and agent.selected.remote == heard[0].remote


@pytest.mark.usefixtures("loopback")
def test_aioice_with_a_wrong_password_is_not_believed() -> None:
    agent = IceAgent(Role.LITE, credentials.make(os.urandom), os.urandom)
    peer = Peer(controlling=True, patience=1.0)
    with contextlib.closing(peer), opened() as (udp, local):
        theirs, _ = peer.described.result(LIMIT)
        agent.set_remote(theirs, time.monotonic())
        candidate = agent.add_local_candidate(local, time.monotonic())
        peer.connect(Credentials(agent.local.ufrag, "p" * 22), candidate, lite=True)
        drive(agent, udp, local, lambda: agent.refused.total() >= 2)
        assert agent.state is IceState.CHECKING and agent.answered == 0
        peer.outcome.cancel()
