"""What every core promises, once, for all of them: see `trio_sfu.core.Core`.

A core joins by a row in `CORES`: how to make a fresh one from a seed, and which
bytes it would understand, so that what hypothesis makes of them gets past its
first glance.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dtls import pair as dtls_pair
from tests.dtls.vectors import CHROMIUM_HELLO, LIVEKIT_HELLO
from tests.sim import entropy
from trio_sfu.core import Core, Datagram
from trio_sfu.ice import credentials
from trio_sfu.ice.agent import IceAgent
from trio_sfu.ice.candidate import host_candidate
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.states import Role
from trio_sfu.ice.stun import (
    ERROR_CODE,
    ICE_CONTROLLED,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    Class,
    ErrorCode,
    Message,
)
from trio_sfu.sctp import chunks as sctp_chunks
from trio_sfu.sctp.datachannel import DataChannels
from trio_sfu.sctp.dcep import Open, Ppid
from trio_sfu.sctp.handshake import OFFERED
from trio_sfu.sctp.packet import Packet
from trio_sfu.sctp.parameters import OutgoingReset, Parameter, ParameterType
from trio_sfu.wire import Reader

OURS, THEIRS = ("192.0.2.1", 7882), ("192.0.2.2", 40000)
START: Final = 100.0
"""The clock does not begin at zero anywhere."""


@attrs.frozen
class Row:
    """How to try one kind of core."""

    fresh: Callable[[int], Core]
    """From a seed, ready to be talked to at `START`."""
    meaningful: Sequence[bytes] = ()
    """Datagrams that say something to it."""


def ice(role: Role) -> Callable[[int], Core]:
    def fresh(seed: int) -> Core:
        dice = entropy(seed)
        agent = IceAgent(role, credentials.make(dice), dice)
        agent.add_local_candidate(OURS, START)
        agent.set_remote(Credentials("them", "p" * 22), START)
        agent.add_remote_candidate(host_candidate(THEIRS), START)
        return agent

    return fresh


def stun(ours: Credentials) -> list[bytes]:
    """What a peer may say to an agent made from seed 0, whose credentials are *ours*."""
    name = USERNAME.of(f"{ours.ufrag}:them")
    asked = dict([name, PRIORITY.of(1), ICE_CONTROLLED.of(7), USE_CANDIDATE.of(True)])
    plain = dict([name, PRIORITY.of(1)])
    error = dict([ERROR_CODE.of(ErrorCode(487, "Role conflict"))])
    return [
        Message(Class.REQUEST, b"transaction1", asked).encode(ours.key),
        Message(Class.REQUEST, b"transaction2", plain).encode(ours.key),
        Message(Class.ERROR, b"transaction3", error).encode(b"p" * 22),
    ]


CHECKS: Final = stun(credentials.make(entropy(0)))


def sctp(*, dtls_client: bool) -> Callable[[int], Core]:
    def fresh(seed: int) -> DataChannels:
        channels = DataChannels(entropy(seed), dtls_client=dtls_client)
        channels.start(START)
        return channels

    return fresh


def chunks(core: Core) -> list[bytes]:
    """What a peer may say to data channels made from seed 0, with the tag of its INIT."""
    (first,) = Packet.decode(Reader(core.take_datagrams()[0].data)).chunks
    assert isinstance(first, sctp_chunks.Init)
    opening = Open("_reliable").encode()
    init = sctp_chunks.Init(7, 1 << 20, 1024, 1024, 100, OFFERED)
    cookie = Parameter(ParameterType.STATE_COOKIE, b"theirs")
    said: list[tuple[int, sctp_chunks.Chunk]] = [
        (0, init),
        (first.tag, sctp_chunks.InitAck(7, 1 << 20, 1024, 1024, 100, (cookie, *OFFERED))),
        (first.tag, sctp_chunks.CookieAck()),
        (first.tag, sctp_chunks.Data(100, 3, 0, Ppid.DCEP, opening)),
        (first.tag, sctp_chunks.Data(101, 3, 1, Ppid.BINARY, bytes(900), sctp_chunks.Data.BEGIN)),
        (first.tag, sctp_chunks.Data(103, 3, 1, Ppid.BINARY, bytes(900), sctp_chunks.Data.END)),
        (first.tag, sctp_chunks.Sack(first.tsn, 1 << 20, ((2, 3),))),
        (first.tag, sctp_chunks.Heartbeat(b"\0\1\0\x08beat")),
        (first.tag, sctp_chunks.ForwardTsn(105, ((3, 1),))),
        (first.tag, sctp_chunks.ReConfig((OutgoingReset(100, 0, 99, (3,)),))),
        (first.tag, sctp_chunks.Shutdown(first.tsn)),
    ]
    return [Packet(5000, 5000, tag, (chunk,)).encode() for tag, chunk in said]


def dtls(role: dtls_pair.Role) -> Callable[[int], Core]:
    def fresh(seed: int) -> Core:
        connection = dtls_pair.connection(role, seed=seed, start=False)
        connection.start(START)
        return connection

    return fresh


def dtls_answers() -> list[bytes]:
    """What a server says to the hello of a client made from seed 0, and a few alerts."""
    server = dtls_pair.connection(dtls_pair.Role.SERVER)
    (hello,) = dtls_pair.taken(dtls_pair.connection(dtls_pair.Role.CLIENT))
    alerts = [bytes.fromhex(f"15fefd00000000000000{at:02}00020164") for at in range(3)]
    return [*dtls_pair.give(server, hello), *alerts, bytes.fromhex("16fefd000100000000000900011e")]


CORES: Final[dict[str, Row]] = {
    "dtls server": Row(dtls(dtls_pair.Role.SERVER), [*CHROMIUM_HELLO, LIVEKIT_HELLO]),
    "dtls client": Row(dtls(dtls_pair.Role.CLIENT), dtls_answers()),
    "ice lite": Row(ice(Role.LITE), CHECKS),
    "ice controlling": Row(ice(Role.CONTROLLING), CHECKS),
    "ice controlled": Row(ice(Role.CONTROLLED), CHECKS),
    **{
        name: Row(fresh, chunks(fresh(0)))
        for name, fresh in (
            ("sctp of a DTLS client", sctp(dtls_client=True)),
            ("sctp of a DTLS server", sctp(dtls_client=False)),
        )
    },
}

cores = pytest.mark.parametrize("name", CORES)
bounded = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def scripts(draw: st.DrawFn) -> list[tuple[float, list[tuple[str, int, bytes]]]]:
    """Pauses, and after each what comes: a choice of datagrams, made strange."""
    step = st.tuples(
        st.floats(0, 20),
        st.lists(
            st.tuples(
                st.sampled_from(["arbitrary", "meaningful", "changed", "cut"]),
                st.integers(0, 2**16),
                st.binary(max_size=80),
            ),
            max_size=4,
        ),
    )
    return draw(st.lists(step, max_size=6))


def datagram(row: Row, kind: str, number: int, data: bytes) -> Datagram:
    if kind != "arbitrary" and row.meaningful:
        data = row.meaningful[number % len(row.meaningful)]
        if kind == "changed":
            position = number // len(row.meaningful) % len(data)
            data = data[:position] + bytes((data[position] ^ 0x41,)) + data[position + 1 :]
        elif kind == "cut":
            data = data[: number // len(row.meaningful) % len(data)]
    return Datagram(data, THEIRS, OURS)


def play(row: Row, script: list[tuple[float, list[tuple[str, int, bytes]]]]) -> list[object]:
    """Everything that a fresh core says to *script*, with all promises checked on the way."""
    core, now, said = row.fresh(0), START, []
    for pause, arrivals in script:
        now += pause
        while core.deadline <= now:  # a driver would have come in time
            due = core.deadline
            core.handle_timeout(due)
            assert core.deadline > due
            said += take(core)
        core.receive([datagram(row, *arrival) for arrival in arrivals], now)
        said += take(core)
        core.handle_timeout(now)
        assert core.deadline > now
        said += take(core)
        said.append(core.deadline)
    return said


def take(core: Core) -> list[object]:
    taken = core.take_datagrams()
    assert core.take_datagrams() == []
    return [(each.data, each.remote, each.local) for each in taken]


@cores
@bounded
@given(script=scripts())
def test_nothing_that_comes_raises_and_the_same_inputs_have_the_same_outputs(
    name: str, script: list[tuple[float, list[tuple[str, int, bytes]]]]
) -> None:
    row = CORES[name]
    assert play(row, script) == play(row, script)


@cores
def test_after_a_timeout_the_deadline_is_later(name: str) -> None:
    core, before = CORES[name].fresh(0), -math.inf
    for _ in range(1000):
        if math.isinf(core.deadline):
            break
        assert core.deadline > before
        before = core.deadline
        core.handle_timeout(before)
    assert core.deadline > before


@cores
def test_a_timeout_that_is_not_due_changes_nothing(name: str) -> None:
    core = CORES[name].fresh(0)
    take(core)
    deadline = core.deadline
    core.handle_timeout(START - 1.0)
    assert core.deadline == deadline and take(core) == []


@cores
def test_a_flood_is_not_answered_with_more_than_it_was(name: str) -> None:
    """A thousand times every datagram that means something; answers may not multiply."""
    row = CORES[name]
    core = row.fresh(0)
    flood = [Datagram(data, THEIRS, OURS) for data in row.meaningful] * 1000
    core.receive(flood, START)
    answers = sum(len(each.data) for each in core.take_datagrams())
    assert answers <= sum(len(each.data) for each in flood) + 10_000


def test_every_core_says_what_it_would_understand() -> None:
    assert all(row.meaningful for row in CORES.values())
