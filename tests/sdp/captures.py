"""The offers of real clients, and one end of ours, for all tests of this folder."""

from pathlib import Path

from trio_sfu.sdp.attributes import Fingerprint
from trio_sfu.sdp.session import Origin, SessionDescription, Transport

FOLDER = Path(__file__).parents[1] / "vectors" / "sdp"
NAMES = sorted(path.stem for path in FOLDER.glob("*-offer.sdp"))

OURS = Transport(
    "w0ab",
    "aPasswordOfTwentyFourAbc",
    (Fingerprint("sha-256", bytes(range(32))),),
    lite=True,
    candidates=("candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host",),
    complete=True,
)
ORIGIN = Origin(4711, 1)


def text(name: str) -> str:
    return (FOLDER / f"{name}.sdp").read_bytes().decode()


def offer(name: str) -> SessionDescription:
    return SessionDescription.parse(text(name))
