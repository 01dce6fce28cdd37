"""What was sent of one stream, so that it can be sent again.

Kept are decisions, not bytes: an `Outgoing` shares its payload with every other
subscriber, and is rendered again when somebody asks. The newest few hundred stay,
each in the slot that its sequence number names, so that remembering costs one
store and forgetting nothing.

A packet is repeated a few times only, and not again while the last repeat may
still be on its way. Otherwise a peer that asks for everything all the time, by
mistake or on purpose, would make us send many times what it was ever sent.
"""

import enum
from collections import Counter
from collections.abc import Mapping
from typing import Final

import attrs

from trio_sfu.rtp.nack import DEFAULT_RTT
from trio_sfu.rtp.packet import Outgoing

VIDEO: Final = 512
AUDIO: Final = 128
"""Packets remembered. LiveKit has 500 and 200; these are powers of two, so that
slots do not shift when the sequence number wraps. 128 packets of sound are two and a
half seconds, and no jitter buffer waits as long; in a room each subscriber has as
many for every voice."""

REPEATS: Final = 3
"""How often one packet is sent again (LiveKit's figure)."""
PAUSE: Final = 0.100
"""Seconds, or two round trips if that is less, between two repeats of a packet."""


class Refusal(enum.Enum):
    """Why a packet that was asked for is not sent again. Counted."""

    UNKNOWN = enum.auto()
    """It was never sent, or so long ago that it is forgotten."""
    TOO_OFTEN = enum.auto()
    TOO_SOON = enum.auto()


@attrs.define(eq=False)
class _Repeats:
    """Of one packet that was asked for: how often it left again, and when last."""

    outgoing: Outgoing
    count: int = 0
    last: float = float("-inf")


class History:
    """The newest packets of one stream; *size* is a power of two."""

    def __init__(self, size: int) -> None:
        if size & (size - 1) or not 0 < size <= 0x8000:
            raise ValueError(f"{size} slots would shift when sequence numbers wrap")
        self._mask = size - 1
        self._sent: list[Outgoing | None] = [None] * size
        self._repeats: dict[int, _Repeats] = {}
        """By slot, only for what was asked for; bounded by the number of slots."""
        self.refused: Counter[Refusal] = Counter()

    def remember(self, outgoing: Outgoing) -> None:
        self._sent[outgoing.sequence & self._mask] = outgoing

    def repeat(self, sequence: int, now: float, rtt: float = DEFAULT_RTT) -> Outgoing | None:
        """The packet that left as *sequence*, if it may leave again; counts that it does."""
        slot = sequence & self._mask
        outgoing = self._sent[slot]
        if outgoing is None or outgoing.sequence != sequence:
            self.refused[Refusal.UNKNOWN] += 1
            return None
        repeats = self._repeats.get(slot)
        if repeats is None or repeats.outgoing is not outgoing:
            repeats = self._repeats[slot] = _Repeats(outgoing)
        if repeats.count >= REPEATS:
            self.refused[Refusal.TOO_OFTEN] += 1
            return None
        if now - repeats.last < min(PAUSE, 2 * rtt):
            self.refused[Refusal.TOO_SOON] += 1
            return None
        repeats.count += 1
        repeats.last = now
        return outgoing


class RtxStream:
    """Carries repeats on an SSRC of their own, so that the link's losses stay countable.

    The payload of an RTX packet is the sequence number that the packet left with
    (OSN), then its payload as it was (RFC 4588 section 4).
    """

    def __init__(self, ssrc: int, payload_types: Mapping[int, int], sequence: int) -> None:
        """*payload_types*: RTX payload type by the one it repairs; *sequence*: the first."""
        self.ssrc = ssrc
        self.payload_types = payload_types
        self._sequence = sequence

    def wrap(self, outgoing: Outgoing) -> Outgoing | None:
        """*outgoing* as a retransmission; None if its payload type has no RTX."""
        payload_type = self.payload_types.get(outgoing.payload_type)
        if payload_type is None:
            return None
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        return Outgoing(
            packet=outgoing.packet,
            sequence=sequence,
            timestamp=outgoing.timestamp,
            ssrc=self.ssrc,
            payload_type=payload_type,
            marker=outgoing.marker,
            cut=outgoing.cut,
            patch=outgoing.sequence.to_bytes(2, "big") + outgoing.patch,
        )


def unwrap_rtx(payload: bytes) -> tuple[int, bytes] | None:
    """The original sequence number and payload; None for padding, which repairs nothing."""
    if len(payload) < 2:
        return None
    return int.from_bytes(payload[:2], "big"), payload[2:]
