"""Gap blocks: what of the TSNs ahead the other side has (RFC 9260 section 3.3.4).

A SACK says of everything beyond its cumulative TSN what is there, again and again until
the hole before it is mended. With a window of a thousand chunks and a SACK for each
second packet, whoever walked the window each time would do little else. So what is
looked at is the difference to the SACK before: here is the arithmetic of that.
"""

from collections.abc import Iterable, Iterator

Block = tuple[int, int]
"""The first and the last of some TSNs that follow each other."""


def reported(gaps: Iterable[tuple[int, int]], base: int, limit: int) -> list[Block]:
    """What gap blocks, which count from *base*, say of the TSNs up to *limit*.

    In order and without overlaps, however the peer wrote them.
    """
    blocks: list[Block] = []
    free = base + 1
    for start, end in sorted(gaps):
        first, last = max(base + start, free), min(base + end, limit)
        if first <= last:
            blocks.append((first, last))
            free = last + 1
    return blocks


def outside(blocks: Iterable[Block], others: list[Block]) -> Iterator[int]:
    """The TSNs in *blocks* that are not in *others*; both in order and without overlaps."""
    at = 0
    for first, last in blocks:
        while at < len(others) and others[at][1] < first:
            at += 1
        tsn, ahead = first, at
        while ahead < len(others) and others[ahead][0] <= last:
            yield from range(tsn, others[ahead][0])
            tsn, ahead = others[ahead][1] + 1, ahead + 1
        yield from range(tsn, last + 1)
