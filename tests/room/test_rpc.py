import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.room.rpc import MAX_CALLS, Call, Calls, RpcCode, RpcError


def code(call: Call) -> int:
    assert isinstance(call.outcome, RpcError)
    return call.outcome.code


def test_an_answer_is_the_outcome() -> None:
    calls = Calls()
    call = calls.begin("1", 10.0)
    told = []
    call.settled = lambda: told.append(call.outcome)
    assert calls.acknowledge("1")
    assert calls.respond("1", "four")
    assert (call.outcome, told) == ("four", ["four"])
    assert len(calls) == 0


def test_who_does_not_acknowledge_in_two_seconds_is_not_there() -> None:
    call = Calls().begin("1", 10.0)
    assert call.deadline == 12.0
    call.expire(11.9)
    assert call.outcome is None
    call.expire(12.0)
    assert code(call) == RpcCode.CONNECTION_TIMEOUT


def test_who_acknowledges_has_the_time_that_was_given() -> None:
    calls = Calls()
    call = calls.begin("1", 10.0, respond_within=5.0)
    calls.acknowledge("1")
    assert call.deadline == 15.0
    call.expire(15.0)
    assert code(call) == RpcCode.RESPONSE_TIMEOUT


def test_a_call_may_have_less_time_than_an_acknowledgement() -> None:
    call = Calls().begin("1", 10.0, respond_within=0.5)
    call.expire(10.5)
    assert code(call) == RpcCode.RESPONSE_TIMEOUT


def test_an_answer_needs_no_acknowledgement() -> None:
    calls = Calls()
    call = calls.begin("1", 0.0)
    calls.respond("1", RpcError(7, "no"))
    call.expire(math.inf)
    assert code(call) == 7
    assert not calls.respond("1", "yes")
    assert code(call) == 7


def test_strangers_answers_are_not_ours() -> None:
    calls = Calls()
    calls.begin("1", 0.0)
    assert not calls.acknowledge("2")
    assert not calls.respond("2", "?")


def test_who_is_gone_answers_nothing_now_or_later() -> None:
    calls = Calls()
    call = calls.begin("1", 0.0)
    calls.end()
    assert code(call) == code(calls.begin("2", 0.0)) == RpcCode.RECIPIENT_DISCONNECTED
    assert len(calls) == 0


def test_calls_that_wait_are_limited() -> None:
    calls = Calls()
    for number in range(MAX_CALLS):
        assert calls.begin(str(number), 0.0).outcome is None
    assert code(calls.begin("more", 0.0)) == RpcCode.SEND_FAILED
    calls.forget("0")
    assert calls.begin("more", 0.0).outcome is None


@pytest.mark.parametrize("each", list(RpcCode))
def test_every_code_has_words(each: RpcCode) -> None:
    assert str(RpcError.of(each)).startswith(f"RpcError {each.value}: ")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "acknowledge", "respond", "expire", "forget"]),
            st.integers(0, 3),
            st.floats(0, 5),
        )
    )
)
def test_every_call_is_settled_once_at_most(steps: list[tuple[str, int, float]]) -> None:
    calls, now, told = Calls(), 0.0, list[Call]()
    begun: dict[str, Call] = {}

    def watch(call: Call) -> None:
        call.settled = lambda: told.append(call)

    for what, which, wait in steps:
        now += wait
        number = str(which)
        match what:
            case "begin" if number not in begun:
                begun[number] = calls.begin(number, now)
                watch(begun[number])
            case "acknowledge":
                calls.acknowledge(number)
            case "respond":
                calls.respond(number, "done")
            case "expire" if number in begun:
                begun[number].expire(now)
            case "forget":
                calls.forget(number)
    assert len(set(told)) == len(told)
    for call in begun.values():
        call.expire(math.inf)
        assert call.outcome is not None
