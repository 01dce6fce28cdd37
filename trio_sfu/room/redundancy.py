"""Redundant audio for those who take it, plain Opus for those who do not.

A publisher sends RED (RFC 2198: each packet repeats the one or two before it) or
plain Opus, and so does each subscriber want it. Where the two differ the payload is
changed on its way, in the manner of `pictures`: so many bytes are cut off its start,
and others put there instead. The sound itself is never touched, so what is
encrypted from end to end must be left alone: RED has its headers inside.

    published   wanted
    RED         RED     as it is, but for payload types inside that have other numbers
    RED         Opus    the repeats are cut off
    Opus        RED     the repeats are made of the two packets before, if they came in turn

A publisher of RED may send plain Opus in between; each packet is read for itself.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

import attrs

from trio_sfu.peer.media import Format
from trio_sfu.room.pictures import UNCHANGED, Patch
from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.payload import red
from trio_sfu.rtp.payload.red import LENGTH_LIMIT, OFFSET_LIMIT, Block, RedFrame

RED: Final = "audio/red"
OPUS: Final = "audio/opus"

DISTANCE: Final = 2
"""How many packets back is repeated; LiveKit's number."""
MOST: Final = 1_100
"""Bytes of sound in a packet that carries repeats: with all headers it fits everywhere."""


class Adapter(Protocol):
    """Changes payloads; see `trio_sfu.room.pictures.Pictures`, which is another."""

    def begin(self, packet: RtpPacket, *, other_source: bool) -> None: ...
    def insert(self) -> bytes: ...
    def patch(self, packet: RtpPacket) -> Patch: ...
    def patch_late(self, packet: RtpPacket) -> Patch: ...


class ToOpus:
    """Cuts the repeats off."""

    __slots__ = ()

    def begin(self, packet: RtpPacket, *, other_source: bool) -> None:
        pass

    def insert(self) -> bytes:
        """What goes before a payload of our own."""
        return b""

    def patch(self, packet: RtpPacket) -> Patch:
        frame = packet.frame
        return (frame.primary_at, b"") if isinstance(frame, RedFrame) else UNCHANGED

    patch_late = patch


class ToRed:
    """Gives every packet repeats of those before it, or at least the form."""

    __slots__ = ("_before", "_payload_type", "_repeating")

    def __init__(self, payload_type: int, *, repeating: bool) -> None:
        """*payload_type*: of the Opus inside, as the subscriber numbers it. *repeating*:
        repeat plain Opus, too, of which others only get the form."""
        self._payload_type = payload_type
        self._repeating = repeating
        self._before: deque[RtpPacket] = deque(maxlen=DISTANCE)

    def begin(self, packet: RtpPacket, *, other_source: bool) -> None:
        self._before.clear()

    def insert(self) -> bytes:
        """What goes before a payload of our own: the form."""
        self._before.clear()
        return bytes((self._payload_type,))

    def patch(self, packet: RtpPacket) -> Patch:
        frame = packet.frame
        if isinstance(frame, RedFrame):
            return self._renumbered(packet, frame)
        if not self._repeating:
            return 0, bytes((self._payload_type,))
        repeated = [
            Block(self._payload_type, offset, each.payload)
            for each in self._before
            for offset in [(packet.timestamp - each.timestamp) & 0xFFFFFFFF]
            if packet.index - each.index <= DISTANCE
            and 0 < offset <= OFFSET_LIMIT
            and len(each.payload) <= LENGTH_LIMIT
        ]
        self._before.append(packet)
        while repeated and sum(len(each.data) for each in repeated) + len(packet.payload) > MOST:
            del repeated[0]
        return 0, red.encode(repeated, Block(self._payload_type, 0, b""))

    def patch_late(self, packet: RtpPacket) -> Patch:
        """Those after it have left, so it has nothing to repeat."""
        frame = packet.frame
        if isinstance(frame, RedFrame):
            return self._renumbered(packet, frame)
        return 0, bytes((self._payload_type,))

    def _renumbered(self, packet: RtpPacket, frame: RedFrame) -> Patch:
        number = self._payload_type
        if all(each.payload_type == number for each in frame.blocks):
            return UNCHANGED
        *repeated, primary = (attrs.evolve(each, payload_type=number) for each in frame.blocks)
        return len(packet.payload), red.encode(repeated, primary)


@attrs.frozen
class Choice:
    """How a subscriber gets a track."""

    payload_type: int
    format: Format
    adapter: Adapter | None = None
    """None where it gets it as it was published."""


def choose(mime: str, taken: Mapping[int, Format], *, adapt: bool) -> Choice | None:
    """How to send a track that is published in *mime*, to a client that takes *taken*.

    *adapt*: what is inside may be looked at. None if the client takes none of it.
    """
    mime = mime.lower()
    by_mime: dict[str, tuple[int, Format]] = {}
    for number, format in taken.items():
        by_mime.setdefault(format.mime.lower(), (number, format))
    if not adapt or mime not in (RED, OPUS):
        return Choice(*by_mime[mime]) if mime in by_mime else None
    opus = by_mime.get(OPUS)
    if RED in by_mime and opus is not None:
        return Choice(*by_mime[RED], ToRed(opus[0], repeating=mime == OPUS))
    if opus is None:
        return None
    return Choice(*opus, ToOpus() if mime == RED else None)
