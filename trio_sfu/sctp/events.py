"""What an association tells its owner: what happened, and where it stands."""

import attrs

from trio_sfu.sctp.inbound import Message
from trio_sfu.sctp.states import Ignored, State


@attrs.frozen
class AssociationUp:
    """Data flows from now on."""


@attrs.frozen
class AssociationLost:
    """It is over, for good."""

    reason: str


@attrs.frozen
class AssociationRestarted:
    """The peer began anew: all streams are as on the first day, all queued data is gone."""


@attrs.frozen
class StreamsReset:
    """The peer has ended its direction of some streams; of all of them if none is named."""

    streams: tuple[int, ...]


@attrs.frozen
class StreamsFinished:
    """Our direction of some streams has ended; they may be used again."""

    streams: tuple[int, ...]


AssociationEvent = (
    AssociationUp
    | AssociationLost
    | AssociationRestarted
    | StreamsReset
    | StreamsFinished
    | Message
)


@attrs.frozen
class SctpStatistics:
    """Where an association stands, for metrics and tests."""

    state: State
    round_trip: float
    """Smoothed, in seconds; 0 before the first measurement."""
    retransmission_timeout: float
    congestion_window: int
    flight: int
    peer_window: int
    buffered: int
    held: int
    """Bytes received and not yet delivered."""
    packets_received: int
    packets_sent: int
    messages_abandoned: int
    retransmissions: int
    ignored: dict[Ignored, int]
