import math
from collections.abc import Iterator

import attrs
import pytest
from livekit.protocol import models

from trio_sfu.room.datatracks import Tracks
from trio_sfu.room.grants import Grants
from trio_sfu.room.info import LeaveReason, ParticipantState
from trio_sfu.room.participant import Identity
from trio_sfu.signalling.updates import BATCH, MAX_MESSAGE, Updates


@attrs.define(eq=False)
class Somebody:
    """As much of a participant as others are told."""

    sid: str
    who: Identity
    version: int = 0
    state: ParticipantState = ParticipantState.JOINED
    is_publisher: bool = False
    joined_at: float = 1.7e9
    leave_reason: LeaveReason = LeaveReason.UNKNOWN_REASON
    tracks: dict[str, object] = attrs.Factory(dict)
    data_tracks: Tracks = attrs.Factory(Tracks)


def somebody(name: str, metadata: str = "") -> Somebody:
    who = Identity(identity=name, grants=Grants(), metadata=metadata)
    return Somebody(f"PA_{name}", who)


def told(updates: Updates) -> Iterator[tuple[str, str, int]]:
    for each in updates.take():
        for info in each.update.participants:
            yield info.identity, models.ParticipantInfo.State.Name(info.state), info.version


def test_what_can_wait_waits_for_three_seconds_from_the_first() -> None:
    updates = Updates()
    assert updates.deadline == math.inf
    updates.note(somebody("alice"), 10.0, urgent=False)
    updates.note(somebody("bob"), 12.0, urgent=False)
    assert updates.deadline == 10.0 + BATCH
    assert [name for name, _, _ in told(updates)] == ["alice", "bob"]
    assert updates.deadline == math.inf


def test_what_is_urgent_goes_at_once_and_takes_the_rest_along() -> None:
    updates = Updates()
    updates.note(somebody("alice"), 10.0, urgent=False)
    updates.note(somebody("bob"), 10.0, urgent=True)
    assert updates.deadline == -math.inf
    assert [name for name, _, _ in told(updates)] == ["alice", "bob"]
    assert updates.deadline == math.inf


def test_what_happened_twice_is_told_once_and_as_it_is_now() -> None:
    updates, alice = Updates(), somebody("alice")
    for version in (1, 2, 3):
        alice.version = version
        updates.note(alice, 0.0, urgent=False)
    assert list(told(updates)) == [("alice", "JOINED", 3)]


def test_nothing_is_told_twice() -> None:
    updates, alice = Updates(), somebody("alice")
    updates.told(alice)  # in the join response
    updates.note(alice, 0.0, urgent=True)
    assert list(told(updates)) == []
    alice.version = 1
    updates.note(alice, 0.0, urgent=True)
    assert list(told(updates)) == [("alice", "JOINED", 1)]
    updates.note(alice, 0.0, urgent=True)
    assert list(told(updates)) == []


@pytest.mark.parametrize("known", [True, False])
def test_who_was_never_told_of_does_not_go(known: bool) -> None:
    updates, alice = Updates(), somebody("alice")
    if known:
        updates.told(alice)
    alice.state, alice.version = ParticipantState.DISCONNECTED, 1
    updates.note(alice, 0.0, urgent=True)
    assert list(told(updates)) == ([("alice", "DISCONNECTED", 1)] if known else [])


def test_a_long_list_is_cut_into_messages() -> None:
    updates = Updates()
    for number in range(100):
        updates.note(somebody(f"{number}", metadata="x" * 10_000), 0.0, urgent=True)
    messages = updates.take()
    assert sum(len(each.update.participants) for each in messages) == 100
    assert len(messages) > 1
    assert all(each.ByteSize() < MAX_MESSAGE + 1_000 for each in messages)


def test_one_that_is_too_large_by_itself_is_told_nevertheless() -> None:
    updates = Updates()
    for number in range(3):
        updates.note(somebody(f"{number}", metadata="x" * MAX_MESSAGE), 0.0, urgent=True)
    assert [len(each.update.participants) for each in updates.take()] == [1, 1, 1]
