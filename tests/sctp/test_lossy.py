"""Channels over a bad network: what each kind of channel promises, and what an outage leaves."""

import itertools

import pytest

from tests.sctp.pair import Pair, only, pair, payloads
from tests.sim import Link
from trio_sfu.core import Datagram
from trio_sfu.sctp.datachannel import ChannelClosed, ChannelMessage, DataChannels
from trio_sfu.sctp.events import AssociationUp
from trio_sfu.sctp.states import State

BAD = {"delay": 0.03, "jitter": 0.02, "loss": 0.15, "reorder": 0.2, "duplicate": 0.1}
SIZES = (1, 40, 1160, 1161, 5000, 20_000)


def bad(seed: int) -> Link:
    return Link(**BAD, seed=seed)


def numbered(count: int) -> list[bytes]:
    """Messages of many sizes that say which they are."""
    sizes = itertools.cycle(SIZES)
    return [
        number.to_bytes(4, "big") + bytes((number + at) & 0xFF for at in range(next(sizes)))
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_reliable_ordered_messages_arrive_once_and_in_order(seed: int) -> None:
    both = pair(bad(seed))
    stream = both.client.open("_reliable", now=both.link.now)
    messages = numbered(60)
    assert payloads(both.send(both.client, stream, messages), stream) == messages, both.link


@pytest.mark.parametrize("seed", range(3))
def test_reliable_unordered_messages_arrive_once(seed: int) -> None:
    both = pair(bad(seed))
    stream = both.client.open("u", ordered=False, now=both.link.now)
    both.send(both.client, stream, [b"first"])
    messages = numbered(60)
    heard = payloads(both.send(both.client, stream, messages), stream)
    assert sorted(heard) == sorted(messages), both.link
    assert heard != messages, "nothing was held back to keep an order"


@pytest.mark.parametrize("seed", range(3))
def test_both_directions_and_many_channels_at_once(seed: int) -> None:
    both = pair(bad(seed))
    streams = [both.client.open(str(number), now=both.link.now) for number in range(5)]
    both.run(5.0)
    messages = numbered(20)
    for stream in streams:
        for message in messages:
            assert both.client.send(stream, message, now=both.link.now)
            assert both.server.send(stream, message, now=both.link.now)
    both.run(120.0)
    for end in (both.client, both.server):
        events = end.take_events()
        for stream in streams:
            assert payloads(events, stream) == messages, both.link


@pytest.mark.parametrize("seed", range(10))
def test_the_handshake_succeeds_however_bad_the_network(seed: int) -> None:
    both = pair(Link(**{**BAD, "loss": 0.5}, seed=seed), up=False)
    both.run(60.0)
    for end in (both.client, both.server):
        assert end.state is State.ESTABLISHED, both.link
        assert only(AssociationUp, end.take_events()) == [AssociationUp()]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_channel_without_retransmissions_never_waits_for_what_is_lost(
    seed: int, ordered: bool
) -> None:
    both = pair(bad(seed))
    stream = both.client.open("_lossy", ordered=ordered, max_retransmits=0, now=both.link.now)
    both.run(5.0)
    both.server.take_events()
    lags, heard = [], []
    for number in range(600):
        assert both.client.send(stream, number.to_bytes(2, "big"), now=both.link.now)
        both.run(0.02)
        for data in payloads(both.server.take_events(), stream):
            heard.append(int.from_bytes(data, "big"))
            lags.append(number - heard[-1])
    assert len(heard) == len(set(heard)) and 400 < len(heard) < 600, both.link
    if ordered:
        # In order, a hole holds back what follows until FORWARD TSN; never for long.
        assert heard == sorted(heard)
        assert max(lags) < 150
    else:
        assert max(lags) < 15, "late by the network's own delay, not by a timeout"
    both.run(5.0)
    assert both.client.buffered(stream) == 0


@pytest.mark.parametrize("seed", range(3))
def test_large_lossy_messages_come_whole_or_not_at_all(seed: int) -> None:
    both = pair(bad(seed))
    stream = both.client.open("_lossy", ordered=False, max_retransmits=1, now=both.link.now)
    other = both.client.open("_reliable", now=both.link.now)
    both.run(5.0)
    messages = numbered(120)
    for message in messages:
        assert both.client.send(stream, message, now=both.link.now)
        assert both.client.send(other, message, now=both.link.now)
        both.run(0.02)
    both.run(60.0)
    events = both.server.take_events()
    heard = payloads(events, stream)
    assert set(heard) < set(messages) and len(set(heard)) == len(heard)
    assert payloads(events, other) == messages, both.link
    assert both.server.statistics().held == 0, "nothing of what was given up stays"


def test_a_lifetime_drops_what_is_late_and_keeps_what_is_not() -> None:
    both = pair(Link(delay=0.02))
    stream = both.client.open("t", max_lifetime=0.5, now=both.link.now)
    both.run(1.0)
    both.server.take_events()
    both.link.loss = 1.0
    for number in range(5):
        assert both.client.send(stream, b"late" * 1000 * number + b"!", now=both.link.now)
    both.run(3.0)
    assert both.client.buffered(stream) == 0, "it does not wait for the peer to be told"
    both.link.loss = 0.0
    both.run(2.0)
    assert both.client.send(stream, b"in time", now=both.link.now)
    both.run(2.0)
    assert payloads(both.server.take_events(), stream) == [b"in time"]


def test_an_expired_end_of_a_message_does_not_block_its_stream() -> None:
    """All sent pieces arrive, the rest expires: the peer must be told that no end comes."""
    both = pair(Link(delay=0.2))
    stream = both.client.open("t", max_lifetime=0.3, now=both.link.now)
    both.run(2.0)
    both.server.take_events()
    assert both.client.send(stream, bytes(60_000), now=both.link.now)
    both.run(3.0)
    assert both.client.send(stream, b"next", now=both.link.now)
    both.run(3.0)
    assert payloads(both.server.take_events(), stream) == [b"next"]
    assert both.server.statistics().held == 0


@pytest.mark.parametrize("silence", [5.0, 20.0, 45.0])
def test_data_flows_within_about_a_second_of_a_links_return(silence: float) -> None:
    both = pair(Link(delay=0.05))
    stream = both.client.open("_reliable", now=both.link.now)
    both.run(2.0)
    both.server.take_events()
    both.link.loss = 1.0
    words = [b"word %d" % number for number in range(100)]
    for word in words:
        assert both.client.send(stream, word * 50, now=both.link.now)
        both.run(silence / 100)
    both.link.loss = 0.0
    both.run(1.1)
    first = payloads(both.server.take_events(), stream)
    assert first[0] == words[0] * 50
    both.run(1.0)
    assert first + payloads(both.server.take_events(), stream) == [word * 50 for word in words]
    assert both.client.state is State.ESTABLISHED


def test_a_handshake_begun_in_silence_ends_within_about_a_second_of_it() -> None:
    both = pair(Link(delay=0.05, loss=1.0), up=False)
    both.run(20.0)
    both.link.loss = 0.0
    both.run(1.3)
    assert both.client.state is both.server.state is State.ESTABLISHED


@pytest.mark.parametrize("seed", range(8))
def test_channels_close_at_both_ends_whatever_is_lost(seed: int) -> None:
    both = pair(bad(seed))
    streams = [both.client.open(str(number), now=both.link.now) for number in range(4)]
    both.run(5.0)
    both.client.take_events(), both.server.take_events()
    for stream in streams:
        both.client.send(stream, bytes(3000), now=both.link.now)
    both.client.close(streams[0], both.link.now)
    both.server.close(streams[1], both.link.now)
    both.client.close(streams[2], both.link.now)
    both.server.close(streams[2], both.link.now)
    both.run(30.0)
    closed = [ChannelClosed(stream) for stream in streams[:3]]
    for end in (both.client, both.server):
        events = end.take_events()
        found = only(ChannelClosed, events)
        assert sorted(found, key=lambda event: event.stream) == closed, both.link
        assert end.is_open(streams[3])


def test_lossy_channels_close_while_they_lose() -> None:
    for seed in range(5):
        both = pair(bad(seed))
        stream = both.client.open("_lossy", ordered=False, max_retransmits=0, now=both.link.now)
        both.run(5.0)
        for _ in range(20):
            both.client.send(stream, bytes(4000), now=both.link.now)
        both.client.close(stream, both.link.now)
        both.run(20.0)
        assert not both.server.is_open(stream)
        again = both.client.open("_lossy", now=both.link.now)
        assert again == stream, both.link
        assert payloads(both.send(both.client, again, numbered(5)), again)[-5:] == numbered(5)


def throughput(both: Pair, total: int = 1_000_000) -> float:
    """Bits a second of a bulk transfer."""
    stream = both.client.open("bulk", now=both.link.now)
    both.run(1.0)
    start = both.link.now
    both.send(both.client, stream, [bytes(10_000)] * (total // 10_000))
    return 8 * total / (both.link.now - start)


def test_a_transfer_fills_a_clean_link() -> None:
    assert throughput(pair(Link(delay=0.025, rate=10_000_000))) > 7_000_000


def test_a_transfer_goes_on_through_loss() -> None:
    for seed in range(3):
        assert throughput(pair(Link(delay=0.01, loss=0.01, seed=seed))) > 2_000_000
        assert throughput(pair(Link(delay=0.01, loss=0.1, seed=seed)), 200_000) > 100_000


def test_a_full_link_is_shared_fairly_with_a_short_message() -> None:
    both = pair(Link(delay=0.02, rate=4_000_000))
    bulk = both.client.open("bulk", now=both.link.now)
    word = both.client.open("word", now=both.link.now)
    both.run(1.0)
    while both.client.send(bulk, bytes(20_000), now=both.link.now):
        pass
    both.run(0.5)
    both.server.take_events()
    assert both.client.send(word, b"now", now=both.link.now)
    both.run(0.7)
    events = both.server.take_events()
    assert payloads(events, word) == [b"now"]
    assert both.client.buffered(bulk) > 100_000


class Filter:
    """A middlebox that keeps what a test names."""

    def __init__(self, keep: list[bool]) -> None:
        self.keep = iter(keep)

    def __call__(self, datagram: Datagram) -> Datagram | None:
        return datagram if next(self.keep, True) else None


@pytest.mark.parametrize("pattern", list(itertools.product([True, False], repeat=6)))
def test_any_of_the_first_packets_may_be_lost(pattern: tuple[bool, ...]) -> None:
    both = pair(Link(delay=0.01), up=False)
    both.link.through[0] = Filter(list(pattern[:3]))
    both.link.through[1] = Filter(list(pattern[3:]))
    stream = both.client.open("c", now=0.0)
    assert both.client.send(stream, b"first", now=0.0)
    both.run(6.0)
    assert payloads(both.server.take_events(), stream) == [b"first"]
    assert both.client.is_open(stream)


def test_nothing_is_sent_on_an_idle_path_but_a_heartbeat_now_and_then() -> None:
    both = pair()
    before = both.link.counters["sent"]
    both.run(300.0)
    assert 0 < both.link.counters["sent"] - before <= 2 * 2 * 10
    assert both.client.statistics().round_trip == pytest.approx(0.04, rel=0.1)


def test_a_seed_repeats_everything() -> None:
    def heard() -> list[ChannelMessage]:
        both = pair(bad(5))
        stream = both.client.open("u", ordered=False, now=both.link.now)
        return only(ChannelMessage, both.send(both.client, stream, numbered(20)))

    assert heard() == heard()


def test_start_twice_is_start_once() -> None:
    both = pair()
    before = both.link.counters["sent"]
    both.client.start(both.link.now)
    assert both.client.take_datagrams() == []
    assert both.link.counters["sent"] == before
    assert isinstance(both.client, DataChannels)
