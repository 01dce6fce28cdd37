"""What is told of a participant is made once, and so are the bytes of what is told to many."""

import pytest
from livekit.protocol import models, rtc

from tests.signalling.house import House
from trio_sfu.room import changes
from trio_sfu.room.changes import Change
from trio_sfu.signalling import infos

pytestmark = pytest.mark.virtual_time


async def test_an_info_is_made_once_a_version(house: House) -> None:
    await house.enter("alice")
    alice = house.participant("alice")
    first = infos.info_of(alice)
    assert infos.info_of(alice) is first
    changes.describe(house.room(), alice, Change(metadata="m"))
    second = infos.info_of(alice)
    assert (second.message.metadata, second.version) == ("m", first.version + 1)


async def test_all_are_told_of_a_change_by_one_and_the_same_message(house: House) -> None:
    callers = [await house.enter(name) for name in ("alice", "bob", "carol")]
    for each in callers:
        await each.hear()
    changes.describe(house.room(), house.participant("alice"), Change(metadata="m"))
    told = [[each for each in await caller.hear() if each.HasField("update")] for caller in callers]
    newest = [each[-1] for each in told]
    assert infos.encoded(newest[1]) == newest[1].SerializeToString()
    for update in newest:
        assert update.update.participants[-1].metadata == "m"


async def test_an_element_is_the_field_of_a_list(house: House) -> None:
    await house.enter("alice", metadata="m" * 300)
    info = infos.info_of(house.participant("alice"))
    assert rtc.ParticipantUpdate.FromString(info.element * 2).participants == [info.message] * 2
    assert info.text_of(lambda message: message.identity) == "alice"
    assert info.text_of(lambda message: "never asked") == "alice"


def test_a_message_is_made_once_and_forgotten_when_others_came() -> None:
    made: list[int] = []

    def make(number: int) -> rtc.SignalResponse:
        made.append(number)
        return rtc.SignalResponse(pong=number)

    first = infos.shared("first", lambda: make(1))
    assert infos.shared("first", lambda: make(2)) is first
    assert infos.encoded(first) is infos.encoded(first)
    for number in range(infos.KEPT):
        infos.shared(number, lambda number=number: make(number))
    assert infos.shared("first", lambda: make(3)).pong == 3
    other = rtc.SignalResponse(
        update=rtc.ParticipantUpdate(participants=[models.ParticipantInfo()])
    )
    assert infos.encoded(other) == other.SerializeToString()
