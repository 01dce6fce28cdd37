"""The rows of the table of `stock_clients.py`: what a client must be able to do in a call.

Each row is a function of the call. It returns what it found, in a few words, and
raises `MissError` where something is not as it must be.
"""

import time
from typing import Any, Final

from ballast import ballast, ballast_text, digest
from conversation import Party, until, view
from livekit import api
from pictures import share_seen
from stock_call import Call, demand, wait

MESSAGES: Final = 20
LONG_PAYLOAD: Final = "".join(chr(0x41 + at % 57) for at in range(15_360))
"""As long as one packet may carry (15 KiB)."""
TOO_LONG: Final = len(LONG_PAYLOAD) + 1
STREAM_PATIENCE: Final = 40.0
UNSUPPORTED_METHOD: Final = 1400
APPLICATION_ERROR: Final = 1500
CONNECTION_TIMEOUT: Final = 1501
RESPONSE_TIMEOUT: Final = 1502


# --- joining, pictures and sound ---


def joins(call: Call) -> str:
    call.join(call.subject, call.subject.identity)
    demand(call.tap.joined() == [call.path], call.tap.requests)
    return call.tap.joined()[0]


def publishes(call: Call) -> str:
    publish(call.subject)
    return _pictures_and_sound(call, call.subject, call.partner)


def subscribes(call: Call) -> str:
    return _pictures_and_sound(call, call.partner, call.subject)


def publish(party: Party) -> None:
    party.ask("publish", name="microphone", codec=None, simulcast=False, size=None, rate=0)
    party.ask("publish", name="camera", codec=None, simulcast=None, size=[320, 180], rate=15)


def _pictures_and_sound(call: Call, sender: Party, watcher: Party) -> str:
    wait(lambda: watcher.ask("seen", identity=sender.identity), "no picture", 15)
    sender.ask("count")
    time.sleep(1.5)
    sender.ask("draw", on=False)
    time.sleep(0.5)
    sent, seen = dict(sender.ask("sent")), dict(watcher.ask("seen", identity=sender.identity))
    sender.ask("draw", on=True)
    share = share_seen(sent, seen)
    demand(share >= (0.8 if call.patient else 0.4), f"{share:.0%} of {len(sent)} pictures")
    wait(
        lambda: abs(view(watcher, sender)["pitch"] - sender.frequency) < 12,
        f"no tone of {sender.frequency:g} Hz",
    )
    return f"{share:.0%}"


def mutes(call: Call) -> str:
    return _mutes(call.subject, call.partner)


def sees_mute(call: Call) -> str:
    return _mutes(call.partner, call.subject)


def _mutes(sender: Party, watcher: Party) -> str:
    for name in ("camera", "microphone"):
        for muted, event in ((True, "muted"), (False, "unmuted")):
            told = f"track_{event} {sender.identity} {name}"
            before = watcher.ask("events").count(told)
            sender.ask("mute", name=name, muted=muted)
            wait(
                lambda told=told, before=before: watcher.ask("events").count(told) > before,
                f"no {event} of the {name}",
            )
            known = (name in view(watcher, sender)["muted"]) is muted
            demand(known, f"the {name} is not shown as {event}")
    pictures = view(watcher, sender)["pictures"]
    wait(lambda: view(watcher, sender)["pictures"] > pictures + 3, "no picture after unmute")
    return ""


# --- data ---


def reliable(call: Call) -> str:
    for sender, receiver in call.both_ways():
        expected = _send(sender, "reliable")
        until(lambda r=receiver, s=sender: len(_received(r, s, "reliable")) >= MESSAGES)
        found = _received(receiver, sender, "reliable")
        demand(
            found == expected, f"{sender.identity}: {len(found)} of {MESSAGES}, or another order"
        )
    return ""


def lossy(call: Call) -> str:
    least = MESSAGES
    for sender, receiver in call.both_ways():
        _send(sender, "lossy")
        until(lambda r=receiver, s=sender: len(_received(r, s, "lossy")) >= MESSAGES, 2)
        least = min(least, len(set(_received(receiver, sender, "lossy"))))
    demand(least >= MESSAGES * 0.9, f"{least} of {MESSAGES}")
    return f"{least}/{MESSAGES}"


def _send(sender: Party, kind: str) -> list[str]:
    texts = [f"{kind} {at}" for at in range(MESSAGES)]
    for text in texts:
        sender.ask("send", kind=kind, text=text, topic=f"table/{kind}")
    return texts


def _received(receiver: Party, sender: Party, kind: str) -> list[str]:
    return [
        packet["text"]
        for packet in receiver.ask("packets")
        if packet["topic"] == f"table/{kind}" and packet["sender"] == sender.identity
    ]


def hears_the_api(call: Call) -> str:
    """A message that the application's server sends has no sender."""
    room, subject = call.room, call.subject
    call.server(
        lambda server: server.room.send_data(
            api.SendDataRequest(
                room=room,
                data=b"from above",
                topic="table/api",
                destination_identities=[subject.identity],
            )
        )
    )

    def came(party: Party) -> list[str]:
        packets = party.ask("packets")
        return [packet["sender"] for packet in packets if packet["topic"] == "table/api"]

    wait(lambda: came(subject) == [""], lambda: f"not once, without a sender: {came(subject)}")
    demand(not came(call.partner), "the other has it, too")
    return ""


def text_stream(call: Call) -> str:
    return _streams(call, "text", digest(ballast_text(call.size).encode()))


def byte_stream(call: Call) -> str:
    return _streams(call, "bytes", digest(ballast(call.size)))


def _streams(call: Call, kind: str, expected: str) -> str:
    took = []
    for sender, receiver in call.both_ways():
        started = time.monotonic()
        sender.ask("stream", kind=kind, size=call.size)

        def came(sender: Party = sender, receiver: Party = receiver) -> list[dict[str, Any]]:
            streams = receiver.ask("streams")
            return [
                one for one in streams if (one["sender"], one["kind"]) == (sender.identity, kind)
            ]

        wait(came, f"nothing of {sender.identity}'s", STREAM_PATIENCE)
        demand(came()[-1]["digest"] == expected, f"other bytes: {came()}")
        took.append(time.monotonic() - started)
    return " and ".join(f"{call.size / 1e6 / seconds:.1f}" for seconds in took) + " MB/s"


def sends_data_track(call: Call) -> str:
    return _data_track(call.subject, call.partner)


def receives_data_track(call: Call) -> str:
    return _data_track(call.partner, call.subject)


def _data_track(sender: Party, receiver: Party) -> str:
    name = f"of {sender.identity}"
    about = {"sender": sender.identity, "name": name}
    sender.ask("open_data_track", name=name)
    pushed: list[str] = []

    def frames() -> list[str]:
        return [
            frame["text"]
            for frame in receiver.ask("frames")
            if {"sender": frame["sender"], "name": frame["name"]} == about
        ]

    def arrives() -> bool:
        # Frames for nobody are lost: some until the other has subscribed.
        pushed.append(f"frame {len(pushed)}")
        sender.ask("push", name=name, text=pushed[-1])
        return len(frames()) >= 10

    wait(arrives, "no ten frames")
    found = frames()
    demand(len(set(found)) == len(found) and set(found) <= set(pushed), f"others: {found}")
    # Longer than one packet.
    sender.ask("push", name=name, text=LONG_PAYLOAD)
    wait(lambda: LONG_PAYLOAD in frames(), "no frame of several packets")
    sender.ask("close_data_track", name=name)
    wait(lambda: frames()[-1] == "ended", "no end")
    return ""


# --- remote procedures ---


def calls(call: Call) -> str:
    return _calls(call, call.subject, call.partner)


def is_called(call: Call) -> str:
    return _calls(call, call.partner, call.subject)


def _calls(call: Call, caller: Party, called: Party) -> str:
    def ask(method: str, payload: str = "", seconds: float = 10, to: str = "") -> dict[str, Any]:
        identity = to or called.identity
        return {"identity": identity, "method": method, "payload": payload, "seconds": seconds}

    asked = [
        ask("double", "ha"),
        ask("echo", LONG_PAYLOAD),
        ask("nonsense"),
        ask("refuse"),
        ask("break"),
        ask("overflow"),
    ]
    if call.patient:
        asked += [ask("sleep", seconds=1), ask("double", to="nobody")]
    doubled, echoed, unknown, refused, broken, long, *slow = caller.ask("calls", calls=asked)
    demand(doubled == {"value": "haha"}, doubled)
    demand(echoed == {"value": LONG_PAYLOAD}, "another payload of 15 KiB")
    demand(unknown.get("code") == UNSUPPORTED_METHOD, unknown)
    demand(refused == {"code": 4711, "message": "no luck", "data": "today"}, refused)
    demand(broken.get("code") == APPLICATION_ERROR, broken)
    # Clients of today send each other a long answer as a stream. That it is too large is what
    # the API is told: see answers_the_api.
    demand(long == {"value": "x" * TOO_LONG}, long)
    # Of nobody, no server says that there is none: nobody acknowledges the call.
    expected = [RESPONSE_TIMEOUT, CONNECTION_TIMEOUT] if call.patient else []
    demand([one.get("code") for one in slow] == expected, slow)
    return ""
