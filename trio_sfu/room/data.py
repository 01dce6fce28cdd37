"""Whom a data packet goes to. What is in it is the signalling's business.

A `Message` is made once, and everybody who is to get it gets the same bytes.

Lossy packets go to everybody whose connection is up. Reliable ones go to everybody
whose channel is open, and later to those whose is not yet (`trio_sfu.room.latecomers`).

A receiver's link may be slower than the sender's. What is reliable then waits in the
receiver's channel, and when much waits the sender is held back, as the window of a TCP
connection would: that is how a file arrives whole. It is held back for moments only, and
not at all for a receiver that has stopped reading: that one's channel fills, and what
does not fit any more is dropped there. The same goes for what is lossy, at once.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import attrs

from trio_sfu.peer.events import HoldBack, SendData
from trio_sfu.room.info import ParticipantState

if TYPE_CHECKING:
    from trio_sfu.room.participant import Participant
    from trio_sfu.room.room import Room

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
DATA_TRACK: Final = "_data_track"
"""The labels of LiveKit's data channels."""

PATIENCE: Final = {RELIABLE: math.inf, LOSSY: 1.0, DATA_TRACK: 0.1}
"""Seconds that something may wait for a slow link before it is not sent at all. LiveKit has
such a limit for data tracks only; but what may be lost is worth nothing when it is late."""

LONGEST_HOLD: Final = 0.25
"""Seconds: whoever is held back is looked at again with its next packet."""


@attrs.frozen(kw_only=True)
class Message:
    """Something to be sent to many: the same bytes for all of them."""

    wish: SendData
    sender: str = ""
    """The SID of whoever said it, who does not hear it; "" for the server."""
    sids: frozenset[str] = frozenset()
    identities: frozenset[str] = frozenset()
    """Whom it is for, by one or the other; nobody named means everybody."""
    numbered: bool = False
    """Whether its sender counts its reliable packets."""

    @property
    def reliable(self) -> bool:
        return self.wish.label == RELIABLE

    def is_for(self, participant: "Participant") -> bool:
        if participant.sid == self.sender:
            return False
        return (
            not (self.sids or self.identities)
            or participant.identity in self.identities
            or participant.sid in self.sids
        )


def deliver(room: "Room", message: Message, now: float) -> int:
    """Send *message* to all that it is for; how many it went to."""
    wish, count = message.wish, 0
    if message.reliable and message.numbered:
        room.recent.add(message, len(wish.data), now)
    for participant in _recipients(room, message):
        if reachable(participant, message):
            participant.downlink.mailbox.wish(wish)
            count += 1
        elif message.reliable and not message.numbered:
            participant.inbox.hold(message, len(wish.data))
    return count


def hold_back(room: "Room", sender: "Participant", message: Message) -> None:
    """Let *sender*'s client wait, if somebody cannot take what it sends as fast as it sends."""
    seconds = max(
        (each.downlink.peer.crowded(RELIABLE) for each in _recipients(room, message)), default=0.0
    )
    if seconds:
        sender.uplink.mailbox.wish(HoldBack(min(seconds, LONGEST_HOLD)))


def reachable(participant: "Participant", message: Message) -> bool:
    """Whether *message* can be sent to *participant* now."""
    if message.reliable:
        return participant.inbox.open
    return participant.state is ParticipantState.ACTIVE


def tell(participant: "Participant", wish: SendData) -> None:
    """Send something to *participant* alone, on the reliable channel, when that is open."""
    message = Message(wish=wish)
    if participant.inbox.open:
        participant.downlink.mailbox.wish(wish)
    else:
        participant.inbox.hold(message, len(wish.data))


def catch_up(room: "Room", participant: "Participant", now: float) -> None:
    """*participant*'s reliable channel is open: send what was said since it came."""
    for message in participant.inbox.catch_up(room.recent, now):
        if message.is_for(participant):
            participant.downlink.mailbox.wish(message.wish)


def _recipients(room: "Room", message: Message) -> Iterator["Participant"]:
    if message.sids or not message.identities:
        yield from filter(message.is_for, room.participants.values())
        return
    for identity in message.identities:
        participant = room.participants.get(identity)
        if participant is not None and message.is_for(participant):
            yield participant
