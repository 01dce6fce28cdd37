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
    """
    while True:
        await mailbox.wait(core.deadline)
        now = trio.current_time()
        core.receive(mailbox.take_datagrams(), now)
        if now >= core.deadline:
            core.handle_timeout(now)
        step(now)
        send(core.take_datagrams())
