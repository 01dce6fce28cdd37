import attrs
import pytest

from tests.sdp.captures import offer
from trio_sfu.errors import WireError
from trio_sfu.sdp.attributes import RtcpFeedback
from trio_sfu.sdp.formats import (
    AV1,
    CODECS,
    EXTENSION_IDS,
    H264,
    MIMES,
    OPUS,
    PCMA,
    PCMU,
    RED,
    RTX,
    VIDEO_FEEDBACK,
    VP8,
    VP9,
    Format,
    choose,
    flavour,
    h264_profile,
    identity,
    is_high_profile,
    offered_formats,
    parse_parameters,
    prefer,
    read_formats,
    repair_for,
    select,
    with_parameter,
)
from trio_sfu.sdp.lines import attribute

CHROMIUM = read_formats(offer("chromium-156-offer").by_mid["1"])
CHROMIUM_AUDIO = read_formats(offer("chromium-156-offer").by_mid["0"])


def same_codec(a: Format, b: Format) -> bool:
    return identity(a) == identity(b)


def h264(parameters: str) -> Format:
    return Format(H264, 90_000, 1, parameters)


def test_formats_are_read_with_their_feedback_and_what_they_repair() -> None:
    assert CHROMIUM[96] == Format(VP8, 90_000, 1, "", None, VIDEO_FEEDBACK)
    assert CHROMIUM[97] == Format(RTX, 90_000, 1, "apt=96", 96)
    assert CHROMIUM_AUDIO[111].channels == 2
    assert CHROMIUM_AUDIO[111].parameters == "minptime=10;useinbandfec=1"
    assert CHROMIUM_AUDIO[0] == Format(PCMU, 8_000)


def test_static_payload_types_need_no_rtpmap_and_a_star_means_all_formats() -> None:
    section = attrs.evolve(
        offer("chromium-156-offer").by_mid["0"],
        formats=("0", "8", "100"),
        lines=(attribute("rtcp-fb", RtcpFeedback(None, "nack")),),
    )
    nack = frozenset({"nack"})
    assert read_formats(section) == {
        0: Format(PCMU, 8_000, feedback=nack),
        8: Format(PCMA, 8_000, feedback=nack),
    }


def test_a_repair_has_no_feedback_of_its_own() -> None:
    section = offer("chromium-156-offer").by_mid["1"]
    for_all = attribute("rtcp-fb", RtcpFeedback(None, "nack"))
    formats = read_formats(attrs.evolve(section, lines=(*section.lines, for_all)))
    assert "nack" in formats[118].feedback, "RED, which had none"
    assert formats[97].feedback == frozenset()


@pytest.mark.parametrize(
    ("profile_level_id", "name"),
    [
        ("42e01f", "constrained-baseline"),
        ("42c02a", "constrained-baseline"),
        ("4d801f", "constrained-baseline"),
        ("58f01f", "constrained-baseline"),
        ("42001f", "baseline"),
        ("42000d", "baseline"),
        ("4d001f", "main"),
        ("4d401f", "main"),
        ("640032", "high"),
        ("640c1f", "constrained-high"),
        ("f4001f", None),
        ("42e0", None),
        ("nonsense", None),
    ],
)
def test_h264_profiles(profile_level_id: str, name: str | None) -> None:
    assert h264_profile(profile_level_id) == name


def test_h264_differs_by_profile_and_packetization_mode_and_not_by_level() -> None:
    ours = CODECS[108]
    assert same_codec(ours, h264("packetization-mode=1;profile-level-id=42E034"))
    assert same_codec(ours, h264("profile-level-id=42c01f; packetization-mode=1"))
    assert not same_codec(ours, h264("packetization-mode=0;profile-level-id=42e01f"))
    assert not same_codec(ours, h264("packetization-mode=1;profile-level-id=4d001f"))
    assert flavour(h264("")) == ("baseline", "0")


def test_vp9_and_av1_differ_by_profile_and_opus_by_nothing() -> None:
    assert same_codec(CODECS[98], Format(VP9, 90_000, 1, "max-fs=12288"))
    assert not same_codec(CODECS[98], Format(VP9, 90_000, 1, "profile-id=2"))
    assert same_codec(CODECS[35], Format(AV1, 90_000, 1, "level-idx=5;profile=0;tier=0"))
    assert same_codec(CODECS[111], Format(OPUS, 48_000, 2, "stereo=1"))
    assert not same_codec(CODECS[111], Format(OPUS, 48_000, 1))


def test_selecting_leaves_out_flavours_that_we_do_not_know() -> None:
    taken = select(CHROMIUM, MIMES)
    assert 98 in taken
    assert 100 not in taken, "VP9 profile 2"
    assert {format.mime for format in taken.values()} == {VP8, VP9, H264, AV1, RTX}
    assert list(taken) == [payload_type for payload_type in CHROMIUM if payload_type in taken]


def test_an_unknown_flavour_is_taken_where_there_is_no_other() -> None:
    assert set(select({100: CHROMIUM[100], 101: CHROMIUM[101]}, MIMES)) == {100, 101}


def test_rtx_goes_with_what_it_repairs() -> None:
    assert set(select(CHROMIUM, (VP8,))) == {96, 97}
    assert repair_for(CHROMIUM, 96) == 97
    assert repair_for(CHROMIUM, 97) is None


@pytest.mark.parametrize("inner", ["9/9", "", "x", "200/200"])
def test_red_needs_the_opus_that_it_wraps(inner: str) -> None:
    assert 63 in select(CHROMIUM_AUDIO, MIMES)
    assert 63 not in select(CHROMIUM_AUDIO, (RED,))
    other = {**CHROMIUM_AUDIO, 63: attrs.evolve(CHROMIUM_AUDIO[63], parameters=inner)}
    assert 63 not in select(other, MIMES)


def test_the_preferred_codec_goes_first_and_takes_its_rtx_along() -> None:
    order = list(prefer(select(CHROMIUM, MIMES), (AV1, H264)))
    assert order[:4] == [45, 46, 102, 103]
    assert order[-4:] == [96, 97, 98, 99]


def test_a_codec_preferred_twice_has_its_first_place() -> None:
    found = prefer(select(CHROMIUM, MIMES), (VP9, VP8, VP9))
    assert next(iter(found.values())).mime == VP9


def test_a_stream_finds_the_payload_type_of_its_flavour() -> None:
    assert choose(CHROMIUM, VP8) == 96
    assert choose(CHROMIUM, "video/H265") is None
    constrained = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    found = choose(CHROMIUM, H264, constrained)
    assert found is not None
    assert CHROMIUM[found].parameters == constrained
    found = choose(CHROMIUM, H264, "packetization-mode=0;profile-level-id=640c1f")
    assert found is not None
    assert "packetization-mode=0" in CHROMIUM[found].parameters
    assert choose(CHROMIUM, VP9, "profile-id=7") == 98, "better than nothing"


def test_what_we_offer_has_one_meaning_for_each_payload_type() -> None:
    everything = offered_formats(MIMES, send=False)
    assert len(everything) == len(CODECS) + sum(
        format.mime.startswith("video/") for format in CODECS.values()
    )
    for payload_type, format in everything.items():
        # 64 to 95 would be taken for RTCP (RFC 5761 section 4).
        assert not 64 <= payload_type <= 95
        assert format.mime != RTX or format.repairs == payload_type - 1


def test_we_never_offer_to_send_h264_high() -> None:
    assert any(is_high_profile(format) for format in offered_formats((H264,), send=False).values())
    for format in offered_formats((H264,), send=True).values():
        assert not is_high_profile(format)
        assert format.repairs != 123


def test_red_brings_opus_along() -> None:
    assert list(offered_formats((RED,), send=True)) == [63, 111]


def test_extension_ids_fit_the_one_byte_form() -> None:
    assert len(set(EXTENSION_IDS.values())) == len(EXTENSION_IDS)
    assert all(0 < number < 15 for number in EXTENSION_IDS.values())


def test_parameters_are_read_and_set_in_place() -> None:
    assert parse_parameters(" Minptime=10; useinbandfec=1;;flag") == {
        "minptime": "10",
        "useinbandfec": "1",
        "flag": "",
    }
    assert with_parameter("a=1;b=2", "a", "3") == "a=3;b=2"
    assert with_parameter("a=1", "b", "2") == "a=1;b=2"
    assert with_parameter("", "b", "2") == "b=2"
    assert with_parameter("a=1;b=2", "a", None) == "b=2"
    assert with_parameter("A=1; b=2", "b", "3") == "A=1;b=3"


def test_an_rtx_that_repairs_nonsense_is_a_wire_error() -> None:
    section = offer("chromium-156-offer").by_mid["1"]
    lines = tuple(
        attribute("fmtp", "97 apt=none") if line.value == "fmtp:97 apt=96" else line
        for line in section.lines
    )
    with pytest.raises(WireError):
        read_formats(attrs.evolve(section, lines=lines))
