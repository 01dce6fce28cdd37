"""One DTLS 1.2 connection, either role, as a core: bytes and times in, bytes out.

The parts know their own trade: `epochs` opens and seals records, `fragments` joins
messages, `handshake` answers a flight with a flight. What is left, and is here, is
everything that an unreliable network makes necessary:

*Repeats.* A flight is sent again when its timer runs out, at growing intervals,
and at once when the peer repeats the last message of the flight that ours answers:
that message tells that ours was lost. The last flight of all is not answered by
anybody: it is sent a few times unasked, and again whenever the client repeats its
Finished, for ever.

*Order.* Records of epoch 1 that overtake the key exchange are kept, a few, and so
is the peer's data that overtakes its Finished. A dropped SCTP INIT would cost its
sender a second.

*Patience.* The peer's certificate is believed because its fingerprint came over the
signalling. That may arrive after the ClientHello; then the peer's Certificate waits
in the reassembly, whole but unread, and no key is made before it is known.

*Thrift.* Until the client has proved its address, by a cookie or by its Finished, at
most three times the bytes that it sent leave for it. A flight that would cost more
waits: the client repeats itself, and brings the allowance along.
"""

import enum
import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from trio_sfu.core import INSIDE, Datagram, Entropy
from trio_sfu.dtls.alert import Alert, Description, HandshakeError, Level
from trio_sfu.dtls.certificate import MAX_FINGERPRINTS, Certificate, Fingerprint
from trio_sfu.dtls.ciphers import CipherSuite
from trio_sfu.dtls.client import ClientHandshake
from trio_sfu.dtls.cookie import AMPLIFICATION
from trio_sfu.dtls.epochs import Epochs, ReplayError
from trio_sfu.dtls.events import CloseNotified, Drop, DtlsState, Event, StateChanged
from trio_sfu.dtls.extensions import SrtpProfile
from trio_sfu.dtls.flights import Message, Role, State, epoch_of
from trio_sfu.dtls.fragments import Arrival, Fragment, Reassembly
from trio_sfu.dtls.handshake import Outbound, SrtpKeys
from trio_sfu.dtls.packing import MIN_MTU, pack
from trio_sfu.dtls.record import MAX_PLAINTEXT, ContentType, Record
from trio_sfu.dtls.server import ServerHandshake
from trio_sfu.timers import Timers
from trio_sfu.wire import Reader, WireError

PROFILES: Final = (
    SrtpProfile.AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_HMAC_SHA1_80,
)
"""GCM first: it is the cheaper by a third. The last is the only one that all clients have."""

MTU: Final = 1200
"""What every path carries; libwebrtc and QUIC chose the same (RFC 9000 section 14)."""

FIRST_INTERVAL: Final = 0.1
"""Before the first repeat. RFC 6347 section 4.2.4.1 says one second, and that
applications that wait for it may take less: browsers take 50 ms."""
LONGEST_INTERVAL: Final = 1.0
"""Intervals double up to here. The RFC's 60 s would leave a call silent for a minute, and a
repeat a second, of one datagram, congests nothing."""
LAST_REPEATS: Final = 3
"""Of the last flight, unasked, while the client sends no data that prove that it has
it. RFC 6347 section 4.2.4 would wait for the client's own timer: with OpenSSL and
GnuTLS that is a second, doubling; three datagrams of 75 bytes save it."""
REPEAT_GAP: Final = 0.05
"""A peer that repeats itself in many datagrams gets one repeat for all of them."""
HANDSHAKE_TIME: Final = 60.0
"""From the first datagram to Finished; then it is over. As long as libwebrtc waits for ICE."""

MAX_RECORDS: Final = 32
"""In one datagram. A whole flight has six."""
MAX_EARLY_RECORDS: Final = 16
"""Of epoch 1, before there are keys: a Finished, and data behind it."""
MAX_EARLY_SIZE: Final = 2048
"""Of each of those; longer than any MTU, shorter than what a stranger would like us to keep."""


class Timer(enum.Enum):
    """Why a connection wakes up."""

    REPEAT = enum.auto()
    """The peer has not answered our flight."""
    GIVE_UP = enum.auto()
    """The handshake takes too long."""


class DtlsConnection:
    """A `Core` that ends with SRTP keys and a channel for SCTP.

    `start` it, feed it, and take what it has. Its datagrams are from and for
    `INSIDE`: which path they take is not its business.
    """

    def __init__(
        self,
        role: Role,
        certificate: Certificate,
        entropy: Entropy,
        *,
        mtu: int = MTU,
        profiles: Sequence[SrtpProfile] = PROFILES,
    ) -> None:
        """*mtu* limits the datagrams of a handshake; data leave as they are given."""
        if mtu < MIN_MTU:
            raise ValueError(f"an MTU of {mtu}")
        self.role = role
        self.drops: Counter[Drop] = Counter()
        self._state = DtlsState.NEW
        self._failure = ""
        self._mtu = mtu
        self._handshake: ServerHandshake | ClientHandshake
        if role is Role.SERVER:
            self._handshake = ServerHandshake(certificate, entropy, profiles, mtu)
        else:
            self._handshake = ClientHandshake(certificate, entropy, profiles)
        self._epochs = Epochs()
        self._reassembly = Reassembly()
        self._timers: Timers[Timer] = Timers()
        self._now = 0.0
        self._received = 0
        self._sent = 0
        self._flight: list[Outbound] = []
        self._flight_sent = -math.inf
        self._answered = -1
        self._interval = FIRST_INTERVAL
        self._repeats_left: float = math.inf
        self._repeat_asked = False
        self._write_epoch = 0
        self._early: list[Record] = []
        self._early_application: list[bytes] = []
        self._srtp: SrtpKeys | None = None
        self._datagrams: list[Datagram] = []
        self._application: list[bytes] = []
        self._events: list[Event] = []

    @property
    def state(self) -> DtlsState:
        return self._state

    @property
    def failure(self) -> str:
        """Why the state is FAILED, for a log; else empty."""
        return self._failure

    @property
    def suite(self) -> CipherSuite | None:
        """The cipher suite that the hellos agreed on."""
        return self._handshake.suite

    @property
    def srtp(self) -> SrtpKeys | None:
        """Keys for media once connected; None if the peer does not speak of SRTP."""
        return self._srtp

    @property
    def deadline(self) -> float:
        return self._timers.next()

    def set_remote_fingerprints(self, fingerprints: Sequence[Fingerprint]) -> None:
        """Say which certificates the description names; none at all means nobody is trusted.

        May come late: the handshake waits for it with the peer's certificate in hand, and
        goes on at once; so there may be datagrams and events to take afterwards.
        """
        if self._handshake.fingerprints is None and not self._timers.armed(Timer.REPEAT):
            self._arm_repeat()
        self._handshake.fingerprints = list(fingerprints[:MAX_FINGERPRINTS])
        self._continue()

    def start(self, now: float) -> None:
        """Begin: a client says hello, a server listens."""
        if self._state is not DtlsState.NEW:
            return
        self._now = now
        self._become(DtlsState.HANDSHAKING)
        if isinstance(self._handshake, ClientHandshake):
            self._timers.arm(Timer.GIVE_UP, now + HANDSHAKE_TIME)
            self._begin_flight(self._handshake.begin(), -1)

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        self._now = now
        for datagram in datagrams:
            if self._state in (DtlsState.CLOSED, DtlsState.FAILED):
                self.drops[Drop.AFTER_THE_END] += 1
            elif self._state is DtlsState.NEW:
                self.drops[Drop.NOT_STARTED] += 1
            else:
                self._received += len(datagram.data)
                self._hear_datagram(Reader(datagram.data))
                self._continue()
        if self._repeat_asked:
            self._repeat_asked = False
            if self._flight and now >= self._flight_sent + REPEAT_GAP:
                self._send_flight()
                self._arm_repeat()

    def handle_timeout(self, now: float) -> None:
        self._now = now
        for timer in self._timers.take_due(now):
            if self._state is DtlsState.FAILED:  # both were due, and this one was the end
                return
            if timer is Timer.GIVE_UP:
                waiting = self._handshake.state.name.lower().replace("_", " ")
                reason = f"no end after {HANDSHAKE_TIME:.0f} s ({waiting})"
                self._fail(Description.HANDSHAKE_FAILURE, reason)
            else:
                self._interval = min(2 * self._interval, LONGEST_INTERVAL)
                self._repeats_left -= 1
                self._send_flight()
                self._arm_repeat()

    def send(self, data: bytes) -> None:
        """*data* as one record; dropped and counted while there is no connection."""
        if len(data) > MAX_PLAINTEXT:
            raise ValueError(f"{len(data)} bytes in one record")
        if self._state is not DtlsState.CONNECTED:
            self.drops[Drop.UNSENT] += 1
            return
        self._emit(self._epochs.seal(ContentType.APPLICATION_DATA, 1, data))

    def take_datagrams(self) -> list[Datagram]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_application(self) -> list[bytes]:
        """The peer's data, a record each, in the order they came."""
        taken, self._application = self._application, []
        return taken

    def take_events(self) -> list[Event]:
        taken, self._events = self._events, []
        return taken

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        """Key material of RFC 5705; the peer gets the same for the same words."""
        if self._state is not DtlsState.CONNECTED:
            raise ValueError("nothing to export: not connected")
        return self._handshake.export(label, context, length)

    def close(self, now: float) -> None:
        """Say good-bye, if there was a hello, and hear nothing more."""
        self._now = now
        if self._state in (DtlsState.CLOSED, DtlsState.FAILED):
            return
        if self._state is not DtlsState.NEW:
            self._send_alert(Level.WARNING, Description.CLOSE_NOTIFY)
        self._end(DtlsState.CLOSED)

    # What comes in.

    def _hear_datagram(self, reader: Reader) -> None:
        if self._state is DtlsState.HANDSHAKING and not self._timers.armed(Timer.GIVE_UP):
            self._timers.arm(Timer.GIVE_UP, self._now + HANDSHAKE_TIME)
        for _ in range(MAX_RECORDS):
            if not reader:
                return
            try:
                record = Record.decode(reader)
            except WireError:
                self.drops[Drop.MALFORMED_RECORD] += 1
                return
            self._hear_record(record)
        if reader:
            self.drops[Drop.TOO_MANY_RECORDS] += 1

    def _hear_record(self, record: Record) -> None:
        if record.epoch > 1:
            self.drops[Drop.UNKNOWN_EPOCH] += 1
        elif record.epoch == 0 and self._state is not DtlsState.HANDSHAKING:
            self.drops[Drop.PLAINTEXT_AFTER_HANDSHAKE] += 1
        elif record.epoch == 1 and not self._epochs.readable:
            self._keep_early(record)
        else:
            try:
                plaintext = self._epochs.open(record)
            except ReplayError:
                self.drops[Drop.REPLAYED] += 1
            except WireError:
                self.drops[Drop.NOT_AUTHENTIC] += 1
            else:
                self._hear_content(record.content_type, record.epoch, plaintext)

    def _keep_early(self, record: Record) -> None:
        if len(self._early) < MAX_EARLY_RECORDS and len(record.payload) <= MAX_EARLY_SIZE:
            self._early.append(record)
        else:
            self.drops[Drop.TOO_EARLY] += 1

    def _hear_content(self, content_type: ContentType, epoch: int, plaintext: bytes) -> None:
        if content_type is ContentType.HANDSHAKE:
            self._hear_fragments(Reader(plaintext), epoch)
        elif content_type is ContentType.ALERT:
            self._hear_alert(Reader(plaintext))
        elif content_type is ContentType.APPLICATION_DATA:
            if epoch == 0:
                self.drops[Drop.WRONG_EPOCH] += 1
            elif self._state is DtlsState.CONNECTED:
                self._timers.cancel(Timer.REPEAT)
                self._application.append(plaintext)
            elif len(self._early_application) < MAX_EARLY_RECORDS:
                self._early_application.append(plaintext)
            else:
                self.drops[Drop.TOO_EARLY] += 1
        # ChangeCipherSpec says nothing that the epoch of the next record does not say.

    def _hear_alert(self, reader: Reader) -> None:
        """Before there are keys anybody may have sent it; and yet a peer that refuses
        our hello has no other way to say so. Who can forge it can as well forge a
        ClientHello, so believing it costs nothing."""
        try:
            alert = Alert.decode(reader)
        except WireError:
            self.drops[Drop.MALFORMED_ALERT] += 1
            return
        if alert.description == Description.CLOSE_NOTIFY:
            if self._state is DtlsState.HANDSHAKING:
                self._fail(None, "the peer closed during the handshake")
            else:
                self._events.append(CloseNotified())
        elif alert.level is Level.FATAL:
            self._fail(None, f"the peer says: {alert}")
        else:
            self.drops[Drop.WARNING] += 1

    def _hear_fragments(self, reader: Reader, epoch: int) -> None:
        while reader:
            try:
                fragment = Fragment.decode(reader)
            except WireError:
                self.drops[Drop.MALFORMED_FRAGMENT] += 1
                return
            self._hear_fragment(fragment, epoch)

    def _hear_fragment(self, fragment: Fragment, epoch: int) -> None:
        if epoch == 1 and fragment.message in (Message.HELLO_REQUEST, Message.CLIENT_HELLO):
            # RFC 5246 section 7.2.2: whoever will not renegotiate says so, and goes on.
            self.drops[Drop.RENEGOTIATION] += 1
            if self._state is DtlsState.CONNECTED:
                self._send_alert(Level.WARNING, Description.NO_RENEGOTIATION)
        elif epoch != epoch_of(fragment.message):
            self.drops[Drop.WRONG_EPOCH] += 1
        elif self._state is DtlsState.CONNECTED:
            self._hear_stale(fragment)
        else:
            arrival = self._reassembly.add(fragment)
            if arrival is Arrival.STALE:
                self._hear_stale(fragment)
            elif arrival is not Arrival.KEPT:
                self.drops[Drop.UNWANTED_FRAGMENT] += 1

    def _hear_stale(self, fragment: Fragment) -> None:
        """The peer repeats itself. If it repeats what we answered, it lacks the answer."""
        self.drops[Drop.STALE_FRAGMENT] += 1
        answered = self._answered
        if fragment.sequence == answered and self._reassembly.expected == answered + 1:
            self._repeat_asked = True

    # What follows from it.

    def _continue(self) -> None:
        """Handle all messages that are whole and in order."""
        while self._state is DtlsState.HANDSHAKING:
            message = self._reassembly.peek()
            if message is None:
                return
            if message.message is Message.CERTIFICATE and self._handshake.fingerprints is None:
                # The peer has heard our flight, and we cannot speak yet.
                self._timers.cancel(Timer.REPEAT)
                return
            self._reassembly.drop_next()
            try:
                flight = self._handshake.hear(message, self._allowance())
            except HandshakeError as error:
                self._fail(error.description, str(error))
                return
            if self._handshake.protections is not None and not self._epochs.readable:
                self._epochs.install(*self._handshake.protections)
            if flight:
                self._begin_flight(flight, message.sequence)
            if self._handshake.state is State.CONNECTED:
                self._connect()
            elif self._epochs.readable:
                early, self._early = self._early, []
                for record in early:
                    self._hear_record(record)

    def _connect(self) -> None:
        self._timers.cancel(Timer.GIVE_UP)
        self._srtp = self._handshake.srtp_keys()
        self._application += self._early_application
        self._early_application.clear()
        if self.role is Role.CLIENT:
            self._timers.cancel(Timer.REPEAT)
            self._flight = []
        self._become(DtlsState.CONNECTED)

    def _fail(self, description: Description | None, reason: str) -> None:
        if description is not None:
            self._send_alert(Level.FATAL, description)
            reason = f"{reason} ({description.name.lower()})"
        self._failure = reason
        self._end(DtlsState.FAILED)

    def _end(self, state: DtlsState) -> None:
        self._timers = Timers()
        self._flight = []
        self._early.clear()
        self._early_application.clear()
        self._become(state)

    def _become(self, state: DtlsState) -> None:
        self._state = state
        self._events.append(StateChanged(state))

    # What goes out.

    def _allowance(self) -> float:
        """How many bytes may leave now."""
        handshake = self._handshake
        if isinstance(handshake, ClientHandshake) or handshake.address_proven:
            return math.inf
        if handshake.state is State.CONNECTED:
            return math.inf
        return AMPLIFICATION * self._received - self._sent

    def _begin_flight(self, flight: list[Outbound], answered: int) -> None:
        """Say *flight*, the answer to the peer's message *answered*."""
        self._flight, self._answered = flight, answered
        self._interval = FIRST_INTERVAL
        last = self._handshake.state is State.CONNECTED
        self._repeats_left = LAST_REPEATS if last else math.inf
        self._repeat_asked = False
        self._send_flight()
        self._arm_repeat()

    def _send_flight(self) -> None:
        """All of it or nothing: a part, repeated, would always be the same part."""
        datagrams = pack(self._flight, self._epochs, self._mtu)
        if sum(map(len, datagrams)) > self._allowance():
            return
        self._flight_sent = self._now
        self._write_epoch = max(outbound.epoch for outbound in self._flight)
        for datagram in datagrams:
            self._emit(datagram)

    def _arm_repeat(self) -> None:
        if self._flight and self._repeats_left > 0:
            self._timers.arm(Timer.REPEAT, self._now + self._interval)

    def _send_alert(self, level: Level, description: Description) -> None:
        payload = Alert(level, description).encode()
        datagram = self._epochs.seal(ContentType.ALERT, self._write_epoch, payload)
        if len(datagram) <= self._allowance():
            self._emit(datagram)

    def _emit(self, data: bytes) -> None:
        self._sent += len(data)
        self._datagrams.append(Datagram(data, INSIDE, INSIDE))
