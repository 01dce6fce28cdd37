"""Accidents on request: a client has itself treated as if something had gone wrong.

The test suites of LiveKit's clients, and the buttons of their example pages, ask for these
(wire guide, "Other control messages"). None of them does to anybody else what the client could
not do by itself, so all are granted.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog
from livekit.protocol import rtc

from trio_sfu.room.info import LeaveReason
from trio_sfu.room.speakers import Speaker

if TYPE_CHECKING:
    from trio_sfu.signalling.session import Session

log = structlog.get_logger(__name__)

LOUD: Final = 0.9
"""How loud a speaker is who says nothing."""
LONGEST: Final = 600
"""Seconds that one may speak so."""
WINDOW: Final = 5.0
"""Seconds in which a resume must come for its socket to be cut."""
SILENT_CUTS: Final = 3
"""How many resumes in that time are cut before they are answered."""


class Accidents:
    """What is still to happen to one client."""

    def __init__(self) -> None:
        self.deadline = math.inf
        """When the speaker falls silent."""
        self.unannounced = False
        """The client is gone without a word of ours."""
        self._cut_until = -math.inf
        self._silent_until = -math.inf
        self._silent_cuts = 0

    def cut_next(self, now: float, *, silently: bool) -> None:
        """The socket of a resume that comes soon is cut, before anything is said on it or
        after."""
        if silently:
            self._silent_until, self._silent_cuts = now + WINDOW, SILENT_CUTS
        else:
            self._cut_until = now + WINDOW

    def cuts_silently(self, now: float) -> bool:
        """Whether this resume is cut before it is answered."""
        cuts = self._silent_cuts > 0 and now < self._silent_until
        self._silent_cuts -= cuts
        return cuts

    def cuts(self, now: float) -> bool:
        """Whether this resume is cut once it is answered."""
        until, self._cut_until = self._cut_until, -math.inf
        return now < until


def simulate(session: "Session", message: rtc.SimulateScenario) -> None:
    """The client wants an accident."""
    scenario = message.WhichOneof("scenario")
    if scenario is not None and (act := SCENARIOS.get(scenario)) is not None:
        log.info("simulating", scenario=scenario, **session.names)
        act(session, getattr(message, scenario))


def _speaker_update(session: "Session", seconds: int) -> None:
    """It is as if the client spoke, for so long."""
    _say(session, active=True)
    session.accidents.deadline = session.now + min(max(seconds, 0), LONGEST)
    session.ring()


def end_speech(session: "Session") -> None:
    """It is as if the client fell silent."""
    session.accidents.deadline = math.inf
    _say(session, active=False)


def _say(session: "Session", *, active: bool) -> None:
    speaker = Speaker(session.participant.sid, LOUD if active else 0.0, active=active)
    for each in session.room.participants.values():
        each.listener.speakers_changed([speaker])


def _node_failure(session: "Session", _: bool) -> None:
    """It is as if the server had died."""
    session.accidents.unannounced = True
    session.participant.leave(LeaveReason.SERVER_SHUTDOWN)


def _migration(session: "Session", _: bool) -> None:
    """It is as if the room had moved to another server."""
    session.accidents.unannounced = True
    session.participant.leave(LeaveReason.MIGRATION)


def _server_leave(session: "Session", _: bool) -> None:
    """It is as if the server were stopped."""
    session.participant.leave(LeaveReason.SERVER_SHUTDOWN)


def _switch_candidate_protocol(session: "Session", _: int) -> None:
    """ICE begins again. There is only UDP, whatever was asked for."""
    session.path.restart(session.now)
    session.ring()


def _subscriber_bandwidth(session: "Session", _: int) -> None:
    """So many bits a second, and no more: nothing looks at bandwidth yet."""


def _disconnect_signal_on_resume(session: "Session", _: bool) -> None:
    session.accidents.cut_next(session.now, silently=False)


def _disconnect_signal_on_resume_no_messages(session: "Session", _: bool) -> None:
    session.accidents.cut_next(session.now, silently=True)


def _leave_request_full_reconnect(session: "Session", _: bool) -> None:
    """The client shall join anew. LiveKit's server passes this one over."""
    session.participant.leave(LeaveReason.STATE_MISMATCH, rejoin=True)


SCENARIOS: Final[Mapping[str, Callable[["Session", Any], None]]] = {
    "speaker_update": _speaker_update,
    "node_failure": _node_failure,
    "migration": _migration,
    "server_leave": _server_leave,
    "switch_candidate_protocol": _switch_candidate_protocol,
    "subscriber_bandwidth": _subscriber_bandwidth,
    "disconnect_signal_on_resume": _disconnect_signal_on_resume,
    "disconnect_signal_on_resume_no_messages": _disconnect_signal_on_resume_no_messages,
    "leave_request_full_reconnect": _leave_request_full_reconnect,
}
"""By the name of the field in SimulateScenario."""
