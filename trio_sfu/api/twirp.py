"""Twirp: LiveKit's server API, one POST a call, protobuf or JSON.

    POST /twirp/livekit.RoomService/CreateRoom
    Content-Type: application/json            the answer comes in the same language

What can be called is a table, by service and method; here is only how calls travel.
An answer is a message. An error is JSON whatever the call was: a code, which decides on
the HTTP status, and a text that whoever called will show.

A call is refused before its body is looked at where its token could not allow it
whatever the body says: reading ten megabytes of JSON takes seconds, and anybody on the
internet can send them.
"""

import enum
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import attrs
import structlog
import trio
from google.protobuf.message import DecodeError, Message
from livekit.protocol.room import CreateRoomRequest

from trio_sfu.api import protojson
from trio_sfu.api.request import Request
from trio_sfu.api.routes import Response, Route, Routes, text
from trio_sfu.api.tokens import Claims
from trio_sfu.signalling.join import Refused

PREFIX: Final = "/twirp/"
JSON: Final = "application/json"
PROTOBUF: Final = "application/protobuf"
FROM_WITHIN: Final = "twirp error unknown: "
"""LiveKit 1.13 begins every error with these words that its API passes on from further in.
Nobody meant them, but whoever compares whole texts shall find the same ones here."""
REQUEST_ID: Final = "x-livekit-request-id"
OK: Final = "ok"
"""Where the log has an error's code."""
MAX_LOGGED: Final = 256
"""Characters of each thing in a log line that a stranger says."""
MAX_DIGITS: Final = 10
"""Of a number in a header."""
THREAD_ABOVE: Final = 64 << 10
"""Bytes of a body that is read in a thread of its own: media goes on meanwhile."""

log = structlog.get_logger(__name__)


class Code(enum.Enum):
    """What went wrong, in Twirp's words; `STATUS` has their HTTP statuses."""

    CANCELED = "canceled"
    UNKNOWN = "unknown"
    INVALID_ARGUMENT = "invalid_argument"
    MALFORMED = "malformed"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    NOT_FOUND = "not_found"
    BAD_ROUTE = "bad_route"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    UNAUTHENTICATED = "unauthenticated"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    OUT_OF_RANGE = "out_of_range"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    DATALOSS = "dataloss"


STATUS: Final[Mapping[Code, int]] = {
    Code.CANCELED: 408,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.MALFORMED: 400,
    Code.DEADLINE_EXCEEDED: 408,
    Code.NOT_FOUND: 404,
    Code.BAD_ROUTE: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.UNAUTHENTICATED: 401,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 412,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATALOSS: 500,
}


class TwirpError(Exception):
    """An answer that is no message."""

    def __init__(self, code: Code, words: str, meta: Mapping[str, str] | None = None) -> None:
        super().__init__(code, words)
        self.code = code
        self.words = words
        self.meta = dict(meta or {})

    def __str__(self) -> str:
        return f"{self.code.value}: {self.words}"


def denied() -> TwirpError:
    """What whoever calls may not."""
    return TwirpError(Code.UNAUTHENTICATED, "permissions denied")


def from_within(code: Code, words: str) -> TwirpError:
    """An error as LiveKit's API passes it on from where rooms are."""
    return TwirpError(code, FROM_WITHIN + words)


@attrs.frozen(kw_only=True)
class Call:
    """Who calls, beside what they say."""

    claims: Claims
    request_id: str = ""
    """A name that the caller gave it, and gives it again when it repeats it."""


@attrs.frozen
class Rendered:
    """An answer that is at hand in both languages: made of parts that were written before."""

    protobuf: Callable[[], bytes]
    json: Callable[[], str]


@attrs.frozen
class Method:
    """One method of a service."""

    takes: type[Message]
    allows: Callable[[Claims], bool]
    """Whether a token may do this at all, to whichever room."""
    answer: Callable[[Call, Any], Awaitable[Message | Rendered]]
    """Called with a message of the type that it *takes*; may raise `TwirpError`."""


Services = Mapping[str, Mapping[str, Method]]
"""Methods by their names, by the services' full names ("livekit.RoomService")."""


@attrs.frozen
class Answered:
    """A call that is over."""

    service: str
    method: str
    status: int
    code: str
    """"" unless it failed."""
    seconds: float


@attrs.frozen
class Twirp:
    """The routes of the server API."""

    services: Services
    claims: Callable[[Request], Claims | None]
    """What a request's token says; raises `Refused` for one that is not believed."""
    thread_above: float = THREAD_ABOVE
    answered: Callable[[Answered], None] = lambda answered: None
    """Told of every call of a method that there is."""

    def routes(self) -> Routes:
        """For the front door's table."""
        methods = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})  # all but one are told no
        return {
            f"{PREFIX}{service}/": Route(self.answer, methods, takes_body=True)
            for service in self.services
        }

    async def answer(self, request: Request) -> Response:
        """One call, of which the log has one line: nothing of what was said but the room."""
        began = trio.current_time()
        said: dict[str, str] = {}
        response = await self._outcome(request, said)
        log.info(
            "API call",
            method=request.path.removeprefix(PREFIX)[:MAX_LOGGED],
            status=response.status,
            milliseconds=round((trio.current_time() - began) * 1000, 1),
            **said,
        )
        return response

    async def _outcome(self, request: Request, said: dict[str, str]) -> Response:
        """*said*: for the log line."""
        if request_id := request.headers.get(REQUEST_ID, ""):
            said["request_id"] = request_id[:MAX_LOGGED]
        try:
            claims = self.claims(request)
        except Refused as refused:
            said |= {"code": Code.UNAUTHENTICATED.value, "text": refused.text}
            return text(refused.status, refused.text)
        since, code = trio.current_time(), Code.INTERNAL.value
        try:
            with trio.move_on_after(_seconds(request)):
                response = await self._answer(request, claims, said)
                said["code"], code = OK, ""
                return response
            raise from_within(Code.CANCELED, "request canceled")
        except TwirpError as error:
            code = error.code.value
            said |= {"code": code, "text": error.words}
            return _error(error)
        finally:
            self._note(request, code, trio.current_time() - since)

    def _note(self, request: Request, code: str, seconds: float) -> None:
        service, _, method = request.path.removeprefix(PREFIX).partition("/")
        if method in self.services.get(service, {}):  # only so many names can be counted
            status = STATUS[Code(code)] if code else 200
            self.answered(Answered(service, method, status, code, seconds))

    async def _answer(
        self, request: Request, claims: Claims | None, said: dict[str, str]
    ) -> Response:
        method = self._method(request)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in (JSON, PROTOBUF):
            given = request.headers.get("content-type", "")
            raise _bad_route(request, f'unexpected Content-Type: "{given}"')
        if claims is None or not method.allows(claims):
            raise denied()
        message = method.takes()
        if len(request.body) <= self.thread_above:
            read = _decode(request.body, message, content_type)
        else:
            read = await trio.to_thread.run_sync(_decode, request.body, message, content_type)
        if not read:
            language = "json" if content_type == JSON else "protobuf"
            raise TwirpError(Code.MALFORMED, f"the {language} request could not be decoded")
        if room := _room_of(message):
            said["room"] = room[:MAX_LOGGED]
        call = Call(claims=claims, request_id=request.headers.get(REQUEST_ID, ""))
        answer = await method.answer(call, message)
        if content_type == JSON:
            words = answer.json() if isinstance(answer, Rendered) else protojson.encode(answer)
            return Response(200, words.encode(), JSON)
        if isinstance(answer, Rendered):
            return Response(200, answer.protobuf(), PROTOBUF)
        return Response(200, answer.SerializeToString(), PROTOBUF)

    def _method(self, request: Request) -> Method:
        if request.method != "POST":
            words = f'unsupported method "{request.method}" (only POST is allowed)'
            raise _bad_route(request, words)
        service, _, name = request.path.removeprefix(PREFIX).partition("/")
        method = self.services.get(service, {}).get(name)
        if method is None:
            raise _bad_route(request, f'no handler for path "{request.path}"')
        return method


def _room_of(message: Message) -> str:
    """The name of the room that *message* is about; "" if it is about none."""
    if isinstance(message, CreateRoomRequest):
        return message.name
    room = getattr(message, "room", "")
    return room if isinstance(room, str) else ""


def _bad_route(request: Request, words: str) -> TwirpError:
    asked = f"{request.method} {request.path}"
    return TwirpError(Code.BAD_ROUTE, words, {"twirp_invalid_route": asked})


def _error(error: TwirpError) -> Response:
    said: dict[str, object] = {"code": error.code.value, "msg": error.words}
    if error.meta:
        said["meta"] = error.meta
    return Response(STATUS[error.code], json.dumps(said, separators=(",", ":")).encode(), JSON)


def _seconds(request: Request) -> float:
    """How long the caller waits, as far as it says so."""
    value = request.headers.get("x-twirp-timeout-ms", "")
    if value.isascii() and value.isdigit() and len(value) < MAX_DIGITS:
        return int(value) / 1000
    return math.inf


def _decode(body: bytes, into: Message, content_type: str) -> bool:
    """Whether *body* is a message of *into*'s type, which then has it."""
    if content_type == JSON:
        return protojson.decode(body, into)
    try:
        into.ParseFromString(body)
    except DecodeError:
        return False
    return True
