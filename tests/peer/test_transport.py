"""Two peers connect, exchange media and data, lose some, and recover: all in virtual time."""

import itertools

import attrs
import pytest

from tests.peer.pair import (
    CAMERA,
    MICROPHONE,
    RECEIVED,
    SERVER,
    Camera,
    Pair,
    certificate_of,
    voice,
)
from tests.peer.sections import VP8
from tests.sim import Link, entropy
from trio_sfu.core import Datagram
from trio_sfu.ice import credentials
from trio_sfu.ice.candidate import host_candidate
from trio_sfu.peer.events import (
    AddCandidate,
    Configure,
    DtlsRole,
    KeyFrameWanted,
    PeerState,
    RequestKeyFrame,
    RestartIce,
    SetRemote,
    StateChanged,
)

LINKS = {
    "a wire": {},
    "a city": {"delay": 0.02, "jitter": 0.01},
    "a train": {"delay": 0.08, "jitter": 0.05, "loss": 0.1, "reorder": 0.1, "duplicate": 0.05},
    "small packets": {"delay": 0.02, "mtu": 1250, "loss": 0.02},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", LINKS)
def test_two_peers_connect_and_media_flows(kind: str, seed: int) -> None:
    pair = Pair(Link(**LINKS[kind], seed=seed), seed)
    pair.connect()
    pair.client.begin(Camera(), pair.link.now)
    pair.run(pair.link.now + 2)
    heard = pair.server.heard[CAMERA]
    assert len(heard) > 0.95 * pair.client.sent - 30
    assert len(set(heard)) == len(heard)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1))
def test_ten_minutes_of_loss_leave_no_hole_that_a_repeat_could_have_filled(seed: int) -> None:
    pair = Pair(Link(delay=0.03, jitter=0.01, loss=0.02, seed=seed), seed)
    pair.connect()
    pair.client.begin(Camera(), pair.link.now)
    pair.run(pair.link.now + 600)
    pair.client.end()
    pair.run(pair.link.now + 2)
    heard = pair.server.heard[CAMERA]
    first, last = min(heard), max(heard)
    # Of what is asked for five times, all is lost in 0.04 ** 5 of the cases.
    assert set(range(first, last + 1)) - set(heard) == set()
    assert len(heard) == len(set(heard)) >= pair.client.sent - 10


def test_of_a_sender_without_rtx_what_it_cannot_repeat_leaves_no_hole() -> None:
    pair = Pair(Link(delay=0.03))
    alone = attrs.evolve(RECEIVED[1], formats={VP8: RECEIVED[1].formats[VP8]})
    pair.server.wish(Configure(receive=(alone,), send=()), 0.0)
    pair.connect()
    camera = Camera()
    # A picture's last packet is none that was ever kept: as padding, if it were sent and lost.
    pair.client.begin(lambda now: camera(now)[:2], pair.link.now)
    pair.run(pair.link.now + 2)
    pair.client.end()
    pair.run(pair.link.now + 2)
    heard = pair.server.heard[CAMERA]
    assert sorted(heard) == list(range(heard[0], max(heard) + 1))


def test_a_key_frame_wish_reaches_the_sender() -> None:
    pair = Pair(Link(delay=0.02))
    pair.connect()
    pair.client.begin(Camera(), pair.link.now)
    pair.run(lambda: bool(pair.server.heard[CAMERA]))
    pair.server.wish(RequestKeyFrame(CAMERA), pair.link.now)
    pair.run(lambda: KeyFrameWanted("1") in pair.client.events)


def test_sound_passes_one_packet_at_a_time() -> None:
    pair = Pair(Link(delay=0.02))
    pair.connect()
    numbers = itertools.count()
    pair.client.begin(lambda now: [voice(next(numbers))], pair.link.now)
    pair.run(pair.link.now + 3)
    assert pair.server.heard[MICROPHONE] == list(range(len(pair.server.heard[MICROPHONE])))
    assert len(pair.server.heard[MICROPHONE]) > 80


def test_nothing_but_checks_is_heard_from_an_address_that_has_not_proved_itself() -> None:
    pair = Pair(Link())
    stranger = ("203.0.113.9", 1)
    pair.server.receive([Datagram(b"\x16\xfe\xfd" + bytes(60), stranger, SERVER)], 0.0)
    assert pair.server.peer.statistics().drops == {"DTLS from an unproved address": 1}
    assert pair.server.take_datagrams() == []


def test_a_peer_that_falls_silent_is_given_up_after_fifteen_seconds() -> None:
    pair = Pair(Link())
    pair.connect()
    pair.link.through = {0: lambda _: None, 1: lambda _: None}
    start = pair.link.now
    pair.run(lambda: pair.server.peer.state is PeerState.DISCONNECTED, limit=60)
    pair.run(lambda: pair.server.peer.state is PeerState.FAILED, limit=60)
    assert 14 < pair.link.now - start < 19
    assert [e.state for e in pair.server.events if isinstance(e, StateChanged)] == [
        PeerState.CONNECTED,
        PeerState.DISCONNECTED,
        PeerState.FAILED,
    ]


def restart(pair: Pair, seed: int) -> None:
    """Both sides begin ICE again, told of each other's new credentials by signalling."""
    theirs, ours = (credentials.make(entropy(seed + n)) for n in (0, 1))
    for end, mine, other, cert, role, lite in (
        (pair.server, ours, theirs, 0, DtlsRole.SERVER, False),
        (pair.client, theirs, ours, 1, DtlsRole.CLIENT, True),
    ):
        end.wish(RestartIce(mine), pair.link.now)
        fingerprints = (certificate_of(cert).fingerprint,)
        end.wish(SetRemote(other, fingerprints, role, lite), pair.link.now)
    pair.client.wish(AddCandidate(host_candidate(SERVER).encode()), pair.link.now)


def test_a_peer_that_was_given_up_comes_back_by_a_restart_and_media_goes_on() -> None:
    pair = Pair(Link())
    pair.connect()
    pair.client.begin(Camera(), pair.link.now)
    pair.link.through = {0: lambda _: None, 1: lambda _: None}
    pair.run(lambda: pair.server.peer.state is PeerState.FAILED, limit=60)
    pair.link.through = {}
    before = len(pair.server.heard[CAMERA])
    restart(pair, 77)
    assert pair.server.peer.state is PeerState.DISCONNECTED  # there is no path yet
    pair.run(lambda: pair.server.connected and len(pair.server.heard[CAMERA]) > before, limit=10)


def test_media_flows_all_through_a_restart() -> None:
    pair = Pair(Link(delay=0.05))
    pair.connect()
    pair.client.begin(Camera(), pair.link.now)
    pair.run(pair.link.now + 1)
    restart(pair, 78)
    pair.run(pair.link.now + 3)
    heard = pair.server.heard[CAMERA]
    assert heard == list(range(heard[0], heard[0] + len(heard)))
    assert len(heard) > 3 * 30 * 3.5
    assert pair.server.peer.ice.ufrags == {pair.server.peer.ufrag}  # the old one is forgotten


def test_media_of_a_peer_that_was_given_up_costs_no_sleep() -> None:
    """It still comes, but no check does: nothing may be due that cannot be sent."""
    pair = Pair(Link(loss=0.02))
    pair.connect()
    pair.client.begin(Camera(), pair.link.now)
    pair.link.through = {0: lambda each: each if each.data[0] > 3 else None}
    pair.run(lambda: pair.server.peer.state is PeerState.FAILED, limit=60)
    pair.run(pair.link.now + 1)


def test_a_client_that_comes_back_in_time_goes_on() -> None:
    pair = Pair(Link())
    pair.connect()
    pair.link.through = {0: lambda _: None, 1: lambda _: None}
    pair.run(lambda: pair.server.peer.state is PeerState.DISCONNECTED, limit=60)
    pair.link.through = {}
    pair.client.begin(Camera(), pair.link.now)
    pair.run(lambda: pair.server.connected and bool(pair.server.heard[CAMERA]), limit=60)


def test_who_closes_says_goodbye_and_is_silent_ever_after() -> None:
    pair = Pair(Link())
    pair.connect()
    pair.client.begin(Camera(), pair.link.now)
    pair.run(pair.link.now + 0.1)
    pair.client.end()
    pair.client.peer.close(pair.link.now)
    goodbye = pair.client.take_datagrams()
    assert goodbye != []
    assert pair.client.take_datagrams() == []


def test_the_wrong_certificate_is_not_spoken_to() -> None:
    pair = Pair(Link())
    pair.server.peer, pair.client.peer = pair.server.peer, Pair(Link(), seed=1).client.peer
    pair.run(5.0)
    assert pair.server.peer.state is not PeerState.CONNECTED


def no_dtls(datagram: Datagram) -> Datagram | None:
    return None if 20 <= datagram.data[0] < 64 else datagram


@pytest.mark.parametrize("ice_takes", [0.0, 3.0, 5.0])
def test_a_path_without_keys_fails_after_three_times_what_ice_took(ice_takes: float) -> None:
    pair = Pair(Link(delay=0.01))
    pair.link.through = {0: lambda _: None}
    pair.run(ice_takes)
    pair.link.through = {0: no_dtls}
    pair.run(lambda: pair.server.peer.ice.selected is not None, limit=30)
    found = pair.link.now
    pair.run(lambda: pair.server.peer.state is PeerState.FAILED, limit=found + 60)
    expected = min(max(3 * found, 10.0), 20.0)
    assert pair.link.now - found == pytest.approx(expected, abs=0.01)
    failed = StateChanged(PeerState.FAILED, "DTLS: not done in time", final=False)
    assert failed in pair.server.events


def test_keys_that_come_in_time_or_late_make_a_connection_all_the_same() -> None:
    for waits in (8.0, 12.0):
        pair = Pair(Link(delay=0.01))
        pair.link.through = {0: no_dtls}
        pair.run(waits)
        pair.link.through = {}
        pair.connect()
        failed = [e for e in pair.server.events if getattr(e, "state", None) is PeerState.FAILED]
        assert len(failed) == (waits > 10)
        pair.run(pair.link.now + 30)
        assert pair.server.connected
