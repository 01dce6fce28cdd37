"""An SCTP association over one DTLS connection: who gets which chunk, and when a packet leaves.

The parts know their trades: `inbound` what has come, `outbound` what is under way,
`reset` which streams end, `cookie` and `handshake` how it begins, `shutdown` how it
ends, `states` what may come when, `tags` whose a packet is, `packing` what leaves.
This module hands each chunk of a packet that is believed to the part that it is for.

What is to be said gathers until `take_datagrams` (see `packing`). That is why the owner
takes datagrams after every call, before it looks at `deadline` (see `trio_sfu.core.Core`);
the time of that last call is the time of sending.

Both ends call `start`, as libwebrtc and Chromium do, so two INITs usually cross. Each
answers the other's with its *own* tag and TSN, so both handshakes build the same
association, and whichever is done first is the one that counts (RFC 9260 section 5.2.1).

Nothing but an ABORT, a SHUTDOWN or the owner ends an association. There is no limit to
retransmissions: whether the peer lives is ICE's to judge, and an ICE restart may be
preceded by many seconds of silence that the data must outlive.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from trio_sfu.core import Datagram, Entropy
from trio_sfu.errors import WireError
from trio_sfu.sctp.chunks import (
    Abort,
    Chunk,
    CookieAck,
    CookieEcho,
    Data,
    Error,
    ForwardTsn,
    Heartbeat,
    HeartbeatAck,
    Init,
    InitAck,
    ReConfig,
    Sack,
    Shutdown,
    ShutdownAck,
    ShutdownComplete,
    Unknown,
    UnknownChunk,
)
from trio_sfu.sctp.cookie import KEY_LENGTH, LIFETIME, Cookie
from trio_sfu.sctp.events import (
    AssociationEvent,
    AssociationLost,
    AssociationRestarted,
    AssociationUp,
    SctpStatistics,
    StreamsFinished,
    StreamsReset,
)
from trio_sfu.sctp.handshake import (
    OFFERED,
    Extension,
    Verdict,
    answer_init,
    judge,
    read_extensions,
)
from trio_sfu.sctp.heartbeat import Heartbeats
from trio_sfu.sctp.inbound import MAX_STREAMS, RECEIVE_WINDOW, Inbound
from trio_sfu.sctp.outbound import Outbound, Outgoing
from trio_sfu.sctp.packet import Packet
from trio_sfu.sctp.packing import Packing
from trio_sfu.sctp.parameters import CauseCode, Parameter, ParameterType
from trio_sfu.sctp.reset import StreamResets
from trio_sfu.sctp.shutdown import Closing
from trio_sfu.sctp.states import ACCEPTED, OPENING, SENDING, Event, Ignored, Standing, State, Timer
from trio_sfu.sctp.tags import believed, new_tag
from trio_sfu.timers import Timers
from trio_sfu.wire import Reader

PORT: Final = 5000
"""Both ports, as every ``a=sctp-port`` has it (RFC 8841 section 5)."""
T1_FIRST: Final = 0.5
T1_LONGEST: Final = 1.0
"""INIT and COOKIE ECHO go out again after half a second, then every second, for ever."""
SACK_DELAY: Final = 0.2
"""The longest an acknowledgement waits for company (RFC 9260 section 6.2)."""


class SctpAssociation:
    """A core, see `trio_sfu.core.Core`; datagrams carry `INSIDE` addresses."""

    def __init__(self, entropy: Entropy, *, port: int = PORT, peer_port: int = PORT) -> None:
        self.ignored: Counter[Ignored] = Counter()
        self.extensions = Extension(0)
        """What the peer understands; nothing before it has been heard."""
        self.streams = MAX_STREAMS
        """How many streams we may send on."""
        self._entropy = entropy
        self._ports = port, peer_port
        self._key = entropy(KEY_LENGTH)
        self._tag = new_tag(entropy)
        self._first_tsn = int.from_bytes(entropy(4), "big")
        self._now = 0.0
        self._timers: Timers[Timer] = Timers()
        self._standing = Standing(self.ignored)
        self._packing = Packing(self._ports, self._timers)
        self._heartbeats = Heartbeats(entropy, self._packing, self._timers, self.ignored)
        self._closing = Closing(self._standing, self._packing, self._timers, self._end)
        self._events: list[AssociationEvent] = []
        self._outbound = Outbound(self._first_tsn, self._timers, self.ignored)
        self._inbound = Inbound(0, self._events.append, self.ignored)
        self._resets = StreamResets(self._first_tsn, self.ignored)
        self._cookie = b""
        self._t1_interval = T1_FIRST
        self._unacknowledged = 0
        """Packets with DATA since the last SACK."""
        self._sack_due = False
        self._received = 0
        self._hear_as: dict[type[Chunk], Callable[..., None]] = {
            Data: self._hear_data,
            Init: self._hear_init,
            InitAck: self._hear_init_ack,
            Sack: self._hear_sack,
            Heartbeat: self._hear_heartbeat,
            HeartbeatAck: self._hear_heartbeat_ack,
            Abort: self._hear_abort,
            Shutdown: self._hear_shutdown,
            ShutdownAck: self._hear_shutdown_ack,
            Error: self._hear_error,
            CookieEcho: self._hear_cookie_echo,
            CookieAck: self._hear_cookie_ack,
            ShutdownComplete: self._hear_shutdown_complete,
            ReConfig: self._hear_reconfig,
            ForwardTsn: self._hear_forward_tsn,
        }

    # --- the owner's calls ------------------------------------------------------

    @property
    def state(self) -> State:
        return self._standing.state

    def start(self, now: float) -> None:
        """Send INIT; nothing if the association is under way already."""
        self._now = now
        if self.state is State.CLOSED:
            self._standing.step(Event.START)
            self._send_init(now)

    def send(self, message: Outgoing, now: float) -> bool:
        """Queue a message; False if the buffer is full or the association is ending."""
        if not message.data:
            raise ValueError("SCTP has no empty messages (RFC 9260 section 6.2)")
        self._now = now
        if self.state in OPENING or self.state is State.ESTABLISHED:
            return self._outbound.queue(message, now)
        return False

    def reset_stream(self, stream: int, now: float) -> None:
        """End our direction of *stream*, after what is queued on it."""
        self._now = now
        self._resets.want(stream)
        self._advance_resets(now)

    def shutdown(self, now: float) -> None:
        """End in order: everything queued still arrives (RFC 9260 section 9.2)."""
        self._now = now
        if self.state is State.ESTABLISHED:
            self._standing.step(Event.CLOSE)
            self._closing.advance(self._outbound, self._inbound, now)
        elif self.state in OPENING:
            self._end("closed before it was up")

    def abort(self, now: float, reason: str = "") -> None:
        """End at once, and say so."""
        self._now = now
        if self.state is not State.ENDED:
            self._abort(CauseCode.USER_INITIATED_ABORT, reason.encode(), "aborted by us")

    def hold_back(self, until: float, now: float) -> None:
        """Let the peer send nothing new until then: what it says finds no way onwards.

        What is under way arrives all the same, and after that a packet now and then, with
        which the peer tries the window (RFC 9260 section 6.1 A).
        """
        self._now = now
        if self.state is State.ESTABLISHED and until > now:
            self._inbound.held_back = self._sack_due = True
            self._timers.arm(Timer.HOLD, until)

    @property
    def buffered(self) -> dict[int, int]:
        """Payload bytes queued or under way, by stream; not to be changed."""
        return self._outbound.buffered

    @property
    def buffered_total(self) -> int:
        return self._outbound.buffered_total

    def delay(self, stream: int) -> float:
        """Seconds until what is buffered of *stream* is acknowledged, at today's speed."""
        return self._outbound.delay(stream)

    def take_events(self) -> list[AssociationEvent]:
        """What happened, in order."""
        events = self._events[:]
        self._events.clear()
        return events

    def statistics(self) -> SctpStatistics:
        outbound = self._outbound
        return SctpStatistics(
            self.state,
            outbound.rto.smoothed,
            outbound.rto.current,
            outbound.congestion.window,
            outbound.flight,
            outbound.peer_window,
            outbound.buffered_total,
            self._inbound.held,
            self._received,
            self._packing.sent,
            outbound.abandoned_messages,
            outbound.retransmissions,
            dict(self.ignored),
        )

    # --- the core's calls -------------------------------------------------------

    @property
    def deadline(self) -> float:
        return self._timers.next()

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        self._now = now
        for datagram in datagrams:
            try:
                packet = Packet.decode(Reader(datagram.data))
            except WireError:
                self.ignored[Ignored.MALFORMED] += 1
                continue
            self._received += 1
            self._hear(packet, now)
        self._schedule_sack(now)
        self._advance_resets(now)
        self._closing.advance(self._outbound, self._inbound, now)

    def handle_timeout(self, now: float) -> None:
        self._now = now
        for timer in self._timers.take_due(now):
            match timer:
                case Timer.T1:
                    self._t1_interval = min(2 * self._t1_interval, T1_LONGEST)
                    if self.state is State.COOKIE_WAIT:
                        self._send_init(now)
                    else:
                        self._send_cookie(now)
                case Timer.T2:
                    self._closing.repeat(self._inbound, now)
                case Timer.T3:
                    self._outbound.expire(now)
                case Timer.SACK:
                    self._sack_due = True
                case Timer.HOLD:
                    self._inbound.held_back = False
                    self._sack_due = self.state in SENDING
                case Timer.HEARTBEAT:
                    self._heartbeats.beat(self._outbound.last_sent, now)
                case Timer.BURST:
                    pass  # it is for `take_datagrams` to go on
                case Timer.RECONFIGURE:
                    request = self._resets.repeat()
                    if request is not None:
                        self._packing.say(ReConfig((request,)))
                        self._timers.arm(Timer.RECONFIGURE, now + self._outbound.rto.current)
        self._advance_resets(now)
        self._closing.advance(self._outbound, self._inbound, now)

    def take_datagrams(self) -> list[Datagram]:
        if self.state is not State.ENDED:
            self._flush(self._now)
        return self._packing.take()

    # --- packets out ------------------------------------------------------------

    def _flush(self, now: float) -> None:
        """Fill packets with all that may leave now."""
        if self._sack_due:
            self._sack_due = False
            self._unacknowledged = 0
            self._timers.cancel(Timer.SACK)
            self._packing.say_first(self._inbound.sack())
        self._packing.fill(self._outbound if self.state in SENDING else None, now)

    def _schedule_sack(self, now: float) -> None:
        if self._inbound.sack_wanted or self._unacknowledged >= 2:
            self._sack_due = True
        elif self._unacknowledged and not self._timers.armed(Timer.SACK):
            self._timers.arm(Timer.SACK, now + SACK_DELAY)

    # --- packets in -------------------------------------------------------------

    def _hear(self, packet: Packet, now: float) -> None:
        if (packet.destination, packet.source) != self._ports:
            self.ignored[Ignored.WRONG_PORT] += 1
            return
        if not believed(packet, self._tag, self._packing.peer_tag, self.state):
            self.ignored[Ignored.WRONG_TAG] += 1
            return
        had_data = had_gaps = had_forward = False
        for chunk in packet.chunks:
            kind = type(chunk)
            if kind not in ACCEPTED[self.state]:
                self.ignored[Ignored.OUT_OF_PLACE] += 1
            elif kind is Data:
                had_data = True
                self._hear_data(chunk, packet, now)
            elif isinstance(chunk, UnknownChunk):
                if not self._skip_unknown(chunk):
                    break
            elif (had_gaps and isinstance(chunk, Sack) and chunk.gaps) or (
                had_forward and kind is ForwardTsn
            ):
                self.ignored[Ignored.SURPLUS] += 1
            else:
                had_gaps |= isinstance(chunk, Sack) and bool(chunk.gaps)
                had_forward |= kind is ForwardTsn
                self._hear_as[kind](chunk, packet, now)
        if had_data:
            self._unacknowledged += 1
            if self.state is State.SHUTDOWN_SENT:  # it does not know yet (9.2)
                self._closing.say_again(self._inbound)
                self._sack_due = True

    def _skip_unknown(self, chunk: UnknownChunk) -> bool:
        """What the type's high bits say; False to stop reading the packet (3.2)."""
        self.ignored[Ignored.UNKNOWN_CHUNK] += 1
        what = Unknown(chunk.type >> 6)
        if Unknown.REPORT in what and self.state not in OPENING:
            self._packing.say(Error((Parameter(CauseCode.UNRECOGNIZED_CHUNK, chunk.encode()),)))
        return Unknown.SKIP in what

    # --- the handshake ----------------------------------------------------------

    def _send_init(self, now: float) -> None:
        init = Init(self._tag, RECEIVE_WINDOW, MAX_STREAMS, MAX_STREAMS, self._first_tsn, OFFERED)
        self._packing.emit(0, [init.encode()])
        self._timers.arm(Timer.T1, now + self._t1_interval)

    def _send_cookie(self, now: float) -> None:
        self._packing.say_first(CookieEcho(self._cookie))
        self._timers.arm(Timer.T1, now + self._t1_interval)

    def _hear_init(self, init: Init, packet: Packet, now: float) -> None:
        """Answer, and remember nothing (5.1 B and 5.2.1, 5.2.2)."""
        if not (init.tag and init.outbound and init.inbound):
            self.ignored[Ignored.BAD_INIT] += 1
            return
        if self.state is State.SHUTDOWN_ACK_SENT:
            self._packing.say(ShutdownAck())
            return
        tag, tsn, ties = self._tag, self._first_tsn, (0, 0)
        if self.state not in OPENING:
            tag, tsn = new_tag(self._entropy), int.from_bytes(self._entropy(4), "big")
            ties = self._tag, self._packing.peer_tag
        answer = answer_init(init, self._key, tag, tsn, ties, now)
        self._packing.emit(init.tag, [answer.encode()])

    def _hear_init_ack(self, init: InitAck, packet: Packet, now: float) -> None:
        cookie = init.find(ParameterType.STATE_COOKIE)
        if not (cookie and init.tag and init.outbound and init.inbound):
            self.ignored[Ignored.BAD_INIT] += 1
            return
        if not self._standing.step(Event.INIT_ACK):
            return
        extensions, reports = read_extensions(init)
        self._meet(init.tag, init.tsn, init.window, min(MAX_STREAMS, init.inbound), extensions)
        self._cookie = cookie
        self._t1_interval = T1_FIRST
        self._send_cookie(now)
        if reports:
            value = b"".join(report.encode() for report in reports)
            self._packing.say(Error((Parameter(CauseCode.UNRECOGNIZED_PARAMETERS, value),)))

    def _hear_cookie_echo(self, chunk: CookieEcho, packet: Packet, now: float) -> None:
        try:
            cookie = Cookie.verify(chunk.value, self._key)
        except WireError:
            self.ignored[Ignored.BAD_COOKIE] += 1
            return
        if packet.tag != cookie.local_tag:
            self.ignored[Ignored.WRONG_TAG] += 1
            return
        match judge(cookie, self._tag, self._packing.peer_tag, self.state in OPENING, now):
            case Verdict.SAME:
                if self.state is State.COOKIE_ECHOED:
                    self._come_up(Event.COOKIE_ECHO, now)
                self._packing.say(CookieAck())
            case Verdict.NEW:
                self._meet_cookie(cookie)
                self._come_up(Event.COOKIE_ECHO, now)
                self._packing.say(CookieAck())
            case Verdict.RESTART:
                self._restart(cookie, now)
            case Verdict.STALE:
                self.ignored[Ignored.STALE_COOKIE] += 1
                staleness = int((now - cookie.issued - LIFETIME) * 1e6) & 0xFFFFFFFF
                cause = Parameter(CauseCode.STALE_COOKIE, staleness.to_bytes(4, "big"))
                self._packing.emit(cookie.peer_tag, [Error((cause,)).encode()])
            case Verdict.LATE:
                self.ignored[Ignored.BAD_COOKIE] += 1

    def _hear_cookie_ack(self, chunk: CookieAck, packet: Packet, now: float) -> None:
        if self.state is State.COOKIE_ECHOED:
            self._come_up(Event.COOKIE_ACK, now)

    def _meet_cookie(self, cookie: Cookie) -> None:
        self._meet(
            cookie.peer_tag,
            cookie.peer_tsn,
            cookie.peer_window,
            cookie.outbound,
            Extension(cookie.extensions),
        )

    def _meet(self, tag: int, tsn: int, window: int, streams: int, extensions: Extension) -> None:
        """Take what the peer says of itself for true."""
        self._packing.peer_tag, self.streams, self.extensions = tag, streams, extensions
        self._inbound = Inbound(tsn, self._events.append, self.ignored)
        self._outbound.peer_window = window
        self._outbound.partial_reliability = Extension.FORWARD_TSN in extensions
        self._resets.connect(tsn)

    def _come_up(self, event: Event, now: float) -> None:
        self._standing.step(event)
        self._timers.cancel(Timer.T1)
        self._cookie = b""
        self._heartbeats.begin(now)
        self._events.append(AssociationUp())

    def _restart(self, cookie: Cookie, now: float) -> None:
        """The peer has lost its memory: begin again with it (5.2.4.1)."""
        for timer in Timer:
            self._timers.cancel(timer)
        self._tag, self._first_tsn = cookie.local_tag, cookie.local_tsn
        self._outbound = Outbound(self._first_tsn, self._timers, self.ignored)
        self._resets = StreamResets(self._first_tsn, self.ignored)
        self._packing.forget()
        self._unacknowledged, self._sack_due = 0, False
        self._heartbeats.forget()
        self._meet_cookie(cookie)
        self._events.append(AssociationRestarted())
        self._come_up(Event.COOKIE_ECHO, now)
        self._packing.say(CookieAck())

    # --- data -------------------------------------------------------------------

    def _hear_data(self, chunk: Chunk, packet: Packet, now: float) -> None:
        assert isinstance(chunk, Data), "the table of chunks gave us one"
        if not chunk.payload:
            tsn = chunk.tsn.to_bytes(4, "big")
            self._abort(CauseCode.NO_USER_DATA, tsn, "the peer sent DATA without data")
        elif self._inbound.data(chunk) and chunk.stream >= MAX_STREAMS:
            value = chunk.stream.to_bytes(2, "big") + bytes(2)
            self._packing.say(Error((Parameter(CauseCode.INVALID_STREAM, value),)))

    def _hear_sack(self, chunk: Sack, packet: Packet, now: float) -> None:
        self._outbound.acknowledge(chunk, now)

    def _hear_forward_tsn(self, chunk: ForwardTsn, packet: Packet, now: float) -> None:
        self._inbound.forward(chunk)

    def _hear_reconfig(self, chunk: ReConfig, packet: Packet, now: float) -> None:
        answers = []
        for request in chunk.requests:
            answer = self._resets.hear(request, self._inbound.cumulative)
            if answer is not None:
                answers.append(answer)
        if answers:
            self._packing.say(ReConfig(tuple(answers)))
        resets = self._resets
        for streams in resets.peer_reset:
            self._inbound.reset(streams)
            self._events.append(StreamsReset(streams))
        resets.peer_reset.clear()
        if resets.finished:
            for stream in resets.finished:
                self._outbound.reset(stream)
            self._events.append(StreamsFinished(tuple(resets.finished)))
            resets.finished.clear()
        if not resets.waiting:
            self._timers.cancel(Timer.RECONFIGURE)

    def _advance_resets(self, now: float) -> None:
        if self.state in SENDING:
            outbound = self._outbound
            request = self._resets.next_request(outbound.buffered, outbound.last_tsns)
            if request is not None:
                self._packing.say(ReConfig((request,)))
                self._timers.arm(Timer.RECONFIGURE, now + outbound.rto.current)

    # --- heartbeats and errors --------------------------------------------------

    def _hear_heartbeat(self, chunk: Heartbeat, packet: Packet, now: float) -> None:
        if self.state not in OPENING:
            self._packing.say(HeartbeatAck(chunk.value))

    def _hear_heartbeat_ack(self, chunk: HeartbeatAck, packet: Packet, now: float) -> None:
        round_trip = self._heartbeats.hear(chunk, now)
        if round_trip is not None:
            self._outbound.rto.sample(round_trip)

    def _hear_error(self, chunk: Error, packet: Packet, now: float) -> None:
        """Errors are told for our information; only a stale cookie asks for an act (5.2.6)."""
        stale = any(cause.type == CauseCode.STALE_COOKIE for cause in chunk.causes)
        if stale and self.state is State.COOKIE_ECHOED:
            self._standing.step(Event.STALE_COOKIE)
            self._packing.forget()
            self._send_init(now)

    def _abort(self, code: CauseCode, value: bytes, reason: str) -> None:
        if self._packing.peer_tag:
            self._packing.emit(
                self._packing.peer_tag, [Abort((Parameter(code, value[:512]),)).encode()]
            )
        self._end(reason)

    def _hear_abort(self, chunk: Abort, packet: Packet, now: float) -> None:
        causes = ", ".join(str(cause.type) for cause in chunk.causes[:4]) or "none given"
        self._end(f"aborted by the peer, causes: {causes}")

    def _end(self, reason: str) -> None:
        self._standing.end()
        for timer in Timer:
            self._timers.cancel(timer)
        self._packing.forget()
        self._events.append(AssociationLost(reason))

    # --- the orderly end --------------------------------------------------------

    def _hear_shutdown(self, chunk: Shutdown, packet: Packet, now: float) -> None:
        self._closing.hear(chunk, self._outbound, self._inbound, now)

    def _hear_shutdown_ack(self, chunk: ShutdownAck, packet: Packet, now: float) -> None:
        self._closing.hear_acknowledged(packet.tag)

    def _hear_shutdown_complete(self, chunk: ShutdownComplete, packet: Packet, now: float) -> None:
        self._end("shut down by the peer")
