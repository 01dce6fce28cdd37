"""The tables of states, and that an association keeps them, over the whole product."""

import itertools

import pytest

from tests.sctp.puppet import TSN, in_state
from trio_sfu.errors import WireError
from trio_sfu.sctp.chunks import (
    CHUNKS,
    Abort,
    Chunk,
    CookieAck,
    CookieEcho,
    Data,
    Error,
    ForwardTsn,
    Heartbeat,
    HeartbeatAck,
    Init,
    InitAck,
    ReConfig,
    Sack,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    UnknownChunk,
)
from trio_sfu.sctp.parameters import OutgoingReset
from trio_sfu.sctp.states import ACCEPTED, NEXT, Event, Ignored, State, advance

EXAMPLES: dict[type, Chunk] = {
    Data: Data(TSN, 0, 0, 53, b"x"),
    Init: Init(7, 1 << 20, 10, 10, 1),
    InitAck: InitAck(7, 1 << 20, 10, 10, 1),
    Sack: Sack(0, 1 << 20),
    Heartbeat: Heartbeat(b"12345678"),
    HeartbeatAck: HeartbeatAck(b"12345678"),
    Abort: Abort(),
    Shutdown: Shutdown(0),
    ShutdownAck: ShutdownAck(),
    Error: Error(),
    CookieEcho: CookieEcho(b"forged"),
    CookieAck: CookieAck(),
    ShutdownComplete: ShutdownComplete(),
    ReConfig: ReConfig((OutgoingReset(1, 1, 1),)),
    ForwardTsn: ForwardTsn(TSN),
    UnknownChunk: UnknownChunk(0xBF, 0, b""),
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_event_in_every_state_is_in_the_table_or_refused(state: State, event: Event) -> None:
    if event in NEXT[state]:
        assert advance(state, event) is NEXT[state][event]
    else:
        with pytest.raises(WireError, match=event.name):
            advance(state, event)


def test_every_state_can_be_reached_and_only_the_end_is_final() -> None:
    reached, todo = set[State](), [State.CLOSED]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo += NEXT[state].values()
    assert reached == set(State) == set(ACCEPTED)
    assert [state for state in State if not NEXT[state]] == [State.ENDED]


def test_the_examples_cover_the_table_of_chunks() -> None:
    assert set(EXAMPLES) == {*CHUNKS.values(), UnknownChunk}


@pytest.mark.parametrize(("state", "kind"), list(itertools.product(State, EXAMPLES)))
def test_a_chunk_is_heard_in_its_states_and_has_no_effect_in_others(
    state: State, kind: type
) -> None:
    puppet = in_state(state)
    before = puppet.ours.ignored[Ignored.OUT_OF_PLACE]
    puppet.say(EXAMPLES[kind], tag=0 if kind is Init else None)
    out_of_place = puppet.ours.ignored[Ignored.OUT_OF_PLACE] - before
    assert out_of_place == (kind not in ACCEPTED[state])
    if out_of_place:
        assert puppet.ours.state is state
        assert puppet.ours.take_events() == []
