"""What a peer says, and what it may be asked: the control plane, as frozen values.

*Events* come out of `PeerTransport.take_events`. *Wishes* go in: whoever has not
the transport's own turn leaves one in its mailbox, and in its turn it is granted. Media
is never wrapped in either: it travels as lists.
"""

import enum
import math

import attrs

from trio_sfu.core import Address
from trio_sfu.dtls.certificate import Fingerprint
from trio_sfu.ice.credentials import Credentials
from trio_sfu.peer.media import ReceiveSection, SendSection, StreamKey


class PeerState(enum.Enum):
    """How far a peer is. It can come back from DISCONNECTED by itself, and from FAILED by
    itself or by a restart of ICE; only where DTLS failed that is the end."""

    NEW = enum.auto()
    CONNECTED = enum.auto()
    """ICE and DTLS are up: media and data may flow."""
    DISCONNECTED = enum.auto()
    """Nothing was heard for a while; it may come back."""
    FAILED = enum.auto()


class DtlsRole(enum.Enum):
    """What `a=setup` settled on, as we see it (RFC 8842 section 5)."""

    CLIENT = "active"
    SERVER = "passive"


# --- events


@attrs.frozen
class StateChanged:
    """The peer's state is another now."""

    state: PeerState
    reason: str = ""
    """Of a failure, for a log."""
    final: bool = False
    """No restart of ICE will mend it."""


@attrs.frozen
class AddressProved:
    """Datagrams from *remote* are this peer's from now on."""

    remote: Address


@attrs.frozen
class KeyFrameWanted:
    """The peer cannot decode what we send in section *mid* until it gets a key frame."""

    mid: str


@attrs.frozen
class BandwidthReported:
    """The peer's own estimate of what it can receive, in bits a second (REMB)."""

    bitrate: int


@attrs.frozen
class ChannelOpened:
    """A data channel is ready both ways."""

    label: str


@attrs.frozen
class DataReceived:
    """A message came on the data channel *label*."""

    label: str
    data: bytes


Event = (
    StateChanged | AddressProved | KeyFrameWanted | BandwidthReported | ChannelOpened | DataReceived
)


# --- wishes


@attrs.frozen
class SetRemote:
    """What the peer's description says about its transport."""

    credentials: Credentials
    fingerprints: tuple[Fingerprint, ...]
    dtls_role: DtlsRole
    """Ours, not the peer's."""
    ice_lite: bool = False


@attrs.frozen
class Configure:
    """What the last offer and answer agreed on, whole: what is missing ends."""

    receive: tuple[ReceiveSection, ...]
    send: tuple[SendSection, ...]


@attrs.frozen
class AddCandidate:
    """The peer may be reached there; "" says that there are no more (RFC 8838 section 13)."""

    line: str


@attrs.frozen
class RestartIce:
    """New credentials of ours; the old ones live until the new ones are proven."""

    credentials: Credentials


@attrs.frozen
class RequestKeyFrame:
    """Ask the peer for a key frame of what it sends."""

    stream: StreamKey


@attrs.frozen
class OpenChannel:
    """Open a data channel to the peer (RFC 8831)."""

    label: str
    ordered: bool = True
    max_retransmits: int | None = None


@attrs.frozen
class CloseChannel:
    """Close the data channel *label*, if there is one."""

    label: str


@attrs.frozen
class SendData:
    """Send one message on the data channel *label*; dropped, and counted, if it cannot go."""

    label: str
    data: bytes
    patience: float = math.inf
    """Seconds: if others wait on the channel for so long, it is dropped, too."""


@attrs.frozen
class HoldBack:
    """Let the peer send no data for so many seconds: somebody cannot take it as fast."""

    seconds: float


Wish = (
    SetRemote
    | Configure
    | AddCandidate
    | RestartIce
    | RequestKeyFrame
    | OpenChannel
    | CloseChannel
    | SendData
    | HoldBack
)
