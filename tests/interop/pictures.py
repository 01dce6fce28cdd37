"""Pictures that know their number, and tones: what a call's two ends compare.

Along the top of a picture runs a row of black and white cells: one white and one
black (what these look like after compression), sixteen bits of the picture's
number, most significant first, and four that check it: the exclusive-or of the
number's four nibbles and 5. Such a row survives scaling and strong compression,
and a decoder's grey mush is not taken for a number. `pictures.mjs` and the page's
`picture.js` draw the same.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

CELLS: Final = 22
ROW: Final = 8
"""The row of cells takes an eighth of the picture's height."""
CONTRAST: Final = 60
"""White and black are at least so far apart (of 255) in a picture that we believe."""

Luma = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.int16]


def cells(number: int) -> list[int]:
    """White (1) and black (0), from left to right."""
    check = (number >> 12 ^ number >> 8 ^ number >> 4 ^ number ^ 5) & 15
    bits = f"{number & 0xFFFF:016b}{check:04b}"
    return [1, 0, *map(int, bits)]


def draw(number: int, width: int, height: int) -> Luma:
    """Brightness of each pixel: the row of cells, and below it a bar that moves."""
    luma = np.full((height, width), 96, np.uint8)
    edges = [at * width // CELLS for at in range(CELLS + 1)]
    for at, white in enumerate(cells(number)):
        luma[: height // ROW, edges[at] : edges[at + 1]] = 235 if white else 16
    bar = number * 5 % (width - width // 10)
    luma[height // 3 : height * 2 // 3, bar : bar + width // 10] = 180
    return luma


def i420(luma: Luma) -> bytes:
    """A grey picture of that brightness, with its two (empty) planes of colour."""
    height, width = luma.shape
    return luma.tobytes() + b"\x80" * (2 * ((width + 1) // 2) * ((height + 1) // 2))


def read(luma: Luma) -> int | None:
    """The number that a picture carries, or None where it carries none that we believe."""
    height, width = luma.shape
    if width < 3 * CELLS or height < ROW:
        return None
    row = luma[height // ROW // 4 : max(height // ROW * 3 // 4, 1)].mean(axis=0)
    centres = [int((at + 0.5) * width / CELLS) for at in range(CELLS)]
    values = [float(row[centre - 1 : centre + 2].mean()) for centre in centres]
    white, black = values[0], values[1]
    if white - black < CONTRAST:
        return None
    bits = [int(value > (white + black) / 2) for value in values]
    number = int("".join(map(str, bits[2:18])), 2)
    return number if cells(number) == bits else None


def share_seen(sent: Iterable[int], seen: Iterable[int]) -> float:
    """How many of the pictures sent, from the first one seen on, were seen: 0 to 1."""
    seen = set(seen)
    expected = sorted(sent)
    first = next((at for at, number in enumerate(expected) if number in seen), None)
    if first is None:
        return 0.0
    expected = expected[first:]
    return sum(number in seen for number in expected) / len(expected)


def tone(frequency: float, start: int, count: int, rate: int = 48000) -> Samples:
    """*count* samples of a sine, beginning with sample *start*."""
    when = np.arange(start, start + count) / rate
    return (8000 * np.sin(2 * np.pi * frequency * when)).astype(np.int16)


def loudest(samples: Samples, rate: int = 48000) -> float:
    """The frequency that most of a sound's energy is at; 0 for silence."""
    if len(samples) < 1024 or np.abs(samples).max() < 100:
        return 0.0
    windowed = samples.astype(np.float64) * np.hanning(len(samples))
    return float(np.abs(np.fft.rfft(windowed)).argmax() * rate / len(samples))
