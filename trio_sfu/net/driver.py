"""Runs a protocol core on Trio. This is all the I/O code a protocol needs."""

from collections.abc import Callable
from typing import Any

import trio

from trio_sfu.core import Core, Datagram
from trio_sfu.net.mailbox import Mailbox


async def drive(
    core: Core,
    mailbox: Mailbox[Any],
    step: Callable[[float], object],
    send: Callable[[list[Datagram]], object],
) -> None:
    """Run *core* until cancelled: hear, keep time, act, speak.

    Nobody but this task touches *core*. *step* is what its owner does between
    hearing and speaking: grant wishes, hand media on, give it media to send.
    None of these calls waits, so a cancellation cuts between rounds only.

    The core's deadline is an alarm. It is set again when something is due sooner; when
    it turns out to be later, the alarm goes off in vain, once. That is seldom, and to
    set it each round would cost half of what forwarding a packet does.
    """

    deadline = core.deadline

    def hear_and_speak() -> None:
        nonlocal deadline
        now = trio.current_time()
        core.receive(mailbox.take_datagrams(), now)
        if now >= deadline:
            core.handle_timeout(now)
        step(now)
        send(core.take_datagrams())
        deadline = core.deadline

    while True:
        with trio.move_on_at(deadline) as alarm:
            while True:
                await mailbox.wait()
                hear_and_speak()
                if deadline < alarm.deadline:
                    alarm.deadline = deadline
        # Outside of the alarm, so that a core that is always due hears as well.
        hear_and_speak()
