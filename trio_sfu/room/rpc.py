"""Calls from the server to a participant's client: who has yet to answer, and by when.

Calls between two clients pass like any other data. One that the API makes has no
participant behind it, so what comes back must end here: this is the book of such calls,
one for each participant. It knows numbers and times only; what a call looks like on a
data channel is the signalling's, which also waits for the outcome.

    begin ──acknowledge──> (the client has it) ──respond──> outcome: the answer, or RpcError
      │                         │
      └── no ack in 2 s         └── no answer in time; or the participant is gone
"""

import enum
from collections.abc import Callable, Mapping
from typing import Final

ACK_WITHIN: Final = 2.0
"""Seconds in which a client must say that a call reached it; LiveKit's, in clients too."""
RESPOND_WITHIN: Final = 10.0
"""Seconds that a call takes at most, if it does not say otherwise; LiveKit's."""
MAX_PAYLOAD: Final = 15_360
"""Bytes of a call; clients refuse more."""
MAX_CALLS: Final = 1_000
"""Calls to one participant that wait at the same time."""


class RpcCode(enum.IntEnum):
    """LiveKit's numbers for what goes wrong; an application may use any other."""

    UNSUPPORTED_METHOD = 1400
    RECIPIENT_NOT_FOUND = 1401
    REQUEST_PAYLOAD_TOO_LARGE = 1402
    UNSUPPORTED_SERVER = 1403
    UNSUPPORTED_VERSION = 1404
    APPLICATION_ERROR = 1500
    CONNECTION_TIMEOUT = 1501
    RESPONSE_TIMEOUT = 1502
    RECIPIENT_DISCONNECTED = 1503
    RESPONSE_PAYLOAD_TOO_LARGE = 1504
    SEND_FAILED = 1505


_MESSAGES: Final[Mapping[RpcCode, str]] = {
    RpcCode.UNSUPPORTED_METHOD: "Method not supported at destination",
    RpcCode.RECIPIENT_NOT_FOUND: "Recipient not found",
    RpcCode.REQUEST_PAYLOAD_TOO_LARGE: "Request payload too large",
    RpcCode.UNSUPPORTED_SERVER: "RPC not supported by server",
    RpcCode.UNSUPPORTED_VERSION: "Unsupported RPC version",
    RpcCode.APPLICATION_ERROR: "Application error in method handler",
    RpcCode.CONNECTION_TIMEOUT: "Connection timeout",
    RpcCode.RESPONSE_TIMEOUT: "Response timeout",
    RpcCode.RECIPIENT_DISCONNECTED: "Recipient disconnected",
    RpcCode.RESPONSE_PAYLOAD_TOO_LARGE: "Response payload too large",
    RpcCode.SEND_FAILED: "Failed to send",
}
"""Clients show these, so they are LiveKit's words."""


class RpcError(Exception):
    """A call that was not answered with a payload. *code* is a `RpcCode`, or the application's."""

    def __init__(self, code: int, message: str, data: str = "") -> None:
        super().__init__(f"RpcError {code}: {message}{': ' if data else ''}{data}")
        self.code = code
        self.message = message
        self.data = data

    @classmethod
    def of(cls, code: RpcCode) -> "RpcError":
        """*code* in LiveKit's words."""
        return cls(code, _MESSAGES[code])


class Call:
    """One call that waits, until `outcome` is set."""

    def __init__(self, ack_by: float, respond_by: float) -> None:
        self.outcome: str | RpcError | None = None
        self.settled: Callable[[], None] = lambda: None
        """Called when there is an outcome."""
        self._ack_by = ack_by
        self._respond_by = respond_by

    @property
    def deadline(self) -> float:
        """When it fails by itself; ask `expire` then."""
        return min(self._ack_by, self._respond_by)

    def acknowledged(self) -> None:
        """The client has the call, and works on it."""
        self._ack_by = self._respond_by

    def expire(self, now: float) -> None:
        """Fail if nothing came in time."""
        if self.outcome is None and now >= self.deadline:
            late = self._respond_by <= self._ack_by
            code = RpcCode.RESPONSE_TIMEOUT if late else RpcCode.CONNECTION_TIMEOUT
            self.settle(RpcError.of(code))

    def settle(self, outcome: str | RpcError) -> None:
        """The first outcome counts."""
        if self.outcome is None:
            self.outcome = outcome
            self.settled()


class Calls:
    """The calls to one participant, by their ids."""

    def __init__(self) -> None:
        self._waiting: dict[str, Call] = {}
        self._over = False

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, number: str, now: float, respond_within: float = RESPOND_WITHIN) -> Call:
        """A call leaves; its outcome may be there at once. `forget` it in the end."""
        call = Call(now + ACK_WITHIN, now + respond_within)
        if self._over:
            call.settle(RpcError.of(RpcCode.RECIPIENT_DISCONNECTED))
        elif len(self._waiting) >= MAX_CALLS:
            call.settle(RpcError.of(RpcCode.SEND_FAILED))
        else:
            self._waiting[number] = call
        return call

    def acknowledge(self, number: str) -> bool:
        """The client says that it has a call; whether it is one of these."""
        call = self._waiting.get(number)
        if call is not None:
            call.acknowledged()
        return call is not None

    def respond(self, number: str, outcome: str | RpcError) -> bool:
        """The client's answer to a call; whether it is to one of these."""
        call = self._waiting.pop(number, None)
        if call is not None:
            call.settle(outcome)
        return call is not None

    def forget(self, number: str) -> None:
        """Nobody waits for that call any more."""
        self._waiting.pop(number, None)

    def end(self) -> None:
        """The participant is gone, and will answer nothing."""
        self._over = True
        for call in self._waiting.values():
            call.settle(RpcError.of(RpcCode.RECIPIENT_DISCONNECTED))
        self._waiting.clear()
