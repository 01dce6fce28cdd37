"""What one RTP hop costs, part by part: microseconds of CPU a packet, without a socket.

python -m benchmarks.hop
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from trio_sfu.peer.media import AUDIO, VIDEO, Format, ReceiveSection, SendSection
from trio_sfu.peer.sending import OutgoingMedia
from trio_sfu.peer.streams import IncomingMedia
from trio_sfu.rtp import extensions as uris
from trio_sfu.rtp.packet import HEADER, Outgoing, encode_extensions, parse
from trio_sfu.rtp.srtp import ENGINES, SrtpProfile, SrtpReceiver, SrtpSender

PACKETS: Final = 9_000
RUNS: Final = 5

VP8: Final = 96
OPUS: Final = 111
SSRC: Final = 7
CASES: Final = {
    "video in lists of 9": (VP8, 9, 1130),
    "video one by one": (VP8, 1, 1130),
    "audio one by one": (OPUS, 1, 100),
}
"""Payload type, packets in a list, bytes of payload."""

EXTENSIONS: Final = {uris.ABS_SEND_TIME: 2, uris.TRANSPORT_SEQUENCE: 3}
FORMATS: Final = {
    VP8: {
        VP8: Format("video/VP8", 90_000, feedback=frozenset({"nack", "nack pli"})),
        97: Format("video/rtx", 90_000, repairs=VP8),
    },
    OPUS: {OPUS: Format("audio/opus", 48_000, 2, feedback=frozenset({"nack"}))},
}


def best(work: Callable[[], Iterator[None]]) -> float:
    """The best of some runs: *work* prepares, yields, does it, and yields again."""
    times = []
    for _ in range(RUNS):
        steps = work()
        next(steps)
        start = time.process_time()
        next(steps)
        times.append(time.process_time() - start)
    return min(times) * 1e6 / PACKETS


def wire_packets(payload_type: int, size: int) -> list[bytes]:
    made = []
    for number in range(PACKETS):
        block = encode_extensions({3: number.to_bytes(2, "big"), 4: b"\x10"})
        last = 0x80 if number % 9 == 8 else 0
        header = HEADER.pack(0x90, payload_type | last, number, number // 9 * 3000, SSRC)
        made.append(header + block + b"\x90\x80\x80\x01\x10" + bytes(size))
    return made


def in_lists(packets: list[bytes], size: int) -> list[list[bytes]]:
    return [packets[start : start + size] for start in range(0, len(packets), size)]


def accept(payload_type: int, lists: list[list[bytes]], parsing: bool) -> Iterator[None]:
    incoming = IncomingMedia(1)
    kind = VIDEO if payload_type == VP8 else AUDIO
    section = ReceiveSection("1", kind, FORMATS[payload_type], EXTENSIONS, ssrcs=(SSRC,))
    incoming.configure([section])
    parsed = [[parse(packet) for packet in each] for each in lists]
    yield
    now = 0.0
    for raw, packets in zip(lists, parsed, strict=True):
        now += 0.01
        incoming.accept([parse(packet) for packet in raw] if parsing else packets, now)
        if now >= incoming.deadline:
            incoming.take_rtcp(now)
    yield


def send(payload_type: int, lists: list[list[bytes]]) -> Iterator[None]:
    video = payload_type == VP8
    sending = OutgoingMedia(1e9, os.urandom)
    section = SendSection(
        "1", VIDEO if video else AUDIO, SSRC, "", FORMATS[payload_type], EXTENSIONS,
        rtx_ssrc=8 if video else None,
    )  # fmt: skip
    sending.configure([section], 0.0)
    patch = b"\x90\x80\x80\x01\x10"
    outgoing = [
        [
            Outgoing(each, each.sequence, each.timestamp, SSRC, payload_type, False, 5, patch)
            for each in map(parse, packets)
        ]
        for packets in lists
    ]
    yield
    now = 0.0
    for packets in outgoing:
        now += 0.01
        sending.send(packets, now)
        if now >= sending.deadline:
            sending.take_rtcp(now)
    yield


def protect(profile: SrtpProfile, lists: list[list[bytes]]) -> Iterator[None]:
    sender = SrtpSender(profile, bytes(profile.key_length), bytes(profile.salt_length))
    yield
    for packets in lists:
        sender.protect(packets)
    yield


def unprotect(profile: SrtpProfile, lists: list[list[bytes]]) -> Iterator[None]:
    keys = profile, bytes(profile.key_length), bytes(profile.salt_length)
    sender, receiver = SrtpSender(*keys), SrtpReceiver(*keys)
    protected = [sender.protect(packets) for packets in lists]
    yield
    for packets in protected:
        receiver.unprotect(packets)
    yield


def main() -> None:
    print(f"SRTP engine: {ENGINES[0].name}\n")
    for name, (payload_type, size, length) in CASES.items():
        lists = in_lists(wire_packets(payload_type, length), size)
        rows = {
            "parse and accept": best(partial(accept, payload_type, lists, True)),
            "accept alone": best(partial(accept, payload_type, lists, False)),
            "send (render, remember)": best(partial(send, payload_type, lists)),
        }
        for profile in SrtpProfile:
            rows[f"protect, {profile.name}"] = best(partial(protect, profile, lists))
            rows[f"unprotect, {profile.name}"] = best(partial(unprotect, profile, lists))
        print(name)
        for part, cost in rows.items():
            print(f"  {part:32} {cost:6.2f} µs")


if __name__ == "__main__":
    main()
