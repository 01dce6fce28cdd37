"""Our black pictures and our silence are what they say, to real decoders."""

import pytest

from trio_sfu.room.filler import H264_BLACK, OPUS_SILENCE, VP8_BLACK

av = pytest.importorskip("av", reason="av is not installed")

pytestmark = pytest.mark.interop

DARKEST = 16
"""Of the luminance of video (ITU-R BT.601)."""


def annex_b(stap: bytes) -> bytes:
    """The NAL units of an aggregation packet, as decoders read them from a file."""
    units, rest = b"", stap[1:]
    while rest:
        length = int.from_bytes(rest[:2], "big")
        units += b"\0\0\0\1" + rest[2 : 2 + length]
        rest = rest[2 + length :]
    return units


@pytest.mark.parametrize(
    ("codec", "data", "size"),
    [("vp8", VP8_BLACK, 8), ("h264", annex_b(H264_BLACK), 2)],
    ids=["vp8", "h264"],
)
def test_a_picture_is_small_and_black(codec: str, data: bytes, size: int) -> None:
    decoder = av.CodecContext.create(codec, "r")
    frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    (frame,) = frames
    assert frame.key_frame
    assert (frame.width, frame.height) == (size, size)
    luminance = frame.to_ndarray(format="gray")
    assert luminance.max() <= DARKEST


def test_silence_is_silent() -> None:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate = 48_000
    frames = [frame for _ in range(3) for frame in decoder.decode(av.Packet(OPUS_SILENCE))]
    assert {frame.samples for frame in frames} == {960}
    assert all(abs(frame.to_ndarray()).max() == 0 for frame in frames)
