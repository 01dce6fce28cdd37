import attrs

from tests.peer.sections import RTX, TO_BOB, VOICE_TO_BOB, VP8
from tests.sim import entropy
from trio_sfu.peer.retransmit import ASKED_AT_ONCE, Retransmitter
from trio_sfu.rtp import history
from trio_sfu.rtp.packet import Outgoing, RtpPacket


def outgoing(sequence: int, payload_type: int = VP8) -> Outgoing:
    source = RtpPacket(payload_type, False, 1, 2, 3, {}, b"picture")
    return Outgoing(source, sequence, 90_000, 700, payload_type, False)


def remember(repeats: Retransmitter, packet: Outgoing, block: bytes) -> None:
    """*packet* leaves without RTX."""
    packet.block = block
    repeats.history.remember(packet)


def test_with_rtx_a_repeat_is_wrapped_and_gets_new_extensions() -> None:
    repeats = Retransmitter(TO_BOB, bytes)
    repeats.history.remember(outgoing(5))
    ((wrapped, extensions),) = repeats.answer([5], 0.0, 0.05)
    assert (wrapped.ssrc, wrapped.payload_type) == (TO_BOB.rtx_ssrc, RTX)
    assert wrapped.patch == b"\0\5"
    assert extensions is None


def test_without_rtx_a_repeat_is_the_same_packet_with_the_same_extensions() -> None:
    repeats, first = Retransmitter(VOICE_TO_BOB, bytes), outgoing(5, 111)
    remember(repeats, first, b"as it left")
    assert repeats.answer([5], 0.0, 0.05) == [(first, b"as it left")]


def test_a_payload_type_without_rtx_is_repeated_as_it_was() -> None:
    section = attrs.evolve(TO_BOB, formats={VP8: TO_BOB.formats[VP8]})
    repeats, first = Retransmitter(section, bytes), outgoing(5)
    remember(repeats, first, b"as it left")
    assert repeats.answer([5], 0.0, 0.05) == [(first, b"as it left")]


def test_what_a_nack_may_ask_for_at_once_is_bounded() -> None:
    repeats = Retransmitter(TO_BOB, bytes)
    repeats.history.remember(outgoing(5))
    assert repeats.answer([*range(6, 6 + ASKED_AT_ONCE), 5], 0.0, 0.05) == []
    assert len(repeats.answer([5, 4], 0.0, 0.05)) == 1
    assert repeats.sent == 1


def test_what_left_before_rtx_ended_is_not_repeated_with_other_extensions() -> None:
    repeats = Retransmitter(TO_BOB, bytes)
    remember(repeats, outgoing(5), b"an older packet of the same slot")
    repeats.history.remember(outgoing(5 + history.VIDEO))
    repeats.adopt(attrs.evolve(TO_BOB, rtx_ssrc=None))
    assert repeats.answer([5 + history.VIDEO], 0.0, 0.05) == []


def test_rtx_goes_on_through_a_negotiation_and_begins_anew_with_another_ssrc() -> None:
    repeats, wrapped = Retransmitter(TO_BOB, entropy(1)), []
    for section in (TO_BOB, attrs.evolve(TO_BOB), attrs.evolve(TO_BOB, rtx_ssrc=999)):
        repeats.adopt(section)
        repeats.history.remember(outgoing(5))
        wrapped += [each for each, _ in repeats.answer([5], 0.0, 0.05)]
    first, second, other = wrapped
    assert (second.ssrc, second.sequence) == (first.ssrc, first.sequence + 1)
    assert other.ssrc == 999
    assert other.sequence != second.sequence + 1
