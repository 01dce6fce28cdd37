"""Where a client's media comes from: files, or made up on the spot.

A source gives *frames*: what one timestamp carries, already coded. Nothing here
codes pictures or sound; IVF files hold VP8, VP9 or AV1 (`ffmpeg -c:v libvpx out.ivf`),
Ogg files hold Opus (`ffmpeg -c:a libopus out.ogg`), and a synthetic source makes
frames of the right size that nobody can see. Files come from outside, so reading
one raises `WireError` where it is no such file.
"""

from collections.abc import Iterator
from typing import Final

import attrs

from trio_sfu.errors import WireError
from trio_sfu.wire import Reader

VIDEO_CLOCK: Final = 90_000
AUDIO_CLOCK: Final = 48_000

MTU: Final = 1150
"""Bytes of payload in one packet; with headers and tags it stays below 1200."""

_CODECS: Final = {b"VP80": "video/VP8", b"VP90": "video/VP9", b"AV01": "video/AV1"}
_IVF_HEADER: Final = 32


@attrs.frozen
class Frame:
    """One picture, or one packet of sound, as it goes into RTP."""

    timestamp: int
    """In ticks of the codec's RTP clock, from zero."""
    data: bytes


@attrs.frozen
class Recording:
    """All of a file, in memory."""

    mime: str
    clock_rate: int
    frames: tuple[Frame, ...]


def read_ivf(data: bytes) -> Recording:
    """The frames of an IVF file (a header of 32 bytes, then frames of 12 + n)."""
    reader = Reader(data)
    header = reader.block(_IVF_HEADER)
    if header.take(4) != b"DKIF":
        raise WireError("not an IVF file: it does not begin with DKIF")
    header.take(4)
    codec = header.take(4)
    mime = _CODECS.get(codec)
    if mime is None:
        raise WireError(f"an IVF file of {codec!r}; known are {sorted(_CODECS)}")
    header.take(4)
    rate, scale = _u32(header), _u32(header)
    if not rate or not scale:
        raise WireError("an IVF file whose time does not pass")
    frames = []
    while reader:
        size = _u32(reader)
        ticks = int.from_bytes(reader.take(8), "little")
        timestamp = ticks * scale * VIDEO_CLOCK // rate
        frames.append(Frame(timestamp, reader.take(size)))
    return Recording(mime, VIDEO_CLOCK, tuple(frames))


def _u32(reader: Reader) -> int:
    """IVF is little-endian."""
    return int.from_bytes(reader.take(4), "little")


def read_ogg_opus(data: bytes) -> Recording:
    """The packets of an Ogg file with one Opus stream (RFC 3533, RFC 7845)."""
    frames: list[Frame] = []
    timestamp = 0
    for number, packet in enumerate(_ogg_packets(Reader(data))):
        if number == 0 and not packet.startswith(b"OpusHead"):
            raise WireError("an Ogg file without Opus in it")
        if number < 2:  # the head, and the comments
            continue
        frames.append(Frame(timestamp, packet))
        timestamp += opus_duration(packet)
    return Recording("audio/opus", AUDIO_CLOCK, tuple(frames))


def _ogg_packets(reader: Reader) -> Iterator[bytes]:
    """A packet is cut into segments of 255 bytes, the last one shorter, maybe over pages."""
    packet = b""
    while reader:
        if reader.take(4) != b"OggS":
            raise WireError("an Ogg page that does not begin with OggS")
        reader.take(22)  # version, flags, position, serial, page number, checksum
        sizes = reader.take(reader.u8())
        for size in sizes:
            packet += reader.take(size)
            if size < 255:
                yield packet
                packet = b""


_OPUS_MS: Final = (
    *(10, 20, 40, 60) * 3,  # SILK, narrow to wide
    *(10, 20) * 2,  # hybrid
    *(2.5, 5, 10, 20) * 4,  # CELT
)
"""Milliseconds of a frame by configuration number (RFC 6716 section 3.1)."""


def opus_duration(packet: bytes) -> int:
    """How long an Opus packet sounds, in ticks of 48 kHz (RFC 6716 section 3.2)."""
    if not packet:
        return 0
    toc = packet[0]
    count = (1, 2, 2)[toc & 3] if toc & 3 < 3 else (packet[1] & 0x3F if len(packet) > 1 else 0)
    return int(_OPUS_MS[toc >> 3] * count * AUDIO_CLOCK / 1000)


def vp8_payloads(frame: bytes, picture_id: int) -> list[bytes]:
    """The RTP payloads of one VP8 frame (RFC 7741 section 4.2), with a 15-bit picture id."""
    count = max(1, -(-len(frame) // MTU))
    size = -(-len(frame) // count)
    identity = (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
    payloads = []
    for start in range(0, max(1, len(frame)), max(1, size)):
        first = 0x90 if start == 0 else 0x80  # X, and S at the start of the partition
        payloads.append(bytes((first, 0x80)) + identity + frame[start : start + size])
    return payloads


KEY_FRAME: Final = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00"
"""What a VP8 key frame of 320x240 begins with (RFC 6386 section 9.1); the rest is made up."""
DELTA_FRAME: Final = b"\x11\x02\x00"


def synthetic_vp8(size: int, *, key: bool) -> bytes:
    """A frame of *size* bytes that an SFU takes for VP8, and no decoder does."""
    start = KEY_FRAME if key else DELTA_FRAME
    return start + bytes(max(0, size - len(start)))


SILENCE: Final = b"\xf8\xff\xfe"
"""One Opus frame of 20 ms in which nothing is to be heard."""
