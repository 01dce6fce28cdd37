"""What some clients say they can do and cannot, or can and do not say: one table.

LiveKit keeps the same exceptions. Nothing of what a client says about itself is
proved, so nothing worse follows from a lie than that its own call suffers.
"""

from collections.abc import Callable
from typing import Final

from trio_sfu.sdp.formats import AV1, H264, VP9
from trio_sfu.signalling.join import ClientInfo, Sdk


def _is(client: ClientInfo, browser: str) -> bool:
    """Also the browser's edition for telephones."""
    return client.browser.lower().removesuffix(" mobile") == browser


def is_firefox(client: ClientInfo) -> bool:
    """On whatever machine."""
    return _is(client, "firefox")


def takes_red(client: ClientInfo) -> bool:
    """Whether redundant audio is of any use to it."""
    return not (_is(client, "firefox") or _is(client, "safari"))


def picks_its_own_codec(client: ClientInfo) -> bool:
    """Firefox on Linux and Android takes another codec than the first of an answer."""
    return _is(client, "firefox") and client.os.lower() in ("linux", "android")


def opens_by_packets(client: ClientInfo) -> bool:
    """The Go SDK tells of a track only when a packet of it came, so one that is muted
    needs some that say nothing."""
    return client.sdk is Sdk.GO


def version_of(text: str) -> tuple[int, ...]:
    """ "18.3.1" as numbers, as far as they are; () for anything else."""
    numbers = []
    for part in text.split(".")[:4]:
        if not (part.isascii() and part.isdigit() and len(part) < 9):
            break
        numbers.append(int(part))
    return tuple(numbers)


def _new_safari(client: ClientInfo) -> bool:
    return _is(client, "safari") and version_of(client.browser_version) > (18, 3)


def _xiaomi_without_h264(client: ClientInfo) -> bool:
    return client.os.lower() == "android" and client.device_model.lower() in _XIAOMI


_XIAOMI: Final = ("xiaomi 2201117ti",)
"""Models whose H264 encoder makes pictures that nobody can decode."""

_PUBLISH_EXCEPTIONS: Final[tuple[tuple[Callable[[ClientInfo], bool], tuple[str, ...]], ...]] = (
    (lambda client: _is(client, "safari"), (AV1,)),
    (_new_safari, (VP9,)),
    (picks_its_own_codec, (H264,)),
    (_xiaomi_without_h264, (H264,)),
)
"""Who shall not publish which codecs."""


def unpublishable(client: ClientInfo) -> tuple[str, ...]:
    """Codecs that *client* shall not publish, each once."""
    found = [mime for applies, mimes in _PUBLISH_EXCEPTIONS if applies(client) for mime in mimes]
    return tuple(dict.fromkeys(found))
