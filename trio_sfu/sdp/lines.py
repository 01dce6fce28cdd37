"""The grammar of a session description: one line after another, ``type=value``.

Nothing here knows what a line means (RFC 8866 section 5). Reading takes CRLF and
bare LF, as the RFC asks; writing makes CRLF. What is read is bounded, and a line
that we write can hold no line end, so nothing that a peer named can become a
second line of ours.
"""

from collections.abc import Iterable
from typing import Final

import attrs

from trio_sfu.errors import WireError

MAX_TEXT: Final = 256 * 1024
"""Characters. A browser's video section takes some 4,000, so this is a call of sixty."""

MAX_LINES: Final = 16_384
"""Sixteen characters a line on average, which no real description comes near."""


def _one_line(_line: "Line", _attribute: "attrs.Attribute[str]", value: str) -> None:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError("a line of SDP holds no line end")


@attrs.frozen
class Line:
    """One line, not understood."""

    type: str
    """One small letter."""
    value: str = attrs.field(validator=_one_line)

    def __str__(self) -> str:
        return f"{self.type}={self.value}"


def attribute(name: str, value: object = None) -> Line:
    """An ``a=`` line: ``a=name:value``, or ``a=name`` where there is no value."""
    return Line("a", name if value is None else f"{name}:{value}")


def parse_lines(text: str) -> list[Line]:
    """All lines of *text*; `WireError` if one is none, or if there are too many."""
    if len(text) > MAX_TEXT:
        raise WireError(f"an SDP of {len(text)} characters")
    # Not splitlines, which would also cut at a form feed or a Unicode separator.
    rows = text.split("\n")
    while rows and rows[-1] in ("", "\r"):
        rows.pop()
    if len(rows) > MAX_LINES:
        raise WireError(f"an SDP of {len(rows)} lines")
    return [_parse_line(row) for row in rows]


def _parse_line(row: str) -> Line:
    row = row.removesuffix("\r")
    if len(row) < 2 or row[1] != "=" or not "a" <= row[0] <= "z":
        raise WireError(f"not a line of SDP: {row[:40]!r}")
    if "\r" in row or "\0" in row:
        raise WireError("a control character within a line of SDP")
    return Line(row[0], row[2:])


def render_lines(lines: Iterable[object]) -> str:
    """Each line followed by CRLF."""
    return "".join(f"{line}\r\n" for line in lines)


def number(text: str, limit: int) -> int:
    """A decimal number from 0 to *limit*; `WireError` for anything else.

    `int` alone would take signs, spaces, underscores and the digits of all scripts,
    and a long time over a million of them.
    """
    if not 0 < len(text) <= 20 or not (text.isascii() and text.isdigit()):
        raise WireError(f"not a number: {text[:40]!r}")
    value = int(text)
    if value > limit:
        raise WireError(f"{value} is more than {limit}")
    return value
