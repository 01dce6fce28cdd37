"""Whom a data packet goes to. What is in it is the signalling's business.

Reliable packets go to everybody whose connection is up; lossy ones too, and
where a link is too slow for them its own data channel drops them: a slow reader
costs itself, never the others.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from trio_sfu.peer.events import SendData
from trio_sfu.room.info import ParticipantState

if TYPE_CHECKING:
    from trio_sfu.room.participant import Participant
    from trio_sfu.room.room import Room

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
DATA_TRACK: Final = "_data_track"
"""The labels of LiveKit's data channels."""


def deliver(
    room: "Room",
    sender: "Participant | None",
    label: str,
    data: bytes,
    sids: Collection[str] = (),
    identities: Collection[str] = (),
) -> int:
    """Send *data* to everybody but *sender*, or to those that are named; how many got it."""
    everybody = not sids and not identities
    wish = SendData(label, data)
    count = 0
    for participant in room.participants.values():
        if participant is sender or participant.state is not ParticipantState.ACTIVE:
            continue
        if everybody or participant.sid in sids or participant.identity in identities:
            participant.downlink.mailbox.wish(wish)
            count += 1
    return count
