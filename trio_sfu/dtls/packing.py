"""Puts the records of one flight into as few datagrams as the MTU allows."""

from collections.abc import Iterable
from typing import Final

from trio_sfu.dtls.epochs import Epochs
from trio_sfu.dtls.fragments import HEADER_SIZE as FRAGMENT_HEADER
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.handshake import Outbound

MIN_PIECE: Final = 64
"""A message is not cut for the sake of fewer bytes than this at a datagram's end:
the 25 bytes of headers that a cut costs would be most of what is gained."""

MIN_MTU: Final = 128
"""Below this the headers are the message. IPv4 has carried 576 since 1981."""


def pack(flight: Iterable[Outbound], epochs: Epochs, mtu: int) -> list[bytes]:
    """Datagrams of at most *mtu* bytes; each record gets a new number on the way."""
    datagrams: list[bytes] = []
    current = b""
    for outbound in flight:
        rest: Fragment | bytes | None = outbound.payload
        while rest is not None:
            room = mtu - len(current) - epochs.overhead(outbound.epoch)
            if isinstance(rest, Fragment):
                room -= FRAGMENT_HEADER
                size, cuttable = len(rest.body), room >= MIN_PIECE
            else:
                size, cuttable = len(rest), False
            if current and size > room and not cuttable:
                datagrams.append(current)
                current = b""
                continue
            if isinstance(rest, Fragment):
                piece, rest = rest.cut(room)
                payload = piece.encode()
            else:
                payload, rest = rest, None
            current += epochs.seal(outbound.content_type, outbound.epoch, payload, outbound.version)
    if current:
        datagrams.append(current)
    return datagrams
