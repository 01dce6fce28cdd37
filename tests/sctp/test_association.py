"""What an association answers to a peer that says whatever it likes."""

import itertools

import pytest

from tests.sctp.puppet import (
    TSN,
    Puppet,
    cookie_of,
    data,
    in_state,
    message,
    only,
    sack,
)
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.sctp.chunks import (
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
    UnknownChunk,
)
from trio_sfu.sctp.events import (
    AssociationLost,
    AssociationRestarted,
    AssociationUp,
    StreamsFinished,
    StreamsReset,
)
from trio_sfu.sctp.handshake import OFFERED
from trio_sfu.sctp.inbound import MAX_STREAMS, RECEIVE_WINDOW, Message
from trio_sfu.sctp.outbound import MAX_PAYLOAD
from trio_sfu.sctp.packet import Packet
from trio_sfu.sctp.parameters import (
    CauseCode,
    OtherRequest,
    OutgoingReset,
    Parameter,
    ParameterType,
    ReconfigurationResponse,
    ResetResult,
)
from trio_sfu.sctp.states import Ignored, State

MASK = 0xFFFFFFFF


def up() -> Puppet:
    return in_state(State.ESTABLISHED)


# --- the handshake ----------------------------------------------------------------


def test_an_init_is_answered_and_not_remembered() -> None:
    puppet = Puppet()
    for number in range(1, 50):
        (answer,) = puppet.say(puppet.init(tag=number), tag=0)
        assert isinstance(answer, InitAck)
        assert puppet.sent[-1].tag == number
    assert puppet.ours.state is State.CLOSED
    assert puppet.ours.take_events() == []


def test_any_of_the_cookies_given_out_opens_the_association() -> None:
    puppet = Puppet()
    first = cookie_of(puppet.say(puppet.init(tag=11), tag=0))
    puppet.say(puppet.init(tag=22), tag=0)
    assert puppet.say(first) == [CookieAck()]
    assert puppet.ours.take_events() == [AssociationUp()]
    assert puppet.sent[-1].tag == 11


def test_a_forged_or_changed_cookie_opens_nothing() -> None:
    puppet = Puppet()
    good = cookie_of(puppet.say(puppet.init(), tag=0))
    for at in range(len(good.value)):
        bad = bytearray(good.value)
        bad[at] ^= 1
        assert puppet.say(CookieEcho(bytes(bad))) == []
    assert puppet.say(CookieEcho(good.value + b"\0")) == []
    assert puppet.ours.ignored[Ignored.BAD_COOKIE] == len(good.value) + 1
    assert puppet.ours.state is State.CLOSED


def test_a_cookie_of_another_associations_key_opens_nothing() -> None:
    other = Puppet(seed=1)
    cookie = cookie_of(other.say(other.init(), tag=0))
    puppet = Puppet(seed=2)
    puppet.say(puppet.init(), tag=0)
    assert puppet.say(cookie) == []
    assert puppet.ours.ignored[Ignored.BAD_COOKIE] == 1


def test_a_stale_cookie_is_told_so() -> None:
    puppet = Puppet()
    cookie = cookie_of(puppet.say(puppet.init(), tag=0))
    puppet.now += 61
    (error,) = only(Error, puppet.say(cookie))
    assert error.causes[0].type == CauseCode.STALE_COOKIE
    assert puppet.ours.state is State.CLOSED


def test_a_stale_cookie_of_the_peers_is_asked_for_again() -> None:
    puppet = in_state(State.COOKIE_ECHOED)
    stale = Error((Parameter(CauseCode.STALE_COOKIE, bytes(4)),))
    (again,) = puppet.say(stale)
    assert isinstance(again, Init)
    puppet.say(puppet.init_ack())
    puppet.say(CookieAck())
    assert puppet.ours.state is State.ESTABLISHED


def test_a_cookie_brought_back_twice_is_acknowledged_twice() -> None:
    puppet = Puppet()
    cookie = cookie_of(puppet.say(puppet.init(), tag=0))
    assert puppet.say(cookie) == puppet.say(cookie) == [CookieAck()]
    assert puppet.ours.take_events() == [AssociationUp()]


def test_init_and_cookie_are_repeated_for_as_long_as_it_takes() -> None:
    puppet = in_state(State.COOKIE_WAIT)
    assert len(only(Init, puppet.wait(60))) == pytest.approx(60, abs=2)
    puppet.say(puppet.init_ack())
    assert len(only(CookieEcho, puppet.wait(60))) == pytest.approx(60, abs=2)


def test_when_inits_cross_ours_is_answered_with_the_same_tag_and_tsn() -> None:
    puppet = in_state(State.COOKIE_WAIT)
    (answer,) = puppet.say(puppet.init(), tag=0)
    assert isinstance(answer, InitAck)
    assert (answer.tag, answer.tsn) == (puppet.tag, puppet.first_tsn)
    assert puppet.say(cookie_of([answer])) == [CookieAck()]
    assert puppet.ours.state is State.ESTABLISHED


def test_when_inits_cross_and_both_answers_came_either_end_of_it_is_enough() -> None:
    puppet = in_state(State.COOKIE_WAIT)
    answers = puppet.say(puppet.init(), tag=0)
    puppet.say(puppet.init_ack())
    assert puppet.ours.state is State.COOKIE_ECHOED
    assert puppet.say(cookie_of(answers)) == [CookieAck()]
    assert puppet.say(CookieAck()) == []
    assert puppet.ours.take_events() == [AssociationUp()]


def test_a_peer_that_lost_its_memory_begins_anew() -> None:
    puppet = up()
    puppet.send(message(b"lost"))
    tag = puppet.tag
    cookie = cookie_of(puppet.say(puppet.init(tag=77, tsn=5), tag=0))
    assert puppet.ours.state is State.ESTABLISHED, "an INIT alone changes nothing"
    assert puppet.tag != tag
    assert CookieAck() in puppet.say(cookie)
    assert puppet.ours.take_events() == [AssociationRestarted(), AssociationUp()]
    puppet.say(Data(5, 0, 0, 53, b"new"))
    (event,) = puppet.ours.take_events()
    assert isinstance(event, Message) and event.data == b"new"
    assert puppet.ours.buffered_total == 0
    assert [chunk.payload for chunk in only(Data, puppet.send(message(b"anew")))] == [b"anew"]


def test_a_late_cookie_disturbs_nobody() -> None:
    puppet = in_state(State.COOKIE_WAIT)
    late = cookie_of(puppet.say(puppet.init(tag=5), tag=0))
    puppet.say(puppet.init_ack())
    puppet.say(CookieAck())
    assert puppet.say(late) == []
    assert puppet.ours.ignored[Ignored.BAD_COOKIE] == 1


@pytest.mark.parametrize(
    "init",
    [Init(0, 1, 1, 1, 1), Init(1, 1, 0, 1, 1), Init(1, 1, 1, 0, 1)],
    ids=["tag 0", "no outbound streams", "no inbound streams"],
)
def test_an_init_that_may_not_be_is_ignored(init: Init) -> None:
    puppet = Puppet()
    assert puppet.say(init, tag=0) == []
    assert puppet.ours.ignored[Ignored.BAD_INIT] == 1


@pytest.mark.parametrize(
    ("kind", "reported", "read_on"),
    [(0x3FFF, False, False), (0x7FFF, True, False), (0xBFFF, False, True), (0xFFFF, True, True)],
)
def test_an_unknown_parameters_high_bits_say_what_to_do(
    kind: int, reported: bool, read_on: bool
) -> None:
    puppet = Puppet()
    unknown = Parameter(kind, b"?")
    (answer,) = puppet.say(puppet.init((unknown, *OFFERED)), tag=0)
    assert isinstance(answer, InitAck)
    assert answer.find(ParameterType.UNRECOGNIZED) == (unknown.encode() if reported else None)
    puppet.say(cookie_of([answer]))
    sent = puppet.send(message(b"gone", max_retransmits=0))
    assert only(Data, sent)
    again = puppet.wait(2)
    assert bool(only(ForwardTsn, again)) == read_on
    assert bool(only(Data, again)) != read_on, "a peer without FORWARD TSN gets everything"


@pytest.mark.parametrize(
    ("kind", "reported", "read_on"),
    [(0x3F, False, False), (0x7F, True, False), (0xBF, False, True), (0xFF, True, True)],
)
def test_an_unknown_chunks_high_bits_say_what_to_do(
    kind: int, reported: bool, read_on: bool
) -> None:
    puppet = up()
    unknown = UnknownChunk(kind, 9, b"???")
    answer = puppet.say(unknown, Heartbeat(b"1234"))
    assert bool(only(HeartbeatAck, answer)) == read_on
    errors = [cause for error in only(Error, answer) for cause in error.causes]
    expected = [Parameter(CauseCode.UNRECOGNIZED_CHUNK, unknown.encode())] if reported else []
    assert errors == expected


# --- tags and ports ---------------------------------------------------------------


def test_another_port_is_not_ours() -> None:
    puppet = up()
    for ports in ((5000, 5001), (5001, 5000)):
        packet = Packet(*ports, puppet.tag, (data(0),))
        puppet.ours.receive([Datagram(packet.encode(), INSIDE, INSIDE)], puppet.now)
    assert puppet.ours.ignored[Ignored.WRONG_PORT] == 2
    assert puppet.ours.take_events() == []


def test_what_is_no_packet_is_counted() -> None:
    puppet = up()
    good = Packet(5000, 5000, puppet.tag, (data(0),)).encode()
    hostile = [b"", b"x", good[:-4], good[:8] + bytes(4) + good[12:], bytes(20_000)]
    puppet.ours.receive([Datagram(each, INSIDE, INSIDE) for each in hostile], puppet.now)
    assert puppet.ours.ignored[Ignored.MALFORMED] == len(hostile)


# --- acknowledgements -------------------------------------------------------------


def test_every_second_packet_is_acknowledged_at_once_and_a_single_one_after_a_while() -> None:
    puppet = up()
    assert puppet.say(data(0, ssn=0)) == []
    (answer,) = puppet.say(data(1, ssn=1))
    assert answer == Sack(TSN + 1 & MASK, RECEIVE_WINDOW)
    assert puppet.say(data(2, ssn=2)) == []
    assert puppet.wait(0.19) == []
    assert puppet.wait(0.02) == [Sack(TSN + 2 & MASK, RECEIVE_WINDOW)]
    assert puppet.wait(5) == []


def test_a_hole_and_a_duplicate_are_told_at_once() -> None:
    puppet = up()
    (answer,) = only(Sack, puppet.say(data(2, ssn=2)))
    assert (answer.cumulative, answer.gaps) == (TSN - 1 & MASK, ((3, 3),))
    (answer,) = only(Sack, puppet.say(data(2, ssn=2)))
    assert answer.duplicates == (TSN + 2 & MASK,)
    (answer,) = only(Sack, puppet.say(data(5, ssn=5), data(0)))
    assert answer.gaps == ((2, 2), (5, 5))
    (answer,) = only(Sack, puppet.say(data(1, ssn=1)))
    assert (answer.cumulative, answer.gaps) == (TSN + 2 & MASK, ((3, 3),))


def test_a_chunk_may_ask_to_be_acknowledged_at_once() -> None:
    puppet = up()
    assert only(Sack, puppet.say(data(0, flags=3 | Data.IMMEDIATE)))


def test_what_goes_out_carries_the_acknowledgement_along() -> None:
    puppet = up()
    puppet.say(data(0))
    puppet.say(data(1, ssn=1))
    assert puppet.ours.deadline > puppet.now


def test_three_reports_of_a_hole_repeat_its_chunk_and_halve_the_window() -> None:
    puppet = up()
    for number in range(6):
        puppet.send(message(bytes((number,)) * MAX_PAYLOAD))
    before = puppet.ours.statistics().congestion_window
    for count in range(1, 3):
        assert not only(Data, puppet.say(sack(puppet, 0, gaps=((2, 1 + count),))))
    (again,) = only(Data, puppet.say(sack(puppet, 0, gaps=((2, 4),))))
    assert again.tsn == puppet.first_tsn
    assert puppet.ours.statistics().congestion_window == before // 2
    assert puppet.ours.statistics().retransmissions == 1


def test_silence_repeats_one_packet_and_again_within_a_second() -> None:
    puppet = up()
    for _ in range(6):
        puppet.send(message(bytes(MAX_PAYLOAD)))
    times = []
    for _ in range(20):
        repeated = only(Data, puppet.wait(puppet.ours.deadline - puppet.now))
        assert [chunk.tsn for chunk in repeated] == [puppet.first_tsn]
        times.append(puppet.now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) <= 1.0
    assert puppet.ours.state is State.ESTABLISHED


def test_an_acknowledgement_of_what_was_never_sent_is_ignored() -> None:
    puppet = up()
    puppet.send(message())
    puppet.say(sack(puppet, 2))
    assert puppet.ours.ignored[Ignored.IMPOSSIBLE_SACK] == 1
    assert puppet.ours.buffered_total == 4
    puppet.say(sack(puppet, 1))
    puppet.say(sack(puppet, 0))
    assert puppet.ours.ignored[Ignored.OLD_SACK] == 1
    assert puppet.ours.buffered_total == 0


def test_gap_blocks_beyond_everything_sent_do_no_harm() -> None:
    puppet = up()
    for _ in range(3):
        puppet.send(message(bytes(MAX_PAYLOAD)))
    gaps = tuple((start, start) for start in range(65_535, 2, -300))
    puppet.say(sack(puppet, 0, gaps=gaps))
    puppet.say(sack(puppet, 0, gaps=((2, 65_535), (1, 3))))
    puppet.say(sack(puppet, 3))
    assert puppet.ours.statistics().flight == 0


def test_only_one_costly_sack_of_a_packet_is_believed() -> None:
    puppet = up()
    for _ in range(3):
        puppet.send(message(bytes(MAX_PAYLOAD)))
    puppet.say(*[sack(puppet, 0, gaps=((2, 2),)) for _ in range(5)])
    assert puppet.ours.ignored[Ignored.SURPLUS] == 4


def test_a_receiver_may_take_back_what_a_gap_block_said() -> None:
    puppet = up()
    puppet.send(message(b"a" * MAX_PAYLOAD))
    puppet.send(message(b"b" * MAX_PAYLOAD))
    puppet.say(sack(puppet, 0, gaps=((2, 2),)))
    puppet.say(sack(puppet, 1))
    assert [chunk.payload[:1] for chunk in only(Data, puppet.wait(2))][:1] == [b"b"]


def test_a_closed_window_is_probed_with_one_chunk() -> None:
    puppet = up()
    puppet.send(message(bytes(MAX_PAYLOAD)))
    puppet.say(sack(puppet, 1, window=0))
    assert len(only(Data, puppet.send(message(bytes(10 * MAX_PAYLOAD))))) == 1
    probes = only(Data, puppet.wait(5))
    assert {chunk.tsn for chunk in probes} == {puppet.first_tsn + 1 & MASK}
    assert len(only(Data, puppet.say(sack(puppet, 2)))) >= 1


# --- hostile data -----------------------------------------------------------------


def test_data_without_data_costs_the_association() -> None:
    puppet = up()
    (abort,) = only(Abort, puppet.say(data(0, payload=b"")))
    assert abort.causes[0].type == CauseCode.NO_USER_DATA
    assert isinstance(puppet.ours.take_events()[0], AssociationLost)


def test_a_stream_that_was_not_negotiated_is_an_error() -> None:
    puppet = up()
    errors = only(Error, puppet.say(data(0, stream=MAX_STREAMS)))
    assert errors[0].causes[0].type == CauseCode.INVALID_STREAM
    assert puppet.ours.take_events() == []
    puppet.say(data(1))
    assert len(puppet.ours.take_events()) == 1, "its TSN counts all the same"


def test_a_jump_of_tsns_is_refused() -> None:
    puppet = up()
    for number in (1 << 30, 20_000, (1 << 31) - 2):
        puppet.say(data(number))
    assert puppet.ours.ignored[Ignored.BEYOND_WINDOW] == 3
    assert puppet.ours.statistics().held == 0


@pytest.mark.parametrize("flags", [0, Data.BEGIN, Data.END, Data.UNORDERED, 3])
@pytest.mark.parametrize("step", [1, 2])
def test_memory_is_bounded_whatever_is_left_unfinished(flags: int, step: int) -> None:
    """Pieces without ends, holes everywhere, ordered messages whose turn never comes."""
    puppet = up()
    for number in range(1, 160 * step, step):
        puppet.say(data(number, number % 7, 1 + number % 5000, bytes(16_000), flags))
    assert puppet.ours.statistics().held <= 2 * RECEIVE_WINDOW
    for number in range(160 * step):
        puppet.say(data(number, number % 7, 1 + number % 5000, bytes(16_000), flags))
    assert puppet.ours.statistics().held <= 2 * RECEIVE_WINDOW
    assert (
        puppet.ours.ignored[Ignored.BEYOND_WINDOW]
        + puppet.ours.ignored[Ignored.TORN_MESSAGE]
        + puppet.ours.ignored[Ignored.OVERSIZED]
        + puppet.ours.ignored[Ignored.WRONG_SSN]
        > 0
    )


def test_the_window_shrinks_with_what_lies_here_and_opens_again() -> None:
    puppet = up()
    for number in range(1, 200):
        puppet.say(data(number, ssn=number, payload=bytes(1100)))
    (answer,) = only(Sack, puppet.say(data(200, ssn=200)))
    assert answer.window < RECEIVE_WINDOW - 200_000
    (answer,) = only(Sack, puppet.say(data(0)))
    assert answer.window == RECEIVE_WINDOW
    assert len(puppet.ours.take_events()) == 201


def test_a_message_that_is_too_large_is_dropped_and_the_next_one_comes() -> None:
    puppet = up()
    count = 600
    for number in range(count):
        flags = Data.BEGIN if number == 0 else Data.END if number == count - 1 else 0
        puppet.say(data(number, payload=bytes(1000), flags=flags))
        assert puppet.ours.statistics().held < 300_000
    puppet.say(data(count, ssn=1, payload=b"next"))
    (event,) = puppet.ours.take_events()
    assert isinstance(event, Message) and event.data == b"next"
    assert puppet.ours.ignored[Ignored.OVERSIZED] == 1
    assert puppet.ours.statistics().held == 0


@pytest.mark.parametrize(
    "pieces",
    [
        [data(0, flags=2), data(1, stream=1, flags=1)],
        [data(0, flags=2), data(1, flags=1 | Data.UNORDERED)],
        [data(0, flags=2), data(1, ssn=9, flags=1)],
        [data(0, flags=2), data(1, flags=2)],
        [data(1, flags=1), data(0, flags=1)],
    ],
    ids=["stream", "order", "SSN", "two beginnings", "two ends"],
)
def test_pieces_that_do_not_fit_make_no_message(pieces: list[Data]) -> None:
    puppet = up()
    for piece in pieces:
        puppet.say(piece)
    assert puppet.ours.take_events() == []


# --- giving up --------------------------------------------------------------------


def test_forward_tsn_frees_what_waited_behind_it() -> None:
    puppet = up()
    puppet.say(data(1, ssn=1, payload=b"b"))
    puppet.say(data(3, ssn=3, payload=b"d"))
    puppet.say(data(5, stream=1, ssn=0, payload=b"begin", flags=2))
    (answer,) = only(Sack, puppet.say(ForwardTsn(TSN + 2 & MASK, ((0, 2),))))
    heard = [event.data for event in puppet.ours.take_events() if isinstance(event, Message)]
    assert heard == [b"b", b"d"]
    assert (answer.cumulative, answer.gaps) == (TSN + 3 & MASK, ((2, 2),))
    puppet.say(ForwardTsn(TSN + 9 & MASK, ((1, 0),)))
    assert puppet.ours.statistics().held == 0
    puppet.say(data(10, stream=1, ssn=1, payload=b"next"))
    assert len(puppet.ours.take_events()) == 1


def test_the_end_of_a_message_whose_beginning_was_given_up_is_thrown_away() -> None:
    puppet = up()
    puppet.say(data(1, flags=0), data(2, flags=1))
    puppet.say(ForwardTsn(TSN, ((0, 0),)))
    assert puppet.ours.statistics().held == 0
    assert puppet.ours.take_events() == []


def test_pieces_that_come_after_their_beginning_was_given_up_are_not_kept() -> None:
    puppet = up()
    puppet.say(ForwardTsn(TSN, ((0, 0),)))
    puppet.say(data(1, flags=0))
    assert puppet.ours.statistics().held == 0


def test_only_one_forward_tsn_of_a_packet_is_believed() -> None:
    puppet = up()
    (answer,) = only(Sack, puppet.say(ForwardTsn(TSN), ForwardTsn(TSN + 5 & MASK)))
    assert answer.cumulative == TSN
    assert puppet.ours.ignored[Ignored.SURPLUS] == 1


def test_an_old_forward_tsn_is_answered_and_otherwise_ignored() -> None:
    puppet = up()
    puppet.say(data(0), data(1, ssn=1))
    assert only(Sack, puppet.say(ForwardTsn(TSN)))
    assert puppet.ours.ignored[Ignored.OLD_FORWARD_TSN] == 1


def test_a_forward_tsn_may_jump_far_and_costs_nothing() -> None:
    puppet = up()
    pairs = tuple((number % 2000, 40_000) for number in range(250))
    for step in range(1, 40):
        puppet.say(ForwardTsn(TSN + step * 1_000_000 & MASK, pairs))
    assert puppet.ours.statistics().held == 0


def test_an_unanswered_forward_tsn_is_repeated() -> None:
    puppet = up()
    puppet.send(message(b"gone", max_retransmits=0, stream=3))
    repeated = only(ForwardTsn, puppet.wait(5))
    assert set(repeated) == {ForwardTsn(puppet.first_tsn, ((3, 0),))}
    assert len(repeated) >= 4
    puppet.say(sack(puppet, 1))
    assert not only(ForwardTsn, puppet.wait(5))


# --- resets -----------------------------------------------------------------------


def reset(sequence: int = 0, last: int = -1, streams: tuple[int, ...] = (3,)) -> ReConfig:
    """A request of the puppet, numbers counted from its first TSN."""
    return ReConfig((OutgoingReset(TSN + sequence & MASK, 0, TSN + last & MASK, streams),))


def results(chunks: list[Chunk]) -> list[int]:
    return [
        request.result
        for chunk in only(ReConfig, chunks)
        for request in chunk.requests
        if isinstance(request, ReconfigurationResponse)
    ]


def test_a_reset_is_performed_once_and_answered_as_often_as_asked() -> None:
    puppet = up()
    assert results(puppet.say(reset())) == [ResetResult.PERFORMED]
    assert results(puppet.say(reset())) == [ResetResult.PERFORMED]
    assert puppet.ours.take_events() == [StreamsReset((3,))]


def test_a_reset_waits_for_what_was_said_before() -> None:
    puppet = up()
    assert results(puppet.say(reset(last=0))) == [ResetResult.IN_PROGRESS]
    assert puppet.ours.take_events() == []
    puppet.say(data(0, stream=3))
    assert results(puppet.say(reset(last=0))) == [ResetResult.PERFORMED], "the same again"
    assert puppet.ours.take_events()[1:] == [StreamsReset((3,))]


def test_after_in_progress_a_request_may_come_under_a_new_number() -> None:
    puppet = up()
    puppet.say(reset(last=0))
    puppet.say(data(0, stream=3))
    assert results(puppet.say(reset(1, last=0))) == [ResetResult.PERFORMED]


def test_a_reset_stream_begins_again_at_zero() -> None:
    puppet = up()
    for number in range(3):
        puppet.say(data(number, stream=3, ssn=number))
    puppet.say(data(3, stream=3, ssn=9))
    puppet.say(reset(last=3))
    puppet.ours.take_events()
    puppet.say(data(4, stream=3, ssn=0, payload=b"again"))
    (event,) = puppet.ours.take_events()
    assert isinstance(event, Message) and event.data == b"again"
    assert puppet.ours.statistics().held == 0


def test_a_request_out_of_turn_is_refused() -> None:
    puppet = up()
    assert results(puppet.say(reset(5))) == [ResetResult.BAD_SEQUENCE]
    assert puppet.ours.take_events() == []


@pytest.mark.parametrize("kind", sorted(OtherRequest.TYPES))
def test_what_only_we_could_grant_is_denied(kind: int) -> None:
    puppet = up()
    answer = puppet.say(ReConfig((OtherRequest(kind, TSN, bytes(4)),)))
    assert results(answer) == [ResetResult.DENIED]


def test_our_reset_waits_for_its_data_and_is_repeated_until_it_is_answered() -> None:
    puppet = up()
    puppet.send(message(stream=4))
    puppet.ours.reset_stream(4, puppet.now)
    assert not only(ReConfig, [chunk for each in puppet.follow() for chunk in each.chunks])
    (asked,) = only(ReConfig, puppet.say(sack(puppet, 1)))
    assert asked.requests == (
        OutgoingReset(puppet.first_tsn, TSN - 1 & MASK, puppet.first_tsn, (4,)),
    )
    assert set(only(ReConfig, puppet.wait(5))) == {asked}
    progress = ReconfigurationResponse(puppet.first_tsn, ResetResult.IN_PROGRESS)
    puppet.say(ReConfig((progress,)))
    again = only(ReConfig, puppet.wait(1.5))[0].requests[0]
    assert isinstance(again, OutgoingReset)
    assert again.sequence == puppet.first_tsn + 1 & MASK
    puppet.say(ReConfig((ReconfigurationResponse(again.sequence, ResetResult.PERFORMED),)))
    assert puppet.ours.take_events() == [StreamsFinished((4,))]
    (first,) = only(Data, puppet.send(message(stream=4)))
    assert first.ssn == 0


def test_an_answer_to_nothing_is_counted() -> None:
    puppet = up()
    puppet.say(ReConfig((ReconfigurationResponse(1, ResetResult.PERFORMED),)))
    puppet.say(ReConfig((Parameter(999),)))
    assert puppet.ours.ignored[Ignored.BAD_REQUEST] == 2


# --- the end ----------------------------------------------------------------------


def test_after_the_end_nothing_is_said() -> None:
    puppet = in_state(State.ENDED)
    for chunk in (data(0), puppet.init(), Heartbeat(), Abort()):
        assert puppet.say(chunk) == []
    assert not puppet.ours.send(message(), puppet.now)
    assert puppet.wait(100) == []


def test_an_empty_message_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="empty"):
        up().ours.send(message(b""), 0.0)
