"""What a client asks for when it joins: the query of `/rtc`, or its `join_request`.

`/rtc` has a parameter for everything. `/rtc/v1` has one, `join_request`, with a protobuf
message in it that also brings the tracks which the client is about to publish, and its
first offer:

    base64url( WrappedJoinRequest{ compression, gzip?( JoinRequest ) } )

Nothing here is proved, and nothing of it is a right: those are in the token.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Final

import attrs
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc
from livekit.protocol.rtc import SignalRequest

from trio_sfu.api.request import Request
from trio_sfu.api.tokens import is_text
from trio_sfu.signalling.join import ClientInfo, Refused, Sdk

JOIN_REQUEST_LIMIT: Final = 1 << 20
"""Bytes of a JoinRequest, once it is inflated; LiveKit's."""
ANNOUNCED_LIMIT: Final = 128
"""Tracks that may be announced with a join; the rest would be refused one by one, each with
a message. Clients announce two or three."""

REQUIRED: Final = "join_request is required"


@attrs.frozen(kw_only=True)
class Asked:
    """What a client wants and says of itself; the fields are `JoinRequest`'s."""

    client: ClientInfo
    protocol: int = 0
    client_protocol: int = 0
    room: str = ""
    """Of the query; counts if the token names none."""
    publish: str = ""
    """Not "" for a second connection of the same client, which only publishes."""
    metadata: str = ""
    attributes: Mapping[str, str] = attrs.Factory(dict)
    auto_subscribe: bool = True
    auto_subscribe_data_track: bool = False
    adaptive_stream: bool = False
    disable_ice_lite: bool = False
    subscriber_allow_pause: bool | None = None
    one_connection: bool = False
    requests: tuple[SignalRequest, ...] = ()
    reconnect: bool = False
    reconnect_reason: int = 0
    participant_sid: str = ""


def read(request: Request, *, v1: bool, strict: bool) -> Asked:
    """What *request* asks for. Raises `Refused`.

    *v1*: there must be a `join_request`; on `/rtc` there may be one, too. *strict*:
    attributes that cannot be read are an error, not merely passed over.
    """
    if encoded := request.query.get("join_request", ""):
        return read_join_request(decode_join_request(encoded), request)
    if v1:
        raise Refused(400, REQUIRED)
    return read_query(request, strict)


# --- /rtc/v1


def decode_join_request(encoded: str) -> rtc.JoinRequest:
    """The message in the parameter `join_request`. Raises `Refused`, in LiveKit's words."""
    try:
        data = _base64url(encoded)
    except ValueError:
        raise Refused(400, "cannot base64 decode wrapped join request") from None
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(data)
    except DecodeError:
        raise Refused(400, "cannot unmarshal wrapped join request") from None
    inner = wrapped.join_request
    if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
        inner = _gunzip(inner)
    if len(inner) > JOIN_REQUEST_LIMIT:
        raise Refused(400, "join request too large")
    if not inner:
        raise Refused(400, REQUIRED)
    try:
        return rtc.JoinRequest.FromString(inner)
    except DecodeError:
        raise Refused(400, "cannot unmarshal join request") from None


def _gunzip(data: bytes) -> bytes:
    """*data* inflated, as far as one byte beyond the limit; several members are one text."""
    inflated = b""
    try:
        while data and len(inflated) <= JOIN_REQUEST_LIMIT:
            member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16: gzip's header and check
            inflated += member.decompress(data, JOIN_REQUEST_LIMIT + 1 - len(inflated))
            if not member.eof and len(inflated) <= JOIN_REQUEST_LIMIT:
                raise zlib.error("it ends too soon")
            data = member.unused_data
    except zlib.error:
        raise Refused(400, "cannot read decompressed join request") from None
    return inflated


def read_join_request(join: rtc.JoinRequest, request: Request) -> Asked:
    """What *join* asks for; of *request* only where it comes from counts."""
    settings, info = join.connection_settings, join.client_info
    requests = [SignalRequest(add_track=each) for each in join.add_track_requests[:ANNOUNCED_LIMIT]]
    if join.HasField("publisher_offer"):
        requests.append(SignalRequest(offer=join.publisher_offer))
    return Asked(
        client=_complete(
            ClientInfo(
                sdk=_SDK_NUMBERS.get(info.sdk, Sdk.UNKNOWN),
                version=info.version,
                os=info.os,
                os_version=info.os_version,
                browser=info.browser,
                browser_version=info.browser_version,
                device_model=info.device_model,
                network=info.network,
                address=request.client,
                capabilities=frozenset(
                    _CAPABILITIES[each] for each in info.capabilities if each in _CAPABILITIES
                ),
            ),
            request,
        ),
        protocol=info.protocol,
        client_protocol=info.client_protocol,
        metadata=join.metadata,
        attributes=dict(join.participant_attributes),
        auto_subscribe=settings.auto_subscribe,
        auto_subscribe_data_track=settings.auto_subscribe_data_track,
        adaptive_stream=settings.adaptive_stream,
        disable_ice_lite=settings.disable_ice_lite,
        subscriber_allow_pause=(
            settings.subscriber_allow_pause if settings.HasField("subscriber_allow_pause") else None
        ),
        one_connection=True,
        requests=tuple(requests),
        reconnect=join.reconnect,
        reconnect_reason=join.reconnect_reason,
        participant_sid=join.participant_sid,
    )


_SDKS: Final[Mapping[str, Sdk]] = {sdk.value: sdk for sdk in Sdk} | {"ios": Sdk.SWIFT}
_SDK_NUMBERS: Final[Mapping[int, Sdk]] = {
    number: _SDKS[name.lower().replace("_", "")]
    for name, number in models.ClientInfo.SDK.items()
    if name.lower().replace("_", "") in _SDKS
}
_CAPABILITIES: Final[Mapping[int, str]] = {
    number: name for name, number in models.ClientInfo.Capability.items()
}


# --- /rtc


def read_query(request: Request, strict: bool) -> Asked:
    """What the query of `/rtc` asks for. Raises `Refused`."""
    query = request.query
    return Asked(
        client=_client_info(request),
        protocol=_number(query, "protocol"),
        client_protocol=_number(query, "client_protocol"),
        room=query.get("room", ""),
        publish=query.get("publish", ""),
        attributes=_attributes(query.get("attributes", ""), strict),
        auto_subscribe=_flag(query, "auto_subscribe", True),
        auto_subscribe_data_track=_flag(query, "auto_subscribe_data_track", False),
        adaptive_stream=_flag(query, "adaptive_stream", False),
        disable_ice_lite=_flag(query, "disable_ice_lite", False),
        subscriber_allow_pause=(
            _flag(query, "subscriber_allow_pause", False)
            if query.get("subscriber_allow_pause")
            else None
        ),
        reconnect=_flag(query, "reconnect", False),
        reconnect_reason=_number(query, "reconnect_reason"),
        participant_sid=query.get("sid", ""),
    )


def _client_info(request: Request) -> ClientInfo:
    query = request.query
    told = ClientInfo(
        sdk=_SDKS.get(query.get("sdk", "").lower(), Sdk.UNKNOWN),
        address=request.client,
        capabilities=frozenset(filter(None, query.get("capabilities", "").split(","))),
        **{
            name: query.get(name, "")
            for name in (
                "version",
                "os",
                "os_version",
                "browser",
                "browser_version",
                "device_model",
                "network",
            )
        },
    )
    return _complete(told, request)


def _flag(query: Mapping[str, str], name: str, absent: bool) -> bool:
    return value in ("1", "true") if (value := query.get(name)) else absent


def _number(query: Mapping[str, str], name: str) -> int:
    """0 where there is none, or none that fits protobuf's int32."""
    value = query.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _attributes(encoded: str, strict: bool) -> dict[str, str]:
    """A JSON object of texts in base64url, with its padding or without."""
    if not encoded:
        return {}
    try:
        attributes = json.loads(_base64url(encoded))
    except (ValueError, RecursionError):
        attributes = None
    if isinstance(attributes, dict) and all(map(is_text, (*attributes, *attributes.values()))):
        return attributes
    if strict:
        raise Refused(400, "cannot decode attributes")
    return {}


def _base64url(encoded: str) -> bytes:
    """RFC 4648 section 5, with its padding or without. Raises `ValueError`."""
    if "+" in encoded or "/" in encoded:  # Python takes these for - and _
        raise ValueError("base64, but not for URLs")
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)


# --- what a browser does not say of itself

_IN_BROWSERS: Final = frozenset({Sdk.JS, Sdk.REACT_NATIVE, Sdk.FLUTTER, Sdk.UNITY, Sdk.UNITY_WEB})
_BROWSERS: Final = (
    ("Firefox", "Firefox/"),
    ("Edge", "Edg"),
    ("Opera", "OPR/"),
    ("Chrome", "Chrome/"),
    ("Safari", "Safari/"),
)
"""With what gives each away: the last two are in the names of those above them, too."""
_SYSTEMS: Final = (
    ("iOS", "iPhone"),
    ("iOS", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Macintosh"),
    ("Linux", "Linux"),
)


def _complete(told: ClientInfo, request: Request) -> ClientInfo:
    """*told* with what the User-Agent says of a browser that did not name itself."""
    agent = request.headers.get("user-agent", "")
    if told.sdk not in _IN_BROWSERS or not agent:
        return told
    browser = next((name for name, mark in _BROWSERS if mark in agent), "")
    system = next((name for name, mark in _SYSTEMS if mark in agent), "")
    return attrs.evolve(told, browser=told.browser or browser, os=told.os or system)
