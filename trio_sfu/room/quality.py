"""How good a picture somebody gets at most.

Clients choose a quality by what they show. Whoever runs the server may want to have a
say in it: a free account gets small pictures, a room of hundreds gets medium ones, a
server behind a narrow line never sends the largest. There are three places to say so,
and the lowest of them counts:

    somebody     `video.maxQuality` in the token, or its attribute `trio-sfu.max_quality`
    a room       its tag `trio-sfu.max_quality`, from CreateRoom or a token's room configuration
    all rooms    `room.max_quality` in the configuration

LiveKit has none of these. Its server and its clients pass over a grant, an attribute and
a tag that they do not know, so the same tokens and calls work with both.

It is a ceiling for what is aimed at: a track of which only a larger layer flows is sent
as it is, since a picture that is too good is better than none.
"""

import enum
from typing import Final

MAX_QUALITY: Final = "trio-sfu.max_quality"
"""The attribute and the tag. It counts as the application said it; who may change their
attributes cannot raise it."""


class Quality(enum.IntEnum):
    """The simulcast layers as clients name them, whatever their size."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


def quality_of(word: str) -> Quality | None:
    """The quality that is called so, "low"; None if none is."""
    return _QUALITIES.get(word.lower())


_QUALITIES: Final = {quality.name.lower(): quality for quality in Quality}
