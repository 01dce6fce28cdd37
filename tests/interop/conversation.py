"""A call between two parties, whatever clients they are, and what must be true of it.

A party is one client in one room. It is asked by name (`party.ask("mute", ...)`)
because most of them live elsewhere: in a browser's tab or in a Node process. All
of them know the same words:

    connect(url, token, key, path)  key: of end-to-end encryption, or None; path: "/rtc" for a
                                    client that is told so, or None; again after leaving, too
    publish(name, codec, simulcast, size, rate)
                                    name: "camera" or "microphone"; rate: pictures a second
    mute(name, muted) · unpublish(name) · leave()
    draw(on)                        the camera's numbered pictures go on, or pause
    count()                         forget which pictures were sent so far
    sent() · seen(identity)         [[number, when in ms], ...]
    view(identity)                  what there is of somebody: see `View`
    events()                        ["track_muted alice camera", "left alice", ...]
    send(kind, text, topic) · packets()      [{kind, text, topic, sender}, ...]
    text(text, topic) · texts()     as a text stream
    stream(kind, size) · streams()  "text" or "bytes", see ballast.py; what came: by its digest
    call(identity, payload)         the remote procedure "double"
    calls([{identity, method, payload, seconds}, ...])
                                    all at once: [{value} or {code, message, data}, ...]
    set(name, metadata, attributes) of itself · profile(identity): what it knows of somebody's
    permit(identities)              who may hear what it publishes; None for everybody
    room_metadata()                 as it knows it
    silenced()                      names of its own publications that are muted
    permission()                    {publish, subscribe, data}: its own, as it was told
    endings() · departures()        why it was disconnected each time; {identity: why they left}
    open_data_track(name) · push(name, text) · close_data_track(name)
    frames()                        [{sender, name, text}, ...], "ended" for the end of a track
    quality(identity, layer)        "low" or "high"
    starve(on)                      stop sending the largest layer, or go on (browsers only)
"""

import time
from collections.abc import Callable
from typing import Any, Final, Protocol, TypedDict

from pictures import share_seen
from verdict import Verdict

PATIENCE: Final = 10.0
LAYER_PATIENCE: Final = 25.0
"""Seconds: a sender's bandwidth estimate has to grow before it sends its largest layer."""
SETTLE: Final = 2.0
MESSAGES: Final = 20


class View(TypedDict):
    """What one party has of another."""

    pictures: int
    """Decoded so far, numbered or not."""
    width: int
    """Of the picture decoded last."""
    height: int
    full: int
    """The width of what is published."""
    pitch: float
    """Of the last half second or so of sound, in Hz."""
    muted: list[str]
    published: list[str]
    mime: str
    simulcast: bool


class Party(Protocol):
    """One client in one room."""

    identity: str
    frequency: float
    """Of the tone that its microphone sends."""
    cannot: frozenset[str]
    """Words that its client has no function for."""
    layered_size: tuple[int, int]
    """Of a picture that its client makes several layers of."""

    def ask(self, word: str, **arguments: Any) -> Any:
        """What the client answers to one of the words above."""


def until(condition: Callable[[], Any], patience: float = PATIENCE) -> bool:
    """Whether *condition* came true in time."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def view(party: Party, other: Party) -> View:
    answer: View = party.ask("view", identity=other.identity)
    return answer


def join(options: Any, party: Party, url: str, token: str, key: str | None) -> None:
    """Into the room, with microphone and camera."""
    path = "/rtc" if getattr(options, "path", None) == "v0" else None
    party.ask("connect", url=url, token=token, key=key, path=path)
    party.ask("publish", name="microphone", codec=None, simulcast=False, size=None, rate=0)
    publish_camera(options, party)


def publish_camera(options: Any, party: Party) -> None:
    # None: as the client would by itself.
    simulcast = True if options.simulcast else False if options.codec else None
    size = party.layered_size if simulcast else options.size
    party.ask(
        "publish",
        name="camera",
        codec=options.codec,
        simulcast=simulcast,
        size=list(size),
        rate=options.rate,
    )


def hold_call(
    options: Any,
    alice: Party,
    bob: Party,
    join_as: Callable[[Party], None],
    verdict: Verdict,
    eve: Party | None = None,
) -> None:
    """All that two parties must be able to do. *eve*: somebody with another key."""
    join_as(alice)
    started = time.time()
    join_as(bob)
    if not until(lambda: bob.ask("seen", identity=alice.identity)):
        verdict.check("pictures arrive", False)
        return
    waited = bob.ask("seen", identity=alice.identity)[0][1] / 1000 - started
    verdict.figure("first_picture_seconds", waited)
    found = f"{waited:.2f} s"
    verdict.check("a first picture soon after connecting", waited < options.patience, found)

    pictures_and_sound(options, [alice, bob], verdict)
    if options.codec is not None:
        mime = view(bob, alice)["mime"].lower()
        verdict.check("the codec asked for", mime == f"video/{options.codec}", mime)
    if options.simulcast:
        layers(alice, bob, verdict)
        if options.starve:
            starve(alice, bob, verdict)
    if eve is not None:
        eavesdropper(alice, eve, join_as, verdict)
    data(alice, bob, verdict)
    data(bob, alice, verdict)
    texts_and_calls(alice, bob, verdict)
    if "mute" not in alice.cannot:
        mute(alice, bob, verdict)
    republish(options, alice, bob, verdict)
    alice.ask("leave")
    verdict.check("leave is seen", until(lambda: f"left {alice.identity}" in bob.ask("events")))
    bob.ask("leave")


def pictures_and_sound(options: Any, parties: list[Party], verdict: Verdict) -> None:
    """Everybody sees and hears everybody."""
    pairs = [(one, other) for one in parties for other in parties if one is not other]
    arrived = until(lambda: all(other.ask("seen", identity=one.identity) for one, other in pairs))
    if not verdict.check("pictures arrive everywhere", arrived):
        return
    # In its first seconds an encoder leaves out pictures by itself, while the estimate of the
    # bandwidth grows: what counts is sent after that.
    time.sleep(SETTLE)
    for one in parties:
        one.ask("count")
    time.sleep(options.seconds)
    for one in parties:
        one.ask("draw", on=False)
    time.sleep(0.7)
    for one, other in pairs:
        sent = dict(one.ask("sent"))
        seen = dict(other.ask("seen", identity=one.identity))
        name, way = f"{one.identity}_{other.identity}", f"{one.identity} to {other.identity}"
        share = share_seen(sent, seen)
        verdict.figure(f"pictures_{name}", share)
        verdict.check(
            f"numbered pictures, {way}", share >= options.enough, f"{share:.1%} of {len(sent)}"
        )
        delays = sorted(seen[number] - sent[number] for number in sent.keys() & seen.keys())
        if delays:
            verdict.figure(f"delay_p50_ms_{name}", round(delays[len(delays) // 2], 1))
            verdict.figure(f"delay_p99_ms_{name}", round(delays[len(delays) * 99 // 100], 1))
        pitch = view(other, one)["pitch"]
        verdict.check(f"a tone, {way}", abs(pitch - one.frequency) < 12, f"{pitch:.0f} Hz")
    for one in parties:
        one.ask("draw", on=True)


def layers(sender: Party, watcher: Party, verdict: Verdict) -> None:
    """The watcher asks for the small layer, then for the large one, and gets them."""
    verdict.check("simulcast is announced", view(watcher, sender)["simulcast"])
    full = view(watcher, sender)["full"]
    for layer, fits in (
        ("high", lambda width: width >= full),
        ("low", lambda width: 0 < width <= full // 2),
        ("high", lambda width: width >= full),
    ):
        started = time.monotonic()
        watcher.ask("quality", identity=sender.identity, layer=layer)
        came = until(lambda fits=fits: fits(view(watcher, sender)["width"]), LAYER_PATIENCE)
        seconds = time.monotonic() - started
        now = view(watcher, sender)
        verdict.check(
            f"layer {layer}", came, f"{now['width']}x{now['height']} after {seconds:.2f} s"
        )
        verdict.figure(f"layer_{layer}_seconds", seconds)
        if layer == "low":
            time.sleep(1)
            width = view(watcher, sender)["width"]
            verdict.check("layer low stays", fits(width), f"{width} wide after another second")
        verdict.check(f"layer {layer} moves", _moves(sender, watcher))


def starve(sender: Party, watcher: Party, verdict: Verdict) -> None:
    """A sender with too narrow a link stops its largest layer and tells nobody.

    Who watches that one must get the next, and the large one again once it is back.
    """
    full = view(watcher, sender)["full"]
    for on, what, fits in (
        (True, "the next layer comes where the largest ends", lambda width: width < full),
        (False, "the largest comes back", lambda width: width >= full),
    ):
        sender.ask("starve", on=on)
        started = time.monotonic()
        came = until(lambda fits=fits: fits(view(watcher, sender)["width"]), LAYER_PATIENCE)
        moves = came and _moves(sender, watcher)
        verdict.check(what, moves, f"after {time.monotonic() - started:.2f} s")


def _moves(sender: Party, watcher: Party) -> bool:
    before = view(watcher, sender)["pictures"]
    return until(lambda: view(watcher, sender)["pictures"] > before + 5)


def eavesdropper(
    sender: Party, eve: Party, join_as: Callable[[Party], None], verdict: Verdict
) -> None:
    """Somebody in the room with another key must not be able to read a picture."""
    join_as(eve)
    subscribed = until(lambda: f"track_subscribed {sender.identity} camera" in eve.ask("events"))
    time.sleep(2)
    seen = len(eve.ask("seen", identity=sender.identity))
    verdict.check("who has another key sees nothing", subscribed and seen == 0, f"{seen} pictures")
    eve.ask("leave")


def data(sender: Party, receiver: Party, verdict: Verdict) -> None:
    for at in range(MESSAGES):
        for kind in ("reliable", "lossy"):
            sender.ask("send", kind=kind, text=f"{kind} {at}", topic=f"{sender.identity}/{kind}")

    def texts(kind: str) -> list[str]:
        packets, topic = receiver.ask("packets"), f"{sender.identity}/{kind}"
        return [packet["text"] for packet in packets if packet["topic"] == topic]

    way = f"{sender.identity} to {receiver.identity}"
    expected = [f"reliable {at}" for at in range(MESSAGES)]
    until(lambda: len(texts("reliable")) >= MESSAGES, 5)
    until(lambda: len(texts("lossy")) >= MESSAGES, 1)
    verdict.check(f"reliable data in order, {way}", texts("reliable") == expected)
    lossy = len(set(texts("lossy")))
    verdict.check(f"lossy data, {way}", lossy >= MESSAGES * 0.9, f"{lossy} of {MESSAGES}")
    senders = {
        packet["sender"]
        for packet in receiver.ask("packets")
        if packet["topic"].startswith(f"{sender.identity}/")
    }
    verdict.check(f"data names its sender, {way}", senders == {sender.identity}, senders)


def texts_and_calls(alice: Party, bob: Party, verdict: Verdict) -> None:
    """A text in several pieces, and a remote procedure call."""
    text = "".join(f"line {at} ü\n" for at in range(4000))
    alice.ask("text", text=text, topic="long")
    until(lambda: bob.ask("texts"), 5)
    verdict.check("a long text", bob.ask("texts") == [text], f"{len(text.encode())} bytes")
    answer = alice.ask("call", identity=bob.identity, payload="ha")
    verdict.check("a remote procedure call", answer == "haha", answer)


def mute(alice: Party, bob: Party, verdict: Verdict) -> None:
    for name in ("camera", "microphone"):
        for muted, event in ((True, "muted"), (False, "unmuted")):
            alice.ask("mute", name=name, muted=muted)
            told = f"track_{event} {alice.identity} {name}"
            seen = until(lambda told=told: told in bob.ask("events"))
            known = (name in view(bob, alice)["muted"]) is muted
            verdict.check(f"{event.removesuffix('d')} is seen, {name}", seen and known)
    verdict.check("pictures after unmute", _moves(alice, bob))


def republish(options: Any, alice: Party, bob: Party, verdict: Verdict) -> None:
    alice.ask("unpublish", name="camera")
    told = f"track_unpublished {alice.identity} camera"
    seen = until(lambda: told in bob.ask("events"))
    verdict.check("unpublish is seen", seen and "camera" not in view(bob, alice)["published"])
    publish_camera(options, alice)
    alice.ask("count")
    told = f"track_subscribed {alice.identity} camera"
    verdict.check("republish is seen", until(lambda: bob.ask("events").count(told) > 1))

    def fresh() -> bool:
        sent = dict(alice.ask("sent"))
        return any(number in sent for number, _ in bob.ask("seen", identity=alice.identity))

    verdict.check("pictures after republish", until(fresh))
