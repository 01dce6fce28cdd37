"""What a participant wants against what there is, by a small world of tracks."""

import math

import attrs
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trio_sfu.room.info import TrackKind
from trio_sfu.room.wanted import (
    MAX_WISHES,
    NOT_FOUND,
    RECHECK,
    UNBOUND,
    UNLIMITED,
    Attach,
    Detach,
    Failure,
    Limits,
    Sight,
    Stage,
    Step,
    Tell,
    TellAllowed,
    Wanted,
)

AUDIO, VIDEO = TrackKind.AUDIO, TrackKind.VIDEO


class World:
    """The tracks that there are, and whoever does what is to be done."""

    def __init__(self, limits: Limits = UNLIMITED) -> None:
        self.wanted = Wanted(limits)
        self.tracks: dict[str, Sight] = {}
        self.may_hear = self.active = True
        self.now = 0.0

    def publish(self, sid: str, kind: TrackKind = VIDEO, *, allowed: bool = True) -> None:
        self.tracks[sid] = Sight(kind, allowed, Stage.FREE)
        self.wanted.touch(sid)

    def unpublish(self, sid: str) -> None:
        del self.tracks[sid]
        self.wanted.ended(sid)

    def change(self, sid: str, **fields: object) -> None:
        self.tracks[sid] = attrs.evolve(self.tracks[sid], **fields)
        self.wanted.touch(sid)

    def go_on(self) -> list[Step]:
        """What is to be done now, and is done."""
        steps = self.wanted.reconcile(
            self.tracks.get, self.now, may_hear=self.may_hear, active=self.active
        )
        for step in steps:
            match step:
                case Attach(sid):
                    assert self.tracks[sid].stage is Stage.FREE
                    self.change(sid, stage=Stage.ATTACHED)
                case Detach(sid):
                    assert self.tracks[sid].stage is not Stage.FREE
                    self.change(sid, stage=Stage.FREE)
        return steps

    def wait(self, seconds: float) -> list[Step]:
        """What is to be done in the next *seconds*, each when it is due."""
        until, steps = self.now + seconds, self.go_on()
        while self.wanted.deadline <= until:
            self.now = self.wanted.deadline
            steps += self.go_on()
        self.now = until
        return steps


def test_a_track_that_is_offered_is_attached() -> None:
    world = World()
    world.publish("TR_1")
    world.wanted.offer("TR_1", 0.0)
    assert world.go_on() == [TellAllowed("TR_1", True), Attach("TR_1")]
    assert world.go_on() == []


def test_a_track_that_nobody_offers_or_asks_for_is_not() -> None:
    world = World()
    world.publish("TR_1")
    assert world.go_on() == []
    assert world.wanted.deadline == math.inf


def test_a_track_may_be_asked_for_before_it_is_there() -> None:
    world = World()
    world.wanted.ask("TR_1", 0.0)
    assert world.wait(30.0) == []
    world.publish("TR_1")
    assert Attach("TR_1") in world.go_on()


def test_one_that_never_comes_is_not_found_after_a_minute_once() -> None:
    world = World()
    world.wanted.ask("TR_1", 0.0)
    assert world.wait(NOT_FOUND - 0.1) == []
    assert world.wait(RECHECK) == [Tell("TR_1", Failure.NOT_FOUND)]
    assert world.wanted.deadline == math.inf
    world.publish("TR_1")
    assert world.wait(99.0) == [], "it is wanted no more"


def test_to_ask_again_gives_it_another_minute() -> None:
    world = World()
    world.wanted.ask("TR_1", 0.0)
    world.wait(50.0)
    world.wanted.ask("TR_1", world.now)
    assert world.wait(50.0) == []
    assert world.wait(15.0) == [Tell("TR_1", Failure.NOT_FOUND)]


def test_declined_before_it_is_there_it_is_not_attached_when_it_comes() -> None:
    world = World()
    world.wanted.decline("TR_1", 0.0)
    world.publish("TR_1")
    world.wanted.offer("TR_1", 0.0)
    assert world.go_on() == []
    world.wanted.ask("TR_1", 1.0)
    assert Attach("TR_1") in world.go_on()


def test_what_was_declined_and_never_came_is_forgotten_in_silence() -> None:
    world = World()
    world.wanted.decline("TR_1", 0.0)
    assert world.wait(99.0) == []
    assert world.wanted.deadline == math.inf
    world.publish("TR_1")
    world.wanted.offer("TR_1", 99.0)
    assert Attach("TR_1") in world.go_on()


def test_who_may_not_hear_waits_without_end_and_gets_it_with_the_right() -> None:
    world = World()
    world.may_hear = False
    world.publish("TR_1")
    world.wanted.offer("TR_1", 0.0)
    assert world.wait(999.0) == []
    world.may_hear = True
    world.wanted.touch_all()
    assert Attach("TR_1") in world.go_on()
    world.may_hear = False
    world.wanted.touch_all()
    assert world.go_on() == [Detach("TR_1")]


def test_the_publisher_says_no_and_yes_and_the_client_hears_of_it() -> None:
    world = World()
    world.publish("TR_1", allowed=False)
    world.wanted.offer("TR_1", 0.0)
    assert world.wait(999.0) == [TellAllowed("TR_1", False)]
    world.change("TR_1", allowed=True)
    assert world.go_on() == [TellAllowed("TR_1", True), Attach("TR_1")]
    world.change("TR_1", allowed=False)
    assert world.go_on() == [TellAllowed("TR_1", False), Detach("TR_1")]


def test_what_the_client_does_not_take_is_told_once() -> None:
    world = World()
    world.publish("TR_1")
    world.wanted.offer("TR_1", 0.0)
    world.go_on()
    assert world.wait(UNBOUND - 0.1) == []
    assert world.wait(60.0) == [Tell("TR_1", Failure.UNKNOWN)]
    assert world.wanted.deadline == math.inf
    assert world.wanted.wants("TR_1"), "it is still offered"


def test_before_the_client_is_connected_nothing_is_its_fault() -> None:
    world = World()
    world.active = False
    world.publish("TR_1")
    world.wanted.offer("TR_1", 0.0)
    world.go_on()
    assert world.wait(60.0) == []
    world.active = True
    assert world.wait(UNBOUND + RECHECK) == [Tell("TR_1", Failure.UNKNOWN)]


def test_what_is_bound_needs_no_looking_after() -> None:
    world = World()
    world.publish("TR_1")
    world.wanted.offer("TR_1", 0.0)
    world.go_on()
    world.change("TR_1", stage=Stage.BOUND)
    assert world.wait(99.0) == []
    assert world.wanted.deadline == math.inf


def test_an_unsupported_track_is_let_go_until_it_comes_anew() -> None:
    """A publisher may publish it again under the same SID, in another codec."""
    world = World()
    world.publish("TR_1")
    world.wanted.offer("TR_1", 0.0)
    world.go_on()
    world.wanted.unsupported("TR_1")
    assert world.go_on() == [Detach("TR_1")]
    world.wanted.offer("TR_1", 1.0)
    assert world.go_on() == []
    world.unpublish("TR_1")
    world.publish("TR_1")
    world.wanted.offer("TR_1", 2.0)
    assert Attach("TR_1") in world.go_on()


def test_what_was_asked_for_or_declined_holds_for_the_next_of_that_sid() -> None:
    world = World()
    for sid in ("TR_1", "TR_2"):
        world.publish(sid)
    world.wanted.ask("TR_1", 0.0)
    world.wanted.offer("TR_2", 0.0)
    world.go_on()
    world.wanted.decline("TR_2", 0.0)
    world.go_on()
    for sid in ("TR_1", "TR_2"):
        world.unpublish(sid)
    assert world.wait(5.0) == []
    for sid in ("TR_1", "TR_2"):
        world.publish(sid)
    world.wanted.offer("TR_2", world.now)
    assert world.go_on() == [TellAllowed("TR_1", True), Attach("TR_1")]


def test_that_a_track_ended_is_no_failure_to_find_it() -> None:
    """The client hears of it by an update of its publisher."""
    world = World()
    world.publish("TR_1")
    world.wanted.ask("TR_1", 0.0)
    world.go_on()
    world.unpublish("TR_1")
    assert world.wait(999.0) == []
    assert not world.wanted.wants("TR_1")
    assert world.wanted.deadline == math.inf


def test_what_is_over_the_limit_waits_its_turn() -> None:
    world = World(Limits(video=1))
    for sid in ("TR_1", "TR_2", "TR_3"):
        world.publish(sid)
        world.wanted.offer(sid, 0.0)
    world.publish("TR_a", AUDIO)
    world.wanted.offer("TR_a", 0.0)
    attached = [step.sid for step in world.go_on() if isinstance(step, Attach)]
    assert attached == ["TR_1", "TR_a"]
    assert [step for step in world.wait(999.0) if isinstance(step, Attach)] == []
    world.wanted.decline("TR_1", world.now)
    assert world.go_on() == [Detach("TR_1"), Attach("TR_2")]
    world.unpublish("TR_2")
    assert world.go_on() == [Attach("TR_3")]


def test_nobody_fills_our_memory_with_wishes() -> None:
    world = World()
    for number in range(MAX_WISHES + 10):
        world.wanted.ask(f"TR_{number}", 0.0)
    world.go_on()
    assert world.wanted.wants(f"TR_{MAX_WISHES - 1}")
    assert not world.wanted.wants(f"TR_{MAX_WISHES}")
    assert len(world.wait(NOT_FOUND + RECHECK)) == MAX_WISHES
    world.wanted.ask("TR_new", world.now)
    assert world.wanted.wants("TR_new")


SIDS = st.sampled_from(["TR_1", "TR_2", "TR_3"])


class Anything(RuleBasedStateMachine):
    """Whatever happens in whatever order: what is attached is what ought to be."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Limits(video=2))
        self.declined: set[str] = set()

    @rule(sid=SIDS, kind=st.sampled_from(TrackKind), allowed=st.booleans())
    def publish(self, sid: str, kind: TrackKind, *, allowed: bool) -> None:
        if sid not in self.world.tracks:
            self.world.publish(sid, kind, allowed=allowed)
            self.world.wanted.offer(sid, self.world.now)

    @rule(sid=SIDS)
    def unpublish(self, sid: str) -> None:
        if sid in self.world.tracks:
            self.world.unpublish(sid)

    @rule(sid=SIDS, allowed=st.booleans())
    def permit(self, sid: str, *, allowed: bool) -> None:
        if sid in self.world.tracks:
            self.world.change(sid, allowed=allowed)

    @rule(sid=SIDS)
    def ask(self, sid: str) -> None:
        self.world.wanted.ask(sid, self.world.now)

    @rule(sid=SIDS)
    def decline(self, sid: str) -> None:
        self.world.wanted.decline(sid, self.world.now)

    @rule(sid=SIDS)
    def refuse(self, sid: str) -> None:
        if sid in self.world.tracks and self.world.tracks[sid].stage is Stage.ATTACHED:
            self.world.wanted.unsupported(sid)

    @rule(sid=SIDS)
    def bind(self, sid: str) -> None:
        if sid in self.world.tracks and self.world.tracks[sid].stage is Stage.ATTACHED:
            self.world.change(sid, stage=Stage.BOUND)

    @rule(seconds=st.sampled_from([0.5, 10.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule()
    def flip_right(self) -> None:
        self.world.may_hear = not self.world.may_hear
        self.world.wanted.touch_all()

    @invariant()
    def what_is_attached_is_what_ought_to_be(self) -> None:
        world = self.world
        world.go_on()
        assert world.go_on() == [], "once all is done, nothing is to be done"
        heard = {sid for sid, each in world.tracks.items() if each.stage is not Stage.FREE}
        entitled = {
            sid
            for sid, each in world.tracks.items()
            if world.may_hear and each.allowed and world.wanted.wants(sid)
        }
        assert heard <= entitled
        videos = {sid for sid in entitled if world.tracks[sid].kind is VIDEO}
        assert entitled - videos <= heard
        assert len(videos & heard) == min(2, len(videos))


TestAnything = Anything.TestCase
TestAnything.settings = hypothesis_settings(max_examples=50, stateful_step_count=30)
