"""What an SFU wants to know of a packet's payload, whatever the codec."""

import attrs

from trio_sfu.rtp.payload.vp8 import Vp8Descriptor


@attrs.define(eq=False)
class Frame:
    """What one packet tells of the picture that it belongs to.

    Immutable by rule, not by `attrs.frozen`: one is made for every video packet.
    """

    key_frame: bool
    """Whether the packet shows that its picture needs no other one before it. Only the
    packet in which the codec says so does; of VP8 that is the picture's first."""
    start: bool
    """Whether it is the first packet of a picture (or of a layer's part of it)."""
    spatial: int = 0
    temporal: int = 0
    layer_sync: bool = False
    """Whether one may begin with this packet to take its temporal layer too."""
    descriptor: Vp8Descriptor | None = None
