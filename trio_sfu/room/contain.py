"""Bugs end a participant, or a room, and never the server."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import structlog
import trio

log = structlog.get_logger(__name__)


async def contain(
    what: str,
    async_fn: Callable[..., Awaitable[object]],
    *args: object,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run *async_fn* so that its bugs end it and nothing around it.

    Used in two places only, around a participant and around a room. Errors
    before ``task_status.started()`` belong to the caller and pass through.
    """
    status = _Status(task_status)
    try:
        await async_fn(*args, task_status=status)
    except BaseException as failure:  # noqa: ASYNC103 - what is no bug is raised, below
        bugs, rest = _sort(failure)
        if bugs is None or not status.called:
            raise
        log.error("crashed and was removed", what=what, exc_info=bugs)
        if rest is not None:
            # It crashed while it was being cancelled: the cancellation goes on.
            raise rest from None  # noqa: ASYNC104 - the Cancelled of the group, without the bugs


def _sort(failure: BaseException) -> tuple[Exception | None, BaseException | None]:
    """What of *failure* are bugs, and what is not (a cancellation, an interrupt)."""
    if isinstance(failure, Exception):
        return failure, None
    if isinstance(failure, BaseExceptionGroup):
        bugs, rest = failure.split(Exception)
        assert bugs is None or isinstance(bugs, Exception), "a group of Exceptions is one"
        return bugs, rest
    return None, failure


@attrs.define
class _Status:
    """A task status that remembers whether it was called."""

    _outer: trio.TaskStatus[Any]
    called: bool = False

    def started(self, value: object = None) -> None:
        self.called = True
        self._outer.started(value)
