"""Agents talk over a simulated network, in virtual time; the seed is in the test's name."""

import hmac
import math
import zlib
from collections.abc import Callable

import attrs
import pytest

from tests.sim import Link, entropy, run
from tests.sim.link import Nat
from trio_sfu.core import Address, Datagram
from trio_sfu.ice import credentials
from trio_sfu.ice.agent import IceAgent
from trio_sfu.ice.candidate import Candidate, host_candidate
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.states import (
    AddressProved,
    IceEvent,
    IceState,
    Path,
    Refusal,
    Role,
    Selected,
    StateChanged,
)
from trio_sfu.ice.stun import (
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Class,
    ErrorCode,
    Message,
)

CLIENT, SERVER = ("192.0.2.1", 40000), ("198.51.100.1", 7882)
CLIENT6, SERVER6 = ("2001:db8::1", 40000), ("2001:db8::2", 7882)
OTHER = ("192.0.2.9", 40009)
BAD = {"delay": 0.05, "jitter": 0.03, "loss": 0.2, "reorder": 0.1, "duplicate": 0.1}


def agent(role: Role, seed: int = 0) -> IceAgent:
    dice = entropy(seed)
    return IceAgent(role, credentials.make(dice), dice)


def introduce(a: IceAgent, b: IceAgent, now: float = 0.0) -> None:
    a.set_remote(b.local, now, lite=b.role is Role.LITE)
    b.set_remote(a.local, now, lite=a.role is Role.LITE)


def trickle(a: IceAgent, b: IceAgent, address: Address, now: float = 0.0) -> Candidate:
    """*a* gathers *address* and tells *b*."""
    candidate = a.add_local_candidate(address, now)
    b.add_remote_candidate(candidate.encode(), now)
    return candidate


def pair_of(
    role: Role = Role.CONTROLLED, seed: int = 0, *, client: Role = Role.CONTROLLING
) -> tuple[IceAgent, IceAgent]:
    """A client and a server in *role* that know everything of each other."""
    a, b = agent(client, seed), agent(role, seed + 1000)
    introduce(a, b)
    trickle(a, b, CLIENT)
    trickle(b, a, SERVER)
    return a, b


def settled(a: IceAgent, b: IceAgent) -> Callable[[], bool]:
    return lambda: a.nominated and b.nominated and a.state is b.state is IceState.CONNECTED


def silent(_: Datagram) -> None:
    return None


def states(events: list[IceEvent]) -> list[IceState]:
    return [event.state for event in events if isinstance(event, StateChanged)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("settings", [{}, {"delay": 0.1}, BAD], ids=["perfect", "slow", "bad"])
@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
def test_two_agents_find_a_path_and_agree_on_it(
    role: Role, settings: dict[str, float], seed: int
) -> None:
    link = Link(**settings, seed=seed)
    client, server = pair_of(role, seed)
    run(client, link, server, until=settled(client, server), limit=20.0)
    assert client.selected == Path(SERVER, CLIENT)
    assert server.selected == Path(CLIENT, SERVER)
    assert server.proved(CLIENT) and client.proved(SERVER) and not server.proved(OTHER)
    events = server.take_events()
    assert states(events) == [IceState.CHECKING, IceState.CONNECTED]
    assert AddressProved(CLIENT, SERVER) in events and Selected(Path(CLIENT, SERVER)) in events
    assert server.take_events() == []


@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
def test_on_a_perfect_link_it_takes_two_checks_one_pace_apart(role: Role) -> None:
    link = Link()
    client, server = pair_of(role)
    assert run(client, link, server, until=settled(client, server)) == pytest.approx(0.05)


@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
def test_ipv6_works_and_makes_no_pair_with_ipv4(role: Role) -> None:
    client, server = agent(Role.CONTROLLING), agent(role, 1)
    introduce(client, server)
    for ours, theirs in ((CLIENT6, SERVER6), (OTHER, None)):
        trickle(client, server, ours)
        if theirs:
            trickle(server, client, theirs)
    link = Link()
    run(client, link, server, until=settled(client, server))
    assert client.selected == Path(SERVER6, CLIENT6)
    assert link.counters["sent"] < 10


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
def test_an_hour_of_a_bad_network_never_loses_the_path(role: Role, seed: int) -> None:
    link = Link(delay=0.1, jitter=0.1, loss=0.1, seed=seed)
    client, server = pair_of(role, seed)
    run(client, link, server, until=3600.0)
    assert client.state is server.state is IceState.CONNECTED
    for side in (client, server):
        assert states(side.take_events()) == [IceState.CHECKING, IceState.CONNECTED]
    assert link.counters["sent"] < 6 * 3600  # consent checks and their answers, not a flood


@pytest.mark.parametrize("seed", range(3))
def test_checks_that_overtake_signalling_are_answered_and_used_later(seed: int) -> None:
    """The controlled side learns the peer's credentials and candidates a second later."""
    link = Link(**BAD, seed=seed)
    client, server = agent(Role.CONTROLLING, seed), agent(Role.CONTROLLED, seed + 1)
    client.set_remote(server.local, 0.0)
    client.add_local_candidate(CLIENT, 0.0)
    trickle(server, client, SERVER)
    run(client, link, server, until=1.0)
    assert server.state is IceState.NEW or seed
    server.set_remote(client.local, link.now)
    run(client, link, server, until=settled(client, server), limit=20.0)
    server.add_remote_candidate(host_candidate(CLIENT), link.now)  # what it has met already
    run(client, link, server, until=link.now + 5)
    assert server.state is IceState.CONNECTED


def test_candidates_may_come_late_and_one_at_a_time() -> None:
    link = Link(delay=0.02)
    client, server = agent(Role.CONTROLLING), agent(Role.CONTROLLED, 1)
    introduce(client, server)
    run(client, link, server, until=3.0)
    assert client.state is server.state is IceState.CHECKING
    trickle(client, server, CLIENT, link.now)
    run(client, link, server, until=6.0)
    trickle(server, client, SERVER, link.now)
    run(client, link, server, until=settled(client, server), limit=2.0)


def test_the_better_of_two_working_pairs_is_nominated() -> None:
    client, server = agent(Role.CONTROLLING), agent(Role.CONTROLLED, 1)
    introduce(client, server)
    trickle(server, client, SERVER)
    client.add_local_candidate(OTHER, 0.0, local_preference=10)
    client.add_local_candidate(CLIENT, 0.0, local_preference=20)
    run(client, link := Link(delay=0.03), server, until=settled(client, server))
    assert client.selected == Path(SERVER, CLIENT), link


def test_a_working_pair_is_held_back_while_a_better_one_may_yet_work() -> None:
    """The better address is found just before the answer by the worse one arrives."""
    client, server = agent(Role.CONTROLLING), agent(Role.CONTROLLED, 1)
    introduce(client, server)
    trickle(server, client, SERVER)
    client.add_local_candidate(OTHER, 0.0, local_preference=10)
    link = Link(delay=0.03)
    run(client, link, server, until=0.05)
    client.add_local_candidate(CLIENT, link.now, local_preference=20)
    run(client, link, server, until=settled(client, server))
    assert client.selected == Path(SERVER, CLIENT)


def test_when_the_path_dies_another_pair_is_found_without_a_restart() -> None:
    client, server = agent(Role.CONTROLLING), agent(Role.CONTROLLED, 1)
    introduce(client, server)
    trickle(server, client, SERVER)
    client.add_local_candidate(OTHER, 0.0, local_preference=10)
    client.add_local_candidate(CLIENT, 0.0, local_preference=20)
    link = Link(delay=0.03)
    run(client, link, server, until=20.0)
    assert client.selected == Path(SERVER, CLIENT)
    link.through[0] = lambda datagram: None if datagram.local == CLIENT else datagram
    link.through[1] = lambda datagram: None if datagram.remote == CLIENT else datagram
    run(client, link, server, until=38.0)
    assert client.selected == Path(SERVER, OTHER) and server.selected == Path(OTHER, SERVER)
    assert client.state is server.state is IceState.CONNECTED


def test_the_controlling_side_moves_when_the_controlled_ones_nat_rebinds() -> None:
    link = Link(delay=0.03)
    client, server = agent(Role.CONTROLLED), agent(Role.CONTROLLING, 1)
    introduce(client, server)
    trickle(client, server, CLIENT)
    trickle(server, client, SERVER)
    nat = Nat(CLIENT, ("203.0.113.7", 1111))
    link.through = {0: nat.outward, 1: nat.inward}
    run(client, link, server, until=settled(client, server))
    run(client, link, server, until=30.0)
    nat.rebind(("203.0.113.7", 2222))
    run(client, link, server, until=lambda: server.selected == Path(nat.outer, SERVER), limit=14.0)
    assert server.state is IceState.CONNECTED
    assert IceState.DISCONNECTED not in states(server.take_events())


def test_a_pair_that_works_is_taken_when_the_better_one_stays_silent() -> None:
    client, server = agent(Role.CONTROLLING), agent(Role.CONTROLLED, 1)
    introduce(client, server)
    trickle(server, client, SERVER)
    client.add_local_candidate(OTHER, 0.0, local_preference=10)
    client.add_local_candidate(CLIENT, 0.0, local_preference=20)
    link = Link(delay=0.03)
    link.through[0] = lambda datagram: None if datagram.local == CLIENT else datagram
    assert run(client, link, server, until=settled(client, server)) < 1.0
    assert client.selected == Path(SERVER, OTHER)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("role", [Role.CONTROLLING, Role.CONTROLLED])
def test_two_agents_with_one_role_sort_it_out_by_tie_breaker(role: Role, seed: int) -> None:
    link = Link(delay=0.03, loss=0.1, seed=seed)
    client, server = pair_of(role, seed, client=role)
    run(client, link, server, until=settled(client, server), limit=20.0)
    assert {client.role, server.role} == {Role.CONTROLLING, Role.CONTROLLED}
    assert client.refused[Refusal.ROLE_CONFLICT] + server.refused[Refusal.ROLE_CONFLICT] <= 20


def test_a_lite_agent_makes_a_controlled_peer_controlling() -> None:
    client, server = agent(Role.CONTROLLED), agent(Role.LITE, 1)
    client.set_remote(server.local, 0.0)  # nobody told it that the peer is lite
    server.set_remote(client.local, 0.0)
    client.add_local_candidate(CLIENT, 0.0)
    client.add_remote_candidate(host_candidate(SERVER), 0.0)
    run(client, Link(), server, until=settled(client, server))
    assert client.role is Role.CONTROLLING


@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
def test_silence_disconnects_and_then_fails(role: Role) -> None:
    link = Link(delay=0.01)
    client, server = pair_of(role)
    run(client, link, server, until=20.0)
    link.through = {0: silent, 1: silent}
    run(client, link, server, until=lambda: server.state is IceState.DISCONNECTED)
    assert 4.0 < link.now - 20.0 < 10.1
    run(client, link, server, until=lambda: server.state is IceState.FAILED)
    low, high = (9.0, 15.1) if role is Role.LITE else (24.0, 30.1)
    assert low < link.now - 20.0 < high
    assert server.selected is None and not server.proved(CLIENT)
    run(client, link, server, until=lambda: client.state is IceState.FAILED)
    assert math.isinf(client.deadline) and math.isinf(server.deadline)


@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
def test_a_path_that_comes_back_in_time_is_connected_again(role: Role) -> None:
    link = Link(delay=0.01)
    client, server = pair_of(role)
    run(client, link, server, until=20.0)
    link.through = {0: silent, 1: silent}
    run(client, link, server, until=lambda: server.state is IceState.DISCONNECTED)
    link.through = {}
    run(client, link, server, until=settled(client, server), limit=5.0)


def test_answers_prove_consent_and_questions_do_not() -> None:
    """Only what the client sends arrives: the client may not go on for ever."""
    link = Link(delay=0.01)
    client, server = pair_of(Role.CONTROLLED)
    run(client, link, server, until=10.0)
    link.through[1] = silent
    run(client, link, server, until=60.0)
    assert client.state is IceState.FAILED


def test_a_lite_agent_gives_a_first_check_fifteen_seconds() -> None:
    server = agent(Role.LITE)
    server.set_remote(agent(Role.CONTROLLING, 1).local, 3.0)
    assert server.deadline == 18.0
    server.handle_timeout(18.0)
    assert server.state is IceState.FAILED


def test_a_full_agent_waits_for_the_peers_checks_though_its_own_have_failed() -> None:
    client, server = agent(Role.CONTROLLING), agent(Role.CONTROLLED, 1)
    introduce(client, server)
    trickle(client, server, CLIENT)
    trickle(server, client, SERVER)
    link = Link()
    link.through = {0: silent, 1: silent}
    run(client, link, server, until=39.0)
    assert client.state is IceState.CHECKING
    assert link.counters["sent"] == 10  # five each, RFC 8445 section 14.3
    run(client, link, server, until=40.0)
    assert client.state is IceState.FAILED


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
def test_a_nat_that_rebinds_in_the_middle_moves_the_path(role: Role, seed: int) -> None:
    link = Link(delay=0.03, loss=0.05, seed=seed)
    client, server = agent(Role.CONTROLLING, seed), agent(role, seed + 1)
    introduce(client, server)
    trickle(client, server, CLIENT)
    trickle(server, client, SERVER)
    nat = Nat(CLIENT, ("203.0.113.7", 1111))
    link.through = {0: nat.outward, 1: nat.inward}
    run(client, link, server, until=settled(client, server), limit=20.0)
    assert server.selected == Path(nat.outer, SERVER)
    assert client.reflexive == [nat.outer]
    run(client, link, server, until=30.0)
    before = nat.outer
    nat.rebind(("203.0.113.7", 2222))
    run(client, link, server, until=lambda: server.selected == Path(nat.outer, SERVER), limit=15.0)
    assert IceState.FAILED not in states(server.take_events() + client.take_events())
    assert server.proved(nat.outer) and server.proved(before)
    run(client, link, server, until=link.now + 60)
    assert client.state is server.state is IceState.CONNECTED


@pytest.mark.parametrize("first", ["client", "server"])
@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
@pytest.mark.parametrize("seed", range(3))
def test_a_restart_in_the_middle_never_disturbs_the_path(first: str, role: Role, seed: int) -> None:
    """Signalling takes half a second each way; the network is bad all the time."""
    link = Link(delay=0.05, loss=0.1, seed=seed)
    client, server = pair_of(role, seed)
    run(client, link, server, until=settled(client, server), limit=20.0)
    client.take_events(), server.take_events()
    offerer, answerer = (client, server) if first == "client" else (server, client)
    fresh = {side: credentials.make(entropy(seed + 7 + n)) for n, side in enumerate("ab")}
    olds = offerer.local, answerer.local
    offerer.restart(fresh["a"], link.now)
    run(client, link, server, until=link.now + 0.5)
    answerer.set_remote(fresh["a"], link.now, lite=offerer.role is Role.LITE)
    answerer.restart(fresh["b"], link.now)
    run(client, link, server, until=link.now + 0.5)
    offerer.set_remote(fresh["b"], link.now, lite=answerer.role is Role.LITE)
    trickle(client, server, CLIENT, link.now)
    trickle(server, client, SERVER, link.now)
    run(client, link, server, until=link.now + 20)
    assert client.state is server.state is IceState.CONNECTED
    assert states(client.take_events() + server.take_events()) == []
    assert (offerer.local, answerer.local) == (fresh["a"], fresh["b"])
    # The old credentials went when the new ones had a nominated path.
    refused = server.refused[Refusal.UNKNOWN_UFRAG]
    ours, theirs = olds if server is offerer else olds[::-1]
    server.receive([check(ours, theirs)], link.now)
    assert server.refused[Refusal.UNKNOWN_UFRAG] == refused + 1


@pytest.mark.parametrize("role", [Role.LITE, Role.CONTROLLED])
def test_restarts_that_nobody_answers_leave_the_old_path_alone(role: Role) -> None:
    """As when signalling is down: the server keeps trying, the client never hears of it."""
    link = Link(delay=0.02)
    client, server = pair_of(role)
    run(client, link, server, until=10.0)
    client.take_events(), server.take_events()
    for seed in range(5):
        server.restart(credentials.make(entropy(seed + 50)), link.now)
        run(client, link, server, until=link.now + 20)
    assert states(client.take_events() + server.take_events()) == []


def test_a_restart_moves_to_another_network() -> None:
    """The phone leaves the wireless network: old address dead, restart, new address."""
    link = Link(delay=0.05)
    client, server = pair_of(Role.LITE)
    run(client, link, server, until=10.0)
    link.through[0] = lambda datagram: None if datagram.local == CLIENT else datagram
    run(client, link, server, until=lambda: client.state is IceState.DISCONNECTED)
    fresh, reply = credentials.make(entropy(8)), credentials.make(entropy(9))
    client.add_local_candidate(OTHER, link.now)
    client.restart(fresh, link.now)
    server.set_remote(fresh, link.now)
    server.restart(reply, link.now)
    client.set_remote(reply, link.now, lite=True)
    client.add_remote_candidate(host_candidate(SERVER), link.now)
    run(client, link, server, until=settled(client, server), limit=2.0)
    assert server.selected == Path(OTHER, SERVER)


# A peer made by hand: single checks against a lite agent.

THEIRS = Credentials("peer", "p" * 22)


def check(
    ours: Credentials,
    theirs: Credentials = THEIRS,
    remote: Address = CLIENT,
    *extra: tuple[int, object],
    key: bytes | None = None,
) -> Datagram:
    """A Binding request to the agent with credentials *ours*."""
    attributes = dict(
        [
            USERNAME.of(f"{ours.ufrag}:{theirs.ufrag}"),
            PRIORITY.of(1),
            ICE_CONTROLLING.of(5),
            *extra,
        ]
    )
    data = Message(Class.REQUEST, b"transaction!", attributes).encode(key or ours.key)
    return Datagram(data, remote, SERVER)


def answer_of(server: IceAgent) -> Message:
    (datagram,) = server.take_datagrams()
    message = Message.decode(datagram.data)
    assert message.transaction == b"transaction!" and message.authentic(server.local.key)
    return message


def test_an_answer_leaves_from_the_address_that_was_asked() -> None:
    server = agent(Role.LITE)
    asked = attrs.evolve(check(server.local), local=("203.0.113.99", 1))
    server.receive([asked], 0.0)
    (answer,) = server.take_datagrams()
    assert (answer.remote, answer.local) == (CLIENT, ("203.0.113.99", 1))
    assert Message.decode(answer.data).get(XOR_MAPPED_ADDRESS) == CLIENT


def test_before_nomination_the_last_pair_counts_and_then_the_nominated_one() -> None:
    server = agent(Role.LITE)
    for remote in (CLIENT, OTHER):
        server.receive([check(server.local, THEIRS, remote)], 0.0)
        assert server.selected == Path(remote, SERVER) and not server.nominated
    server.receive([check(server.local, THEIRS, CLIENT, USE_CANDIDATE.of(True))], 0.1)
    server.receive([check(server.local, THEIRS, OTHER)], 0.2)
    assert server.selected == Path(CLIENT, SERVER) and server.nominated
    server.receive([check(server.local, THEIRS, OTHER, USE_CANDIDATE.of(True))], 0.3)
    assert server.selected == Path(OTHER, SERVER)
    assert [event for event in server.take_events() if isinstance(event, Selected)] == [
        Selected(Path(remote, SERVER)) for remote in (CLIENT, OTHER, CLIENT, OTHER)
    ]


def test_a_nominated_path_that_went_silent_gives_way_without_use_candidate() -> None:
    server = agent(Role.LITE)
    server.receive([check(server.local, THEIRS, CLIENT, USE_CANDIDATE.of(True))], 0.0)
    server.receive([check(server.local, THEIRS, OTHER)], 6.0)
    assert server.selected == Path(CLIENT, SERVER)
    server.receive([check(server.local, THEIRS, OTHER)], 7.5)
    assert server.selected == Path(OTHER, SERVER)


def refused_checks(ours: Credentials) -> list[tuple[Refusal, Datagram]]:
    unsealed = Message(Class.REQUEST, b"transaction!", dict([USERNAME.of(f"{ours.ufrag}:peer")]))
    method = attrs.evolve(unsealed, method=0x003)
    nameless = Message(Class.REQUEST, b"transaction!")
    return [
        (Refusal.MALFORMED, Datagram(b"\0" * 20, CLIENT, SERVER)),
        (Refusal.METHOD, Datagram(method.encode(ours.key), CLIENT, SERVER)),
        (Refusal.UNSEALED, Datagram(unsealed.encode(), CLIENT, SERVER)),
        (Refusal.UNSEALED, Datagram(nameless.encode(ours.key), CLIENT, SERVER)),
        (Refusal.UNKNOWN_UFRAG, check(Credentials("other", ours.password))),
        (Refusal.UNKNOWN_UFRAG, check(ours, Credentials("stranger", ""))),
        (Refusal.WRONG_PASSWORD, check(ours, key=b"guessed")),
    ]


@pytest.mark.parametrize("index", range(7))
def test_what_is_not_authentic_gets_no_answer_and_proves_nothing(index: int) -> None:
    server = agent(Role.LITE)
    server.set_remote(THEIRS, 0.0)
    reason, datagram = refused_checks(server.local)[index]
    server.receive([datagram], 0.0)
    assert server.take_datagrams() == []
    assert server.refused == {reason: 1}
    assert not server.proved(CLIENT) and server.selected is None
    server.receive([check(server.local)], 0.0)
    assert server.proved(CLIENT)


def test_anybody_with_the_password_is_heard_while_the_peers_credentials_are_unknown() -> None:
    server = agent(Role.LITE)
    server.receive([check(server.local, Credentials("whoever", ""))], 0.0)
    assert server.state is IceState.CONNECTED and server.answered == 1


def test_unknown_attributes_that_must_be_understood_are_reported() -> None:
    server = agent(Role.LITE)
    data = bytearray(check(server.local, THEIRS, CLIENT, USE_CANDIDATE.of(True)).data)
    position = data.index(b"\x00\x25\x00\x00")
    data[position : position + 2] = b"\x7f\x25"
    # Sealed anew: decoding with the seals taken off, as a peer that knows the type would.
    body = bytes(data[:-32])
    length = (len(body) - 20 + 24).to_bytes(2)
    body = body[:2] + length + body[4:]
    body += b"\x00\x08\x00\x14" + hmac.digest(server.local.key, body, "sha1")
    body = body[:2] + (len(body) - 20 + 8).to_bytes(2) + body[4:]
    body += b"\x80\x28\x00\x04" + (zlib.crc32(body) ^ 0x5354554E).to_bytes(4)
    server.receive([Datagram(body, CLIENT, SERVER)], 0.0)
    answer = answer_of(server)
    error = answer.get(ERROR_CODE)
    assert answer.kind is Class.ERROR and error is not None and error.code == 420
    assert answer.get(UNKNOWN_ATTRIBUTES) == (0x7F25,)
    assert not server.proved(CLIENT)


def test_a_lite_agent_refuses_a_peer_that_thinks_it_is_controlled() -> None:
    server = agent(Role.LITE)
    server.receive([check(server.local, THEIRS, CLIENT, ICE_CONTROLLED.of(9))], 0.0)
    error = answer_of(server).get(ERROR_CODE)
    assert error is not None and error.code == 487


def test_a_flood_of_addresses_is_remembered_up_to_a_limit_and_never_loses_the_selected() -> None:
    server = agent(Role.LITE)
    server.receive([check(server.local, THEIRS, CLIENT, USE_CANDIDATE.of(True))], 0.0)
    flood = [("198.18.0.1", port) for port in range(1, 1001)]
    server.receive([check(server.local, THEIRS, remote) for remote in flood], 1.0)
    assert server.proved(CLIENT) and server.selected == Path(CLIENT, SERVER)
    assert sum(server.proved(remote) for remote in flood) == 31
    assert server.proved(flood[-1])


REFUSED_CANDIDATES = [
    ("candidate:1 1 udp 1 host", Refusal.CANDIDATE_MALFORMED),
    ("candidate:1 1 udp 1 4f1c8a-11.local 1 typ host", Refusal.CANDIDATE_NAME),
    ("candidate:1 1 tcp 1 192.0.2.5 9 typ host tcptype active", Refusal.CANDIDATE_UNUSABLE),
    ("candidate:1 2 udp 1 192.0.2.5 5 typ host", Refusal.CANDIDATE_UNUSABLE),
    ("candidate:1 1 udp 1 224.0.0.1 5 typ host", Refusal.CANDIDATE_UNUSABLE),
    ("candidate:1 1 udp 1 0.0.0.0 5 typ host", Refusal.CANDIDATE_UNUSABLE),
    ("candidate:1 1 udp 1 192.0.2.5 0 typ host", Refusal.CANDIDATE_UNUSABLE),
    ("candidate:1 1 udp 1 192.0.2.5 5 typ host ufrag old", Refusal.CANDIDATE_STALE),
]


@pytest.mark.parametrize(("line", "reason"), REFUSED_CANDIDATES)
def test_candidates_that_cannot_be_used_are_counted(line: str, reason: Refusal) -> None:
    client = agent(Role.CONTROLLING)
    client.set_remote(THEIRS, 0.0)
    client.add_local_candidate(CLIENT, 0.0)
    client.add_remote_candidate(line, 0.0)
    assert +client.refused == {reason: 1}
    lite = agent(Role.LITE)
    lite.add_remote_candidate(line, 0.0)
    assert +lite.refused == {}


def test_after_the_end_of_candidates_no_more_are_taken() -> None:
    client = agent(Role.CONTROLLING)
    client.set_remote(THEIRS, 0.0)
    client.end_of_candidates(0.0)
    client.add_remote_candidate(host_candidate(SERVER), 0.0)
    assert client.refused[Refusal.CANDIDATE_STALE] == 1


def test_a_flood_of_candidates_costs_a_bounded_number_of_checks() -> None:
    client = agent(Role.CONTROLLING)
    client.set_remote(THEIRS, 0.0)
    client.add_local_candidate(CLIENT, 0.0)
    client.add_local_candidate(OTHER, 0.0)
    for port in range(1, 500):
        client.add_remote_candidate(host_candidate(("198.51.100.7", port)), 0.0)
    assert client.refused[Refusal.TOO_MANY] > 400
    link = Link()
    run(client, link, agent(Role.LITE, 1), until=60.0)
    assert link.counters["sent"] == 5 * 100


def test_an_answer_is_believed_only_from_whom_was_asked_and_with_its_seal() -> None:
    client, server = pair_of(Role.LITE)
    client.handle_timeout(0.0)
    (request,) = client.take_datagrams()
    asked = Message.decode(request.data)
    true = Message(Class.SUCCESS, asked.transaction, dict([XOR_MAPPED_ADDRESS.of(CLIENT)])).encode(
        server.local.key
    )
    forged = Message(
        Class.SUCCESS, asked.transaction, dict([XOR_MAPPED_ADDRESS.of(CLIENT)])
    ).encode(b"guessed")
    stray = Message(Class.SUCCESS, b"who are you?").encode(server.local.key)
    client.receive([Datagram(data, SERVER, CLIENT) for data in (forged, stray)], 0.1)
    assert client.state is IceState.CHECKING
    client.receive([Datagram(true, OTHER, CLIENT)], 0.1)
    assert client.state is IceState.CHECKING and not client.proved(OTHER)
    assert +client.refused == {
        Refusal.UNAUTHENTIC_ANSWER: 1,
        Refusal.UNKNOWN_TRANSACTION: 1,
        Refusal.ASYMMETRIC: 1,
    }


def requests_in(datagrams: list[Datagram]) -> list[Message]:
    messages = [Message.decode(datagram.data) for datagram in datagrams]
    return [message for message in messages if message.kind is Class.REQUEST]


def success(request: Message, key: bytes) -> Datagram:
    """What the peer answers to *request*, which an agent at SERVER had sent to CLIENT."""
    attributes = dict([XOR_MAPPED_ADDRESS.of(SERVER)])
    message = Message(Class.SUCCESS, request.transaction, attributes)
    return Datagram(message.encode(key), CLIENT, SERVER)


def controlled_by_hand() -> IceAgent:
    server = agent(Role.CONTROLLED)
    server.set_remote(THEIRS, 0.0)
    server.add_local_candidate(SERVER, 0.0)
    server.add_remote_candidate(host_candidate(CLIENT), 0.0)
    return server


def test_a_nomination_that_comes_before_our_own_answer_is_remembered() -> None:
    """Firefox and FFmpeg say USE-CANDIDATE in their very first check."""
    server = controlled_by_hand()
    server.receive([check(server.local, THEIRS, CLIENT, USE_CANDIDATE.of(True))], 0.0)
    assert not server.nominated
    server.handle_timeout(server.deadline)
    (request,) = requests_in(server.take_datagrams())
    server.receive([success(request, THEIRS.key)], 0.1)
    assert server.nominated and server.selected == Path(CLIENT, SERVER)


def test_a_triggered_check_takes_the_place_of_one_that_is_under_way() -> None:
    server = controlled_by_hand()
    server.handle_timeout(0.0)
    (first,) = requests_in(server.take_datagrams())
    server.receive([check(server.local)], 0.01)
    asked = []
    while server.deadline <= 12.0:
        server.handle_timeout(server.deadline)
        asked += requests_in(server.take_datagrams())
    assert len(asked) == 5 and len({request.transaction for request in asked}) == 1
    assert asked[0].transaction != first.transaction


def test_a_late_answer_to_a_check_that_was_replaced_still_counts() -> None:
    server = controlled_by_hand()
    server.handle_timeout(0.0)
    (first,) = requests_in(server.take_datagrams())
    server.receive([check(server.local)], 0.01)
    while server.deadline <= 4.0:
        server.handle_timeout(server.deadline)
    server.receive([success(first, THEIRS.key)], 4.0)
    assert server.state is IceState.CONNECTED


def test_a_stale_role_conflict_does_not_change_the_role_twice() -> None:
    """We have asked as controlled, then learnt from the peer that we are controlling."""
    server = controlled_by_hand()
    server.handle_timeout(0.0)
    (request,) = requests_in(server.take_datagrams())
    name = USERNAME.of(f"{server.local.ufrag}:{THEIRS.ufrag}")
    claim = Message(Class.REQUEST, b"transaction!", dict([name, ICE_CONTROLLED.of(0)]))
    server.receive([Datagram(claim.encode(server.local.key), CLIENT, SERVER)], 0.01)
    assert server.role is Role.CONTROLLING
    conflict = Message(
        Class.ERROR, request.transaction, dict([ERROR_CODE.of(ErrorCode(487, "Role conflict"))])
    )
    server.receive([Datagram(conflict.encode(THEIRS.key), CLIENT, SERVER)], 0.02)
    assert server.role is Role.CONTROLLING


def test_an_answer_of_old_credentials_does_not_undo_what_the_new_ones_decided() -> None:
    """Late consent by the old path, after the new generation has nominated another."""
    link = Link(delay=0.02)
    client, server = pair_of(Role.LITE)
    run(client, link, server, until=10.0)
    while not requests_in(sent := client.take_datagrams()):
        client.handle_timeout(client.deadline)
    (old,) = requests_in(sent)
    now = max(link.now, 16.0)
    old_key = server.local.key
    fresh, reply = credentials.make(entropy(8)), credentials.make(entropy(9))
    client.restart(fresh, now)
    server.set_remote(fresh, now)
    server.restart(reply, now)
    client.set_remote(reply, now, lite=True)
    client.add_local_candidate(OTHER, now)
    client.add_remote_candidate(host_candidate(SERVER), now)
    link.through[0] = lambda datagram: None if datagram.local == CLIENT else datagram
    link.now = now
    run(client, link, server, until=lambda: client.selected == Path(SERVER, OTHER), limit=5.0)
    late = Message(Class.SUCCESS, old.transaction, dict([XOR_MAPPED_ADDRESS.of(CLIENT)]))
    client.receive([Datagram(late.encode(old_key), SERVER, CLIENT)], link.now)
    assert client.selected == Path(SERVER, OTHER)
    assert client.refused[Refusal.UNKNOWN_TRANSACTION] >= 1
