"""A peer whose every chunk is put into its mouth by the test."""

from typing import TypeVar

from tests.sim import entropy
from trio_sfu.core import INSIDE, Datagram
from trio_sfu.sctp.association import SctpAssociation
from trio_sfu.sctp.chunks import (
    Chunk,
    CookieAck,
    CookieEcho,
    Data,
    Init,
    InitAck,
    Sack,
    Shutdown,
)
from trio_sfu.sctp.handshake import OFFERED
from trio_sfu.sctp.outbound import Outgoing
from trio_sfu.sctp.packet import Packet
from trio_sfu.sctp.parameters import Parameter, Parameters, ParameterType
from trio_sfu.sctp.states import State
from trio_sfu.wire import Reader

TAG = 0x0BADCAFE
TSN = 0xFFFFFFF0
"""The puppet's first TSN: it soon wraps around."""

T = TypeVar("T")


class Puppet:
    """An association of ours, and what its peer says to it."""

    def __init__(self, seed: int = 0) -> None:
        self.ours = SctpAssociation(entropy(seed))
        self.now = 50.0
        self.sent: list[Packet] = []
        """What ours has sent."""
        self.tag = 0
        """Ours, learnt from its INIT or INIT ACK."""
        self.first_tsn = 0

    def follow(self) -> list[Packet]:
        packets = [Packet.decode(Reader(each.data)) for each in self.ours.take_datagrams()]
        self.sent += packets
        for chunk in [chunk for packet in packets for chunk in packet.chunks]:
            if isinstance(chunk, Init):
                self.tag, self.first_tsn = chunk.tag, chunk.tsn
        return packets

    def say(self, *chunks: Chunk, tag: int | None = None) -> list[Chunk]:
        """Say something; the chunks of the answer."""
        packet = Packet(5000, 5000, self.tag if tag is None else tag, chunks)
        self.ours.receive([Datagram(packet.encode(), INSIDE, INSIDE)], self.now)
        return [chunk for answer in self.follow() for chunk in answer.chunks]

    def wait(self, seconds: float) -> list[Chunk]:
        """Let time pass in silence; what ours says meanwhile."""
        until, chunks = self.now + seconds, list[Chunk]()
        while self.ours.deadline <= until:
            self.now = self.ours.deadline
            self.ours.handle_timeout(self.now)
            assert self.ours.deadline > self.now
            chunks += [chunk for packet in self.follow() for chunk in packet.chunks]
        self.now = until
        return chunks

    def send(self, message: Outgoing) -> list[Chunk]:
        assert self.ours.send(message, self.now)
        return [chunk for packet in self.follow() for chunk in packet.chunks]

    def init(self, parameters: Parameters = OFFERED, *, tag: int = TAG, tsn: int = TSN) -> Init:
        return Init(tag, 1 << 20, 1024, 1024, tsn, parameters)

    def init_ack(self, parameters: Parameters = OFFERED) -> InitAck:
        cookie = Parameter(ParameterType.STATE_COOKIE, b"the puppet's")
        return InitAck(TAG, 1 << 20, 1024, 1024, TSN, (*parameters, cookie))


def data(number: int, stream: int = 0, ssn: int = 0, payload: bytes = b"x", flags: int = 3) -> Data:
    """The puppet's DATA, *number* counted from its first TSN."""
    return Data((TSN + number) & 0xFFFFFFFF, stream, ssn, 53, payload, flags)


def sack(puppet: Puppet, count: int, window: int = 1 << 20, **fields: object) -> Sack:
    """Acknowledge the first *count* TSNs of ours."""
    return Sack(puppet.first_tsn + count - 1 & 0xFFFFFFFF, window, **fields)  # type: ignore[arg-type] # gaps, duplicates


def message(payload: bytes = b"word", stream: int = 0, **fields: float) -> Outgoing:
    return Outgoing(stream, 53, payload, **fields)  # type: ignore[arg-type] # the limits


def in_state(state: State, parameters: Parameters = OFFERED) -> Puppet:
    """A puppet whose other end has been led to *state*."""
    puppet = Puppet()
    if state is State.CLOSED:
        puppet.say(puppet.init(tag=1), tag=0)  # so that it knows the tag
        return puppet
    puppet.ours.start(puppet.now)
    puppet.follow()
    if state is State.COOKIE_WAIT:
        return puppet
    puppet.say(puppet.init_ack(parameters))
    if state is State.COOKIE_ECHOED:
        return puppet
    puppet.say(CookieAck())
    if state in (State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED):
        puppet.send(message())
    if state in (State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT):
        puppet.ours.shutdown(puppet.now)
    if state in (State.SHUTDOWN_RECEIVED, State.SHUTDOWN_ACK_SENT):
        puppet.say(Shutdown(puppet.first_tsn - 1 & 0xFFFFFFFF))
    if state is State.ENDED:
        puppet.ours.abort(puppet.now)
    puppet.follow()
    assert puppet.ours.state is state
    puppet.ours.take_events()
    return puppet


def only(kind: type[T], chunks: list[Chunk]) -> list[T]:
    return [chunk for chunk in chunks if isinstance(chunk, kind)]


def cookie_of(chunks: list[Chunk]) -> CookieEcho:
    """What brings back the cookie of an INIT ACK of ours."""
    (answer,) = only(InitAck, chunks)
    value = answer.find(ParameterType.STATE_COOKIE)
    assert value is not None
    return CookieEcho(value)
