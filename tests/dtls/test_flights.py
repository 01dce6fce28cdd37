"""The tables of the handshake, over the full product of states and messages."""

import itertools

import pytest

from trio_sfu.dtls.flights import (
    FLIGHT_ENDS,
    START,
    TABLES,
    Message,
    Role,
    State,
    advance,
    epoch_of,
)
from trio_sfu.errors import WireError

EVERY = list(itertools.product(Role, State, Message))


@pytest.mark.parametrize(("role", "state", "message"), EVERY)
def test_a_message_is_in_the_table_or_refused(role: Role, state: State, message: Message) -> None:
    allowed = TABLES[role].get(state, {})
    if message in allowed:
        assert advance(role, state, message) is allowed[message]
    else:
        with pytest.raises(WireError, match=f"{message.name} is not allowed in {state.name}"):
            advance(role, state, message)


@pytest.mark.parametrize("role", Role)
def test_every_state_of_a_role_is_reached_and_leads_to_connected(role: Role) -> None:
    table = TABLES[role]
    reached, leading = {START[role]}, {State.CONNECTED}
    for _ in State:
        reached |= {after for state in reached for after in table[state].values()}
        leading |= {state for state in table if leading & set(table[state].values())}
    assert reached == leading == set(table)


@pytest.mark.parametrize("role", Role)
def test_nothing_may_come_after_finished(role: Role) -> None:
    assert TABLES[role][State.CONNECTED] == {}


def test_the_roles_share_no_state_but_the_last() -> None:
    assert set(TABLES[Role.SERVER]) & set(TABLES[Role.CLIENT]) == {State.CONNECTED}


def test_a_client_cannot_skip_the_proof_of_its_certificate() -> None:
    """Only CertificateVerify leads to the client's Finished."""
    into = [
        message
        for edges in TABLES[Role.SERVER].values()
        for message, after in edges.items()
        if after is State.WAIT_CLIENT_FINISHED
    ]
    assert into == [Message.CERTIFICATE_VERIFY]


@pytest.mark.parametrize("role", Role)
def test_every_end_of_a_flight_is_in_the_table(role: Role) -> None:
    known = {message for edges in TABLES[role].values() for message in edges}
    assert known >= FLIGHT_ENDS[role]


def test_only_finished_is_encrypted() -> None:
    assert [message for message in Message if epoch_of(message)] == [Message.FINISHED]
