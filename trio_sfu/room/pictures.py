"""Keeps the numbers in one subscriber's VP8 descriptors unbroken.

A VP8 descriptor counts pictures, those of the lowest temporal layer, and key frames
(see `trio_sfu.rtp.payload.vp8`). Wherever something was left out or the source
changes, a key frame comes next, and there each count shall go on by one. So each
has an offset, chosen at that key frame. A picture that the publisher lost stays
missing, as its packets do, and so does its number.
"""

from bisect import bisect_right
from typing import Final

import attrs

from trio_sfu.rtp.packet import RtpPacket
from trio_sfu.rtp.payload import Vp8Descriptor
from trio_sfu.rtp.payload.vp8 import I, K, L, S, T, X, renumber

REMEMBERED_POINTS: Final = 32
"""Points at which the offsets changed: as many key frames, each after something
was left out, lie between a late packet and its place."""

Patch = tuple[int, bytes]
"""How much to cut off the start of the payload, and what to put there instead."""

UNCHANGED: Final[Patch] = (0, b"")

_Offsets = tuple[int, int, int]
_NONE: Final[_Offsets] = (0, 0, 0)


class Pictures:
    """The offsets of PictureID, TL0PICIDX and KEYIDX."""

    __slots__ = ("_from", "_last", "_offsets", "_patched", "_points", "_tail")

    def __init__(self) -> None:
        self._offsets = _NONE
        self._last: Vp8Descriptor | None = None
        """Of the newest packet sent, as it came."""
        self._from: list[int] = []
        self._points: list[_Offsets] = []
        self._patched: int | None = None
        """The picture whose descriptor, after its first byte, is *tail*."""
        self._tail = b""

    def begin(self, packet: RtpPacket, *, other_source: bool) -> None:
        """*packet*, the first of a key frame, goes on where the last one stopped."""
        descriptor, last = _descriptor(packet), self._last
        if descriptor is not None and last is not None:
            picture, tl0, key = self._offsets
            self._offsets = (
                _continued(last.picture_id, picture, descriptor.picture_id) & 0x7FFF,
                _continued(last.tl0_picture_index, tl0, descriptor.tl0_picture_index) & 0xFF,
                _continued(last.key_index, key, descriptor.key_index) & 0x1F,
            )
        self._patched = None
        if other_source:
            self._from.clear()
            self._points.clear()
        self._from.append(packet.index)
        self._points.append(self._offsets)
        if len(self._from) > REMEMBERED_POINTS:
            del self._from[0], self._points[0]

    def patch(self, packet: RtpPacket) -> Patch:
        """What to do with the newest packet."""
        descriptor = _descriptor(packet)
        if descriptor is None:
            return UNCHANGED
        self._last = descriptor
        if self._offsets == _NONE and (descriptor.long or descriptor.picture_id is None):
            return UNCHANGED
        payload = packet.payload
        if descriptor.picture_id is None or descriptor.picture_id != self._patched:
            # Packets of one picture differ in the first byte only.
            self._patched = descriptor.picture_id
            self._tail = _renumbered(payload, descriptor, self._offsets)[1:]
        return descriptor.size, payload[:1] + self._tail

    def patch_late(self, packet: RtpPacket) -> Patch:
        """What to do with one that comes late, perhaps from before the last key frame."""
        descriptor = _descriptor(packet)
        place = bisect_right(self._from, packet.index)
        if descriptor is None or place == 0:
            return UNCHANGED
        return descriptor.size, _renumbered(packet.payload, descriptor, self._points[place - 1])

    def insert(self) -> bytes:
        """The descriptor of a key frame of our own, in one packet, that goes out next."""
        last = self._last
        if last is None or last.picture_id is None:
            return bytes((S,))
        picture, tl0, key = self._offsets
        self._offsets = (picture + 1 & 0x7FFF, tl0 + 1 & 0xFF, key + 1 & 0x1F)
        self._patched = None
        flags = I | (L if last.tl0_picture_index is not None else 0)
        flags |= (T if last.temporal is not None else 0) | (K if last.key_index is not None else 0)
        # All of the layers' bits are zero: the lowest one.
        form = bytes((X | S, flags)) + bytes(2)
        form += bytes(bool(flags & L)) + bytes(bool(flags & (T | K)))
        descriptor = attrs.evolve(last, size=len(form))
        return _renumbered(form, descriptor, self._offsets)


def _descriptor(packet: RtpPacket) -> Vp8Descriptor | None:
    return packet.frame.descriptor if packet.frame is not None else None


def _continued(last: int | None, offset: int, first: int | None) -> int:
    """The offset that makes *first* follow *last*, which was sent with *offset*."""
    return 0 if last is None or first is None else last + offset + 1 - first


def _renumbered(payload: bytes, descriptor: Vp8Descriptor, offsets: _Offsets) -> bytes:
    picture, tl0, key = offsets
    return renumber(
        payload,
        descriptor,
        (descriptor.picture_id or 0) + picture,
        (descriptor.tl0_picture_index or 0) + tl0,
        (descriptor.key_index or 0) + key,
    )
