"""`/rtc`: from a URL and a token to a session, or to a status with a reason.

Everything that can be refused is refused before the WebSocket is opened, as an HTTP
status with a text: a browser shows a page nothing of a failed WebSocket, so LiveKit's
clients then ask `/rtc/validate` the same question and show what it answers. The order
of the checks is LiveKit's too.

`/rtc/v1`, where a client makes every offer over one PeerConnection, is answered with
404 until we speak it: that sends every client back here by itself.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Final

import attrs
import structlog
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse

from trio_sfu.api.conversation import REQUESTS_LIMIT, RESPONSES_LIMIT, Conversation
from trio_sfu.api.http import Accept, Request, Response, Route, Routes, SocketRoute, text
from trio_sfu.api.tokens import Claims, InvalidToken, is_text, verify
from trio_sfu.api.websocket import ConnectionClosed
from trio_sfu.signalling.join import Check, ClientInfo, Connect, JoinRequest, Refused, Sdk

FIRST_RESPONSE_SECONDS: Final = 5.0
"""For a session to start; LiveKit's clients wait as long for its first words."""
IDENTITY_LIMIT: Final = 256
"""Bytes; LiveKit's."""
ROOM_NAME_LIMIT: Final = 256
"""Bytes; LiveKit's."""

PERMISSIONS_DENIED: Final = "permissions denied"

log = structlog.get_logger(__name__)


@attrs.frozen
class Gate:
    """Who may come in: the routes of the signalling."""

    keys: Mapping[str, str] = attrs.field(repr=False)
    """Secrets by API key."""
    connect: Connect
    seconds: Callable[[], float]
    """Since 1970."""
    check: Check = lambda join: None
    """What the room's side has against somebody, before they try."""

    def routes(self) -> Routes:
        """For the front door's table."""
        return {
            "/rtc": SocketRoute(self.converse),
            "/rtc/validate": Route(self.validate),
        }

    async def validate(self, request: Request) -> Response:
        """What `/rtc` would say, as far as that can be known without going in."""
        try:
            self.check(read_join(request, self.claims(request), strict=True))
        except Refused as refused:
            return text(refused.status, refused.text)
        return text(200, "success")

    async def converse(self, request: Request, accept: Accept) -> Response | None:
        """Start a session, then open the WebSocket; stay until both are over."""
        requests_in, requests_out = trio.open_memory_channel[SignalRequest](REQUESTS_LIMIT)
        responses_in, responses_out = trio.open_memory_channel[SignalResponse](RESPONSES_LIMIT)
        with requests_in, responses_out:
            try:
                join = read_join(request, self.claims(request))
                first = await self._start(join, requests_out, responses_in, responses_out)
            except Refused as refused:
                log.info("join refused", status=refused.status, reason=refused.text)
                return text(refused.status, refused.text)
            try:
                websocket = await accept()
            except ConnectionClosed:  # the client gave up; the session is told by its channels
                return None
            conversation = Conversation(websocket, lambda: int(self.seconds() * 1000))
            await conversation.run(requests_in, responses_out, first)
        return None

    async def _start(
        self,
        join: JoinRequest,
        requests: trio.MemoryReceiveChannel[SignalRequest],
        responses: trio.MemorySendChannel[SignalResponse],
        answers: trio.MemoryReceiveChannel[SignalResponse],
    ) -> SignalResponse:
        """The session's first words."""
        try:
            with trio.fail_after(FIRST_RESPONSE_SECONDS):
                await self.connect(join, requests, responses)
                return await answers.receive()
        except trio.TooSlowError:
            raise Refused(503, "the session did not start in time") from None
        except trio.EndOfChannel:
            raise Refused(500, "the session ended before it began") from None

    def claims(self, request: Request) -> Claims | None:
        """What the request's token says; None if it brings none. The header comes first."""
        token = request.query.get("access_token", "")
        if (authorization := request.headers.get("authorization")) is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise Refused(401, "invalid authorization header: it must be 'Bearer <token>'")
        if not token:
            return None
        try:
            return verify(token.strip(), self.keys, self.seconds())
        except InvalidToken as invalid:
            raise Refused(401, str(invalid)) from None


def read_join(request: Request, claims: Claims | None, strict: bool = False) -> JoinRequest:
    """The query of `/rtc` and what a token says, together. Raises `Refused`.

    *strict*: attributes that cannot be read are an error, not merely passed over.
    """
    query = request.query
    if claims is None or (grants := claims.grants) is None:
        raise Refused(401, PERMISSIONS_DENIED)
    attributes = _attributes(query.get("attributes", ""), strict)
    if not grants.room_join:
        raise Refused(401, f"{PERMISSIONS_DENIED}: the token lacks roomJoin")
    identity, room = claims.identity, grants.room or query.get("room", "")
    for what, value, limit in (
        ("identity", identity, IDENTITY_LIMIT),
        ("room name", room, ROOM_NAME_LIMIT),
    ):
        if not value:
            raise Refused(400, f"the {what} must not be empty")
        if len(value.encode()) > limit:
            raise Refused(400, f"the {what} must not be longer than {limit} bytes")
    auto_subscribe = _flag(query, "auto_subscribe", True)
    if suffix := query.get("publish"):
        # A second connection of the same client, which only publishes.
        if not grants.can_publish:
            raise Refused(401, f"{PERMISSIONS_DENIED}: the token lacks canPublish")
        identity, auto_subscribe = f"{identity}#{suffix}", False
        grants = attrs.evolve(grants, can_subscribe=False)
    if attributes and not grants.can_update_own_metadata:
        raise Refused(401, f"{PERMISSIONS_DENIED}: attributes need canUpdateOwnMetadata")
    return JoinRequest(
        room=room,
        identity=identity,
        grants=grants,
        client=_client_info(request),
        protocol=_number(query, "protocol"),
        client_protocol=_number(query, "client_protocol"),
        name=claims.name,
        metadata=claims.metadata,
        attributes={
            **claims.attributes,
            **{name: value for name, value in attributes.items() if value},
        },
        kind=claims.kind,
        kind_details=claims.kind_details,
        auto_subscribe=auto_subscribe,
        auto_subscribe_data_track=_flag(query, "auto_subscribe_data_track", False),
        adaptive_stream=_flag(query, "adaptive_stream", False),
        disable_ice_lite=_flag(query, "disable_ice_lite", False),
        subscriber_allow_pause=(
            _flag(query, "subscriber_allow_pause", False)
            if query.get("subscriber_allow_pause")
            else None
        ),
        token_made=claims.made,
        token_expires=claims.expires,
        reconnect=_flag(query, "reconnect", False),
        reconnect_reason=_number(query, "reconnect_reason"),
        participant_sid=query.get("sid", ""),
    )


def _client_info(request: Request) -> ClientInfo:
    query = request.query
    return ClientInfo(
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


_SDKS: Final[Mapping[str, Sdk]] = {sdk.value: sdk for sdk in Sdk} | {"ios": Sdk.SWIFT}


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
        padded = encoded + "=" * (-len(encoded) % 4)
        attributes = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        attributes = None
    if isinstance(attributes, dict) and all(map(is_text, (*attributes, *attributes.values()))):
        return attributes
    if strict:
        raise Refused(400, "cannot decode attributes")
    return {}
