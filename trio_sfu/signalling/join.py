"""The seam between the HTTP front end and the room: what a client asks for when it joins.

The front end holds the WebSocket, the session lives with the room. Between them
runs one pair of bounded channels, and this is what is handed over with it. The
front end calls `Connect` once a token was believed and its rights looked at:

    connect(join, requests, responses)
        returns   the session runs (in the room's nursery), its first response
                  will come or has come;
        raises    `Refused`: the client is told so as an HTTP status, with text.

The session ends a conversation by closing *responses* (after a Leave, if it has
something to say); the front end by closing the sending end of *requests*.
"""

import enum
from collections.abc import Mapping
from typing import Protocol

import attrs
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse

from trio_sfu.room.grants import Grants, Kind
from trio_sfu.room.options import NOTHING, RoomOptions


class Sdk(enum.Enum):
    """Which LiveKit client it is; the values are the words of the `sdk` parameter."""

    UNKNOWN = ""
    JS = "js"
    SWIFT = "swift"
    ANDROID = "android"
    FLUTTER = "flutter"
    GO = "go"
    UNITY = "unity"
    REACT_NATIVE = "reactnative"
    RUST = "rust"
    PYTHON = "python"
    CPP = "cpp"
    UNITY_WEB = "unityweb"
    NODE = "node"
    UNREAL = "unreal"
    ESP32 = "esp32"
    DOTNET = "dotnet"


@attrs.frozen(kw_only=True)
class ClientInfo:
    """What a client says about itself. Nothing of it is proved."""

    sdk: Sdk = Sdk.UNKNOWN
    version: str = ""
    os: str = ""
    os_version: str = ""
    browser: str = ""
    browser_version: str = ""
    device_model: str = ""
    network: str = ""
    """ "wifi", "wired", "cellular", "vpn", or empty."""
    address: str = ""
    """Where the request came from, as the proxy in front of us says or as we saw it."""
    capabilities: frozenset[str] = frozenset()
    """Names of LiveKit's ClientInfo.Capability: "CAP_PACKET_TRAILER"."""


@attrs.frozen(kw_only=True)
class JoinRequest:
    """Who wants to join which room, and how."""

    room: str
    identity: str
    grants: Grants
    client: ClientInfo
    protocol: int = 0
    """The signalling protocol the client speaks; 17 is today's."""
    client_protocol: int = 0
    """Told to the other clients, who learn from it which RPC and streams it understands."""

    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = attrs.Factory(dict)
    kind: Kind = Kind.STANDARD
    kind_details: tuple[str, ...] = ()

    options: RoomOptions = NOTHING
    """What the token says of the room that it lets into."""

    auto_subscribe: bool = True
    auto_subscribe_data_track: bool = False
    adaptive_stream: bool = False
    disable_ice_lite: bool = False
    subscriber_allow_pause: bool | None = None
    """None: the client did not say, the server's configuration decides."""

    one_connection: bool = False
    """Whether it speaks `/rtc/v1`: one PeerConnection, on which the client makes every offer."""
    requests: tuple[SignalRequest, ...] = ()
    """What it asks for at once, in order: tracks to announce, then its first offer."""

    token_made: float = 0
    """When its token was made (its `nbf`, else `iat`), in seconds since 1970; 0 if unknown."""
    token_expires: float = 0

    reconnect: bool = False
    """It was here before and wants to go on: see *participant_sid*."""
    reconnect_reason: int = 0
    """A value of LiveKit's ReconnectReason."""
    participant_sid: str = ""


class Refused(Exception):  # noqa: N818 - no failure: an answer, and read as one
    """Somebody may not join: an HTTP status and a text that their client shows."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"


class Check(Protocol):
    """Raises `Refused` if *join* would be refused, as far as that is known before it is tried."""

    def __call__(self, join: JoinRequest) -> None: ...


class Connect(Protocol):
    """Starts a session where the room is, or raises `Refused`."""

    async def __call__(
        self,
        join: JoinRequest,
        requests: trio.MemoryReceiveChannel[SignalRequest],
        responses: trio.MemorySendChannel[SignalResponse],
    ) -> None: ...
