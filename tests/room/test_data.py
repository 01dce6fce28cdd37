import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from tests.signalling.house import House, open_house
from trio_sfu.client.events import DataPacketReceived
from trio_sfu.client.participant import Participant as Client
from trio_sfu.peer.events import SendData
from trio_sfu.room.data import LOSSY, RELIABLE, Message, catch_up, deliver
from trio_sfu.room.info import ParticipantState
from trio_sfu.room.latecomers import Inbox, Recent
from trio_sfu.room.participant import Participant

pytestmark = pytest.mark.virtual_time


def said(sender: str, label: str = RELIABLE, data: bytes = b"hello", **fields: object) -> Message:
    return Message(wish=SendData(label, data), sender=sender, **fields)


async def crowd(house: House) -> dict[str, Participant]:
    """Alice, bob and carol are connected, dave not yet."""
    for name in ("alice", "bob", "carol"):
        await house.attend(name)
        house.participant(name).on_listening()
    await house.enter("dave")
    people = house.room().participants
    for each in people.values():
        received(each)
    return people


def received(participant: Participant) -> list[SendData]:
    """What its connection has yet to send; what is taken here is not sent."""
    wishes = participant.downlink.mailbox.take_wishes()
    return [each for each in wishes if isinstance(each, SendData)]


@pytest.mark.parametrize(
    ("sids", "identities", "expected"),
    [
        ([], [], ["bob", "carol"]),
        (["bob"], [], ["bob"]),
        ([], ["carol"], ["carol"]),
        (["bob"], ["carol"], ["bob", "carol"]),
        ([], ["alice"], []),  # never to oneself
        ([], ["dave"], []),  # not connected
        ([], ["nobody"], []),
    ],
)
async def test_data_go_to_all_others_or_to_those_that_are_named(
    house: House, sids: list[str], identities: list[str], expected: list[str]
) -> None:
    people = await crowd(house)
    named = [people[name].sid for name in sids]
    message = said(people["alice"].sid, sids=frozenset(named), identities=frozenset(identities))
    count = deliver(house.room(), message, trio.current_time())
    got = {name: received(each) for name, each in people.items()}
    assert {name for name, wishes in got.items() if wishes} == set(expected)
    assert count == len(expected)
    for name in expected:
        assert got[name] == [SendData(RELIABLE, b"hello")]


async def test_what_the_server_says_goes_to_everybody(house: House) -> None:
    people = await crowd(house)
    assert deliver(house.room(), said("", LOSSY), trio.current_time()) == 3
    assert received(people["alice"]) == [SendData(LOSSY, b"hello")]


# --- in a whole call


async def heard(client: Client, seconds: float = 5.0) -> models.DataPacket:
    with trio.fail_after(seconds):
        async for event in client.events:
            if isinstance(event, DataPacketReceived):
                return event.packet
    raise AssertionError("gone")


@pytest.mark.parametrize("reliable", [True, False])
async def test_data_arrive_with_their_sender_and_kind(house: House, reliable: bool) -> None:
    alice, bob = [await house.visit(name) for name in ("alice", "bob")]
    await bob.connected.wait()
    await trio.sleep(1)
    await alice.send_data(b"hello", topic="chat", reliable=reliable)
    packet = await heard(bob)
    assert packet.participant_identity == packet.user.participant_identity == "alice"
    assert packet.kind == (models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY)
    assert (packet.user.payload, packet.user.topic) == (b"hello", "chat")


async def test_who_may_not_subscribe_talks_and_listens_on_one_connection(house: House) -> None:
    """Its publishing connection is the primary one, and data come back on it."""
    alice = await house.visit("alice")
    carol = await house.visit("carol", can_subscribe=False)
    await alice.connected.wait()
    await trio.sleep(1)
    await carol.send_data(b"anybody there?")
    assert (await heard(alice)).user.payload == b"anybody there?"
    assert house.participant("carol").state.name == "ACTIVE"
    await alice.send_data(b"yes")
    assert (await heard(carol)).user.payload == b"yes"


async def test_who_may_not_publish_data_is_not_heard(house: House) -> None:
    alice = await house.visit("alice")
    mute = await house.visit("mute", can_publish_data=False)
    for each in (alice, mute):
        await each.connected.wait()
    await mute.send_data(b"?")
    with pytest.raises(trio.TooSlowError):
        await heard(alice)


@pytest.mark.slow
async def test_a_reader_that_is_too_slow_delays_nobody_else(house: House) -> None:
    alice, bob, slow = [await house.visit(name) for name in ("alice", "bob", "slow")]
    for each in (alice, bob, slow):
        await each.connected.wait()
    await trio.sleep(1)
    house.switch.cut |= {each for each in house.switch.sockets if each[0] == "198.51.100.3"}
    for number in range(200):
        await alice.send_data(bytes(10_000), topic=str(number))
        await trio.sleep(0.02)
    with trio.fail_after(5):
        while (await heard(bob)).user.topic != "199":
            pass


async def numbers_heard(client: Client, numbers: list[int]) -> None:
    async for event in client.events:
        if isinstance(event, DataPacketReceived):
            numbers.append(event.packet.sequence)


def numbered(number: int, size: int = 100) -> models.DataPacket:
    user = models.UserPacket(payload=bytes(size), topic=str(number))
    return models.DataPacket(user=user, sequence=number)


async def test_who_joins_hears_what_was_said_while_its_channel_opened_once(
    nursery: trio.Nursery,
) -> None:
    house = await open_house(nursery, delay=0.1)
    alice = await house.visit("alice")
    await alice.connected.wait()
    count, since = 0, 0

    async def speak() -> None:
        nonlocal count
        while count < 200:
            count += 1
            await alice.send_packet(numbered(count))
            await trio.sleep(0.02)

    nursery.start_soon(speak)
    await trio.sleep(1.5)
    since = count
    bob = await house.visit("bob")
    at_join = count
    numbers: list[int] = []
    nursery.start_soon(numbers_heard, bob, numbers)
    await trio.sleep(0.25)
    assert numbers == []  # its channel is not open yet
    await trio.sleep(10)
    assert numbers == list(range(numbers[0], 201))
    # Of what was on its way to the server when bob came, he may hear some.
    assert since - 10 <= numbers[0] <= at_join + 1


async def test_a_link_that_was_down_for_a_while_loses_nothing(
    house: House, nursery: trio.Nursery
) -> None:
    alice, bob = [await house.visit(name) for name in ("alice", "bob")]
    for each in (alice, bob):
        await each.connected.wait()
    await trio.sleep(1)
    numbers: list[int] = []
    nursery.start_soon(numbers_heard, bob, numbers)
    for number in range(1, 301):
        if number == 50:
            house.switch.cut = {each for each in house.switch.sockets if each[0] == "198.51.100.2"}
        if number == 200:
            house.switch.cut = set()
        await alice.send_packet(numbered(number, 1_000))
        await trio.sleep(0.03)
    await trio.sleep(5)
    assert numbers == list(range(1, 301))


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "within"), [(100_000_000, 2.0), (8_000_000, 15.0)])
async def test_five_megabytes_arrive_whole_also_on_a_slow_link(
    house: House, nursery: trio.Nursery, rate: int, within: float
) -> None:
    """As the clients send a file: in pieces of 15 kB, as fast as their own link takes them."""
    alice, bob = [await house.visit(name) for name in ("alice", "bob")]
    for each in (alice, bob):
        await each.connected.wait()
    await trio.sleep(1)
    house.switch.throttle("198.51.100.2", rate)
    numbers: list[int] = []
    nursery.start_soon(numbers_heard, bob, numbers)
    pieces = 5_000_000 // 15_000
    start = trio.current_time()
    for number in range(1, pieces + 1):
        await alice.send_packet(numbered(number, 15_000))
        await trio.sleep(0.002)
    while len(numbers) < pieces:
        assert trio.current_time() - start < within
        await trio.sleep(0.1)
    assert numbers == list(range(1, pieces + 1))


# --- whatever comes in between


@attrs.define
class Mailbox:
    """Keeps wishes; nobody takes them."""

    wishes: list[SendData] = attrs.Factory(list)

    def wish(self, wish: SendData) -> None:
        self.wishes.append(wish)


@attrs.define(eq=False)
class Someone:
    """As much of a participant as data is delivered to; its own connection."""

    sid: str
    state: ParticipantState = ParticipantState.JOINED
    inbox: Inbox[Message] = attrs.Factory(Inbox)
    mailbox: Mailbox = attrs.Factory(Mailbox)

    @property
    def identity(self) -> str:
        return self.sid.lower()

    @property
    def downlink(self) -> "Someone":
        return self


@attrs.define
class Kitchen:
    """As much of a room."""

    participants: dict[str, Someone] = attrs.Factory(dict)
    recent: Recent[Message] = attrs.Factory(Recent)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 3), st.sampled_from(["", "", "0", "3", "9"])),
        st.tuples(st.just("tell"), st.just(0), st.sampled_from(["", "1"])),
        st.tuples(st.sampled_from(["enter", "open", "leave"]), st.integers(0, 3), st.just("")),
    ),
    max_size=80,
)


def heard_all_in_order(someone: Someone, expected: list[bytes]) -> None:
    heard = [wish.data for wish in someone.mailbox.wishes]
    assert sorted(heard) == sorted(expected)
    for sender in b"0123s":
        theirs = [data for data in heard if data[0] == sender]
        assert theirs == sorted(set(theirs))


@given(STEPS)
def test_everybody_hears_every_sender_in_order_once_and_from_their_coming_on(
    steps: list[tuple[str, int, str]],
) -> None:
    room, said = Kitchen(), 0
    expected: dict[str, list[bytes]] = {}
    waiting: dict[str, list[bytes]] = {}
    for what, which, whom in steps:
        sid = str(which)
        someone = room.participants.get(sid)
        match what:
            case "enter" if someone is None:
                someone = room.participants[sid] = Someone(sid)
                someone.inbox.enter(room.recent)
                expected[sid], waiting[sid] = [], []
            case "leave" if someone is not None:
                assert sorted(wish.data for wish in someone.mailbox.wishes) == sorted(expected[sid])
                for sender in "0123s":
                    heard = [
                        w.data for w in someone.mailbox.wishes if w.data[:1] == sender.encode()
                    ]
                    assert heard == sorted(set(heard))
                del room.participants[sid]
            case "open" if someone is not None:
                catch_up(room, someone, 0.0)
                expected[sid] += waiting.pop(sid, [])
                waiting[sid] = []
            case "say" | "tell" if what == "tell" or someone is not None:
                said += 1
                data = f"{sid if what == 'say' else 's'}{said:04}".encode()
                message = Message(
                    wish=SendData(RELIABLE, data),
                    sender=sid if what == "say" else "",
                    identities=frozenset({whom} if whom else ()),
                    numbered=what == "say",
                )
                deliver(room, message, 0.0)
                for name, other in room.participants.items():
                    if (not whom or whom == name) and (what == "tell" or name != sid):
                        (expected if other.inbox.open else waiting)[name].append(data)
    for sid, someone in room.participants.items():
        heard_all_in_order(someone, expected[sid])
