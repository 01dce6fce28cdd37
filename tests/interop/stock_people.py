"""More rows of the table of `stock_clients.py`: people, their rights, and how they go."""

import time
from collections.abc import Callable
from typing import Any, Final

import stock_rows as rows
from conversation import Party, view
from livekit import api
from livekit.protocol.models import ParticipantPermission
from livekit.protocol.room import PerformRpcRequest
from stock_call import Call, demand, wait

API_ERRORS: Final = {
    "nonsense": (
        "invalid_argument",
        "twirp error unknown: RpcError 1400: Method not supported at destination",
    ),
    "refuse": ("internal", "twirp error unknown: RpcError 4711: no luck: today"),
    "sleep": ("canceled", "twirp error unknown: RpcError 1502: Response timeout"),
    "overflow": ("internal", "twirp error unknown: RpcError 1504: Response payload too large"),
}
"""What an application's server is told of procedures that fail."""


def answers_the_api(call: Call) -> str:
    """What an application's server gets to hear, of the same procedures."""

    def ask(method: str, payload: str = "", milliseconds: int = 5000, to: str = "") -> Any:
        try:
            return call.server.perform(
                PerformRpcRequest(
                    room=call.room,
                    destination_identity=to or call.subject.identity,
                    method=method,
                    payload=payload,
                    response_timeout_ms=milliseconds,
                )
            )
        except api.ServerError as error:
            return (error.code, error.message)

    demand(ask("double", "ha") == "haha", "not what it answered")
    demand(ask("echo", rows.LONG_PAYLOAD) == rows.LONG_PAYLOAD, "another payload of 15 KiB")
    for method, expected in API_ERRORS.items():
        found = ask(method, milliseconds=1000)
        demand(found == expected, f"{method}: {found}")
    code, _ = ask("double", to="nobody")
    demand(code in ("unavailable", "not_found"), f"of nobody: {code}")
    return ""


def names_itself(call: Call) -> str:
    return _named(call.subject, call.partner)


def sees_names(call: Call) -> str:
    return _named(call.partner, call.subject)


def _named(who: Party, other: Party) -> str:
    said = {
        "name": f"Zoë {who.identity}",
        "metadata": '{"of": "itself"}',
        "attributes": {"colour": "blue", "mood": "good"},
    }
    who.ask("set", **said)
    wait(
        lambda: other.ask("profile", identity=who.identity) == said,
        lambda: f"the other sees {other.ask('profile', identity=who.identity)}",
    )
    # An empty value takes an attribute away.
    who.ask("set", name=said["name"], metadata="more", attributes={"mood": ""})
    wait(
        lambda: other.ask("profile", identity=who.identity)["attributes"] == {"colour": "blue"},
        lambda: f"the other sees {other.ask('profile', identity=who.identity)}",
    )
    return ""


def sees_the_rooms_metadata(call: Call) -> str:
    request = api.UpdateRoomMetadataRequest(room=call.room, metadata="Zoë's kitchen")
    call.server(lambda server: server.room.update_room_metadata(request))
    wait(
        lambda: call.subject.ask("room_metadata") == request.metadata,
        lambda: f"it sees {call.subject.ask('room_metadata')}",
    )
    return ""


def is_told_its_rights(call: Call) -> str:
    """The application's server takes a right away, and gives it back."""
    started = time.monotonic()
    for may in (False, True):
        _permit(call, publish=may)
    return f"{(time.monotonic() - started) * 500:.0f} ms"


def loses_its_tracks(call: Call) -> str:
    """Who may publish no longer does not; who may again, can."""
    subject, partner = call.subject, call.partner
    if "camera" not in view(partner, subject)["published"]:
        rows.publish(subject)
    wait(lambda: "camera" in view(partner, subject)["published"], "no camera to begin with")
    _permit(call, publish=False)
    wait(
        lambda: not view(partner, subject)["published"],
        lambda: f"there are still {view(partner, subject)['published']}",
    )
    _permit(call, publish=True)
    rows.publish(subject)
    wait(lambda: "camera" in view(partner, subject)["published"], "it cannot publish again")
    return ""


def is_muted_by_the_api(call: Call) -> str:
    """The application's server mutes a camera: its client is told, and so are the others."""
    subject, partner = call.subject, call.partner
    who = api.RoomParticipantIdentity(room=call.room, identity=subject.identity)
    info = call.server(lambda server: server.room.get_participant(who))
    (camera,) = [track for track in info.tracks if track.name == "camera"]
    request = api.MuteRoomTrackRequest(
        room=call.room, identity=subject.identity, track_sid=camera.sid, muted=True
    )
    call.server(lambda server: server.room.mute_published_track(request))
    wait(lambda: "camera" in view(partner, subject)["muted"], "the others do not see it")
    wait(lambda: subject.ask("silenced") == ["camera"], lambda: f"{subject.ask('silenced')}")
    return ""


def _permit(call: Call, *, publish: bool) -> None:
    permission = ParticipantPermission(
        can_subscribe=True,
        can_publish=publish,
        can_publish_data=publish,
        can_update_metadata=True,
    )
    request = api.UpdateParticipantRequest(
        room=call.room, identity=call.subject.identity, permission=permission
    )
    call.server(lambda server: server.room.update_participant(request))
    if "permission" not in call.subject.cannot:
        told = {"publish": publish, "subscribe": True, "data": publish}
        wait(
            lambda: call.subject.ask("permission") == told,
            lambda: f"it was told {call.subject.ask('permission')}",
        )


# --- how it ends ---


def sees_a_leave(call: Call) -> str:
    _enter(call, call.visitor, "visitor", call.subject)
    call.visitor.ask("leave")
    wait(lambda: "left visitor" in call.subject.ask("events"), "the leave is not seen")
    why = call.subject.ask("departures")["visitor"]
    demand(why in ("", "CLIENT_INITIATED"), why)
    return why or "it shows no reason"


def leaves(call: Call) -> str:
    # What it tells its own user is no server's business, and PyPI livekit at times says nothing.
    call.subject.ask("leave")
    return _ended(call, None, "CLIENT_INITIATED")


def is_removed(call: Call) -> str:
    _come_back(call)
    who = api.RoomParticipantIdentity(room=call.room, identity=call.subject.identity)
    call.server(lambda server: server.room.remove_participant(who))
    return _ended(call, "PARTICIPANT_REMOVED", "PARTICIPANT_REMOVED")


def is_replaced(call: Call) -> str:
    _come_back(call)
    _enter(call, call.visitor, call.subject.identity, call.partner)
    # The others hear no reason: somebody of that name is still there.
    found = _ended(call, "DUPLICATE_IDENTITY", None)
    call.visitor.ask("leave")
    return found


def sees_the_room_deleted(call: Call) -> str:
    _come_back(call)
    call.server(lambda server: server.room.delete_room(api.DeleteRoomRequest(room=call.room)))
    return _ended(call, "ROOM_DELETED", None)


def _come_back(call: Call) -> None:
    identity = call.subject.identity
    wait(lambda: not call.partner.ask("profile", identity=identity), "it has not left")
    _enter(call, call.subject, identity, call.partner)


def _enter(call: Call, party: Party, identity: str, listener: Party) -> None:
    """With a microphone: that a mere listener came is told some seconds later.

    Whoever goes again before its publishing has come to an end may not say so.
    """
    heard = f"track_subscribed {identity} microphone"
    before = listener.ask("events").count(heard)
    call.join(party, identity)
    party.ask("publish", name="microphone", codec=None, simulcast=False, size=None, rate=0)
    wait(lambda: listener.ask("events").count(heard) > before, f"{identity} is not heard")


def _ended(call: Call, told: str | None, others: str | None) -> str:
    """*told*: the client itself. *others*: those who see it go."""
    identity = call.subject.identity
    if told is not None:
        wait(
            lambda: call.subject.ask("endings")[-1:] == [told],
            lambda: f"it says {call.subject.ask('endings')}",
        )
    if others is not None:
        wait(
            lambda: call.partner.ask("departures").get(identity) == others,
            lambda: f"the other sees {call.partner.ask('departures')}",
        )
    return told or others or ""


Row = Callable[[Call], str]
ROWS: Final[dict[str, Row]] = {
    "joins": rows.joins,
    "publishes": rows.publishes,
    "subscribes": rows.subscribes,
    "mutes": rows.mutes,
    "sees mute": rows.sees_mute,
    "lossy data": rows.lossy,
    "reliable data": rows.reliable,
    "data of the API": rows.hears_the_api,
    "text stream": rows.text_stream,
    "byte stream": rows.byte_stream,
    "sends data track": rows.sends_data_track,
    "receives data track": rows.receives_data_track,
    "calls procedures": rows.calls,
    "is called": rows.is_called,
    "is called by the API": answers_the_api,
    "names itself": names_itself,
    "sees names": sees_names,
    "sees the room's metadata": sees_the_rooms_metadata,
    "is told its rights": is_told_its_rights,
    "loses its tracks": loses_its_tracks,
    "is muted by the API": is_muted_by_the_api,
    "sees a leave": sees_a_leave,
    "leaves": leaves,
    "is removed": is_removed,
    "is replaced": is_replaced,
    "room is deleted": sees_the_room_deleted,
}
"""In this order: who was removed has to come back first."""
