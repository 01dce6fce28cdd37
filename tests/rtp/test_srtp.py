import importlib
import sys
from collections import Counter

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors import srtp as vectors
from trio_sfu.rtp import srtp
from trio_sfu.rtp.packet import HEADER
from trio_sfu.rtp.srtp import Reason, SrtpProfile, SrtpReceiver, SrtpSender
from trio_sfu.rtp.srtp_transform import derive

ENGINES = pytest.mark.parametrize("engine", srtp.ENGINES, ids=lambda engine: engine.name)
PROFILES = pytest.mark.parametrize("profile", SrtpProfile)
PYTHON = srtp.ENGINES[-1]


def sender(profile: SrtpProfile, engine: srtp.Engine, key: int = 1) -> SrtpSender:
    return SrtpSender(profile, bytes([key] * profile.key_length), *rest(profile, engine))


def receiver(profile: SrtpProfile, engine: srtp.Engine, key: int = 1) -> SrtpReceiver:
    return SrtpReceiver(profile, bytes([key] * profile.key_length), *rest(profile, engine))


def rest(profile: SrtpProfile, engine: srtp.Engine) -> tuple[bytes, srtp.Engine]:
    return bytes(range(profile.salt_length)), engine


def rtp(sequence: int, ssrc: int = 7, payload: bytes = b"voice") -> bytes:
    return HEADER.pack(0x80, 96, sequence & 0xFFFF, 1234, ssrc) + payload


def rtcp(ssrc: int = 7, body: bytes = bytes(20)) -> bytes:
    return b"\x80\xc8\0\6" + ssrc.to_bytes(4, "big") + body


def test_the_best_engine_works_in_place() -> None:
    assert [engine.name for engine in srtp.ENGINES] == ["in place", "public", "python"]


@ENGINES
def test_libsrtps_own_packet_comes_out_as_it_should(engine: srtp.Engine) -> None:
    args = (SrtpProfile.AES128_CM_SHA1_80, vectors.B3_KEY, vectors.B3_SALT, engine)
    assert SrtpSender(*args).protect([vectors.DRIVER_PLAIN]) == [vectors.DRIVER_SRTP]
    assert SrtpReceiver(*args).unprotect([vectors.DRIVER_SRTP]) == [vectors.DRIVER_PLAIN]


HEADERS = st.builds(
    lambda sequence, ssrc, csrcs, words, payload: (
        HEADER.pack(0x80 | (words is not None) << 4 | csrcs, 96, sequence, 0, ssrc)
        + bytes(4 * csrcs)
        + (b"" if words is None else b"\xbe\xde" + words.to_bytes(2, "big") + bytes(4 * words))
        + payload
    ),
    st.integers(0, 0xFFFF),
    st.integers(0, 3),
    st.integers(0, 15),
    st.none() | st.integers(0, 5),
    st.binary(max_size=60),
)


@PROFILES
@given(packets=st.lists(HEADERS | st.binary(max_size=40), max_size=12))
@settings(max_examples=50)
def test_all_engines_protect_alike(profile: SrtpProfile, packets: list[bytes]) -> None:
    senders = [sender(profile, engine) for engine in srtp.ENGINES]
    expected, *others = ([each.protect([packet]) for packet in packets] for each in senders)
    assert all(protected == expected for protected in others)
    assert all(each.refused == senders[0].refused for each in senders)


@PROFILES
@given(
    start=st.sampled_from([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFF0]),
    walk=st.lists(st.tuples(st.integers(-1100, 1500), st.integers(0, 2)), max_size=60),
    data=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_all_engines_take_and_refuse_alike(
    profile: SrtpProfile, start: int, walk: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Packets of three streams: late, repeated, too late, over several rounds, damaged."""
    receivers = [receiver(profile, engine) for engine in srtp.ENGINES]
    senders, newest = sender(profile, PYTHON), dict.fromkeys(range(3), start)
    for step, ssrc in walk:
        index = max(start, newest[ssrc] + step * data.draw(st.sampled_from([1, 20])))
        newest[ssrc] = max(index, newest[ssrc])
        protected = senders.protect([rtp(index, ssrc)])
        if protected and data.draw(st.integers(0, 9)) == 0:
            place = data.draw(st.integers(0, len(protected[0]) - 1))
            protected[0] = protected[0][:place] + b"\x5a" + protected[0][place + 1 :]
        plain, *others = (each.unprotect(protected) for each in receivers)
        assert all(other == plain for other in others)
        assert all(each.rejected == receivers[0].rejected for each in receivers)


@PROFILES
@given(garbage=st.lists(st.binary(max_size=60), max_size=10))
@settings(max_examples=50)
def test_all_engines_refuse_garbage_alike(profile: SrtpProfile, garbage: list[bytes]) -> None:
    receivers = [receiver(profile, engine) for engine in srtp.ENGINES]
    for packet in garbage:
        assert not any(each.unprotect([packet]) for each in receivers)
        assert not any(each.unprotect_rtcp(packet) for each in receivers)
        assert all(each.rejected == receivers[0].rejected for each in receivers)


@PROFILES
@given(
    bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=20),
    order=st.lists(st.integers(0, 19), max_size=40),
)
@settings(max_examples=50)
def test_all_engines_treat_rtcp_alike(
    profile: SrtpProfile, bodies: list[bytes], order: list[int]
) -> None:
    senders = [sender(profile, engine) for engine in srtp.ENGINES]
    receivers = [receiver(profile, engine) for engine in srtp.ENGINES]
    sent = []
    for body in bodies:
        protected, *others = (each.protect_rtcp(rtcp(body=body)) for each in senders)
        assert all(other == protected for other in others)
        sent.append(protected)
    for place in order:
        packet = sent[place % len(sent)]
        plain, *others2 = (each.unprotect_rtcp(packet) for each in receivers)
        assert all(other == plain for other in others2)
        assert all(each.rejected == receivers[0].rejected for each in receivers)


@ENGINES
@PROFILES
def test_rtcp_from_before_its_window_is_refused(engine: srtp.Engine, profile: SrtpProfile) -> None:
    out, into = sender(profile, engine), receiver(profile, engine)
    sent = [out.protect_rtcp(rtcp()) for _ in range(130)]
    assert into.unprotect_rtcp(sent[-1]) == rtcp()
    assert into.unprotect_rtcp(sent[2]) == rtcp()
    assert into.unprotect_rtcp(sent[1]) is None
    assert into.rejected == {Reason.TOO_OLD: 1}


@ENGINES
@PROFILES
def test_the_rollover_counter_is_followed_for_many_rounds(
    engine: srtp.Engine, profile: SrtpProfile
) -> None:
    out, into = sender(profile, engine), receiver(profile, engine)
    for sequence in range(60_000, 60_000 + 5 * 0x10000, 0x3FFF):
        assert into.unprotect(out.protect([rtp(sequence)])) == [rtp(sequence)]


@ENGINES
@PROFILES
def test_each_reason_for_refusal_is_counted(engine: srtp.Engine, profile: SrtpProfile) -> None:
    out, into = sender(profile, engine), receiver(profile, engine)
    first, second, newest = out.protect([rtp(1), rtp(2), rtp(1100)])
    forged = sender(profile, engine, key=2).protect([rtp(1101)])
    assert (
        into.unprotect([newest, second, second, first, *forged, b"no packet"])
        == [
            rtp(1100),
            rtp(2),
        ][:1]
    )
    assert into.rejected == Counter({Reason.TOO_OLD: 3, Reason.BAD_TAG: 1, Reason.MALFORMED: 1})
    assert into.unprotect([newest]) == []
    assert into.rejected[Reason.REPLAYED] == 1


@ENGINES
def test_a_packet_may_be_late_by_a_thousand(engine: srtp.Engine) -> None:
    profile = SrtpProfile.AEAD_AES_128_GCM
    out, into = sender(profile, engine), receiver(profile, engine)
    late, newest = out.protect([rtp(1), rtp(1024)])
    assert into.unprotect([newest, late]) == [rtp(1024), rtp(1)]


@ENGINES
def test_a_repeat_is_protected_like_the_first_time(engine: srtp.Engine) -> None:
    out = sender(SrtpProfile.AES128_CM_SHA1_80, engine)
    first, other, again = out.protect([rtp(1), rtp(2), rtp(1)])
    assert first == again != other


@ENGINES
def test_what_cannot_be_protected_is_left_out_and_counted(engine: srtp.Engine) -> None:
    out = sender(SrtpProfile.AEAD_AES_128_GCM, engine)
    assert len(out.protect([rtp(2000), rtp(1), b"no packet", rtp(2001)])) == 2
    assert out.refused == {Reason.TOO_OLD: 1, Reason.MALFORMED: 1}
    with pytest.raises(ValueError, match="MALFORMED"):
        out.protect_rtcp(b"none")


@pytest.mark.parametrize("engine", [srtp.ENGINES[0], PYTHON], ids=lambda engine: engine.name)
@PROFILES
def test_packets_as_long_as_a_frame_of_ethernet_are_taken(
    engine: srtp.Engine, profile: SrtpProfile
) -> None:
    packet = rtp(1, payload=bytes(1488))
    assert receiver(profile, engine).unprotect(sender(profile, engine).protect([packet])) == [
        packet
    ]


@ENGINES
def test_no_packet_is_too_long_to_be_refused(engine: srtp.Engine) -> None:
    packet = rtp(1, payload=bytes(60_000))
    into = receiver(SrtpProfile.AEAD_AES_128_GCM, engine)
    assert into.unprotect([packet]) == []
    assert into.unprotect_rtcp(packet) is None
    assert sum(into.rejected.values()) == 2


@ENGINES
def test_streams_are_bounded_and_known_ones_go_on(engine: srtp.Engine) -> None:
    profile = SrtpProfile.AEAD_AES_128_GCM
    out, into = sender(profile, engine), receiver(profile, engine)
    first = [rtp(1, ssrc) for ssrc in range(srtp.MAX_SSRCS)]
    assert into.unprotect(out.protect(first)) == first
    assert into.unprotect(out.protect([rtp(1, ssrc=5000)])) == []
    assert into.rejected == {Reason.TOO_MANY_SSRCS: 1}
    assert into.unprotect(out.protect([rtp(2, ssrc=3)])) == [rtp(2, ssrc=3)]


@ENGINES
def test_a_forger_does_not_use_up_the_room_for_streams(engine: srtp.Engine) -> None:
    profile = SrtpProfile.AEAD_AES_128_GCM
    into = receiver(profile, engine)
    forger = sender(profile, engine, key=2)
    forged = forger.protect([rtp(1, ssrc) for ssrc in range(srtp.MAX_SSRCS + 1)])
    assert into.unprotect(forged) == []
    assert into.unprotect(sender(profile, engine).protect([rtp(1)])) == [rtp(1)]


@ENGINES
def test_keys_of_the_wrong_length_are_the_callers_mistake(engine: srtp.Engine) -> None:
    with pytest.raises(ValueError, match="AEAD_AES_128_GCM"):
        SrtpSender(SrtpProfile.AEAD_AES_128_GCM, bytes(16), bytes(14), engine)


@pytest.mark.parametrize(
    ("absent", "best"), [("pylibsrtp", "python"), ("pylibsrtp._binding", "public")]
)
def test_what_is_not_there_is_stood_in_for(
    absent: str, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.delitem(sys.modules, "trio_sfu.rtp.srtp")
    without = importlib.import_module("trio_sfu.rtp.srtp")
    monkeypatch.setitem(sys.modules, "trio_sfu.rtp.srtp", srtp)
    assert without.ENGINES[0].name == best
    args = (SrtpProfile.AES128_CM_SHA1_80, vectors.B3_KEY, vectors.B3_SALT)
    assert without.SrtpSender(*args).protect([vectors.DRIVER_PLAIN]) == [vectors.DRIVER_SRTP]


@ENGINES
def test_rtcp_that_is_only_authenticated_is_taken_under_gcm(engine: srtp.Engine) -> None:
    """Section 9.3 of RFC 7714; a forger gains nothing, since the E flag is authenticated."""
    profile = SrtpProfile.AEAD_AES_128_GCM
    keys = derive(profile, bytes([1] * 16), bytes(range(12)), rtcp=True)
    trailer = (5).to_bytes(4, "big")
    nonce = int.from_bytes(keys.salt, "big") ^ 7 << 48 ^ 5
    tag = AESGCM(keys.cipher).encrypt(nonce.to_bytes(12, "big"), b"", rtcp() + trailer)
    into = receiver(profile, engine)
    assert into.unprotect_rtcp(rtcp() + tag + trailer) == rtcp()
    assert into.unprotect_rtcp(rtcp() + tag + b"\x80\0\0\6") is None
