"""`/rtc` and `/rtc/v1`: from a URL and a token to a session, or to a status with a reason.

Everything that can be refused is refused before the WebSocket is opened, as an HTTP
status with a text: a browser shows a page nothing of a failed WebSocket, so LiveKit's
clients then ask `/rtc/validate` the same question and show what it answers. The order
of the checks is LiveKit's too, and where clients show them so are the words.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import attrs
import structlog
import trio
from livekit.protocol.rtc import SignalRequest, SignalResponse

from trio_sfu.api import parameters
from trio_sfu.api.conversation import REQUESTS_LIMIT, RESPONSES_LIMIT, Conversation
from trio_sfu.api.request import Request
from trio_sfu.api.roomconfig import options_of
from trio_sfu.api.routes import Accept, Response, Route, Routes, SocketRoute, text
from trio_sfu.api.tokens import Claims, InvalidToken, verify
from trio_sfu.api.websocket import ConnectionClosed
from trio_sfu.config import LimitConfig, RoomConfig
from trio_sfu.signalling.join import Check, Connect, JoinRequest, Refused

FIRST_RESPONSE_SECONDS: Final = 5.0
"""For a session to start; LiveKit's clients wait as long for its first words."""
IDENTITY_LIMIT: Final = 256
"""Bytes; LiveKit's."""
ROOM_NAME_LIMIT: Final = 256
"""Bytes; LiveKit's."""

NO_PERMISSIONS: Final = "no permissions to access the room"

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
    limits: Callable[[], LimitConfig] = LimitConfig
    rooms: Callable[[], RoomConfig] = RoomConfig

    def routes(self) -> Routes:
        """For the front door's table."""
        return {
            "/rtc": SocketRoute(partial(self.converse, v1=False)),
            "/rtc/validate": Route(partial(self.validate, v1=False)),
            "/rtc/v1": SocketRoute(partial(self.converse, v1=True)),
            "/rtc/v1/validate": Route(partial(self.validate, v1=True)),
        }

    async def validate(self, request: Request, *, v1: bool) -> Response:
        """What `/rtc` (or `/rtc/v1`) would say, as far as that can be known without going in."""
        try:
            self.check(self._join(request, v1=v1, strict=True))
        except Refused as refused:
            return text(refused.status, refused.text)
        return text(200, "success")

    async def converse(self, request: Request, accept: Accept, *, v1: bool) -> Response | None:
        """Start a session, then open the WebSocket; stay until both are over."""
        requests_in, requests_out = trio.open_memory_channel[SignalRequest](REQUESTS_LIMIT)
        responses_in, responses_out = trio.open_memory_channel[SignalResponse](RESPONSES_LIMIT)
        with requests_in, responses_out:
            try:
                join = self._join(request, v1=v1)
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

    def _join(self, request: Request, *, v1: bool, strict: bool = False) -> JoinRequest:
        claims, limits, rooms = self.claims(request), self.limits(), self.rooms()
        return read_join(request, claims, limits, rooms, v1=v1, strict=strict)

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


def read_join(
    request: Request,
    claims: Claims | None,
    limits: LimitConfig = LimitConfig(),  # noqa: B008 - a frozen value
    rooms: RoomConfig = RoomConfig(),  # noqa: B008 - a frozen value
    *,
    v1: bool = False,
    strict: bool = False,
) -> JoinRequest:
    """What the URL asks for and what a token allows, together. Raises `Refused`.

    *v1* and *strict* are as in `parameters.read`.
    """
    if claims is None or (grants := claims.grants) is None:
        raise Refused(401, NO_PERMISSIONS)
    asked = parameters.read(request, v1=v1, strict=strict)
    if not grants.room_join:
        raise Refused(401, "permissions denied: the token lacks roomJoin")
    identity, room = claims.identity, grants.room or asked.room
    if not identity:
        raise Refused(400, "identity cannot be empty")
    if 0 < (limit := limits.max_participant_identity_length) < len(identity.encode()):
        raise Refused(400, too_long("participant identity", limit))
    if not room:
        raise Refused(400, "no room name")
    if 0 < (limit := limits.max_room_name_length) < len(room.encode()):
        raise Refused(400, too_long("room name", limit))
    if asked.publish:
        # A second connection of the same client, which only publishes.
        if not grants.can_publish:
            raise Refused(401, f"{NO_PERMISSIONS}: the token lacks canPublish")
        identity = f"{identity}#{asked.publish}"
        grants = attrs.evolve(grants, can_subscribe=False)
    if (asked.metadata or asked.attributes) and not grants.can_update_own_metadata:
        raise Refused(401, f"{NO_PERMISSIONS}: attributes and metadata need canUpdateOwnMetadata")
    return JoinRequest(
        room=room,
        identity=identity,
        grants=grants,
        client=asked.client,
        protocol=asked.protocol,
        client_protocol=asked.client_protocol,
        name=claims.name,
        metadata=asked.metadata or claims.metadata,
        attributes={
            **claims.attributes,
            **{name: value for name, value in asked.attributes.items() if value},
        },
        kind=claims.kind,
        kind_details=claims.kind_details,
        options=options_of(claims, rooms),
        auto_subscribe=asked.auto_subscribe and not asked.publish,
        auto_subscribe_data_track=asked.auto_subscribe_data_track,
        adaptive_stream=asked.adaptive_stream,
        disable_ice_lite=asked.disable_ice_lite,
        subscriber_allow_pause=asked.subscriber_allow_pause,
        one_connection=asked.one_connection,
        requests=asked.requests,
        token_made=claims.made,
        token_expires=claims.expires,
        reconnect=asked.reconnect,
        reconnect_reason=asked.reconnect_reason,
        participant_sid=asked.participant_sid,
    )


def too_long(what: str, limit: int) -> str:
    """LiveKit's words for a name of more than *limit* bytes."""
    return f"{what} length exceeds limits: max length {limit}"
