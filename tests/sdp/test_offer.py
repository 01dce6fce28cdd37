import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sdp.captures import ORIGIN, OURS, text
from trio_sfu.errors import WireError
from trio_sfu.sdp.agreement import CLIENT, Agreement, Receiving, SectionPlan, Sending
from trio_sfu.sdp.answer import answer
from trio_sfu.sdp.attributes import Direction, Fingerprint, Setup
from trio_sfu.sdp.formats import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    H264,
    MID,
    OPUS,
    RED,
    RID,
    RTX,
    TRANSPORT_CC,
    VIDEO_FEEDBACK,
    VP8,
    VP9,
    choose,
)
from trio_sfu.sdp.offer import Offerer
from trio_sfu.sdp.session import SessionDescription, Transport

THEIRS = Transport("them", "theirPasswordIsLonger012", (Fingerprint("sha-256", bytes(32)),))


def video(number: int, mime: str = VP8) -> Sending:
    track = f"TR_VC{number}"
    stream = f"PA_abc|{track}"
    return Sending("video", stream, track, stream, mime, 1000 + number, 2000 + number)


def audio(number: int, mime: str = OPUS) -> Sending:
    track = f"TR_AM{number}"
    return Sending("audio", f"PA_abc|{track}", track, f"PA_abc|{track}", mime, 3000 + number)


def reread(description: SessionDescription) -> SessionDescription:
    """As it arrives at the other end."""
    return SessionDescription.parse(str(description))


def client_answer(offer: SessionDescription, **receiving: object) -> SessionDescription:
    """What a client of ours says to *offer*."""
    plan = SectionPlan(receive=Receiving(**receiving))  # type: ignore[arg-type] - by the test
    return reread(answer(reread(offer), THEIRS, ORIGIN, default=plan, role=CLIENT).description)


def directions(description: SessionDescription) -> list[str]:
    return [str(section.direction) for section in description.sections if section.kind != DATA]


DATA = "application"


def test_the_first_offer_has_the_data_channels_even_without_streams() -> None:
    offer = reread(Offerer(1).offer(OURS, ()))
    (section,) = offer.sections
    assert (section.kind, section.mid, section.formats) == (DATA, "0", ("webrtc-datachannel",))
    assert (section.sctp_port, section.max_message_size) == (5000, 65_535)
    assert offer.bundle == ("0",)
    assert offer.transport == attrs.evolve(OURS, setup=Setup.ACTPASS)


def test_a_stream_is_offered_under_livekits_names() -> None:
    offer = reread(Offerer(1).offer(OURS, (audio(1), video(2))))
    assert offer.bundle == ("0", "1", "2")
    section = offer.by_mid["2"]
    assert section.direction is Direction.SENDONLY
    assert section.attributes["msid"] == ["PA_abc|TR_VC2 TR_VC2"]
    assert section.attributes["ssrc-group"] == ["FID 1002 2002"]
    assert "1002 cname:PA_abc|TR_VC2" in section.attributes["ssrc"]
    assert section.formats == ("96", "97")
    assert section.has("rtcp-mux")
    assert section.has("rtcp-rsize")
    assert {extension.uri for extension in section.extensions} == {
        ABS_SEND_TIME,
        TRANSPORT_CC,
        MID,
        DEPENDENCY_DESCRIPTOR,
    }
    assert not offer.by_mid["1"].has("ssrc-group")


def test_versions_count_up_and_numbers_stay() -> None:
    offerer = Offerer(4711)
    offers = []
    for count in range(1, 4):
        offers.append(reread(offerer.offer(OURS, [video(number) for number in range(count)])))
        offerer.accept(client_answer(offers[-1]))
    assert [offer.origin.version for offer in offers] == [1, 2, 3]
    assert {offer.origin.session_id for offer in offers} == {4711}
    assert offers[2].sections[:3] == offers[1].sections


def test_what_the_client_takes_is_agreed_on() -> None:
    offerer = Offerer(1)
    offer = offerer.offer(OURS, (audio(1, RED), video(2, H264)))
    agreement = offerer.accept(client_answer(offer))
    assert agreement.setup is Setup.ACTIVE
    assert agreement.transport == attrs.evolve(THEIRS, setup=Setup.PASSIVE)
    assert agreement.data is not None
    assert agreement["1"].formats.keys() == {63, 111}
    section = agreement["2"]
    assert section.direction is Direction.SENDONLY
    assert section.sending == video(2, H264)
    assert section.formats[108].feedback == VIDEO_FEEDBACK
    assert section.extensions[TRANSPORT_CC] == 3
    parameters = "packetization-mode=1;profile-level-id=42e01f"
    assert choose(section.formats, H264, parameters) == 108
    with pytest.raises(KeyError):
        agreement["0"]


def test_a_codec_that_the_client_does_not_take_costs_only_its_own_section() -> None:
    offerer = Offerer(1)
    offer = offerer.offer(OURS, (video(1, VP9), video(2, VP8)))
    agreement = offerer.accept(client_answer(offer, mimes=(VP8,)))
    assert agreement["1"].sending is None
    assert agreement["1"].direction is Direction.INACTIVE
    assert agreement["2"].sending == video(2)


def test_a_track_may_come_in_another_codec() -> None:
    offerer = Offerer(1)
    either = attrs.evolve(video(1, VP9), fallbacks=(VP8,))
    offer = reread(offerer.offer(OURS, (either,)))
    assert offer.by_mid["1"].formats[:2] == ("98", "99")
    section = offerer.accept(client_answer(offer, mimes=(VP8,)))["1"]
    assert section.sending == either
    assert choose(section.formats, VP9) is None
    assert choose(section.formats, VP8) == 96


def test_without_rtx_repeats_have_no_ssrc_of_their_own() -> None:
    offerer = Offerer(1)
    text = str(client_answer(offerer.offer(OURS, (video(1),))))
    text = text.replace("SAVPF 96 97", "SAVPF 96").replace("a=rtpmap:97 rtx/90000\r\n", "")
    section = offerer.accept(SessionDescription.parse(text.replace("a=fmtp:97 apt=96\r\n", "")))[
        "1"
    ]
    assert section.sending is not None
    assert section.sending.rtx_ssrc is None
    assert RTX not in {format.mime for format in section.formats.values()}


def test_an_ended_stream_leaves_its_section_to_another_after_the_answer() -> None:
    offerer = Offerer(1)

    def next_round(*sendings: Sending) -> list[str]:
        offer = offerer.offer(OURS, sendings)
        offerer.accept(client_answer(offer))
        return directions(offer)

    assert next_round(video(1), audio(1)) == ["sendonly", "sendonly"]
    assert next_round(audio(1), video(2)) == ["inactive", "sendonly", "sendonly"], "not at once"
    assert next_round(audio(1), video(2), video(3)) == ["sendonly", "sendonly", "sendonly"]
    assert offerer.track_ids == {"1": "TR_VC3", "2": "TR_AM1", "3": "TR_VC2"}
    assert next_round() == ["inactive"] * 3
    assert offerer.track_ids == {}
    assert next_round(audio(2)) == ["inactive", "sendonly", "inactive"], "of its own kind"


def test_a_reused_section_may_have_another_codec() -> None:
    offerer = Offerer(1)
    for sendings in ((video(1, H264),), (), (video(2, VP8),)):
        offer = offerer.offer(OURS, sendings)
        agreement = offerer.accept(client_answer(offer))
    assert offer.by_mid["1"].formats == ("96", "97")
    assert agreement["1"].sending == video(2)


def test_safari_gets_a_new_section_every_time() -> None:
    offerer = Offerer(1, reuse=False)
    for sendings in ((video(1),), (), (video(2),)):
        offer = offerer.offer(OURS, sendings)
        offerer.accept(client_answer(offer))
    assert directions(offer) == ["inactive", "sendonly"]


def test_an_offer_that_was_never_answered_is_replaced() -> None:
    offerer = Offerer(1)
    offerer.offer(OURS, (video(1),))
    offer = offerer.offer(OURS, (video(2),))
    assert directions(offer) == ["inactive", "sendonly"]
    assert offerer.accept(client_answer(offer))["2"].sending == video(2)


def test_new_credentials_restart_ice_and_change_nothing_else() -> None:
    offerer = Offerer(1)
    first = offerer.offer(OURS, (video(1),))
    offerer.accept(client_answer(first))
    again = offerer.offer(attrs.evolve(OURS, ufrag="newu"), (video(1),))
    assert again.transport.ufrag == "newu"
    assert str(again).replace("newu", OURS.ufrag).replace(" 1 2 ", " 1 1 ") == str(first)


def test_a_refused_section_keeps_its_place_and_carries_nothing() -> None:
    offerer = Offerer(1)
    offer = offerer.offer(OURS, (video(1), audio(1)))
    text = str(client_answer(offer)).replace("m=video 9", "m=video 0").replace("E 0 1 2", "E 0 2")
    agreement = offerer.accept(SessionDescription.parse(text))
    assert agreement["1"].rejected
    offer = reread(offerer.offer(OURS, (audio(1), video(2))))
    assert [section.rejected for section in offer.sections] == [False, True, False, False]
    assert offer.bundle == ("0", "2", "3")
    assert offerer.accept(client_answer(offer))["3"].sending == video(2)


def test_the_client_may_refuse_data_channels() -> None:
    offerer = Offerer(1)
    offer = offerer.offer(OURS, (audio(1),))
    refused = answer(offer, THEIRS, ORIGIN, role=CLIENT, data=False)
    assert offerer.accept(reread(refused.description)).data is None
    assert offerer.offer(OURS, (audio(1),)).sections[0].rejected


def test_candidates_move_on_when_the_first_section_was_refused() -> None:
    offerer = Offerer(1)
    offer = offerer.offer(OURS, (audio(1),))
    assert offer.sections[0].has("candidate")
    offerer.accept(reread(answer(offer, THEIRS, ORIGIN, role=CLIENT, data=False).description))
    data, sound = offerer.offer(OURS, (audio(1),)).sections
    assert not data.has("candidate")
    assert sound.has("candidate")


def test_a_refused_section_is_never_reused() -> None:
    offerer = Offerer(1)
    offer = offerer.offer(OURS, (video(1), audio(1)))
    text = str(client_answer(offer)).replace("m=video 9", "m=video 0").replace("E 0 1 2", "E 0 2")
    offerer.accept(SessionDescription.parse(text))
    for sendings in ((audio(1),), (audio(1), video(2))):
        offer = offerer.offer(OURS, sendings)
        agreement = offerer.accept(client_answer(offer))
    assert agreement["1"].rejected
    assert agreement["3"].sending == video(2)


def test_an_extension_under_another_id_than_we_offered_is_not_agreed_on() -> None:
    offerer = Offerer(1)
    text = str(client_answer(offerer.offer(OURS, (video(1),))))
    answered = SessionDescription.parse(text.replace("a=extmap:3 ", "a=extmap:5 "))
    section = offerer.accept(answered)["1"]
    assert TRANSPORT_CC not in section.extensions
    assert ABS_SEND_TIME in section.extensions


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=mid:1", "a=mid:7"),
        ("m=video", "m=audio"),
        ("a=setup:passive", "a=setup:actpass"),
        ("m=application", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:x\r\nm=application"),
    ],
)
def test_an_answer_to_another_offer_is_a_wire_error_and_leaves_ours_standing(
    old: str, new: str
) -> None:
    offerer = Offerer(1)
    good = client_answer(offerer.offer(OURS, (video(1),)))
    bad = SessionDescription.parse(str(good).replace(old, new))
    with pytest.raises(WireError):
        offerer.accept(bad)
    assert offerer.accept(good)["1"].sending == video(1)


def test_an_answer_that_nobody_asked_for_is_a_wire_error() -> None:
    offerer = Offerer(1)
    given_answer = client_answer(offerer.offer(OURS, ()))
    offerer.accept(given_answer)
    with pytest.raises(WireError, match="nobody"):
        offerer.accept(given_answer)


def test_what_cannot_be_offered_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="twice"):
        Offerer(1).offer(OURS, (video(1), video(1)))
    with pytest.raises(ValueError, match="nothing"):
        Offerer(1, data=False).offer(OURS, ())


# -- our own client, which publishes with the same functions --


def publish(*sendings: Sending, **plans: Receiving) -> tuple[Agreement, Agreement]:
    """A publisher's offer answered: what the server has, and what the client."""
    offerer = Offerer(1, role=CLIENT)
    offer = reread(offerer.offer(THEIRS, sendings))
    served = answer(
        offer, OURS, ORIGIN, {mid[1:]: SectionPlan(receive=plan) for mid, plan in plans.items()}
    )
    return served, offerer.accept(reread(served.description))


CAMERA = Sending("video", "stream", "camera", "me", VP8, rids=("q", "h", "f"))
MICROPHONE = Sending("audio", "stream", "microphone", "me", OPUS, ssrc=7)


def test_our_client_publishes_simulcast_to_our_server() -> None:
    served, published = publish(CAMERA, MICROPHONE)
    assert served["1"].rids == ("q", "h", "f")
    assert served["1"].direction is Direction.RECVONLY
    assert (served["1"].stream_id, served["1"].track_id) == ("stream", "camera")
    assert published["1"].direction is Direction.SENDONLY
    assert published["1"].sending == CAMERA
    assert published["1"].extensions == served["1"].extensions
    assert RID in published["1"].extensions
    assert published["1"].formats == served["1"].formats
    assert served["2"].ssrcs == (7,)
    assert AUDIO_LEVEL in published["2"].extensions
    assert served.data is not None
    assert published.data is not None
    assert (served.setup, published.setup) == (Setup.PASSIVE, Setup.ACTIVE)


def test_our_client_sends_only_the_layers_that_the_server_takes() -> None:
    offerer = Offerer(1, role=CLIENT)
    served = answer(reread(offerer.offer(THEIRS, (CAMERA,))), OURS, ORIGIN)
    text = str(served.description).replace("recv q;h;f", "recv q;h")
    sending = offerer.accept(SessionDescription.parse(text))["1"].sending
    assert sending == attrs.evolve(CAMERA, rids=("q", "h"))


def test_our_client_publishes_one_layer_with_rtx() -> None:
    camera = attrs.evolve(CAMERA, ssrc=5, rtx_ssrc=6, rids=())
    served, published = publish(camera)
    assert served["1"].ssrcs == (5,)
    assert served["1"].repairs == {6: 5}
    assert published["1"].sending == camera


def test_our_client_sees_which_codec_the_server_wants() -> None:
    red = attrs.evolve(MICROPHONE, mime=RED, fallbacks=(OPUS,))
    _, published = publish(red, m1=Receiving(red=False, dtx=True))
    assert next(iter(published["1"].formats.values())).mime == RED, "as we offered it"
    assert published["1"].formats[111].parameters.endswith("usedtx=1")
    _, published = publish(red, m1=Receiving(prefer=OPUS))
    assert next(iter(published["1"].formats.values())).mime == OPUS


def test_our_client_takes_what_our_server_offers_and_knows_whose_it_is() -> None:
    offer = reread(Offerer(1).offer(OURS, (video(1), audio(2))))
    taken = answer(offer, THEIRS, ORIGIN, role=CLIENT)
    assert (taken["1"].stream_id, taken["1"].track_id) == ("PA_abc|TR_VC1", "TR_VC1")
    assert (taken["1"].ssrcs, taken["1"].repairs) == ((1001,), {2001: 1001})
    assert taken["1"].extensions[TRANSPORT_CC] == 3
    assert taken["2"].ssrcs == (3002,)


def test_one_connection_has_sections_for_what_the_server_will_send() -> None:
    offerer = Offerer(1, role=CLIENT)
    offer = reread(offerer.offer(THEIRS, (MICROPHONE,), {"audio": 1, "video": 2}))
    assert directions(offer) == ["sendonly", "recvonly", "recvonly", "recvonly"]
    plans = {"3": SectionPlan(send=video(9))}
    served = answer(offer, OURS, ORIGIN, plans)
    assert served["3"].sending == video(9)
    agreement = offerer.accept(reread(served.description))
    assert agreement["3"].track_id == "TR_VC9"
    assert agreement["3"].direction is Direction.RECVONLY
    assert agreement["4"].direction is Direction.INACTIVE
    again = offerer.offer(THEIRS, (), {"video": 3})
    assert directions(again) == ["inactive", "recvonly", "recvonly", "recvonly", "recvonly"]


def browser_answer(name: str) -> Agreement:
    """What a browser answered to this very offer, when it was asked."""
    offerer = Offerer(4711)
    red = attrs.evolve(audio(1, RED), fallbacks=(OPUS,))
    offerer.offer(OURS, (red, video(1, H264), video(2)))
    return offerer.accept(SessionDescription.parse(text(name)))


def test_chromiums_answer_is_understood() -> None:
    agreement = browser_answer("chromium-156-answer")
    assert agreement.setup is Setup.PASSIVE
    assert [section.direction for section in agreement.sections] == [Direction.SENDONLY] * 3
    sound, h264, vp8 = agreement.sections
    assert sound.formats.keys() == {63, 111}
    assert sound.formats[111].feedback == frozenset(), "a browser sends no NACK for Opus"
    assert choose(h264.formats, H264, "packetization-mode=1;profile-level-id=42001f") == 102
    assert vp8.formats[96].feedback == VIDEO_FEEDBACK
    assert vp8.formats[97].repairs == 96
    assert vp8.sending == video(2)
    assert DEPENDENCY_DESCRIPTOR in vp8.extensions
    assert agreement.data is not None
    assert agreement.data.max_message_size == 65_535


def test_firefoxs_answer_is_understood_though_it_has_neither_red_nor_h264() -> None:
    agreement = browser_answer("firefox-153-answer")
    sound, h264, vp8 = agreement.sections
    assert sound.sending is not None
    assert choose(sound.formats, RED) is None
    assert choose(sound.formats, OPUS) == 111
    assert h264.rejected
    assert h264.sending is None
    assert vp8.sending == video(2)
    assert vp8.extensions.keys() == {MID, ABS_SEND_TIME, TRANSPORT_CC}


WISHES = st.lists(st.sets(st.integers(0, 7), max_size=6), min_size=1, max_size=8)


@given(WISHES, st.booleans())
@settings(max_examples=25, deadline=None)
def test_whatever_comes_and_goes_every_stream_has_a_section_and_no_section_moves(
    wishes: list[set[int]], data: bool
) -> None:
    offerer = Offerer(1, data=data)
    before: list[tuple[str | None, str]] = []
    carried: dict[str, str] = {}
    for wish in wishes:
        sendings = [audio(number) if number % 2 else video(number) for number in sorted(wish)]
        if not (sendings or data or before):
            continue
        offer = reread(offerer.offer(OURS, sendings))
        agreement = offerer.accept(client_answer(offer))
        places = [(section.mid, section.kind) for section in offer.sections]
        assert places[: len(before)] == before
        assert len({mid for mid, _ in places}) == len(places)
        sent = [section.sending for section in agreement.sections if section.sending]
        assert sorted(sent, key=str) == sorted(sendings, key=str)
        for mid, track in offerer.track_ids.items():
            assert carried.get(mid, track) == track, "a section changed its stream at once"
        before, carried = places, dict(offerer.track_ids)
