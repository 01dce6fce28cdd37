"""Answers what a peer asks for again, without leaving this layer.

Where RTX was negotiated, a repeat travels on an SSRC of its own. Where it was not
(sound, mostly) it is sent again as it was, and that must be meant literally: SRTP
makes the key stream from SSRC and sequence number, so a packet that differs in one
byte, be it a header extension with the time of sending, would be a second message
under the same nonce. Under GCM two of those give the authentication key away. So
of packets without RTX the extension block that they left with is remembered too, as
`Outgoing.block`.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from trio_sfu.core import Entropy
from trio_sfu.peer.media import AUDIO, SendSection
from trio_sfu.rtp import history
from trio_sfu.rtp.history import History, RtxStream
from trio_sfu.rtp.packet import Outgoing

ASKED_AT_ONCE: Final = history.VIDEO
"""Packets that one NACK may ask for; the rest of it is not read. As many as are kept."""

Repeat = tuple[Outgoing, bytes | None]
"""A packet to be sent again, and the extension block that it must have; None: a new one."""


class Retransmitter:
    """The repeats of one outgoing stream."""

    def __init__(self, section: SendSection, entropy: Entropy) -> None:
        size = history.AUDIO if section.kind == AUDIO else history.VIDEO
        self.history = History(size)
        """Of packets that leave: whoever sends them tells it."""
        self.sent = 0
        """Packets sent again."""
        self._entropy = entropy
        self._rtx: RtxStream | None = None
        self.adopt(section)

    def adopt(self, section: SendSection) -> None:
        """Repeat from now on as this section says; what was sent stays remembered."""
        if section.rtx_ssrc is None:
            self._rtx = None
        elif self._rtx and self._rtx.ssrc == section.rtx_ssrc:
            self._rtx.payload_types = rtx_payload_types(section)
        else:
            # Below half the circle, so that a receiver's first guess at the rollover is
            # right even if the first packets are lost (RFC 3711 section 3.3.1).
            first = int.from_bytes(self._entropy(2), "big") & 0x7FFF
            self._rtx = RtxStream(section.rtx_ssrc, rtx_payload_types(section), first)

    def answer(self, lost: Iterable[int], now: float, rtt: float) -> list[Repeat]:
        """What of *lost* (16-bit numbers) is to be sent again now."""
        repeats: list[Repeat] = []
        for sequence in islice(lost, ASKED_AT_ONCE):
            outgoing = self.history.repeat(sequence, now, rtt)
            if outgoing is None:
                continue
            wrapped = self._rtx.wrap(outgoing) if self._rtx else None
            if wrapped:
                repeats.append((wrapped, None))
            elif outgoing.block is not None:
                repeats.append((outgoing, outgoing.block))
        self.sent += len(repeats)
        return repeats


def rtx_payload_types(section: SendSection) -> Mapping[int, int]:
    """The payload types of repeats by those that they repair; empty without an RTX SSRC."""
    if section.rtx_ssrc is None:
        return {}
    return {
        found.repairs: number
        for number, found in section.formats.items()
        if found.repairs is not None
    }
