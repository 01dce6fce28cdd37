"""What one participant wants to hear, and how far each of these wishes is.

A client asks for tracks by SID, or is offered each that there is, unless it
declined. Whether it gets one depends on others, too, who may change their minds:

    wanted --> may it hear at all? --> is the track there? --> does its publisher allow it?
           --> are there not too many yet? --> attached --> bound, by an answer of its client

So a wish is no call that fails: it is remembered, and looked at again whenever
one of these changes, as LiveKit's reconciler does. What is in the way of a wish
is either somebody's decision, which is waited for without end, or it ought to be
over soon, and then the client is told so in time: a track that nobody has
published after a minute, one that its client does not take.

This is the memory and the judgement, without any tracks in it. Whoever owns it
says what there is, `see`, and does what `reconcile` says.
"""

import enum
import math
from collections import Counter
from collections.abc import Callable
from typing import Final

import attrs

from trio_sfu.room.info import TrackKind

NOT_FOUND: Final = 60.0
"""Seconds that a track is waited for which is not there (LiveKit's notFoundTimeout)."""
UNBOUND: Final = 15.0
"""Seconds in which a client should have taken what it is sent (LiveKit's)."""
RECHECK: Final = 3.0
"""Seconds between two looks at what ought to be over soon."""

MAX_WISHES: Final = 10_000
"""Of one client. A room of 500 has some 1500 tracks; who wants to hear more than
this wants to fill our memory."""


class Failure(enum.Enum):
    """Why a wish was not granted."""

    NOT_FOUND = enum.auto()
    CODEC_UNSUPPORTED = enum.auto()
    UNKNOWN = enum.auto()


class Stage(enum.IntEnum):
    """How far a track is on its way to a subscriber."""

    FREE = enum.auto()
    ATTACHED = enum.auto()
    """It is offered to the client."""
    BOUND = enum.auto()
    """The client takes it."""


@attrs.frozen
class Sight:
    """A track, as one participant finds it."""

    kind: TrackKind
    allowed: bool
    """By its publisher."""
    stage: Stage


@attrs.frozen
class Limits:
    """How many tracks one participant may hear at once; 0 for any number."""

    audio: int = 0
    video: int = 0

    def of(self, kind: TrackKind) -> int:
        return self.audio if kind is TrackKind.AUDIO else self.video


UNLIMITED: Final = Limits()


# --- what is to be done


@attrs.frozen
class Attach:
    """Begin to send the track."""

    sid: str


@attrs.frozen
class Detach:
    """Send it no longer."""

    sid: str


@attrs.frozen
class Tell:
    """The client shall know that it does not get the track."""

    sid: str
    failure: Failure


@attrs.frozen
class TellAllowed:
    """The client shall know whether the publisher lets it hear the track."""

    sid: str
    allowed: bool


Step = Attach | Detach | Tell | TellAllowed


@attrs.define(eq=False)
class _Wish:
    wanted: bool
    asked: bool
    """By the client, in so many words."""
    since: float
    """When it was asked for, or found, last."""
    missing: float = math.inf
    """Since when the track is not there."""
    attached: TrackKind | None = None
    allowed: bool | None = None
    """What the client was told of the publisher's permission."""
    unsupported: bool = False
    """It is not wanted because the client cannot decode it."""
    told: bool = False
    """That it did not get bound."""
    ended: bool = False
    """The track was there. That it is no more, the client has been told."""


class Wanted:
    """The wishes of one participant, by track SID."""

    def __init__(self, limits: Limits = UNLIMITED) -> None:
        self.deadline = math.inf
        """When `reconcile` has something to do, although nothing changes."""
        self._limits = limits
        self._wishes: dict[str, _Wish] = {}
        self._changed: dict[str, None] = {}
        self._soon: set[str] = set()
        """What should be over soon."""
        self._attached: Counter[TrackKind] = Counter()
        self._full: dict[str, None] = {}
        """What waits because of a limit, the longest first."""

    def wants(self, sid: str) -> bool:
        wish = self._wishes.get(sid)
        return wish is not None and wish.wanted

    # --- what the client says

    def ask(self, sid: str, now: float) -> None:
        """The client asks for a track, whether or not there is one of that SID."""
        wish = self._wishes.get(sid)
        if wish is None:
            if len(self._wishes) < MAX_WISHES:
                self._wishes[sid] = _Wish(wanted=True, asked=True, since=now)
        else:
            wish.wanted = wish.asked = True
            wish.since = now
            wish.missing = math.inf
            wish.told = wish.ended = wish.unsupported = False
        self._changed[sid] = None

    def decline(self, sid: str, now: float) -> None:
        """The client wants a track no longer, or does not want it when it comes."""
        wish = self._wishes.get(sid)
        if wish is not None:
            wish.wanted = wish.unsupported = False
        elif len(self._wishes) < MAX_WISHES:
            self._wishes[sid] = _Wish(wanted=False, asked=True, since=now)
        self._changed[sid] = None

    # --- what happens

    def offer(self, sid: str, now: float) -> None:
        """A track is there that this participant hears unless it declined."""
        if sid not in self._wishes and len(self._wishes) < MAX_WISHES:
            self._wishes[sid] = _Wish(wanted=True, asked=False, since=now)
        self._changed[sid] = None

    def touch(self, sid: str) -> None:
        """Something about a track changed: its permission, or how far it is."""
        if sid in self._wishes:
            self._changed[sid] = None

    def touch_all(self) -> None:
        """This participant's own rights changed."""
        self._changed.update(dict.fromkeys(self._wishes))

    def unsupported(self, sid: str) -> None:
        """The client cannot decode the track as it is: it is not sent until it comes anew."""
        wish = self._wishes.get(sid)
        if wish is not None:
            wish.wanted, wish.unsupported = False, True
            self._changed[sid] = None

    def ended(self, sid: str) -> None:
        """The track is no more. It may come again under the same SID, in another codec."""
        wish = self._wishes.get(sid)
        if wish is None:
            return
        self._let_go(wish)
        wish.allowed, wish.ended = None, True
        if wish.unsupported:
            wish.wanted, wish.unsupported = True, False
        if wish.wanted and not wish.asked:
            self._forget(sid)
        else:
            self._changed[sid] = None

    # --- what is to be done

    def reconcile(
        self, see: Callable[[str], Sight | None], now: float, *, may_hear: bool, active: bool
    ) -> list[Step]:
        """What is to be done by *now*, in order; the caller does all of it.

        *see* tells of a track, None if there is none. *active* says whether the client is
        connected: until then nobody can expect it to take anything.
        """
        looked_at, self._changed = self._changed, {}
        if now >= self.deadline:
            looked_at |= dict.fromkeys(self._soon)
        steps: list[Step] = []
        while looked_at:
            for sid in looked_at:
                wish = self._wishes.get(sid)
                if wish is not None:
                    self._look(sid, wish, see(sid), now, steps, may_hear=may_hear, active=active)
            # What was in the way of others may be gone now.
            looked_at, self._changed = self._changed, {}
        if not self._soon:
            self.deadline = math.inf
        elif self.deadline == math.inf or now >= self.deadline:
            self.deadline = now + RECHECK
        return steps

    def _look(
        self,
        sid: str,
        wish: _Wish,
        sight: Sight | None,
        now: float,
        steps: list[Step],
        *,
        may_hear: bool,
        active: bool,
    ) -> None:
        self._soon.discard(sid)
        self._full.pop(sid, None)
        if sight is None:
            self._miss(sid, wish, now, steps)
            return
        if wish.missing < math.inf or wish.ended:
            wish.missing, wish.ended, wish.since = math.inf, False, now
        if not (wish.wanted and may_hear):
            self._detach(sid, wish, steps)
            return
        if wish.allowed is not sight.allowed:
            wish.allowed = sight.allowed
            steps.append(TellAllowed(sid, sight.allowed))
        if not sight.allowed:
            self._detach(sid, wish, steps)
        elif wish.attached is None:
            self._attach(sid, wish, sight.kind, now, steps)
        elif sight.stage is not Stage.BOUND:
            if not active:
                wish.since = now
            elif now >= wish.since + UNBOUND and not wish.told:
                wish.told = True
                steps.append(Tell(sid, Failure.UNKNOWN))
            if not wish.told:
                self._soon.add(sid)

    def _miss(self, sid: str, wish: _Wish, now: float, steps: list[Step]) -> None:
        """The track is not there, or not yet."""
        if wish.missing == math.inf:
            wish.missing = now
        if now < wish.missing + NOT_FOUND:
            self._soon.add(sid)
            return
        if wish.wanted and not wish.ended:
            steps.append(Tell(sid, Failure.NOT_FOUND))
        self._forget(sid)

    def _attach(
        self, sid: str, wish: _Wish, kind: TrackKind, now: float, steps: list[Step]
    ) -> None:
        if 0 < self._limits.of(kind) <= self._attached[kind]:
            self._full[sid] = None
            return
        wish.attached, wish.since, wish.told = kind, now, False
        self._attached[kind] += 1
        self._soon.add(sid)
        steps.append(Attach(sid))

    def _detach(self, sid: str, wish: _Wish, steps: list[Step]) -> None:
        if wish.attached is not None:
            self._let_go(wish)
            steps.append(Detach(sid))

    def _let_go(self, wish: _Wish) -> None:
        """There may be room now for what waits."""
        if wish.attached is not None:
            self._attached[wish.attached] -= 1
            wish.attached = None
            self._changed.update(self._full)

    def _forget(self, sid: str) -> None:
        del self._wishes[sid]
        self._soon.discard(sid)
        self._full.pop(sid, None)
        self._changed.pop(sid, None)
