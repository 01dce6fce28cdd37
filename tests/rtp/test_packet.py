import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.rtp.packet import Outgoing, encode_extensions, parse, render

EXTENSIONS = st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=6)


@given(EXTENSIONS, st.binary(max_size=1200), st.integers(0, 0xFFFF), st.booleans())
def test_what_is_rendered_is_parsed(
    extensions: dict[int, bytes], payload: bytes, sequence: int, marker: bool
) -> None:
    source = parse(bytes(12).replace(b"\0", b"\x80", 1) + payload)
    outgoing = Outgoing(source, sequence, 90_000, 0xDECAFBAD, 96, marker)
    packet = parse(render(outgoing, encode_extensions(extensions)))
    assert (packet.sequence, packet.marker, packet.payload_type) == (sequence, marker, 96)
    assert (packet.timestamp, packet.ssrc) == (90_000, 0xDECAFBAD)
    assert packet.extensions == extensions
    assert packet.payload == payload


@given(st.binary(max_size=80))
def test_arbitrary_bytes_raise_only_wire_error(data: bytes) -> None:
    try:
        parse(data)
    except WireError:
        pass


def test_padding_is_taken_off() -> None:
    assert parse(b"\xa0\x60" + bytes(10) + b"voice" + b"\0\0\3").payload == b"voice"


def test_a_packet_of_padding_only_has_no_payload() -> None:
    assert parse(b"\xa0\x60" + bytes(10) + b"\0" * 254 + b"\xff").payload == b""


@pytest.mark.parametrize("last", [0, 9])
def test_padding_that_cannot_be_is_refused(last: int) -> None:
    with pytest.raises(WireError, match="padding"):
        parse(b"\xa0\x60" + bytes(10) + b"voice" + bytes((0, 0, last)))


def test_a_patch_takes_the_place_of_the_payloads_start() -> None:
    source = parse(b"\x80\x60" + bytes(10) + b"old picture")
    outgoing = Outgoing(source, 1, 2, 3, 96, False, cut=3, patch=b"new")
    assert parse(render(outgoing)).payload == b"new picture"
