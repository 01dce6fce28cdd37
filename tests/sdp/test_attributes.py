"""One row reads and writes: the text of each attribute, and the value that it stands for."""

from typing import Any

import pytest

from trio_sfu.errors import WireError
from trio_sfu.sdp.attributes import (
    Direction,
    Encoding,
    ExtMap,
    Fingerprint,
    Fmtp,
    Group,
    Msid,
    Rid,
    RtcpFeedback,
    RtpMap,
    Setup,
    Simulcast,
    SsrcGroup,
    SsrcLine,
)

CASES: list[tuple[str, Any]] = [
    ("111 opus/48000/2", RtpMap(111, "opus", 48_000, 2)),
    ("96 VP8/90000", RtpMap(96, "VP8", 90_000)),
    ("97 apt=96", Fmtp(97, "apt=96")),
    ("63 111/111", Fmtp(63, "111/111")),
    ("96 nack pli", RtcpFeedback(96, "nack pli")),
    ("* ccm fir", RtcpFeedback(None, "ccm fir")),
    ("4 urn:ietf:params:rtp-hdrext:sdes:mid", ExtMap(4, "urn:ietf:params:rtp-hdrext:sdes:mid")),
    ("9/sendonly urn:x some attributes", ExtMap(9, "urn:x", Direction.SENDONLY, "some attributes")),
    ("q send", Rid("q", sends=True)),
    ("h recv pt=96;max-width=640", Rid("h", sends=False, restrictions="pt=96;max-width=640")),
    ("send q;h;f", Simulcast(((Encoding("q"),), (Encoding("h"),), (Encoding("f"),)))),
    (
        "send 1,~4;~2 recv c",
        Simulcast(
            ((Encoding("1"), Encoding("4", paused=True)), (Encoding("2", paused=True),)),
            ((Encoding("c"),),),
        ),
    ),
    ("recv q", Simulcast(receive=((Encoding("q"),),))),
    ("PA_abc|TR_def TR_def", Msid("PA_abc|TR_def", "TR_def")),
    ("{784dbe0e} {976210d5}", Msid("{784dbe0e}", "{976210d5}")),
    ("- 0c08976d", Msid("", "0c08976d")),
    ("stream", Msid("stream")),
    ("283145229 cname:{b92baea2}", SsrcLine(283_145_229, "cname", "{b92baea2}")),
    ("FID 1 4294967295", SsrcGroup("FID", (1, 0xFFFFFFFF))),
    ("sha-256 0A:FF", Fingerprint("sha-256", b"\x0a\xff")),
    ("BUNDLE 0 audio", Group("BUNDLE", ("0", "audio"))),
    ("BUNDLE", Group("BUNDLE", ())),
]


@pytest.mark.parametrize(("text", "value"), CASES, ids=[text for text, _ in CASES])
def test_an_attribute_is_read_and_written(text: str, value: Any) -> None:
    assert type(value).parse(text) == value
    assert str(value) == text


BROKEN: list[tuple[Any, str]] = [
    (RtpMap, "111"),
    (RtpMap, "128 opus/48000"),
    (RtpMap, "96 /90000"),
    (RtpMap, "96 a/1/2/3"),
    (Fmtp, "x apt=1"),
    (RtcpFeedback, "nack"),
    (ExtMap, "4"),
    (ExtMap, "4/up urn:x"),
    (ExtMap, "70000 urn:x"),
    (Rid, "q"),
    (Rid, "q both"),
    (Rid, "q;h send"),
    (Rid, f"{'q' * 256} send"),
    (Simulcast, ""),
    (Simulcast, "send"),
    (Simulcast, "send q send h"),
    (Simulcast, "both q"),
    (Simulcast, "send q;;h"),
    (Simulcast, "send " + ";".join("abcdefghijklmnopqrst")),
    (SsrcLine, "4294967296 cname:x"),
    (SsrcGroup, "FID one two"),
    (Fingerprint, "sha-256"),
    (Fingerprint, "sha-256 A:B"),
    (Fingerprint, "sha-256 0A 0B"),
    (Fingerprint, "sha-256 GG"),
    (Setup, "holdconn"),
]


@pytest.mark.parametrize(("kind", "text"), BROKEN)
def test_a_broken_attribute_is_a_wire_error(kind: Any, text: str) -> None:
    with pytest.raises(WireError):
        kind.parse(text)


@pytest.mark.parametrize("direction", Direction)
def test_a_direction_reversed_twice_is_itself(direction: Direction) -> None:
    assert direction.reversed.reversed is direction
    assert (direction.reversed.sends, direction.reversed.receives) == (
        direction.receives,
        direction.sends,
    )


def test_a_digest_in_small_letters_is_the_same() -> None:
    assert Fingerprint.parse("SHA-256 ab:cd") == Fingerprint.parse("sha-256 AB:CD")
