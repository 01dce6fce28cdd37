"""What a subscriber gets is what the publisher said, in whatever form."""

from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.peer.media import Format
from trio_sfu.room.redundancy import DISTANCE, MOST, Choice, ToOpus, ToRed, choose
from trio_sfu.rtp.packet import Outgoing, RtpPacket, parse, render
from trio_sfu.rtp.payload import red
from trio_sfu.rtp.payload.red import Block

OPUS, RED = Format("audio/opus", 48_000, 2), Format("audio/red", 48_000, 2, "111/111")
STEP = 960

sounds = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=12)


def plain(number: int, payload: bytes, step: int = STEP) -> RtpPacket:
    return RtpPacket(111, False, number, number * step, 1, {}, payload, index=number)


def redundant(number: int, blocks: tuple[Block, ...]) -> RtpPacket:
    payload = red.encode(blocks[:-1], blocks[-1])
    return RtpPacket(
        63,
        False,
        number,
        number * STEP,
        1,
        {},
        payload,
        index=number,
        frame=red.describe(payload),
    )


def sent(packet: RtpPacket, patch: tuple[int, bytes]) -> bytes:
    return parse(render(Outgoing(packet, 1, 2, 3, 4, False, *patch))).payload


@given(sounds, st.integers(0, 127))
def test_plain_sound_comes_out_of_red_as_it_went_in(said: list[bytes], number: int) -> None:
    adapter = ToRed(number, repeating=True)
    for index, payload in enumerate(said):
        packet = plain(index, payload)
        *repeats, primary = red.decode(sent(packet, adapter.patch(packet)))
        assert primary == Block(number, 0, payload)
        assert len(repeats) <= DISTANCE
        for each in repeats:
            back, rest = divmod(each.timestamp_offset, STEP)
            assert rest == 0
            assert each.data == said[index - back]


def test_a_packet_repeats_the_two_before_it() -> None:
    adapter = ToRed(111, repeating=True)
    patches = [adapter.patch(plain(index, bytes((index,)))) for index in range(4)]
    *repeats, _ = red.decode(sent(plain(3, b"\3"), patches[3]))
    assert [each.data for each in repeats] == [b"\1", b"\2"]
    assert [each.timestamp_offset for each in repeats] == [2 * STEP, STEP]


def test_what_is_too_long_ago_is_not_repeated() -> None:
    adapter = ToRed(111, repeating=True)
    adapter.patch(plain(0, b"old"))
    assert red.decode(sent(plain(3, b"new"), adapter.patch(plain(3, b"new")))) == (
        Block(111, 0, b"new"),
    )
    slow = ToRed(111, repeating=True)
    slow.patch(plain(0, b"old", step=20_000))
    later = plain(1, b"new", step=20_000)
    assert len(red.decode(sent(later, slow.patch(later)))) == 1


def test_another_source_repeats_nothing_of_the_last() -> None:
    adapter = ToRed(111, repeating=True)
    adapter.patch(plain(0, b"hers"))
    adapter.begin(plain(1, b"his"), other_source=True)
    assert len(red.decode(sent(plain(1, b"his"), adapter.patch(plain(1, b"his"))))) == 1


@given(st.lists(st.binary(min_size=1, max_size=1200), min_size=1, max_size=6))
def test_no_packet_grows_too_large_by_what_it_repeats(said: list[bytes]) -> None:
    adapter = ToRed(111, repeating=True)
    for index, payload in enumerate(said):
        packet = plain(index, payload)
        _, head = adapter.patch(packet)
        assert len(head) + len(payload) <= max(MOST + 4 * DISTANCE + 1, len(payload) + 1)


def test_a_late_packet_has_the_form_and_no_repeats() -> None:
    adapter = ToRed(111, repeating=True)
    for index in (0, 1, 3):
        adapter.patch(plain(index, b"x"))
    late = plain(2, b"late")
    assert red.decode(sent(late, adapter.patch_late(late))) == (Block(111, 0, b"late"),)


blocks = st.lists(st.binary(max_size=80), min_size=1, max_size=3).map(
    lambda datas: tuple(
        Block(111, STEP * (len(datas) - 1 - place), data) for place, data in enumerate(datas)
    )
)


@given(blocks)
def test_red_without_its_repeats_is_the_sound(published: tuple[Block, ...]) -> None:
    packet = redundant(0, published)
    for patch in (ToOpus().patch(packet), ToOpus().patch_late(packet)):
        assert sent(packet, patch) == published[-1].data


@given(blocks, st.integers(0, 127))
def test_red_for_red_has_the_subscribers_numbers_inside(
    published: tuple[Block, ...], number: int
) -> None:
    packet = redundant(0, published)
    adapter = ToRed(number, repeating=False)
    for patch in (adapter.patch(packet), adapter.patch_late(packet)):
        found = red.decode(sent(packet, patch))
        assert {each.payload_type for each in found} == {number}
        assert [(each.timestamp_offset, each.data) for each in found] == [
            (each.timestamp_offset, each.data) for each in published
        ]
    assert ToRed(111, repeating=False).patch(packet) == (0, b"")


def test_plain_opus_within_a_red_track_gets_the_form() -> None:
    packet = plain(0, b"sound")
    assert ToOpus().patch(packet) == (0, b"")
    adapter = ToRed(109, repeating=False)
    assert red.decode(sent(packet, adapter.patch(packet))) == (Block(109, 0, b"sound"),)


def test_a_client_gets_red_if_it_takes_it_and_opus_if_not() -> None:
    both, without = {63: RED, 111: OPUS}, {109: OPUS}
    assert chosen(choose("audio/red", both, adapt=True)) == (63, ToRed)
    assert chosen(choose("audio/red", without, adapt=True)) == (109, ToOpus)
    assert chosen(choose("audio/opus", both, adapt=True)) == (63, ToRed)
    assert chosen(choose("audio/opus", without, adapt=True)) == (109, type(None))
    assert choose("audio/red", {0: Format("audio/PCMU", 8_000)}, adapt=True) is None


def test_what_is_encrypted_is_sent_as_it_is_or_not_at_all() -> None:
    both, without = {63: RED, 111: OPUS}, {109: OPUS}
    assert chosen(choose("audio/red", both, adapt=False)) == (63, type(None))
    assert chosen(choose("audio/opus", both, adapt=False)) == (111, type(None))
    assert choose("audio/red", without, adapt=False) is None


def test_other_codecs_are_what_they_are() -> None:
    taken = {96: Format("video/VP8", 90_000), 98: Format("video/VP9", 90_000)}
    assert chosen(choose("video/VP9", taken, adapt=True)) == (98, type(None))
    assert choose("video/H264", taken, adapt=True) is None


def chosen(choice: Choice | None) -> tuple[int, type]:
    assert choice is not None
    return choice.payload_type, type(choice.adapter)
