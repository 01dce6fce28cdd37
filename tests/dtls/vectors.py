"""The recorded datagrams of `tests/vectors/dtls`."""

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "vectors" / "dtls"


def _lines(name: str) -> list[str]:
    text = (FOLDER / f"{name}.txt").read_text()
    return [line for line in text.splitlines() if not line.startswith("#")]


def datagrams(name: str) -> list[bytes]:
    return [bytes.fromhex(line) for line in _lines(name)]


def conversation(name: str) -> list[tuple[str, bytes]]:
    """Who said it, and the datagram."""
    return [(who, bytes.fromhex(data)) for who, data in map(str.split, _lines(name))]


CHROMIUM_HELLO = datagrams("chromium-156-client-hello")[:2]
CHROMIUM_HELLO_AGAIN = datagrams("chromium-156-client-hello")[2:]
LIVEKIT_HELLO, LIVEKIT_HELLO_AGAIN = datagrams("livekit-python-1.2.1-client-hello")
CHROMIUM_AIORTC = conversation("chromium-aiortc-handshake")
