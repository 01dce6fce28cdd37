from trio_sfu.room.pictures import REMEMBERED_POINTS, UNCHANGED, Pictures
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.payload import describer, vp8

describe = describer("video/VP8")
assert describe


def packet(descriptor: str, index: int = 0) -> RtpPacket:
    payload = bytes.fromhex(descriptor) + b"\x10vp8"
    assert describe
    return RtpPacket(96, False, index & 0xFFFF, 0, 1, {}, payload, index, 0.0, describe(payload))


def patched(pictures: Pictures, descriptor: str, index: int = 0) -> str:
    """The descriptor that the subscriber gets, in hexadecimal."""
    source = packet(descriptor, index)
    cut, patch = pictures.patch(source)
    return (patch + source.payload[cut:])[: -len(b"\x10vp8")].hex()


def begun(descriptor: str) -> Pictures:
    pictures = Pictures()
    first = packet(descriptor)
    pictures.begin(first, other_source=True)
    pictures.patch(first)
    return pictures


def test_a_short_picture_id_is_made_long_from_the_first_picture_on() -> None:
    """Else the subscriber would see it change when another encoding uses a long one."""
    assert patched(Pictures(), "90 80 11") == "90808011"


def test_a_long_one_is_left_alone_before_the_first_switch() -> None:
    assert Pictures().patch(packet("90 80 8011")) == UNCHANGED


def test_a_descriptor_without_numbers_is_left_alone() -> None:
    pictures = begun("90 f0 8011 05 03")
    pictures.begin(packet("10", 9), other_source=True)
    assert patched(pictures, "10", 9) == "10"
    assert patched(pictures, "00", 10) == "00"


def test_a_packet_of_no_frame_is_left_alone() -> None:
    bare = packet("10")
    bare.frame = None
    assert begun("90 80 8011").patch(bare) == UNCHANGED


def test_all_three_counts_go_on_by_one_and_wrap() -> None:
    pictures = begun("90 f0 ffff ff 1f")
    pictures.begin(packet("90 f0 8123 45 2a", 9), other_source=True)
    assert patched(pictures, "90 f0 8123 45 2a", 9) == "90f080000020"
    assert patched(pictures, "80 f0 8123 45 2a", 10) == "80f080000020"
    assert patched(pictures, "90 f0 8124 46 aa", 11) == "90f0800101a0"


def test_a_picture_of_the_same_id_from_another_source_is_not_the_same() -> None:
    pictures = begun("90 80 8011")
    pictures.begin(packet("90 80 8050", 9), other_source=True)
    assert patched(pictures, "90 80 8050", 9) == "90808012"
    pictures.begin(packet("90 80 8050", 19), other_source=True)
    assert patched(pictures, "90 80 8050", 19) == "90808013"


def test_a_count_that_a_source_does_not_have_is_not_made_up() -> None:
    pictures = begun("90 80 8011")
    pictures.begin(packet("90 f0 8050 05 03", 9), other_source=True)
    assert patched(pictures, "90 f0 8050 05 03", 9) == "90f080120503"


def test_late_packets_find_the_offsets_of_their_time() -> None:
    pictures, descriptors = Pictures(), []
    for nth in range(2 * REMEMBERED_POINTS):
        # Every other picture is left out, so each that we send is one less.
        source = packet(f"90 80 {0x8000 | 2 * nth:04x}", 2 * nth)
        pictures.begin(source, other_source=nth == 0)
        pictures.patch(source)
        descriptors.append(source)
    for nth, source in enumerate(descriptors):
        cut, patch = pictures.patch_late(source)
        if nth < REMEMBERED_POINTS:
            assert (cut, patch) == UNCHANGED
        else:
            assert vp8.parse(patch + source.payload[cut:]).picture_id == nth
