"""A participant as everybody is told of them, translated once for all who are told.

In a room of five hundred a change of one is told to all the others. To make the message
anew for each would take longer than everything else that the change costs, and hold up
everybody's media meanwhile. So what was made of a participant is kept for as long as
they stay at one version; whoever changes what is told of somebody raises it (`Room.tell`).

`update` goes one step further: whoever is told the same is told by the same message,
and `encoded` makes bytes of that only once. A message that was handed out here may be
on its way to many, so nobody may change it.
"""

from collections.abc import Callable, Sequence
from typing import Final
from weakref import WeakKeyDictionary

import attrs
from livekit.protocol import models, rtc

from trio_sfu.room.participant import Participant
from trio_sfu.room.room import Room
from trio_sfu.signalling import translate

KEPT: Final = 64
"""Messages for many that are remembered: what is told to all is told within a turn or two."""


@attrs.define(eq=False)
class Info:
    """One participant at one version."""

    message: models.ParticipantInfo
    version: int
    element: bytes = b""
    """As the first field of whatever lists participants (an update, the API's answer)."""
    text: str = ""
    """What `text_of` made of it."""

    def __attrs_post_init__(self) -> None:
        data = self.message.SerializeToString()
        self.element = b"\x0a" + _varint(len(data)) + data

    def text_of(self, write: Callable[[models.ParticipantInfo], str]) -> str:
        """What *write* makes of the message; asked of it once. All callers mean the same."""
        if not self.text:
            self.text = write(self.message)
        return self.text


_infos: WeakKeyDictionary[Participant, Info] = WeakKeyDictionary()


def info_of(participant: Participant) -> Info:
    """What is told of *participant* at their present version."""
    info = _infos.get(participant)
    if info is None or info.version != participant.version:
        info = Info(translate.participant_info(participant), participant.version)
        _infos[participant] = info
    return info


def _varint(number: int) -> bytes:
    """Protobuf's form of a whole number."""
    data = bytearray()
    while number > 0x7F:
        data.append(0x80 | number & 0x7F)
        number >>= 7
    data.append(number)
    return bytes(data)


# --- messages for many


@attrs.define(eq=False)
class _Kept:
    response: rtc.SignalResponse
    data: bytes = b""


_kept: dict[object, _Kept] = {}
"""By what they are about, the oldest first."""
_by_identity: dict[int, _Kept] = {}
"""The same, by the message's `id`: it is kept here, so nothing else can have it."""


def shared(about: object, make: Callable[[], rtc.SignalResponse]) -> rtc.SignalResponse:
    """The message *about* something, made if nobody was told it yet."""
    kept = _kept.get(about)
    if kept is None:
        while len(_kept) >= KEPT:
            oldest = _kept.pop(next(iter(_kept)))
            del _by_identity[id(oldest.response)]
        kept = _kept[about] = _Kept(make())
        _by_identity[id(kept.response)] = kept
    return kept.response


def update(infos: Sequence[Info]) -> rtc.SignalResponse:
    """A ParticipantUpdate."""
    # An info is not forgotten while its message is kept, so it stands for itself here.
    return shared(("update", *infos), lambda: _update(infos))


def _update(infos: Sequence[Info]) -> rtc.SignalResponse:
    messages = [each.message for each in infos]
    return rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=messages))


_room_updates: WeakKeyDictionary[Room, tuple[int, rtc.SignalResponse]] = WeakKeyDictionary()
"""With the room's version."""


def room_update(room: Room) -> rtc.SignalResponse:
    """What *room* says of itself at its present version."""
    version, response = _room_updates.get(room, (-1, None))
    if response is None or version != room.version:
        info = translate.room_info(room)
        made = rtc.SignalResponse(room_update=rtc.RoomUpdate(room=info))
        response = shared(object(), lambda: made)
        _room_updates[room] = room.version, response
    return response


def encoded(response: rtc.SignalResponse) -> bytes:
    """*response* as protobuf; one that was `shared` is made bytes of once."""
    kept = _by_identity.get(id(response))
    if kept is None:
        return response.SerializeToString()
    if not kept.data:
        kept.data = response.SerializeToString()
    return kept.data
