"""Runs a protocol core on Trio. This is all the I/O code a protocol needs."""

from collections.abc import Callable
from typing import Any

import trio

from trio_sfu.core import Core, Datagram
from trio_sfu.net.mailbox import Mailbox
from trio_sfu.net.turns import Turns


async def drive(
    core: Core,
    mailbox: Mailbox[Any],
    step: Callable[[float], object],
    send: Callable[[list[Datagram]], object],
    turns: Turns,
) -> None:
    """Run *core* until cancelled: hear, keep time, act, speak, a turn each time there is news.

    Nobody but these turns touches *core*. *step* is what its owner does between
    hearing and speaking: grant wishes, hand media on, give it media to send.
    None of these calls waits, so a cancellation cuts between turns only.

    The core's deadline is an alarm. It is set again when something is due sooner; when
    it turns out to be later, the alarm goes off in vain, once. That is seldom, and to
    set it each turn would cost half of what forwarding a packet does.
    """
    deadline = armed = core.deadline

    def hear_and_speak(now: float) -> None:
        nonlocal deadline, armed
        if mailbox.datagrams:
            core.receive(mailbox.take_datagrams(), now)
        if now >= deadline:
            core.handle_timeout(now)
        step(now)
        if said := core.take_datagrams():
            send(said)
        deadline = core.deadline
        if deadline < armed:
            alarm.deadline = armed = deadline

    with mailbox.owned(turns, hear_and_speak):
        while True:
            armed = deadline
            with trio.move_on_at(armed) as alarm:
                await mailbox.sleep()
            mailbox.ring()
