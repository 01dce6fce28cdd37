"""What changes in a server that runs, and what does not."""

import os
import signal
import time
from functools import partial

import attrs
import pytest
import trio

from tests.client.test_participant import CONFIG, event_of, join
from trio_sfu.api import tokens
from trio_sfu.api.live import Live
from trio_sfu.api.server import serve
from trio_sfu.client.events import TrackSubscribed
from trio_sfu.client.media import SILENCE
from trio_sfu.client.participant import run_participant
from trio_sfu.client.signalling import SignallingRefused
from trio_sfu.config import Config, ConfigError, LimitConfig, RtcConfig, TlsConfig
from trio_sfu.room.grants import Grants

BEFORE = Config(keys={"a": "1"}, region="here")


def test_what_is_live_changes_and_what_is_not_is_named() -> None:
    live = Live(BEFORE)
    new = Config(
        keys={"b": "2"},
        region="there",
        rtc=RtcConfig(udp_ports=(9,)),
        limit=LimitConfig(max_metadata_size=7),
    )
    changed, waiting = live.replace(new)
    assert (changed, waiting) == (
        ["keys", "limit.max_metadata_size"],
        ["region", "rtc.udp_port"],
    )
    assert live.config == attrs.evolve(BEFORE, keys={"b": "2"}, limit=new.limit)


def test_whoever_was_given_the_keys_sees_them_change() -> None:
    live = Live(BEFORE)
    keys = live.keys
    assert (dict(keys), keys == {"a": "1"}, len(keys)) == ({"a": "1"}, True, 1)
    live.replace(attrs.evolve(BEFORE, keys={"b": "secret", "c": "secret"}))
    assert list(keys) == ["b", "c"]
    assert keys.get("a") is None
    assert "secret" not in repr(keys).replace("<2 secret>", "")


def test_what_a_follower_refuses_changes_nothing() -> None:
    live = Live(BEFORE)
    seen: list[Config] = []

    def refuse(config: Config) -> None:
        if "bad" in config.keys:
            raise ConfigError("the certificate cannot be read")

    live.follow(refuse)
    live.follow(seen.append)
    with pytest.raises(ConfigError):
        live.replace(attrs.evolve(BEFORE, keys={"bad": "2"}))
    assert (live.config, seen) == (BEFORE, [BEFORE])


def test_whether_tls_is_spoken_waits_for_a_restart() -> None:
    live = Live(BEFORE)
    tls = TlsConfig(cert_file="c", key_file="k")
    _, waiting = live.replace(attrs.evolve(BEFORE, tls=tls))
    assert waiting == ["tls.cert_file", "tls.key_file"]
    live = Live(attrs.evolve(BEFORE, tls=tls))
    changed, _ = live.replace(attrs.evolve(BEFORE, tls=TlsConfig(cert_file="other", key_file="k")))
    assert changed == ["tls.cert_file"]


async def test_a_signal_has_it_read_again_and_a_bad_one_says_why(nursery, log_lines) -> None:
    live = Live(BEFORE)
    answers = [
        ConfigError("f:1: unknown key prot: did you mean port?"),
        attrs.evolve(BEFORE, keys={"b": "2"}, port=1),
    ]

    asked = trio.Event()

    def read() -> tuple[Config, list[str]]:
        trio.from_thread.run_sync(asked.set)
        answer = answers.pop(0)
        if isinstance(answer, ConfigError):
            raise answer
        return answer, ["f:2: x has no effect"]

    nursery.start_soon(live.follow_signals, read)
    await trio.testing.wait_all_tasks_blocked()
    os.kill(os.getpid(), signal.SIGHUP)
    with trio.fail_after(30):
        await asked.wait()
    assert list(live.keys) == ["a"]
    changed = trio.Event()
    live.follow(lambda config: changed.set() if config != BEFORE else None)
    os.kill(os.getpid(), signal.SIGHUP)
    with trio.fail_after(30):
        await changed.wait()
    assert list(live.keys) == ["b"]
    assert [line["event"] for line in log_lines] == [
        "the configuration stays as it is: f:1: unknown key prot: did you mean port?",
        "f:2: x has no effect",
        "these changes wait for a restart: port",
        "the configuration was read again",
    ]
    assert log_lines[-1]["changed"] == ["keys"]


def token(key: str, secret: str, identity: str) -> str:
    claims = tokens.Claims(identity=identity, grants=Grants(room="kitchen", room_join=True))
    return tokens.sign(claims, key, secret, time.time())


async def test_a_call_goes_on_while_keys_and_limits_change(nursery: trio.Nursery) -> None:
    live = Live(CONFIG)
    running = await nursery.start(partial(serve, CONFIG, live=live))
    url = running.urls[0].replace("http", "ws")
    alice, bob = [await join(nursery, url, name) for name in ("alice", "bob")]
    microphone = await alice.publish_audio()
    voice = await event_of(bob, TrackSubscribed)
    assert isinstance(voice, TrackSubscribed)

    async def speak() -> None:
        before = voice.track.received
        with trio.fail_after(30):
            while voice.track.received < before + 5:
                microphone.send([SILENCE], 960 * microphone.packets)
                await trio.sleep(0.01)

    await speak()
    limits = LimitConfig(max_participant_identity_length=5)
    live.replace(attrs.evolve(CONFIG, keys={"new": "keys"}, limit=limits))
    await speak()
    for said, words in (
        (token("devkey", "secret", "carol"), "invalid API key"),
        (token("new", "keys", "somebody"), "max length"),
    ):
        with pytest.raises(SignallingRefused, match=words):
            await nursery.start(partial(run_participant, url, said, host="127.0.0.1"))
    carol = await nursery.start(
        partial(run_participant, url, token("new", "keys", "carol"), host="127.0.0.1")
    )
    assert {info.identity for info in carol.others.values()} == {"alice", "bob"}
    await speak()
