import attrs

from tests.peer.sections import RTX, TO_BOB, VOICE_TO_BOB, VP8
from trio_sfu.peer.retransmit import ASKED_AT_ONCE, Retransmitter
from trio_sfu.rtp.packet import Outgoing, RtpPacket


def outgoing(sequence: int, payload_type: int = VP8) -> Outgoing:
    source = RtpPacket(payload_type, False, 1, 2, 3, {}, b"picture")
    return Outgoing(source, sequence, 90_000, 700, payload_type, False)


def test_with_rtx_a_repeat_is_wrapped_and_gets_new_extensions() -> None:
    repeats = Retransmitter(TO_BOB, bytes)
    repeats.history.remember(outgoing(5))
    ((wrapped, extensions),) = repeats.answer([5], 0.0, 0.05)
    assert (wrapped.ssrc, wrapped.payload_type) == (TO_BOB.rtx_ssrc, RTX)
    assert wrapped.patch == b"\0\5"
    assert extensions is None


def test_without_rtx_a_repeat_is_the_same_packet_with_the_same_extensions() -> None:
    repeats, first = Retransmitter(VOICE_TO_BOB, bytes), outgoing(5, 111)
    repeats.remember(first, b"as it left")
    assert repeats.answer([5], 0.0, 0.05) == [(first, b"as it left")]


def test_a_payload_type_without_rtx_is_repeated_as_it_was() -> None:
    section = attrs.evolve(TO_BOB, formats={VP8: TO_BOB.formats[VP8]})
    repeats, first = Retransmitter(section, bytes), outgoing(5)
    repeats.remember(first, b"as it left")
    assert repeats.answer([5], 0.0, 0.05) == [(first, b"as it left")]


def test_what_a_nack_may_ask_for_at_once_is_bounded() -> None:
    repeats = Retransmitter(TO_BOB, bytes)
    repeats.history.remember(outgoing(5))
    assert repeats.answer([*range(6, 6 + ASKED_AT_ONCE), 5], 0.0, 0.05) == []
    assert len(repeats.answer([5, 4], 0.0, 0.05)) == 1
    assert repeats.sent == 1
