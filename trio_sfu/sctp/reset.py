"""Closing a direction of a stream (RFC 6525), the way data channels end (RFC 8831 section 6.7).

A side that has nothing more to say on some streams asks: "my last TSN was so and so;
take these streams back to SSN 0". The other answers *performed* once all up to that
TSN has arrived, *in progress* until then. A channel is gone when both directions
have been reset; that the second follows the first is up to `trio_sfu.sctp.datachannel`.

One request is under way at a time (section 5.1.1) and is repeated until it is
answered; streams that want to go meanwhile wait for the next. Requests are numbered
from the initial TSN, each side for itself; one that comes twice is answered as it was
the first time. What else a side may ask, incoming resets, new TSNs, more streams, is
denied: data channels do without.
"""

from collections import Counter
from typing import Final

from trio_sfu.sctp.parameters import (
    OtherRequest,
    OutgoingReset,
    ReconfigurationResponse,
    Request,
    ResetResult,
)
from trio_sfu.sctp.states import Ignored
from trio_sfu.sequence import distance

MAX_STREAMS_IN_REQUEST: Final = 256
"""Streams reset by one request: 512 bytes, so that it fits beside an answer."""

_MASK: Final = 0xFFFFFFFF


class StreamResets:
    """The requests of both sides of one association."""

    def __init__(self, first_tsn: int, ignored: Counter[Ignored]) -> None:
        self.finished: list[int] = []
        """Streams whose outgoing direction the peer has reset, or will never; to be taken."""
        self.peer_reset: list[tuple[int, ...]] = []
        """Streams that the peer has reset, () for all of them; to be taken."""
        self._ignored = ignored
        self._first_tsn = first_tsn
        self._sequence = first_tsn & _MASK
        self._wanted: dict[int, None] = {}
        self._request: OutgoingReset | None = None
        self._fresh = False
        self._peer_sequence = 0
        self._answer: ReconfigurationResponse | None = None

    def connect(self, peer_tsn: int) -> None:
        """The association is up; *peer_tsn* is the peer's initial one."""
        self._peer_sequence = peer_tsn

    @property
    def waiting(self) -> bool:
        """Whether a request is without an answer."""
        return self._request is not None

    def want(self, stream: int) -> None:
        """Reset our direction of *stream*, as soon as it has nothing left to deliver."""
        if self._request is None or stream not in self._request.streams:
            self._wanted[stream] = None

    def next_request(
        self, buffered: dict[int, int], last_tsns: dict[int, int]
    ) -> OutgoingReset | None:
        """A new request, for those streams that have nothing *buffered* any more.

        The last TSN that it names is the last one of these streams, from *last_tsns*, and
        not of all: what travels on others need not have arrived first.
        """
        if self._request is not None or not self._wanted:
            return None
        ready = [stream for stream in self._wanted if stream not in buffered]
        if not ready:
            return None
        ready = ready[:MAX_STREAMS_IN_REQUEST]
        for stream in ready:
            del self._wanted[stream]
        last_tsn = max(last_tsns.get(stream, self._first_tsn - 1) for stream in ready)
        self._request = self._number(last_tsn & _MASK, tuple(ready))
        return self._request

    def repeat(self) -> OutgoingReset | None:
        """The request again, after silence or *in progress*.

        After *in progress* under a new number: a peer may answer a number that it knows as
        it did before, for ever.
        """
        if self._request is not None and self._fresh:
            self._request = self._number(self._request.last_tsn, self._request.streams)
        return self._request

    def _number(self, last_tsn: int, streams: tuple[int, ...]) -> OutgoingReset:
        sequence, self._sequence = self._sequence, self._sequence + 1 & _MASK
        self._fresh = False
        return OutgoingReset(sequence, self._peer_sequence - 1 & _MASK, last_tsn, streams)

    def hear(self, request: Request, cumulative: int) -> ReconfigurationResponse | None:
        """Take one parameter of a RE-CONFIG chunk; the answer to send, if it needs one.

        *cumulative* is the last TSN that has come without a hole before it.
        """
        if isinstance(request, ReconfigurationResponse):
            self._hear_response(request)
            return None
        if not isinstance(request, OutgoingReset | OtherRequest):
            self._ignored[Ignored.BAD_REQUEST] += 1
            return None
        sequence = request.sequence
        if self._answer is not None and sequence == self._answer.sequence:
            if self._answer.result != ResetResult.IN_PROGRESS:
                return self._answer
        elif sequence != self._peer_sequence:
            self._ignored[Ignored.BAD_REQUEST] += 1
            return ReconfigurationResponse(sequence, ResetResult.BAD_SEQUENCE)
        self._peer_sequence = sequence + 1 & _MASK
        self._answer = ReconfigurationResponse(sequence, self._judge(request, cumulative))
        return self._answer

    def _judge(self, request: OutgoingReset | OtherRequest, cumulative: int) -> ResetResult:
        if isinstance(request, OtherRequest):
            return ResetResult.DENIED
        if 0 < distance(request.last_tsn, cumulative & _MASK, 32) < 1 << 31:
            return ResetResult.IN_PROGRESS
        self.peer_reset.append(request.streams)
        return ResetResult.PERFORMED

    def _hear_response(self, response: ReconfigurationResponse) -> None:
        request = self._request
        if request is None or response.sequence != request.sequence:
            self._ignored[Ignored.BAD_REQUEST] += 1
            return
        if response.result == ResetResult.IN_PROGRESS:
            self._fresh = True
            return  # the timer asks again
        # Denied or misunderstood: asking again would not help, and the stream is of no
        # more use to anybody.
        self._request = None
        self.finished += request.streams
