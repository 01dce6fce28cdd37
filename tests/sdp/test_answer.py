import attrs
import pytest

from tests.sdp.captures import NAMES, ORIGIN, OURS, offer, text
from trio_sfu.errors import WireError
from trio_sfu.sdp.agreement import CLIENT, AgreedSection, Receiving, SectionPlan, Sending
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.attributes import Direction, Setup
from trio_sfu.sdp.formats import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    H264,
    MID,
    OPUS,
    PCMU,
    RED,
    REPAIRED_RID,
    RID,
    RTX,
    TRANSPORT_CC,
    VIDEO_FEEDBACK,
    VP8,
    VP9,
)
from trio_sfu.sdp.session import SessionDescription

CODEC_NAMES = ("VP8", "VP9", "AV1", "H264")

CAMERA = Sending(
    "video", "PA_abc|TR_VCdef", "TR_VCdef", "PA_abc|TR_VCdef", VP8, ssrc=1111, rtx_ssrc=2222
)
MICROPHONE = Sending("audio", "PA_abc|TR_AMdef", "TR_AMdef", "PA_abc|TR_AMdef", OPUS, ssrc=3333)


def changed(name: str, *changes: tuple[str, str]) -> SessionDescription:
    edited = text(name)
    for old, new in changes:
        assert old in edited
        edited = edited.replace(old, new)
    return SessionDescription.parse(edited)


@pytest.mark.parametrize("name", NAMES)
def test_every_client_gets_all_its_sections_answered_in_order(name: str) -> None:
    offered = offer(name)
    agreement = answer(offered, OURS, ORIGIN)
    description = agreement.description
    assert SessionDescription.parse(str(description)) == description
    assert [section.mid for section in description.sections] == list(offered.bundle)
    assert description.bundle == offered.bundle
    for ours, theirs in zip(description.sections, offered.sections, strict=True):
        assert (ours.kind, ours.protocol) == (theirs.kind, theirs.protocol)
        assert set(ours.formats) <= set(theirs.formats)
        assert ours.direction.sends is False or ours.kind == "application"
        assert ours.has("rtcp-mux") == theirs.has("rtcp-mux")
        assert ours.has("rtcp-rsize") == theirs.has("rtcp-rsize")
        assert not ours.has("sctp-init")
    assert description.transport == attrs.evolve(OURS, setup=agreement.setup)
    assert agreement.transport == offered.transport


def test_candidates_are_in_the_first_section_only() -> None:
    first, *others = answer(offer("chromium-156-offer"), OURS, ORIGIN).description.sections
    assert first.has("candidate")
    assert first.has("end-of-candidates")
    assert not any(section.has("candidate") for section in others)


@pytest.mark.parametrize(
    ("offered", "wanted", "answered"),
    [
        ("actpass", Setup.PASSIVE, Setup.PASSIVE),
        ("actpass", Setup.ACTIVE, Setup.ACTIVE),
        ("active", Setup.ACTIVE, Setup.PASSIVE),
        ("passive", Setup.PASSIVE, Setup.ACTIVE),
    ],
)
def test_who_begins_the_handshake(offered: str, wanted: Setup, answered: Setup) -> None:
    description = changed("chromium-156-offer", ("a=setup:actpass", f"a=setup:{offered}"))
    agreement = answer(description, OURS, ORIGIN, setup=wanted)
    assert agreement.setup is answered
    assert agreement.description.transport.setup is answered


def test_ffmpeg_lets_us_begin_the_handshake() -> None:
    agreement = answer(offer("ffmpeg-whip-offer"), OURS, ORIGIN)
    assert agreement.setup is Setup.ACTIVE
    video = agreement["1"]
    assert (video.stream_id, video.track_id) == ("FFmpeg", "video")
    assert (video.ssrcs, dict(video.repairs)) == ((1353263479,), {1353263480: 1353263479})
    assert video.formats[106].feedback == {"nack"}
    assert video.extensions == {}


def test_unknown_ice_options_are_not_taken_over() -> None:
    name = "livekit-python-1.2.1-v1-offer"
    assert "goog-sped-v1" in text(name)
    answered = str(answer(offer(name), OURS, ORIGIN).description)
    assert "ice-options" not in answered
    assert "sctp-init" not in answered
    trickle = attrs.evolve(OURS, options=("trickle",))
    assert "a=ice-options:trickle\r\n" in str(answer(offer(name), trickle, ORIGIN).description)


def test_chromiums_simulcast_is_received() -> None:
    agreement = answer(offer("chromium-156-offer"), OURS, ORIGIN)
    video = agreement["1"]
    assert video.direction is Direction.RECVONLY
    assert video.rids == ("q", "h", "f")
    assert video.track_id == "e520f30c-f363-4d99-8774-53500401dbf3"
    assert video.formats[96].feedback == VIDEO_FEEDBACK
    assert video.extensions == {
        ABS_SEND_TIME: 2,
        TRANSPORT_CC: 3,
        MID: 4,
        RID: 10,
        REPAIRED_RID: 11,
        DEPENDENCY_DESCRIPTOR: 12,
    }
    assert agreement["0"].extensions == {AUDIO_LEVEL: 1, MID: 4}
    section = agreement.description.by_mid["1"]
    assert section.attributes["rid"] == ["q recv", "h recv", "f recv"]
    assert section.attributes["simulcast"] == ["recv q;h;f"]


def test_firefoxs_extensions_are_answered_in_the_other_direction() -> None:
    agreement = answer(offer("firefox-153-offer"), OURS, ORIGIN)
    section = agreement.description.by_mid["1"]
    assert f"9/recvonly {RID}" in section.attributes["extmap"]
    assert f"3 {MID}" in section.attributes["extmap"]
    video = agreement["1"]
    assert video.ssrcs == (2266546965, 374518272, 3799906511)
    assert video.repairs == {
        4036500277: 2266546965,
        41034099: 374518272,
        762408818: 3799906511,
    }


@pytest.mark.parametrize(
    ("simulcast", "rids"),
    [
        ("send f;h;q", ("q", "h", "f")),
        ("send q;~h;~f", ("q", "h", "f")),
        ("send h;q", ("q", "h")),
        ("send q,f;h", ("q", "h")),
        ("send q;h;f;unknown", ("q", "h", "f")),
        ("recv q;h;f", ()),
    ],
)
def test_layers_are_given_from_low_to_high(simulcast: str, rids: tuple[str, ...]) -> None:
    description = changed("chromium-156-offer", ("simulcast:send q;h;f", f"simulcast:{simulcast}"))
    assert answer(description, OURS, ORIGIN)["1"].rids == rids


def test_names_that_we_do_not_know_keep_the_peers_order() -> None:
    description = changed(
        "chromium-156-offer",
        ("simulcast:send q;h;f", "simulcast:send small;big"),
        ("rid:q", "rid:small"),
        ("rid:h", "rid:big"),
    )
    assert answer(description, OURS, ORIGIN)["1"].rids == ("small", "big")


def test_without_the_rid_extension_there_is_no_simulcast() -> None:
    description = changed("chromium-156-offer", (f"a=extmap:10 {RID}\r\n", ""))
    agreement = answer(description, OURS, ORIGIN)
    assert agreement["1"].rids == ()
    assert not agreement.description.by_mid["1"].has("simulcast")


def plan(receiving: Receiving, mid: str = "0") -> AgreedSection:
    return answer(offer("chromium-156-offer"), OURS, ORIGIN, {mid: SectionPlan(receive=receiving)})[
        mid
    ]


def test_opus_gets_nack_though_browsers_do_not_offer_it() -> None:
    assert plan(Receiving()).formats[111].feedback == {"nack"}


def test_opus_may_fall_silent_and_be_stereo() -> None:
    base = "minptime=10;useinbandfec=1"
    assert plan(Receiving()).formats[111].parameters == base
    assert plan(Receiving(dtx=True)).formats[111].parameters == f"{base};usedtx=1"
    assert plan(Receiving(dtx=False, stereo=False)).formats[111].parameters == base
    assert (
        plan(Receiving(dtx=True, stereo=True)).formats[111].parameters
        == f"{base};usedtx=1;stereo=1;maxaveragebitrate=510000"
    )
    firefox = answer(
        offer("firefox-153-offer"), OURS, ORIGIN, {"0": SectionPlan(Receiving(stereo=False))}
    )
    assert firefox["0"].formats[109].parameters == "maxplaybackrate=48000;useinbandfec=1"


def test_red_is_first_only_where_it_is_wanted() -> None:
    assert list(plan(Receiving()).formats) == [111, 63, 0, 8]
    assert list(plan(Receiving(red=True)).formats) == [63, 111, 0, 8]
    assert list(plan(Receiving(red=True, mimes=(OPUS, PCMU))).formats) == [111, 0]


def test_the_announced_codec_goes_first_or_alone() -> None:
    first = plan(Receiving(prefer=VP9), "1")
    assert list(first.formats)[:2] == [98, 99]
    assert 96 in first.formats
    assert plan(Receiving(prefer="video/vp9"), "1") == first, "as clients announce it"
    alone = plan(Receiving(prefer=VP9, only=True), "1")
    assert list(alone.formats) == [98, 99]
    assert plan(Receiving(mimes=(VP8,), prefer="video/H265", only=True), "1").formats.keys() == {
        96,
        97,
    }


def test_a_codec_that_is_switched_off_is_not_answered() -> None:
    mimes = {format.mime for format in plan(Receiving(mimes=(VP8, H264)), "1").formats.values()}
    assert mimes == {VP8, H264, RTX}


def test_what_we_cannot_use_is_refused_and_left_out_of_the_bundle() -> None:
    plans = {"1": SectionPlan(receive=Receiving(mimes=("video/H265",)))}
    agreement = answer(offer("chromium-156-offer"), OURS, ORIGIN, plans)
    assert not agreement["1"].rejected, "it could carry something later"
    assert agreement["1"].direction is Direction.INACTIVE
    description = changed(
        "chromium-156-offer", *((f" {name}/", f" X-{name}/") for name in CODEC_NAMES)
    )
    agreement = answer(description, OURS, ORIGIN)
    assert agreement["1"].rejected
    assert agreement.description.bundle == ("0", "2")
    section = agreement.description.by_mid["1"]
    assert section.rejected
    assert section.formats == description.by_mid["1"].formats


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=group:BUNDLE 0 1 2", "a=group:BUNDLE 0 2"),
        ("m=video 9 ", "m=video 0 "),
        ("m=video 9 UDP/TLS/RTP/SAVPF", "m=video 9 RTP/AVP"),
    ],
)
def test_a_section_that_cannot_share_our_transport_is_refused(old: str, new: str) -> None:
    agreement = answer(changed("chromium-156-offer", (old, new)), OURS, ORIGIN)
    assert [section.rejected for section in agreement.sections] == [False, True]
    assert agreement.data is not None


def test_a_section_without_rtcp_mux_is_refused() -> None:
    agreement = answer(changed("chromium-156-offer", ("a=rtcp-mux\r\n", "")), OURS, ORIGIN)
    assert all(section.rejected for section in agreement.sections)
    assert agreement.description.sections[2].has("candidate"), "the first that lives"


def test_data_channels_are_agreed_on_once_and_if_wanted() -> None:
    data = answer(offer("firefox-153-offer"), OURS, ORIGIN).data
    assert data is not None
    assert (data.mid, data.port, data.max_message_size) == ("2", 5000, 1073741823)
    section = answer(offer("firefox-153-offer"), OURS, ORIGIN).description.by_mid["2"]
    assert (section.sctp_port, section.max_message_size) == (5000, 65_535)
    without = answer(offer("firefox-153-offer"), OURS, ORIGIN, data=False)
    assert without.data is None
    assert without.description.by_mid["2"].rejected


def test_placeholders_of_livekits_clients_stay_open_but_idle() -> None:
    agreement = answer(offer("livekit-client-2.23-v1-offer"), OURS, ORIGIN)
    assert {section.direction for section in agreement.sections} == {Direction.INACTIVE}
    assert not any(section.rejected for section in agreement.sections)
    assert all(section.sending is None for section in agreement.sections)


def test_we_send_in_a_section_that_the_client_offered_for_it() -> None:
    plans = {"0": SectionPlan(send=MICROPHONE), "3": SectionPlan(send=CAMERA)}
    agreement = answer(offer("livekit-client-2.23-v1-offer"), OURS, ORIGIN, plans)
    video = agreement["3"]
    assert video.direction is Direction.SENDONLY
    assert video.sending == CAMERA
    assert list(video.formats) == [96, 97]
    assert video.extensions.keys() == {ABS_SEND_TIME, TRANSPORT_CC, MID, DEPENDENCY_DESCRIPTOR}
    assert agreement["0"].formats.keys() == {111}
    section = agreement.description.by_mid["3"]
    assert section.attributes["msid"] == ["PA_abc|TR_VCdef TR_VCdef"]
    assert section.attributes["ssrc-group"] == ["FID 1111 2222"]
    assert section.attributes["ssrc"] == [
        "1111 cname:PA_abc|TR_VCdef",
        "1111 msid:PA_abc|TR_VCdef TR_VCdef",
        "2222 cname:PA_abc|TR_VCdef",
        "2222 msid:PA_abc|TR_VCdef TR_VCdef",
    ]
    assert agreement["4"].direction is Direction.INACTIVE


def test_we_never_send_h264_high_nor_what_the_client_does_not_take() -> None:
    plans = {
        "1": SectionPlan(send=attrs.evolve(CAMERA, mime=H264)),
        "0": SectionPlan(send=attrs.evolve(MICROPHONE, mime="audio/G729")),
    }
    description = changed(
        "chromium-156-offer",
        ("profile-level-id=4d001f", "profile-level-id=64001f"),
        ("a=sendonly", "a=recvonly"),
    )
    agreement = answer(description, OURS, ORIGIN, plans)
    assert agreement["1"].formats
    assert not any("=64" in format.parameters for format in agreement["1"].formats.values())
    assert agreement["0"].sending is None
    assert agreement["0"].direction is Direction.INACTIVE


def test_a_section_carries_both_directions_if_both_are_wanted() -> None:
    plans = {"0": SectionPlan(receive=Receiving(red=True), send=MICROPHONE)}
    audio = answer(offer("chromium-156-offer"), OURS, ORIGIN, plans)["0"]
    assert audio.direction is Direction.SENDRECV
    assert audio.sending == MICROPHONE
    assert audio.ssrcs == (1387839391,)
    assert list(audio.formats)[:2] == [63, 111]


def test_we_do_not_send_where_the_client_only_sends() -> None:
    agreement = answer(
        offer("firefox-153-offer"), OURS, ORIGIN, {"1": SectionPlan(Receiving(), CAMERA)}
    )
    assert agreement["1"].direction is Direction.RECVONLY
    assert agreement["1"].sending is None
    assert not agreement.description.by_mid["1"].has("msid")


def test_red_is_sent_with_the_opus_that_it_wraps() -> None:
    plans = {"0": SectionPlan(send=attrs.evolve(MICROPHONE, mime=RED, stereo=True))}
    audio = answer(offer("livekit-client-2.23-v1-offer"), OURS, ORIGIN, plans)["0"]
    assert list(audio.formats) == [63, 111]
    assert audio.formats[111].parameters.endswith(";stereo=1;sprop-stereo=1")


def test_a_plan_of_the_wrong_kind_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="audio"):
        answer(offer("chromium-156-offer"), OURS, ORIGIN, {"0": SectionPlan(send=CAMERA)})
    with pytest.raises(ValueError, match="active or passive"):
        answer(offer("chromium-156-offer"), OURS, ORIGIN, setup=Setup.ACTPASS)


def test_a_section_without_mid_cannot_be_answered() -> None:
    with pytest.raises(WireError, match="mid"):
        answer(changed("chromium-156-offer", ("a=mid:1\r\n", "")), OURS, ORIGIN)


def test_an_extension_for_one_direction_is_not_used_in_the_other() -> None:
    description = changed(
        "livekit-client-2.23-v1-offer",
        (f"a=extmap:2 {ABS_SEND_TIME}", f"a=extmap:2/sendonly {ABS_SEND_TIME}"),
        (f"a=extmap:3 {TRANSPORT_CC}", f"a=extmap:3/recvonly {TRANSPORT_CC}"),
    )
    agreement = answer(description, OURS, ORIGIN, {"3": SectionPlan(send=CAMERA)})
    assert ABS_SEND_TIME not in agreement["3"].extensions
    section = agreement.description.by_mid["3"]
    assert f"3/sendonly {TRANSPORT_CC}" in section.attributes["extmap"]


def test_a_subscriber_takes_no_extension_that_only_publishers_send() -> None:
    video = answer(offer("chromium-156-offer"), OURS, ORIGIN, role=CLIENT)["1"]
    assert TRANSPORT_CC in video.extensions
    assert RID not in video.extensions


@pytest.mark.parametrize("number", ["0", "256", "4"])
def test_an_extension_id_that_cannot_be_or_is_taken_is_left_out(number: str) -> None:
    description = changed(
        "chromium-156-offer",
        (f"a=extmap:12 {DEPENDENCY_DESCRIPTOR}", f"a=extmap:{number} {DEPENDENCY_DESCRIPTOR}"),
    )
    assert DEPENDENCY_DESCRIPTOR not in answer(description, OURS, ORIGIN)["1"].extensions


def test_one_and_two_byte_extensions_are_mixed_only_if_the_offer_says_so() -> None:
    mixed = [
        answer(offer(name), OURS, ORIGIN).description.attributes.get("extmap-allow-mixed")
        for name in ("chromium-156-offer", "firefox-153-offer", "aiortc-1.16-offer")
    ]
    assert mixed == [[""], [""], None]


def test_red_is_not_sent_to_who_has_only_opus() -> None:
    plans = {"0": SectionPlan(send=attrs.evolve(MICROPHONE, mime=RED))}
    agreement = answer(offer("firefox-153-offer"), OURS, ORIGIN, plans)
    assert agreement["0"].sending is None
    assert agreement["0"].direction is Direction.INACTIVE
    plans = {"0": SectionPlan(send=attrs.evolve(MICROPHONE, mime=RED, fallbacks=(OPUS,)))}
    agreement = answer(offer("firefox-153-offer"), OURS, ORIGIN, plans)
    assert agreement["0"].direction is Direction.SENDONLY
    assert agreement["0"].formats.keys() == {109}


def test_a_second_section_of_data_channels_is_refused() -> None:
    section = text("livekit-client-2.23-datachannel-offer")
    second = section[section.index("m=") :].replace("mid:0", "mid:1")
    description = SessionDescription.parse(section.replace("BUNDLE 0", "BUNDLE 0 1") + second)
    agreement = answer(description, OURS, ORIGIN)
    assert agreement.data is not None
    assert agreement.data.mid == "0"
    assert [section.rejected for section in agreement.description.sections] == [False, True]


def test_ssrcs_of_an_older_form_of_simulcast_are_in_its_order() -> None:
    description = changed(
        "ffmpeg-whip-offer",
        (
            "a=ssrc-group:FID 1353263479 1353263480",
            "a=ssrc-group:SIM 30 10 20\r\na=ssrc:10 cname:FFmpeg\r\na=ssrc:20 cname:FFmpeg",
        ),
    )
    assert answer(description, OURS, ORIGIN)["1"].ssrcs == (30, 10, 20, 1353263479)
