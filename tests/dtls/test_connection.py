"""A connection as a core: what it hears, says, keeps, counts and refuses."""

import math

import attrs
import pytest

from tests.dtls.pair import (
    CLIENTS,
    SERVERS,
    both_connected,
    connect,
    connection,
    give,
    pair,
    taken,
)
from tests.dtls.puppet import Puppet
from tests.sim import Link, run
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.dtls import (
    CloseNotified,
    Drop,
    DtlsConnection,
    DtlsState,
    Role,
    SrtpProfile,
    StateChanged,
)
from trio_sfu.dtls.alert import Alert, Description, Level
from trio_sfu.dtls.connection import (
    FIRST_INTERVAL,
    HANDSHAKE_TIME,
    LAST_REPEATS,
    LONGEST_INTERVAL,
    MAX_EARLY_RECORDS,
    MAX_EARLY_SIZE,
    MAX_RECORDS,
)
from trio_sfu.dtls.flights import Message
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.wire import Reader


def record(content_type: ContentType, payload: bytes, epoch: int = 0, sequence: int = 999) -> bytes:
    return Record(content_type, epoch, sequence, payload).encode()


def records(datagram: bytes) -> list[Record]:
    reader, found = Reader(datagram), []
    while reader:
        found.append(Record.decode(reader))
    return found


def up_to_the_last_flight() -> tuple[DtlsConnection, DtlsConnection, bytes, bytes]:
    """Client and server, the client's second flight, and the server's last."""
    client, server = pair()
    (verify,) = give(server, *taken(client))
    (flight,) = give(server, *give(client, verify))
    (second,) = give(client, flight)
    (last,) = give(server, second)
    return client, server, second, last


def test_two_of_ours_connect_and_have_the_same_keys() -> None:
    client, server = connect()
    assert client.srtp is not None and server.srtp is not None
    assert client.srtp.profile is server.srtp.profile is SrtpProfile.AEAD_AES_128_GCM
    assert client.srtp.local_key == server.srtp.remote_key
    assert client.srtp.local_salt == server.srtp.remote_salt
    assert client.srtp.remote_key == server.srtp.local_key
    assert client.srtp.remote_salt == server.srtp.local_salt
    assert len({client.srtp.local_key, client.srtp.remote_key}) == 2
    for end in (client, server):
        assert end.take_events() == [
            StateChanged(DtlsState.HANDSHAKING),
            StateChanged(DtlsState.CONNECTED),
        ]
        assert end.take_events() == []
        assert not end.drops


@pytest.mark.parametrize("profile", SrtpProfile)
def test_each_profile_gives_keys_of_its_length(profile: SrtpProfile) -> None:
    client = connection(Role.CLIENT, profiles=(profile,))
    server = connection(Role.SERVER)
    run(client, Link(), server, until=lambda: both_connected(client, server))
    assert client.srtp is not None and client.srtp.profile is profile
    assert len(client.srtp.local_key) == profile.key_length
    assert len(client.srtp.remote_salt) == profile.salt_length


def test_the_server_prefers_by_its_own_order() -> None:
    backwards = tuple(SrtpProfile)
    client = connection(Role.CLIENT, profiles=tuple(reversed(backwards)))
    server = connection(Role.SERVER, profiles=backwards)
    run(client, Link(), server, until=lambda: both_connected(client, server))
    assert server.srtp is not None and server.srtp.profile is backwards[0]


def test_without_a_profile_in_common_there_are_no_srtp_keys() -> None:
    client = connection(Role.CLIENT, profiles=())
    server = connection(Role.SERVER)
    run(client, Link(), server, until=lambda: both_connected(client, server))
    assert client.srtp is server.srtp is None
    assert client.export("x", None, 8) == server.export("x", None, 8)


def test_the_exporter_minds_label_context_and_length() -> None:
    client, server = connect()
    assert client.export("a", None, 99) == server.export("a", None, 99)
    outputs = {client.export(label, context, 16) for label in "ab" for context in (None, b"", b"x")}
    assert len(outputs) == 6
    with pytest.raises(ValueError, match="not connected"):
        connection(Role.CLIENT).export("a", None, 16)


def test_the_same_entropy_says_the_same_bytes() -> None:
    said = []
    for _ in range(2):
        client, server = pair(seed=3)
        link = Link(seed=3)
        heard: list[bytes] = []
        for side in (0, 1):
            link.through[side] = lambda datagram, heard=heard: (
                heard.append(datagram.data) or datagram
            )
        run(client, link, server, until=lambda a=client, b=server: both_connected(a, b))
        said.append(heard)
    assert said[0] == said[1]


def test_all_datagrams_are_from_and_for_inside() -> None:
    client = connection(Role.CLIENT)
    (datagram,) = client.take_datagrams()
    assert (datagram.remote, datagram.local) == (INSIDE, INSIDE)
    assert client.take_datagrams() == []


def test_data_travels_both_ways_a_record_each() -> None:
    client, server = connect()
    for end, other in ((client, server), (server, client)):
        for data in (b"one", b"", b"three" * 1000):
            end.send(data)
        other.receive(end.take_datagrams(), 1.0)
        assert other.take_application() == [b"one", b"", b"three" * 1000]
        assert other.take_application() == []


def test_data_without_a_connection_are_counted_and_gone() -> None:
    client = connection(Role.CLIENT)
    taken(client)
    client.send(b"data")
    assert taken(client) == []
    assert client.drops == {Drop.UNSENT: 1}


def test_data_too_long_for_a_record_are_the_callers_mistake() -> None:
    client, _ = connect()
    client.send(bytes(1 << 14))
    with pytest.raises(ValueError, match="16385 bytes"):
        client.send(bytes((1 << 14) + 1))


def test_an_mtu_smaller_than_the_headers_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="MTU of 100"):
        connection(Role.CLIENT, mtu=100)


@pytest.mark.parametrize("mtu", [128, 300, 600, 1200])
def test_no_datagram_of_a_handshake_is_longer_than_the_mtu(mtu: int) -> None:
    client, server = pair(mtu=mtu)
    link = Link(mtu=mtu)
    run(client, link, server, until=lambda: both_connected(client, server))
    assert link.counters["too large"] == 0


def test_a_flight_is_one_datagram_where_it_fits() -> None:
    _, _, second, last = up_to_the_last_flight()
    assert [each.content_type.name for each in records(second)] == [
        "HANDSHAKE",
        "HANDSHAKE",
        "HANDSHAKE",
        "CHANGE_CIPHER_SPEC",
        "HANDSHAKE",
    ]
    assert [each.epoch for each in records(last)] == [0, 1]


# Repeats.


def test_a_client_repeats_its_hello_at_growing_intervals() -> None:
    client = connection(Role.CLIENT)
    (first,) = records(taken(client)[0])
    moments = []
    for repeat in range(1, 8):
        now = client.deadline
        client.handle_timeout(now)
        assert client.deadline > now
        (again,) = records(taken(client)[0])
        assert (again.payload, again.sequence) == (first.payload, first.sequence + repeat)
        moments.append(now)
    assert moments == pytest.approx([0.1, 0.3, 0.7, 1.5, 2.5, 3.5, 4.5])
    assert (FIRST_INTERVAL, LONGEST_INTERVAL) == (0.1, 1.0)


def test_nobody_answers_for_a_minute_and_it_is_over() -> None:
    client = connection(Role.CLIENT)
    link = Link(loss=1.0)
    run(client, link, connection(Role.SERVER), until=2 * HANDSHAKE_TIME)
    assert client.state is DtlsState.FAILED
    assert client.failure == "no end after 60 s (wait server hello) (handshake_failure)"
    assert client.deadline == math.inf
    assert 50 < link.counters["sent"] < 70


def test_a_server_that_heard_nothing_waits_without_a_clock() -> None:
    assert connection(Role.SERVER).deadline == math.inf


def test_a_server_gives_up_a_minute_after_the_first_word() -> None:
    client, server = pair()
    server.receive(client.take_datagrams(), 100.0)
    while server.state is DtlsState.HANDSHAKING:
        now = server.deadline
        server.handle_timeout(now)
    assert now == 100.0 + HANDSHAKE_TIME
    assert server.state is DtlsState.FAILED
    assert "wait client hello" in server.failure


def test_a_lost_last_flight_is_said_again_when_the_client_repeats_its_finished() -> None:
    client, server, _, last = up_to_the_last_flight()
    assert server.state is DtlsState.CONNECTED
    for repeat in range(1, 4):
        client.handle_timeout(client.deadline)
        (again,) = give(server, *taken(client), now=float(repeat))
        assert records(again)[1].sequence == records(last)[1].sequence + repeat
    assert give(client, again) == []
    assert client.state is DtlsState.CONNECTED


def test_the_last_flight_is_said_a_few_times_unasked() -> None:
    _, server, _, last = up_to_the_last_flight()
    moments = []
    while server.deadline < math.inf:
        moments.append(server.deadline)
        server.handle_timeout(server.deadline)
        (again,) = taken(server)
        assert len(again) == len(last)
    assert moments == pytest.approx([0.1, 0.3, 0.7])
    assert len(moments) == LAST_REPEATS


def test_the_last_flight_rests_when_the_client_has_proved_that_it_came() -> None:
    client, server, _, last = up_to_the_last_flight()
    give(client, last)
    client.send(b"data")
    give(server, *taken(client))
    assert server.deadline == math.inf


def test_a_connected_client_waits_for_nothing() -> None:
    client, _ = connect()
    assert client.deadline == math.inf


def test_a_finished_that_is_merely_doubled_is_answered_once() -> None:
    """The network doubled it, the replay window knows."""
    _, server, second, _ = up_to_the_last_flight()
    assert give(server, second, now=1.0) == []
    assert server.drops[Drop.REPLAYED] == 1


def test_a_repeated_hello_is_answered_at_once_but_not_in_a_storm() -> None:
    client, server = pair()
    (verify,) = give(server, *taken(client))
    (hello,) = give(client, verify)
    (flight,) = give(server, hello)
    for sequence, now, expected in ((50, 0.01, 0), (51, 0.06, 1), (52, 0.07, 0), (53, 0.2, 1)):
        (repeat,) = records(hello)
        again = record(ContentType.HANDSHAKE, repeat.payload, sequence=sequence)
        assert len(give(server, again, now=now)) == expected
    assert server.drops == {Drop.STALE_FRAGMENT: 4}
    assert flight


def begun_second_flight() -> tuple[DtlsConnection, DtlsConnection, bytes, list[bytes]]:
    """Client, server, the hello, and the client's second flight in its datagrams:
    the first one has the whole Certificate in it."""
    client, server = pair(mtu=400)
    (verify,) = give(server, *taken(client))
    (hello,) = give(client, verify)
    second = [each for part in give(server, hello) for each in give(client, part)]
    assert len(second) == 2
    return client, server, hello, second


def test_an_old_flight_is_not_repeated_when_the_next_has_begun() -> None:
    _, server, hello, second = begun_second_flight()
    (repeat,) = records(hello)
    again = record(ContentType.HANDSHAKE, repeat.payload, sequence=50)
    assert give(server, again, now=0.06) != []
    give(server, second[0])
    again = record(ContentType.HANDSHAKE, repeat.payload, sequence=51)
    assert give(server, again, now=0.2) == []


def test_the_repeats_rest_while_the_fingerprint_is_missing_and_go_on_then() -> None:
    """The client has our flight: it sent its certificate. But it may lose the rest."""
    waiting = connection(Role.SERVER, mtu=400, trusting=False)
    client, _ = pair(mtu=400)
    (verify,) = give(waiting, *taken(client))
    (hello,) = give(client, verify)
    second = [each for part in give(waiting, hello) for each in give(client, part)]
    give(waiting, second[0])
    assert waiting.deadline == HANDSHAKE_TIME
    waiting.set_remote_fingerprints([CLIENTS.fingerprint])
    assert waiting.deadline == FIRST_INTERVAL


# Order.


def test_records_of_epoch_1_that_come_too_early_are_kept() -> None:
    client, server = pair()
    (verify,) = give(server, *taken(client))
    (flight,) = give(server, *give(client, verify))
    (second,) = give(client, flight)
    *clear, finished = records(second)
    assert give(server, finished.encode()) == []
    (last,) = give(server, b"".join(each.encode() for each in clear))
    assert server.state is DtlsState.CONNECTED
    assert not server.drops
    assert give(client, last) == []
    assert client.state is DtlsState.CONNECTED


def test_a_missing_change_cipher_spec_is_not_missed() -> None:
    client, server = pair()
    (verify,) = give(server, *taken(client))
    (flight,) = give(server, *give(client, verify))
    (second,) = give(client, flight)
    said = [each for each in records(second) if each.content_type is ContentType.HANDSHAKE]
    give(server, b"".join(each.encode() for each in said))
    assert server.state is DtlsState.CONNECTED


def test_what_is_kept_of_epoch_1_is_bounded() -> None:
    server = connection(Role.SERVER)
    give(server, record(ContentType.APPLICATION_DATA, bytes(MAX_EARLY_SIZE + 1), epoch=1))
    assert server.drops == {Drop.TOO_EARLY: 1}
    for sequence in range(MAX_EARLY_RECORDS + 5):
        give(server, record(ContentType.APPLICATION_DATA, b"x", epoch=1, sequence=sequence))
    assert server.drops == {Drop.TOO_EARLY: 6}


def test_data_that_overtake_the_finished_wait_for_it() -> None:
    client, server, _, last = up_to_the_last_flight()
    server.send(b"early")
    (early,) = taken(server)
    give(client, early)
    assert client.take_application() == []
    assert client.state is DtlsState.HANDSHAKING
    give(client, last)
    assert client.state is DtlsState.CONNECTED
    assert client.take_application() == [b"early"]
    assert not client.drops


def test_of_data_that_overtake_the_finished_only_so_many_wait() -> None:
    client, server, _, last = up_to_the_last_flight()
    for _ in range(MAX_EARLY_RECORDS + 3):
        server.send(b"early")
    for early in taken(server):
        give(client, early)
    assert client.drops == {Drop.TOO_EARLY: 3}
    give(client, last)
    assert len(client.take_application()) == MAX_EARLY_RECORDS


# Who the peer is.


@pytest.mark.parametrize("role", Role)
def test_a_certificate_that_the_description_does_not_name_ends_it(role: Role) -> None:
    client, server = pair()
    cheated = client if role is Role.CLIENT else server
    own = CLIENTS if role is Role.CLIENT else SERVERS
    cheated.set_remote_fingerprints([own.fingerprint])
    run(client, Link(), server, until=lambda: client.state is server.state is DtlsState.FAILED)
    assert "not the one that the description names" in cheated.failure
    other = server if cheated is client else client
    assert other.failure == "the peer says: bad_certificate"
    assert cheated.srtp is None and cheated.deadline == math.inf


def test_no_fingerprints_mean_that_nobody_is_trusted() -> None:
    client, server = pair()
    server.set_remote_fingerprints([])
    run(client, Link(), server, until=lambda: server.state is DtlsState.FAILED)


@pytest.mark.parametrize("late", [0.05, 2.0, 40.0])
@pytest.mark.parametrize("role", Role)
def test_the_fingerprint_may_come_late(role: Role, late: float) -> None:
    ends = {each: connection(each, trusting=each is not role) for each in Role}
    waiting, other = ends[role], SERVERS if role is Role.CLIENT else CLIENTS
    link = Link(delay=0.01)
    run(ends[Role.CLIENT], link, ends[Role.SERVER], until=late)
    assert waiting.state is DtlsState.HANDSHAKING and waiting.srtp is None
    waiting.set_remote_fingerprints([other.fingerprint])
    run(
        ends[Role.CLIENT],
        link,
        ends[Role.SERVER],
        until=lambda: both_connected(ends[Role.CLIENT], ends[Role.SERVER]),
        limit=2.5,
    )


@pytest.mark.parametrize("role", Role)
def test_a_fingerprint_that_never_comes_ends_it_in_time(role: Role) -> None:
    ends = {each: connection(each, trusting=each is not role) for each in Role}
    run(ends[Role.CLIENT], Link(), ends[Role.SERVER], until=HANDSHAKE_TIME + 1)
    assert all(end.state is DtlsState.FAILED for end in ends.values())


def test_a_wrong_fingerprint_that_comes_late_ends_it_too() -> None:
    client, server = connection(Role.CLIENT), connection(Role.SERVER, trusting=False)
    run(client, Link(), server, until=1.0)
    server.set_remote_fingerprints([SERVERS.fingerprint])
    assert server.state is DtlsState.FAILED


# Alerts and the end.


def test_a_close_notify_is_an_event_and_nothing_more() -> None:
    client, server = connect()
    client.take_events()
    server.close(1.0)
    assert server.state is DtlsState.CLOSED
    client.receive(server.take_datagrams(), 1.0)
    assert client.take_events() == [CloseNotified()]
    assert client.state is DtlsState.CONNECTED
    client.send(b"still here")
    assert taken(client)


def test_what_is_closed_hears_and_says_nothing() -> None:
    client, server = connect()
    server.close(1.0)
    taken(server)
    client.send(b"data")
    server.receive(client.take_datagrams(), 1.0)
    assert server.take_application() == []
    server.close(2.0)
    server.send(b"data")
    assert taken(server) == []
    assert server.drops == {Drop.AFTER_THE_END: 1, Drop.UNSENT: 1}


def test_closing_what_never_began_says_nothing() -> None:
    server = connection(Role.SERVER, start=False)
    server.close(0.0)
    assert server.state is DtlsState.CLOSED
    assert taken(server) == []


def test_closing_during_the_handshake_tells_the_peer() -> None:
    client, server = pair()
    give(server, *taken(client))
    client.close(0.1)
    give(server, *taken(client))
    assert server.state is DtlsState.FAILED
    assert server.failure == "the peer closed during the handshake"


@pytest.mark.parametrize(
    ("description", "words"),
    [(Description.HANDSHAKE_FAILURE, "handshake_failure"), (200, "alert 200")],
)
def test_a_fatal_alert_during_the_handshake_is_believed(description: int, words: str) -> None:
    client = connection(Role.CLIENT)
    taken(client)
    alert = Alert(Level.FATAL, description).encode()
    assert give(client, record(ContentType.ALERT, alert)) == []
    assert client.state is DtlsState.FAILED
    assert client.failure == f"the peer says: {words}"


def test_alerts_in_the_clear_are_not_believed_afterwards() -> None:
    client, _ = connect()
    for description in (Description.CLOSE_NOTIFY, Description.HANDSHAKE_FAILURE):
        alert = Alert(Level.FATAL, description).encode()
        give(client, record(ContentType.ALERT, alert, sequence=900 + description))
    assert client.state is DtlsState.CONNECTED
    assert client.drops == {Drop.PLAINTEXT_AFTER_HANDSHAKE: 2}


def test_warnings_and_broken_alerts_are_counted() -> None:
    client = connection(Role.CLIENT)
    give(client, record(ContentType.ALERT, Alert(Level.WARNING, 90).encode(), sequence=1))
    give(client, record(ContentType.ALERT, b"\x03\x00", sequence=2))
    give(client, record(ContentType.ALERT, b"", sequence=3))
    assert client.drops == {Drop.WARNING: 1, Drop.MALFORMED_ALERT: 2}
    assert client.state is DtlsState.HANDSHAKING


# What is refused.


def test_before_the_start_nothing_is_heard() -> None:
    server = connection(Role.SERVER, start=False)
    assert server.state is DtlsState.NEW
    give(server, *taken(connection(Role.CLIENT)))
    assert server.drops == {Drop.NOT_STARTED: 1}


def test_starting_twice_is_starting_once() -> None:
    client = connection(Role.CLIENT)
    client.start(1.0)
    assert len(taken(client)) == 1
    assert client.take_events() == [StateChanged(DtlsState.HANDSHAKING)]


def test_a_record_is_heard_once() -> None:
    client, server = connect()
    client.send(b"data")
    (data,) = taken(client)
    for _ in range(3):
        give(server, data)
    assert server.take_application() == [b"data"]
    assert server.drops == {Drop.REPLAYED: 2}


def test_a_forged_number_does_not_shut_out_the_others() -> None:
    client, server = pair()
    junk = Fragment(Message.FINISHED, 0, 12, 0, bytes(12)).encode()
    give(server, record(ContentType.HANDSHAKE, junk, sequence=(1 << 48) - 1))
    run(client, Link(), server, until=lambda: both_connected(client, server))
    client.send(b"data")
    (data,) = taken(client)
    forged = Record(ContentType.APPLICATION_DATA, 1, (1 << 48) - 1, bytes(40)).encode()
    give(server, forged)
    give(server, data)
    assert server.take_application() == [b"data"]
    assert server.drops == {Drop.WRONG_EPOCH: 1, Drop.NOT_AUTHENTIC: 1}


def test_a_changed_record_is_dropped_in_silence() -> None:
    client, server = connect()
    client.send(b"data")
    (data,) = taken(client)
    assert give(server, data[:-1] + bytes((data[-1] ^ 1,))) == []
    assert server.take_application() == []
    assert server.drops == {Drop.NOT_AUTHENTIC: 1}
    give(server, data)
    assert server.take_application() == [b"data"]


def test_a_datagram_has_so_many_records_and_no_more() -> None:
    server = connection(Role.SERVER)
    one = record(ContentType.CHANGE_CIPHER_SPEC, b"\x01")
    give(server, one * MAX_RECORDS)
    assert Drop.TOO_MANY_RECORDS not in server.drops
    give(server, one * (MAX_RECORDS + 1))
    assert server.drops[Drop.TOO_MANY_RECORDS] == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"junk", Drop.MALFORMED_RECORD),
        (record(ContentType.HANDSHAKE, b"x" * 11), Drop.MALFORMED_FRAGMENT),
        (record(ContentType.HANDSHAKE, b"\x63" + bytes(11)), Drop.MALFORMED_FRAGMENT),
        (record(ContentType.APPLICATION_DATA, b"data"), Drop.WRONG_EPOCH),
        (record(ContentType.HANDSHAKE, bytes(12), epoch=2), Drop.UNKNOWN_EPOCH),
        (
            record(ContentType.HANDSHAKE, Fragment(Message.FINISHED, 0, 12, 0, bytes(12)).encode()),
            Drop.WRONG_EPOCH,
        ),
        (
            record(ContentType.HANDSHAKE, Fragment(Message.CLIENT_HELLO, 99, 1, 0, b"x").encode()),
            Drop.UNWANTED_FRAGMENT,
        ),
    ],
)
def test_what_is_bad_is_counted_by_its_reason(data: bytes, reason: Drop) -> None:
    server = connection(Role.SERVER)
    assert give(server, data) == []
    assert server.drops == {reason: 1}
    assert server.state is DtlsState.HANDSHAKING


def test_a_message_out_of_order_ends_it_with_an_alert() -> None:
    server = connection(Role.SERVER)
    done = Fragment(Message.SERVER_HELLO_DONE, 0, 0, 0, b"")
    (alert,) = give(server, record(ContentType.HANDSHAKE, done.encode()))
    assert records(alert)[0].payload == bytes((2, Description.UNEXPECTED_MESSAGE))
    assert server.state is DtlsState.FAILED
    assert "SERVER_HELLO_DONE is not allowed in WAIT_CLIENT_HELLO" in server.failure


def test_a_message_that_cannot_be_read_ends_it_with_an_alert() -> None:
    server = connection(Role.SERVER)
    broken = Fragment(Message.CLIENT_HELLO, 0, 40, 0, bytes(40))
    (alert,) = give(server, record(ContentType.HANDSHAKE, broken.encode()))
    assert records(alert)[0].payload == bytes((2, Description.DECODE_ERROR))


@pytest.mark.parametrize("message", [Message.HELLO_REQUEST, Message.CLIENT_HELLO])
@pytest.mark.parametrize("role", Role)
def test_nobody_renegotiates(role: Role, message: Message) -> None:
    puppet = Puppet(Role.SERVER if role is Role.CLIENT else Role.CLIENT)
    end = connection(role)
    puppet.connect(end)
    asking = Fragment(message, 9, 0, 0, b"").encode()
    (answer,) = give(end, puppet.seal(ContentType.HANDSHAKE, asking), now=1.0)
    assert puppet.open(answer) == bytes((1, Description.NO_RENEGOTIATION))
    assert end.state is DtlsState.CONNECTED
    assert end.drops == {Drop.RENEGOTIATION: 1}


@pytest.mark.parametrize("role", Role)
def test_a_fatal_alert_under_the_keys_ends_it(role: Role) -> None:
    puppet = Puppet(Role.SERVER if role is Role.CLIENT else Role.CLIENT)
    end = connection(role)
    puppet.connect(end)
    give(end, puppet.seal(ContentType.ALERT, Alert(Level.FATAL, 80).encode()))
    assert end.state is DtlsState.FAILED
    assert end.failure == "the peer says: alert 80"


@pytest.mark.parametrize("role", Role)
def test_a_finished_that_does_not_fit_the_transcript_ends_it(role: Role) -> None:
    puppet = Puppet(Role.SERVER if role is Role.CLIENT else Role.CLIENT)
    end = connection(role)
    puppet.twist = lambda outbound: (
        attrs.evolve(outbound, payload=attrs.evolve(outbound.payload, body=bytes(12)))
        if isinstance(outbound.payload, Fragment) and outbound.epoch == 1
        else outbound
    )
    puppet.connect(end)
    assert end.state is DtlsState.FAILED
    assert end.failure == "the two transcripts differ (decrypt_error)"
    assert end.srtp is None


def test_a_handshake_message_under_the_keys_that_belongs_in_the_clear_is_dropped() -> None:
    puppet, server = Puppet(Role.CLIENT), connection(Role.SERVER)
    puppet.connect(server)
    stray = Fragment(Message.CERTIFICATE, 9, 0, 0, b"").encode()
    assert give(server, puppet.seal(ContentType.HANDSHAKE, stray)) == []
    assert server.drops == {Drop.WRONG_EPOCH: 1}


def test_after_the_handshake_the_clear_is_not_heard() -> None:
    client, server = connect()
    hello = taken(connection(Role.CLIENT, seed=9))[0]
    assert give(server, hello, now=5.0) == []
    assert server.drops == {Drop.PLAINTEXT_AFTER_HANDSHAKE: 1}
    assert both_connected(client, server)


def test_many_datagrams_at_once_are_heard_in_order() -> None:
    client, server = connect()
    for number in range(20):
        client.send(bytes((number,)))
    server.receive(client.take_datagrams(), 1.0)
    assert server.take_application() == [bytes((number,)) for number in range(20)]


def test_a_core_that_hears_itself_does_not_connect() -> None:
    client = connection(Role.CLIENT)
    (hello,) = client.take_datagrams()
    client.receive([Datagram(hello.data, INSIDE, INSIDE)], 0.0)
    assert client.state is DtlsState.FAILED
