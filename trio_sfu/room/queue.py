"""What one subscriber has yet to be sent of one track.

Packets wait here as they came, not yet renumbered. So what overflows leaves no
hole in the subscriber's numbering: it was never part of it. But a hole that
*arrived* from the publisher must stay a hole, or nobody would ask for the
missing packet again. Hence the queue says where it threw packets away.

A publisher fills the queues of all its subscribers, so filling must be cheap:
what waits are the publisher's own lists, each with the layer that it is of. They
are shared by all subscribers, so nobody changes one.
"""

import sys
from collections import deque
from typing import Final, Generic, TypeVar

import attrs

T = TypeVar("T")

ALL: Final = sys.maxsize


@attrs.frozen
class Overflow:
    """Stands where *count* packets were thrown away."""

    count: int


class SubscriberQueue(Generic[T]):
    """Joins a publisher that must not wait to one subscriber that may be slow.

    Of more than *limit* packets only the newest *keep* stay. Of video keep none:
    a picture without its first half is worth nothing, and what comes next can
    only be used after a key frame. Of sound keep all that the limit allows.
    """

    __slots__ = ("_batches", "_keep", "_limit", "_lost", "_size")

    def __init__(self, limit: int, keep: int = 0) -> None:
        if keep > limit:
            raise ValueError(f"keep {keep} of at most {limit}")
        self._limit = limit
        self._keep = keep
        self._batches: deque[tuple[int, list[T]]] = deque()
        self._size = 0
        self._lost = 0

    def __len__(self) -> int:
        """How many packets wait."""
        return self._size

    def put(self, layer: int, packets: list[T]) -> None:
        """Let *packets* of one layer wait; older ones may have to go for them."""
        self._batches.append((layer, packets))
        self._size += len(packets)
        if self._size > self._limit:
            self._lost += self._size - self._keep
            self._shed(self._size - self._keep)

    def take(self, count: int = ALL) -> list[tuple[int, list[T]] | Overflow]:
        """Up to *count* packets by layer, after a marker if older ones were lost.

        The rest waits on.
        """
        taken: list[tuple[int, list[T]] | Overflow] = []
        if self._lost:
            taken.append(Overflow(self._lost))
            self._lost = 0
        if count >= self._size:
            taken += self._batches
            self._batches.clear()
            self._size = 0
            return taken
        self._size -= count
        while count:
            layer, packets = self._batches.popleft()
            if len(packets) > count:
                self._batches.appendleft((layer, packets[count:]))
                packets = packets[:count]
            count -= len(packets)
            taken.append((layer, packets))
        return taken

    def _shed(self, count: int) -> None:
        """Throw the oldest *count* away."""
        self._size -= count
        while count:
            layer, packets = self._batches.popleft()
            if len(packets) > count:
                self._batches.appendleft((layer, packets[count:]))
                return
            count -= len(packets)
