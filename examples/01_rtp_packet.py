"""What a picture looks like on the wire, and what an SFU changes in it.

A camera's picture is cut into packets. An SFU reads each once, decodes nothing,
and decides for each subscriber under which numbers it goes on. Run me; nothing
touches a network.
"""

from trio_sfu.room.forwarder import Forwarder
from trio_sfu.rtp.extensions import AUDIO_LEVEL, DECODERS
from trio_sfu.rtp.feedback import Nack, Pli
from trio_sfu.rtp.packet import encode_extensions, parse, render
from trio_sfu.rtp.payload import describer, vp8
from trio_sfu.rtp.rtcp import ReceiverReport, decode_compound, encode_compound
from trio_sfu.wire import Reader

# One packet of VP8, as a browser sends it: header, a VP8 descriptor, then the picture.
header = bytes.fromhex("80 60 fffe 0001d4c0 decafbad")  # version 2, type 96, number 65534
descriptor = bytes.fromhex("90 e0 8011 07 00")  # picture 17, the lowest layer's picture 7
data = header + descriptor + b"\x10 picture"

packet = parse(data)
print(f"{len(data)} bytes: number {packet.sequence}, timestamp {packet.timestamp},")
print(f"    stream {packet.ssrc:#x}, type {packet.payload_type}, last of its picture:", end=" ")
print(packet.marker)

# The codec's own header says where one can begin to watch.
describe = describer("video/VP8")
assert describe
packet.frame = describe(packet.payload)
print(f"It begins a picture: {packet.frame.start}; a key frame: {packet.frame.key_frame}")

# Nobody changes a packet: it is shared by all who watch. What one of them gets is a
# decision, in a few numbers, and bytes only at the very end.
packet.index = packet.sequence  # the number that never wraps; a receive stream counts it
forwarder = Forwarder("video/VP8", ssrc=0xB0B, payload_type=120, clock_rate=90_000)
forwarder.set_target(0)
(outgoing,) = forwarder.forward(0, [packet])
print(f"Bob gets it as number {outgoing.sequence} of stream {outgoing.ssrc:#x}:")
print("   ", render(outgoing).hex(" ", -4))

# Bob is moved to a larger encoding, which counts its pictures from 9000. He must not
# notice: the descriptor is replaced by another.
larger = parse(bytes.fromhex("80 60 0005 00000000 0000beef 90 e0 a328 63 00") + b"\x10 picture")
larger.frame, larger.index, larger.arrival = describe(larger.payload), 5, 1 / 30
forwarder.set_target(1)
print("To change layers Bob needs a key frame of layer", forwarder.needs_key_frame)
(outgoing,) = forwarder.forward(1, [larger])
seen = vp8.parse(parse(render(outgoing)).payload)
print(f"It comes as number {outgoing.sequence}, {outgoing.timestamp - 120_000} units later,")
print(f"    picture {seen.picture_id}, though its encoder called it 9000")

# Header extensions bear what each hop wants to know, such as how loud a packet is.
spoken = parse(render(outgoing, encode_extensions({1: b"\x9e"})))
print("In extension 1 we wrote", DECODERS[AUDIO_LEVEL](Reader(spoken.extensions[1])))

# What went wrong travels the other way, in RTCP: several messages in one datagram.
complaint = encode_compound([ReceiverReport(1), Nack(1, 0xB0B, (2, 3, 9)), Pli(1, 0xB0B)])
print(f"Bob complains in {len(complaint)} bytes:")
for message in decode_compound(complaint):
    print("   ", message)
