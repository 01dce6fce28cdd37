"""Messages between two peers, by the labels of their channels, in virtual time."""

import itertools

import pytest

from tests.peer.pair import Pair
from tests.sim import Link
from trio_sfu.peer.events import ChannelOpened, CloseChannel, DataReceived, OpenChannel, SendData


def test_a_data_channel_carries_messages_both_ways_over_a_bad_link() -> None:
    pair = Pair(Link(delay=0.03, loss=0.1, reorder=0.1, seed=4), 4)
    pair.client.wish(OpenChannel("_reliable"), 0.0)
    pair.connect()
    for end in (pair.client, pair.server):
        pair.run(lambda end=end: ChannelOpened("_reliable") in end.events)
    messages = [f"number {number}".encode() for number in range(50)]
    for end, message in itertools.product((pair.client, pair.server), messages):
        end.wish(SendData("_reliable", message), pair.link.now)
    expected = [DataReceived("_reliable", message) for message in messages]
    for end in (pair.client, pair.server):
        pair.run(lambda end=end: sum(isinstance(e, DataReceived) for e in end.events) == 50)
        assert [e for e in end.events if isinstance(e, DataReceived)] == expected


def test_a_message_for_a_channel_that_is_not_there_is_dropped_and_counted() -> None:
    pair = Pair(Link())
    pair.server.wish(SendData("_lossy", b"too early"), 0.0)
    assert pair.server.peer.statistics().drops == {"data before its channel": 1}


def test_a_channel_that_we_do_not_want_is_closed() -> None:
    pair = Pair(Link(delay=0.02))
    pair.client.wish(OpenChannel("_data_track"), 0.0)
    pair.connect()
    pair.run(lambda: ChannelOpened("_data_track") in pair.server.events)
    pair.server.wish(CloseChannel("_data_track"), pair.link.now)
    pair.server.wish(CloseChannel("of no such name"), pair.link.now)
    pair.run(pair.link.now + 2)
    for end in (pair.client, pair.server):
        end.wish(SendData("_data_track", b"?"), pair.link.now)
        assert end.peer.drops["data before its channel"] == 1


@pytest.mark.parametrize(("rate", "all_in_time"), [(10_000_000, True), (300_000, False)])
def test_an_impatient_message_is_dropped_rather_than_late(rate: int, all_in_time: bool) -> None:
    """A hundred messages of 4 kB, 1.6 Mbit/s, that may wait 100 ms each."""
    pair = Pair(Link(delay=0.02, rate=rate, buffer=1.0, seed=2), 2)
    pair.client.wish(OpenChannel("_data_track", ordered=False, max_retransmits=0), 0.0)
    pair.connect()
    pair.run(lambda: ChannelOpened("_data_track") in pair.client.events)
    sent, delays = {}, list[float]()

    def count() -> None:
        for event in pair.server.events:
            if isinstance(event, DataReceived):
                delays.append(pair.link.now - sent[event.data])
        pair.server.events.clear()

    for number in range(100):
        message = number.to_bytes(2, "big") * 2000
        sent[message] = pair.link.now
        pair.client.wish(SendData("_data_track", message, 0.1), pair.link.now)
        pair.run(pair.link.now + 0.02)
        count()
    pair.run(pair.link.now + 5)
    count()
    dropped = pair.client.peer.drops["data that would come too late"]
    assert dropped + len(delays) == 100 if all_in_time else len(delays) >= 10
    assert (dropped == 0) == all_in_time
    # What is in the air when the link proves to be slow was not to be known.
    assert sorted(delays)[len(delays) // 2] < (0.1 if all_in_time else 0.5)
