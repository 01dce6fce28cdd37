from typing import Any

import pytest

from tests.sctp.pair import only, pair, payloads
from tests.sim import Link, entropy
from tests.sim.link import A
from trio_sfu.core import Datagram
from trio_sfu.sctp.chunks import Data
from trio_sfu.sctp.datachannel import (
    MAX_MESSAGE_SENT,
    ChannelAcknowledged,
    ChannelClosed,
    ChannelDrained,
    ChannelMessage,
    ChannelOpened,
    DataChannels,
)
from trio_sfu.sctp.events import AssociationLost, AssociationUp
from trio_sfu.sctp.outbound import STREAM_BUFFER
from trio_sfu.sctp.packet import MTU, Packet
from trio_sfu.sctp.packing import BURST_INTERVAL, MAX_BURST
from trio_sfu.sctp.states import Ignored, State
from trio_sfu.wire import Reader


def test_both_ends_start_and_both_come_up() -> None:
    both = pair(up=False)
    both.run(1.0)
    assert both.client.take_events() == both.server.take_events() == [AssociationUp()]
    assert both.client.state is both.server.state is State.ESTABLISHED


def test_one_end_may_start_alone() -> None:
    client = DataChannels(entropy(1), dtls_client=True)
    server = DataChannels(entropy(2), dtls_client=False)
    client.start(0.0)
    for _ in range(2):
        server.receive(client.take_datagrams(), 0.0)
        client.receive(server.take_datagrams(), 0.0)
    assert client.state is server.state is State.ESTABLISHED


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ordered": False},
        {"ordered": False, "max_retransmits": 0},
        {"max_retransmits": 3, "protocol": "sub"},
        {"max_lifetime": 0.25},
    ],
)
def test_a_channel_opens_as_it_was_asked_for(options: dict[str, Any]) -> None:
    both = pair()
    stream = both.server.open("_lossy", **options, now=both.link.now)
    assert not both.server.is_open(stream)
    both.run(1.0)
    expected: dict[str, Any] = {
        "ordered": True,
        "max_retransmits": None,
        "max_lifetime": None,
        "protocol": "",
    }
    assert both.client.take_events() == [ChannelOpened(stream, "_lossy", **{**expected, **options})]
    assert both.server.take_events() == [ChannelAcknowledged(stream, "_lossy")]
    assert both.client.is_open(stream) and both.server.is_open(stream)
    assert both.client.label(stream) == both.server.label(stream) == "_lossy"


def test_the_dtls_client_takes_even_ids_and_the_server_odd_ones() -> None:
    both = pair()
    assert [both.client.open("a", now=both.link.now) for _ in range(3)] == [0, 2, 4]
    assert [both.server.open("b", now=both.link.now) for _ in range(3)] == [1, 3, 5]


def test_a_channel_may_be_opened_and_used_before_the_association_is_up() -> None:
    both = pair(up=False)
    stream = both.server.open("_reliable", now=0.0)
    assert both.server.send(stream, b"early", now=0.0)
    both.run(1.0)
    events = both.client.take_events()
    assert payloads(events, stream) == [b"early"]
    assert isinstance(events[1], ChannelOpened), "the channel comes before its first message"


@pytest.mark.parametrize("data", [b"", b"x", b"\0", "grüße".encode(), bytes(MAX_MESSAGE_SENT)])
@pytest.mark.parametrize("text", [False, True])
def test_messages_keep_their_bytes_and_their_kind(data: bytes, text: bool) -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    assert both.client.send(stream, data, text=text, now=both.link.now)
    both.run(2.0)
    assert both.server.take_events()[1:] == [ChannelMessage(stream, data, text)]


def test_the_answering_side_speaks_on_the_same_channel() -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    both.run(1.0)
    assert both.server.send(stream, b"back", now=both.link.now)
    both.run(1.0)
    assert payloads(both.client.take_events(), stream) == [b"back"]


def test_what_is_too_large_is_refused_and_counted() -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    assert not both.client.send(stream, bytes(MAX_MESSAGE_SENT + 1), now=both.link.now)
    assert both.client.oversized_sends == 1
    assert both.client.buffered(stream) < 100


def test_a_full_buffer_says_so_and_says_when_it_has_room_again() -> None:
    both = pair(Link(delay=0.02, rate=20_000_000))
    stream = both.client.open("c", now=both.link.now)
    sent = 0
    while both.client.send(stream, bytes(16_384), now=both.link.now):
        sent += 1
    assert both.client.buffered(stream) <= STREAM_BUFFER < both.client.buffered(stream) + 16_384
    other = both.client.open("d", now=both.link.now)
    assert both.client.send(other, b"short", now=both.link.now), "one channel starves no other"
    both.run(30.0)
    assert only(ChannelDrained, both.client.take_events()) == [ChannelDrained(stream)]
    assert len(payloads(both.server.take_events(), stream)) == sent
    assert both.client.buffered_total == 0


def test_who_is_held_back_waits_and_then_goes_on_by_itself() -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    both.run(1.0)
    both.server.take_events()
    both.server.hold_back(both.link.now + 5.0, now=both.link.now)
    both.run(0.1)
    for _ in range(20):
        assert both.client.send(stream, bytes(10_000), now=both.link.now)
    both.run(4.5)
    # A packet at a time may try whether there is room (RFC 9260 section 6.1 A).
    early = len(payloads(both.server.take_events(), stream))
    assert early <= 3
    both.run(2.0)
    assert both.client.buffered(stream) == 0
    assert early + len(payloads(both.server.take_events(), stream)) == 20


@pytest.mark.parametrize("closing", ["client", "server"])
def test_closing_is_seen_by_both_ends_after_what_was_queued(closing: str) -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    both.run(1.0)
    end = getattr(both, closing)
    other = both.server if end is both.client else both.client
    both.client.take_events(), both.server.take_events()
    assert end.send(stream, bytes(50_000), now=both.link.now)
    end.close(stream, both.link.now)
    assert not end.send(stream, b"late", now=both.link.now)
    both.run(2.0)
    assert end.take_events() == [ChannelClosed(stream)]
    assert other.take_events() == [
        ChannelMessage(stream, bytes(50_000), False),
        ChannelClosed(stream),
    ]
    assert not both.client.is_open(stream) and not both.server.is_open(stream)


def test_a_closed_channels_id_is_used_again() -> None:
    both = pair()
    for word in (b"one", b"two"):
        stream = both.client.open("c", now=both.link.now)
        both.client.send(stream, word, now=both.link.now)
        both.run(1.0)
        both.client.close(stream, both.link.now)
        both.run(1.0)
        assert stream == 0
        assert payloads(both.server.take_events(), stream) == [word]


def test_a_channel_closed_by_both_at_once_closes_once() -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    both.run(1.0)
    both.client.take_events(), both.server.take_events()
    both.client.close(stream, both.link.now)
    both.server.close(stream, both.link.now)
    both.run(2.0)
    assert both.client.take_events() == both.server.take_events() == [ChannelClosed(stream)]


def test_an_abort_closes_everything_at_both_ends() -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    both.run(1.0)
    both.client.take_events(), both.server.take_events()
    both.client.abort(both.link.now, "enough")
    both.run(1.0)
    closed, lost = both.server.take_events()
    assert closed == ChannelClosed(stream)
    assert isinstance(lost, AssociationLost) and "aborted by the peer" in lost.reason
    assert both.client.take_events()[0] == ChannelClosed(stream)
    assert both.client.state is both.server.state is State.ENDED


def test_a_shutdown_lets_everything_arrive_first() -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    for _ in range(10):
        both.client.send(stream, bytes(30_000), now=both.link.now)
    both.client.shutdown(both.link.now)
    both.run(5.0)
    assert len(payloads(both.server.take_events(), stream)) == 10
    assert both.client.state is both.server.state is State.ENDED


def test_until_its_ack_an_unordered_channel_is_ordered() -> None:
    """Else a message could overtake the OPEN that explains it."""
    both = pair()
    sent: list[Data] = []

    def watch(datagram: Datagram) -> Datagram:
        sent.extend(
            chunk
            for chunk in Packet.decode(Reader(datagram.data)).chunks
            if isinstance(chunk, Data)
        )
        return datagram

    both.link.through[0] = watch
    stream = both.client.open("u", ordered=False, now=both.link.now)
    assert both.client.send(stream, b"early", now=both.link.now)
    both.run(1.0)
    assert both.client.send(stream, b"later", now=both.link.now)
    both.run(1.0)
    unordered = {chunk.payload: bool(chunk.flags & Data.UNORDERED) for chunk in sent[1:]}
    assert unordered == {b"early": False, b"later": True}


def test_a_message_answers_for_a_lost_ack() -> None:
    both = pair()
    stream = both.client.open("c", now=both.link.now)
    client, server = both.client, both.server
    server.receive(client.take_datagrams(), both.link.now)
    server.take_datagrams()  # its ACK is lost
    assert server.send(stream, b"hello", now=both.link.now)
    both.run(3.0)
    assert client.is_open(stream)
    assert payloads(client.take_events(), stream) == [b"hello"]


def test_an_id_of_our_parity_is_taken_if_it_is_free() -> None:
    both = pair()
    impostor = both.server.open("s", now=both.link.now)
    assert impostor == 1
    both.run(1.0)
    assert both.client.ignored[Ignored.WRONG_PARITY] == 0
    twin = DataChannels(entropy(3), dtls_client=True)
    other = DataChannels(entropy(4), dtls_client=True)
    for end in (twin, other):
        end.start(0.0)
    stream = twin.open("odd", now=0.0)
    for _ in range(4):
        other.receive(twin.take_datagrams(), 0.0)
        twin.receive(other.take_datagrams(), 0.0)
    assert other.is_open(stream)
    assert other.ignored[Ignored.WRONG_PARITY] == 1
    assert other.open("next", now=0.0) == 2


def test_both_limits_at_once_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="not both"):
        pair().client.open("c", max_retransmits=1, max_lifetime=1.0, now=0.0)


def test_there_are_only_so_many_channels() -> None:
    both = pair()
    for _ in range(512):
        both.client.open("c", now=both.link.now)
    with pytest.raises(ValueError, match="no stream id"):
        both.client.open("one too many", now=both.link.now)
    both.run(5.0)
    assert len(only(ChannelOpened, both.server.take_events())) == 512


def test_the_delay_of_a_channel_grows_with_what_waits_and_with_who_shares_the_link() -> None:
    both = pair(Link(delay=0.05))
    one = both.client.open("one", now=both.link.now)
    other = both.client.open("other", now=both.link.now)
    both.run(1.0)
    assert both.client.delay(one) == 0.0
    both.client.send(one, bytes(20_000), now=both.link.now)
    alone = both.client.delay(one)
    assert 0.0 < alone < 1.0
    both.client.send(one, bytes(20_000), now=both.link.now)
    assert both.client.delay(one) == pytest.approx(2 * alone)
    both.client.send(other, bytes(1_000), now=both.link.now)
    assert both.client.delay(one) == pytest.approx(4 * alone)
    both.run(3.0)
    assert both.client.delay(one) == 0.0


def test_a_large_window_leaves_in_bursts_one_after_the_other() -> None:
    """A turn that encrypts a megabyte would keep everybody else waiting."""
    both = pair(Link(delay=0.05))
    stream = both.client.open("file", now=both.link.now)
    both.send(both.client, stream, [bytes(60_000)] * 300)
    window = both.client.statistics().congestion_window
    assert window > 3 * MAX_BURST * MTU
    for _ in range(20):
        assert both.client.send(stream, bytes(60_000), now=both.link.now)
    left = both.client.take_datagrams()
    assert len(left) == MAX_BURST
    assert both.client.deadline == pytest.approx(both.link.now + BURST_INTERVAL)
    both.link.send(A, left)
    both.run(0.04)  # before anything can have been acknowledged
    assert both.client.statistics().flight > window - MTU
    both.run(2.0)
    assert both.client.buffered_total == 0
