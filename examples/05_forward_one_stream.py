"""Forwarding: from a publisher's packets to what one subscriber gets.

    python examples/05_forward_one_stream.py

Alice sends two sizes of her camera. Bob comes in the middle, is moved to the larger size
and is too slow once. Watch the numbers on the left jump, and those on the right not.
"""

from trio_sfu.room.forwarder import Forwarder
from trio_sfu.room.keyframes import KeyFrames
from trio_sfu.room.queue import Overflow, SubscriberQueue
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.payload import describer

describe = describer("video/VP8")
SMALL, LARGE = 0, 1
# Each size is an encoder of its own: its numbers begin where they like.
FIRST = {SMALL: (500, 90_000, 0xA0), LARGE: (40_000, 7_000_000, 0xA1)}


def picture(layer: int, number: int, *, key: bool) -> RtpPacket:
    """One picture, small enough for one packet, thirty a second."""
    sequence, timestamp, ssrc = FIRST[layer]
    start = "1002009d012a4001f000" if key else "110200"
    payload = bytes.fromhex(f"9080 {0x8000 | number:04x} {start}")
    timestamp += 3000 * number
    packet = RtpPacket(96, True, sequence + number, timestamp, ssrc, {}, payload)
    packet.frame = describe(payload)
    packet.index, packet.arrival = packet.sequence, number / 30
    return packet


queue = SubscriberQueue[RtpPacket](limit=4)
bob, requests = Forwarder("video/VP8", ssrc=7, payload_type=120, clock_rate=90_000), KeyFrames()


def publish(layer: int, number: int, *, key: bool) -> None:
    """Alice's task: the packet goes into Bob's queue, if it may be of use to him."""
    if bob.hears(layer):
        queue.put(layer, [picture(layer, number, key=key)])
    if key:
        requests.served(layer)


def deliver(now: float) -> None:
    """Bob's task: take what waits, choose, renumber, and ask for what is needed."""
    for item in queue.take():
        if isinstance(item, Overflow):
            bob.overflowed(item)
            print(f"  {item.count} packets overflowed: now only a key frame helps")
            continue
        for out in bob.forward(*item):
            kind = "key" if out.packet.frame.key_frame else "   "
            came = f"{kind} {out.packet.sequence:6} of layer {item[0]}"
            print(f"  {came}  ->  {out.sequence:3} for Bob")
    if bob.needs_key_frame is not None:
        requests.want(bob.needs_key_frame, now)
    for layer in requests.take_due(now):
        print(f"  Alice is asked for a key frame of layer {layer}")


def run(numbers: range, keys: dict[int, int], *, every: int = 1) -> None:
    for number in numbers:
        for layer in (SMALL, LARGE):
            publish(layer, number, key=keys.get(layer) == number)
        if number % every == 0:
            deliver(number / 30)


print("Bob comes in the middle. He gets nothing before a key frame:")
bob.set_target(SMALL)
run(range(10, 15), {SMALL: 12})
print("He shall have the larger one. The small one goes on until that can begin:")
bob.set_target(LARGE)
run(range(15, 20), {LARGE: 18})
print("His link is too slow for a moment, and his queue holds four packets:")
run(range(20, 27), {}, every=6)
run(range(27, 31), {LARGE: 28})
print("Left out, by reason:", {reason.name: count for reason, count in bob.drops.items()})
