"""What fuzzing has found worth keeping: an input a line, in hexadecimal, a file a decoder.

Each of them reaches a line of its decoder's that neither a seed nor one before it
reached. So a fast test can show again how far the long run came.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.fuzz.decoder import folder

CORPUS: Final = Path(__file__).parent / "corpus"
REGRESSIONS: Final = Path(__file__).parent / "regressions"
"""A folder for each decoder (see `folder`), a file for each input that once broke it."""


def kept(name: str) -> list[bytes]:
    path = CORPUS / f"{folder(name)}.txt"
    if not path.exists():
        return []
    return [bytes.fromhex(line) for line in path.read_text().splitlines()]


def keep(name: str, inputs: Iterable[bytes]) -> None:
    text = "".join(f"{data.hex()}\n" for data in inputs)
    path = CORPUS / f"{folder(name)}.txt"
    path.unlink(missing_ok=True)
    if text:
        CORPUS.mkdir(exist_ok=True)
        path.write_text(text)


def failed(name: str) -> list[bytes]:
    """What once broke the decoder."""
    return [path.read_bytes() for path in sorted((REGRESSIONS / folder(name)).glob("*"))]
