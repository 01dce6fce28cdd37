import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.client import media
from trio_sfu.client.media import MTU, read_ivf, read_ogg_opus, vp8_payloads
from trio_sfu.errors import WireError
from trio_sfu.rtp.payload import describer

IVF = b"DKIF" + struct.pack("<HH4sHHIIII", 0, 32, b"VP80", 320, 240, 30, 1, 2, 0)


def test_an_ivf_file_gives_its_frames_with_their_times() -> None:
    frames = struct.pack("<IQ", 3, 0) + b"one" + struct.pack("<IQ", 3, 1) + b"two"
    recording = read_ivf(IVF + frames)
    assert recording.mime == "video/VP8"
    assert [(each.timestamp, each.data) for each in recording.frames] == [
        (0, b"one"),
        (3000, b"two"),
    ]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"RIFF" + IVF[4:], "does not begin with DKIF"),
        (IVF.replace(b"VP80", b"H264"), "known are"),
        (IVF + struct.pack("<IQ", 4_000_000_000, 0), "asked for"),
        (IVF[:16] + bytes(8) + IVF[24:], "time does not pass"),
    ],
)
def test_what_is_no_ivf_file_is_refused_with_a_reason(data: bytes, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        read_ivf(data)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_recording(data: bytes) -> None:
    for read in read_ivf, read_ogg_opus:
        for start in b"", IVF, b"OggS":
            try:
                read(start + data)
            except WireError:
                pass


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_files_that_ffmpeg_made_are_read(tmp_path: Path) -> None:
    video, audio = tmp_path / "picture.ivf", tmp_path / "tone.ogg"
    for source, codec, file in (
        ("testsrc=duration=1:rate=30:size=320x240", "libvpx", video),
        ("sine=duration=1", "libopus", audio),
    ):
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, "-c", codec, str(file)],
            check=True,
        )
    pictures = read_ivf(video.read_bytes())
    assert len(pictures.frames) == 30 and pictures.frames[-1].timestamp == 29 * 3000
    describe = describer("video/VP8")
    assert describe is not None
    assert describe(vp8_payloads(pictures.frames[0].data, 1)[0]).key_frame
    sound = read_ogg_opus(audio.read_bytes())
    assert sound.frames[-1].timestamp == pytest.approx(48_000, abs=2000)


@given(st.binary(min_size=1, max_size=20_000), st.integers(0, 0x7FFF))
def test_a_frame_is_cut_into_payloads_of_nearly_one_size(frame: bytes, number: int) -> None:
    payloads = vp8_payloads(frame, number)
    assert b"".join(payload[4:] for payload in payloads) == frame
    sizes = [len(payload) for payload in payloads]
    assert max(sizes) <= MTU + 4
    describe = describer("video/VP8")
    assert describe is not None
    assert [describe(payload).start for payload in payloads] == [True] + [False] * (len(sizes) - 1)


@pytest.mark.parametrize("key", [True, False])
def test_a_synthetic_frame_is_taken_for_what_it_says(key: bool) -> None:
    payloads = vp8_payloads(media.synthetic_vp8(5000, key=key), 7)
    describe = describer("video/VP8")
    assert describe is not None
    assert describe(payloads[0]).key_frame is key


def test_opus_packets_know_how_long_they_sound() -> None:
    assert media.opus_duration(media.SILENCE) == 960
    assert media.opus_duration(b"") == 0
