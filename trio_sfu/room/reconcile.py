"""Makes what participants hear what they want to hear, as far as they may.

`wanted` has the judgement, the room's tables what there is; here the two meet. Each
function is one thing that can happen. It notes what it changes, and all that
follows from it is done before it returns: nobody ever sees a wish that could have
been granted, or media that somebody may hear no more.
"""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
import trio

from trio_sfu.room import datatracks
from trio_sfu.room.info import ParticipantState, TrackSettings
from trio_sfu.room.permission import Permitted, only
from trio_sfu.room.wanted import Attach, Detach, Sight, Stage, Tell, TellAllowed

if TYPE_CHECKING:
    from trio_sfu.room.participant import Participant
    from trio_sfu.room.room import Room
    from trio_sfu.room.track import PublishedTrack

MAX_SID: Final = 64
"""Characters of a SID that is remembered; ours have twenty."""


# --- what a client says


def ask(room: "Room", participant: "Participant", sids: Iterable[str]) -> None:
    """*participant* asks for tracks, which need not be there yet."""
    now = trio.current_time()
    for sid in sids:
        if len(sid) <= MAX_SID and sid not in participant.tracks:
            participant.wanted.ask(sid, now)
    settle(room, participant, now)


def decline(room: "Room", participant: "Participant", sids: Iterable[str]) -> None:
    """*participant* does not want these tracks, whether they are there or will be."""
    now = trio.current_time()
    for sid in sids:
        if len(sid) <= MAX_SID:
            participant.wanted.decline(sid, now)
    settle(room, participant, now)


def choose(participant: "Participant", sid: str, settings: TrackSettings) -> None:
    """*participant* wants a track with *settings*, whether it is there or will be."""
    now = trio.current_time()
    if len(sid) <= MAX_SID and participant.choices.choose(sid, settings, now):
        _apply(participant, sid, settings, now)
    participant.listener.deadline_moved()


def disable(participant: "Participant", sid: str) -> None:
    """*participant* shows this one nowhere just now; all else that it chose of it stays."""
    chosen = participant.choices.chosen(sid) or TrackSettings()
    choose(participant, sid, attrs.evolve(chosen, disabled=True))


def permit(room: "Room", publisher: "Participant", listed: Iterable[Permitted] | None) -> bool:
    """*publisher* lets those *listed* hear it and nobody else; everybody, if it is None.

    False for a list that names nobody in one of its entries: all stays as it was.
    """
    permissions = None
    if listed is not None:
        identities = {each.sid: each.identity for each in room.participants.values()}
        permissions = only(listed, identities.get)
        if permissions is None:
            return False
    publisher.permissions = permissions
    now = trio.current_time()
    for participant in room.participants.values():
        for sid in publisher.tracks:
            participant.wanted.touch(sid)
        settle(room, participant, now)
    datatracks.review(room, publisher)
    return True


def unsupported(room: "Room", participant: "Participant", sid: str) -> None:
    """*participant*'s client cannot decode a track as it is published."""
    participant.wanted.unsupported(sid)
    settle(room, participant, trio.current_time())


# --- what happens in the room


def offer(room: "Room", participant: "Participant", tracks: Iterable["PublishedTrack"]) -> None:
    """*tracks* are there: *participant* hears those that they asked for, or did not decline."""
    now = trio.current_time()
    for track in tracks:
        if track.publisher is participant:
            continue
        if participant.who.auto_subscribe:
            participant.wanted.offer(track.sid, now)
        else:
            participant.wanted.touch(track.sid)
    settle(room, participant, now)


def rights_changed(room: "Room", participant: "Participant") -> None:
    """*participant* may hear others since now, or may no longer."""
    participant.wanted.touch_all()
    offer(room, participant, list(room.tracks.values()))


def ended(room: "Room", track: "PublishedTrack") -> None:
    """Nobody publishes *track* any more, and nobody hears it."""
    now = trio.current_time()
    for participant in room.participants.values():
        participant.wanted.ended(track.sid)
        settle(room, participant, now)


def handle_timeout(room: "Room", participant: "Participant", now: float) -> None:
    """Do what is due by *now*, see `Participant.deadline`."""
    for sid, settings in participant.choices.take_due(now).items():
        _apply(participant, sid, settings, now)
    settle(room, participant, now)


# --- what follows


def settle(room: "Room", participant: "Participant", now: float) -> None:
    """Do all that is to be done for *participant* by *now*."""
    deadline = participant.deadline
    steps = participant.wanted.reconcile(
        partial(_see, room, participant),
        now,
        may_hear=participant.who.grants.can_subscribe,
        active=participant.state is ParticipantState.ACTIVE,
    )
    for step in steps:
        match step:
            case Attach(sid):
                room.attach(participant, room.tracks[sid])
            case Detach(sid):
                room.detach(participant.subscriptions[sid])
            case Tell(sid, failure):
                participant.listener.subscription_failed(sid, failure)
            case TellAllowed(sid, allowed):
                participant.listener.subscription_allowed(room.tracks[sid], allowed=allowed)
    if participant.deadline < deadline:
        participant.listener.deadline_moved()


def _see(room: "Room", participant: "Participant", sid: str) -> Sight | None:
    track = room.tracks.get(sid)
    if track is None or track.publisher is participant:
        return None
    subscription = participant.subscriptions.get(sid)
    if subscription is None:
        stage = Stage.FREE
    else:
        stage = Stage.BOUND if subscription.bound else Stage.ATTACHED
    return Sight(track.info.kind, track.publisher.lets(participant, sid), stage)


def _apply(participant: "Participant", sid: str, settings: TrackSettings, now: float) -> None:
    if (subscription := participant.subscriptions.get(sid)) is not None:
        subscription.change(settings, now)
