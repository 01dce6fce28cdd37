import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sdp.captures import NAMES, offer, text
from trio_sfu.errors import WireError
from trio_sfu.sdp.attributes import MAX_RIDS, Direction, Encoding, ExtMap, Msid, Setup
from trio_sfu.sdp.lines import Line
from trio_sfu.sdp.session import MAX_SECTIONS, MAX_SSRCS, Origin, SessionDescription

SMALL = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_client_wrote_is_written_again_letter_by_letter(name: str) -> None:
    assert str(offer(name)) == text(name)


@pytest.mark.parametrize("name", NAMES)
def test_bare_line_feeds_mean_the_same(name: str) -> None:
    assert SessionDescription.parse(text(name).replace("\r\n", "\n")) == offer(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_client_bundles_everything_and_says_how_to_reach_it(name: str) -> None:
    description = offer(name)
    assert description.bundle == tuple(section.mid for section in description.sections)
    transport = description.transport
    assert len(transport.ufrag) >= 4
    assert len(transport.password) >= 22
    assert transport.fingerprints[0].algorithm == "sha-256"
    assert len(transport.fingerprints[0].digest) == 32
    assert not transport.lite


def test_chromiums_video_section() -> None:
    section = offer("chromium-156-offer").by_mid["1"]
    assert section.direction is Direction.SENDONLY
    assert section.rtp_maps[96].name == "VP8"
    assert section.parameters[97] == "apt=96"
    assert [rid.id for rid in section.rids] == ["q", "h", "f"]
    assert section.simulcast is not None
    assert section.simulcast.send == ((Encoding("q"),), (Encoding("h"),), (Encoding("f"),))


def test_firefoxs_attributes_of_the_session_and_extensions_with_direction() -> None:
    description = offer("firefox-153-offer")
    assert description.transport.setup is Setup.ACTPASS
    assert description.transport.fingerprints[0].digest[:2] == b"\x5f\x61"
    assert description.transport.options == ("trickle",)
    audio, video, data = description.sections
    assert ExtMap(2, "urn:ietf:params:rtp-hdrext:csrc-audio-level", Direction.RECVONLY) in (
        audio.extensions
    )
    assert audio.msids == (
        Msid("{784dbe0e-f16d-497e-af77-7761268ecb52}", "{61ca21dc-d7cf-4f61-a27e-5a6ec864aa22}"),
    )
    assert video.ssrc_groups[0].ssrcs == (2266546965, 4036500277)
    assert description.extensions_mixed(video)
    assert (data.sctp_port, data.max_message_size) == (5000, 1073741823)


def test_a_gathered_offer_has_candidates_as_text() -> None:
    transport = offer("aiortc-1.16-offer").transport
    assert transport.complete
    assert transport.candidates == (
        "candidate:16572de626da4e5384a0ce2d0d93678a 1 udp 2130706431 127.0.0.1 60796 typ host",
    )
    assert [fingerprint.algorithm for fingerprint in transport.fingerprints] == [
        "sha-256",
        "sha-384",
        "sha-512",
    ]


def test_a_bundle_only_section_is_not_refused_by_its_port_of_zero() -> None:
    media = "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    assert SessionDescription.parse(SMALL + media).sections[0].rejected
    section = SessionDescription.parse(SMALL + media + "a=bundle-only\r\n").sections[0]
    assert not section.rejected


def test_several_msids_and_those_of_ssrcs_are_found() -> None:
    media = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
    new = "a=msid:a t\r\na=msid:b t\r\na=ssrc:1 msid:old t\r\n"
    old = "a=ssrc:1 cname:c\r\na=ssrc:1 msid:old t\r\na=ssrc:2 msid:old t\r\n"
    assert SessionDescription.parse(SMALL + media + new).sections[0].msids == (
        Msid("a", "t"),
        Msid("b", "t"),
    )
    assert SessionDescription.parse(SMALL + media + old).sections[0].msids == (Msid("old", "t"),)


BROKEN = [
    "",
    "o=- 1 1 IN IP4 0.0.0.0\r\n",
    "v=1\r\n",
    "v=0\r\ns=-\r\n",
    "v=0\r\no=- x 1 IN IP4 0.0.0.0\r\n",
    SMALL + "m=audio 9 UDP/TLS/RTP/SAVPF\r\n",
    SMALL + "m=audio 9/2 UDP/TLS/RTP/SAVPF 0\r\n",
    SMALL + "m=audio 65536 UDP/TLS/RTP/SAVPF 0\r\n",
    SMALL + "m=audio 9 UDP/TLS/RTP/SAVPF 0 0\r\n",
    SMALL + "m=audio 9 UDP/TLS/RTP/SAVPF opus\r\n",
    SMALL + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=sendonly\r\na=recvonly\r\n",
    SMALL + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=ssrc:none cname:x\r\n",
    SMALL + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" * 2,
    SMALL + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * (MAX_SECTIONS + 1),
]


AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
BROKEN += [
    SMALL + AUDIO + "".join(f"a=ssrc:{ssrc} cname:x\r\n" for ssrc in range(MAX_SSRCS + 1)),
    SMALL + AUDIO + f"a=ssrc-group:FID {' '.join(map(str, range(MAX_SSRCS + 1)))}\r\n",
    SMALL + AUDIO + "".join(f"a=rid:{rid} send\r\n" for rid in range(2 * MAX_RIDS + 1)),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_description_is_a_wire_error(broken: str) -> None:
    with pytest.raises(WireError):
        SessionDescription.parse(broken)


@pytest.mark.parametrize(
    "line",
    [
        "a=ice-ufrag:abc",
        "a=ice-ufrag:ab:cd",
        "a=ice-pwd:short",
        "a=fingerprint:sha-256",
        "a=setup:x",
    ],
)
def test_a_transport_that_cannot_be_is_a_wire_error(line: str) -> None:
    name = line.partition(":")[0]
    lines = [
        line if row.startswith(name) else row for row in text("chromium-156-offer").split("\r\n")
    ]
    description = SessionDescription.parse("\r\n".join(lines))
    with pytest.raises(WireError):
        description.transport


def test_a_description_without_a_living_section_has_no_transport() -> None:
    with pytest.raises(WireError, match="section"):
        SessionDescription.parse(SMALL).transport


def test_an_origin_counts_up_to_64_bits() -> None:
    assert Origin.parse("mozilla 18446744073709551615 0 IN IP4 0.0.0.0").session_id == 2**64 - 1


@given(st.data())
@settings(deadline=None)
def test_what_is_parsed_of_a_mutated_offer_parses_equal_again(data: st.DataObject) -> None:
    rows = text(data.draw(st.sampled_from(NAMES))).split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(rows) - 1))
        match data.draw(st.sampled_from(["drop", "double", "swap", "edit"])):
            case "drop":
                del rows[place]
            case "double":
                rows.insert(place, rows[place])
            case "swap":
                rows[place], rows[-1] = rows[-1], rows[place]
            case _:
                cut = data.draw(st.integers(0, len(rows[place])))
                rows[place] = (
                    rows[place][:cut] + data.draw(st.text(max_size=5)) + rows[place][cut + 1 :]
                )
    try:
        description = SessionDescription.parse("\r\n".join(rows))
    except WireError:
        return
    assert SessionDescription.parse(str(description)) == description


@given(st.text(st.sampled_from("vosma=:0123456789 \r\nxrtpmapUDP/TLSRTPSAVPF")))
def test_arbitrary_text_raises_only_wire_error(soup: str) -> None:
    for candidate in (soup, SMALL + soup):
        try:
            SessionDescription.parse(candidate)
        except WireError:
            pass


def test_unknown_lines_stay_where_they_were() -> None:
    media = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nb=AS:9\r\na=x-new:1\r\na=mid:0\r\nk=clear\r\n"
    description = SessionDescription.parse(SMALL + "a=y\r\n" + media)
    assert description.lines[-1] == Line("a", "y")
    assert str(description) == SMALL + "a=y\r\n" + media
