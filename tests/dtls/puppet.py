"""A peer that does what a test wants: it may say what no connection of ours would."""

from collections.abc import Callable

from tests.dtls.pair import CLIENTS, SERVERS, give, taken
from tests.sim import entropy
from trio_sfu.dtls import DtlsConnection, Role
from trio_sfu.dtls.client import ClientHandshake
from trio_sfu.dtls.connection import PROFILES
from trio_sfu.dtls.epochs import Epochs
from trio_sfu.dtls.fragments import Fragment, Reassembly
from trio_sfu.dtls.handshake import Outbound
from trio_sfu.dtls.packing import pack
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.dtls.server import ServerHandshake
from trio_sfu.wire import Reader


class Puppet:
    """A handshake without a connection: no timers, no repeats, no caution."""

    def __init__(self, role: Role) -> None:
        self.handshake: ClientHandshake | ServerHandshake
        if role is Role.CLIENT:
            self.handshake = ClientHandshake(CLIENTS, entropy(1), PROFILES)
            self.handshake.fingerprints = [SERVERS.fingerprint]
        else:
            self.handshake = ServerHandshake(SERVERS, entropy(1), PROFILES, 1200)
            self.handshake.fingerprints = [CLIENTS.fingerprint]
        self.twist: Callable[[Outbound], Outbound] = lambda outbound: outbound
        """What is done to each message before it leaves; the puppet believes the original."""
        self.epochs = Epochs()
        self._reassembly = Reassembly()

    def connect(self, end: DtlsConnection) -> None:
        """Shake hands with *end* as far as it goes."""
        heard = taken(end)
        if isinstance(self.handshake, ClientHandshake):
            heard += self._give(end, self.handshake.begin())
        while heard:
            flight = self._hear(heard.pop(0))
            if flight:
                heard += self._give(end, flight)

    def seal(self, content_type: ContentType, payload: bytes) -> bytes:
        """A record under the keys."""
        return self.epochs.seal(content_type, 1, payload)

    def open(self, datagram: bytes) -> bytes:
        return self.epochs.open(Record.decode(Reader(datagram)))

    def _give(self, end: DtlsConnection, flight: list[Outbound]) -> list[bytes]:
        answers = []
        for datagram in pack(map(self.twist, flight), self.epochs, 1200):
            answers += give(end, datagram)
        return answers

    def _hear(self, datagram: bytes) -> list[Outbound]:
        reader, flight = Reader(datagram), []
        while reader:
            record = Record.decode(reader)
            plaintext = Reader(self.epochs.open(record))
            while plaintext and record.content_type is ContentType.HANDSHAKE:
                self._reassembly.add(Fragment.decode(plaintext))
            while (message := self._reassembly.peek()) is not None:
                self._reassembly.drop_next()
                flight += self.handshake.hear(message, float("inf"))
                if self.handshake.protections and not self.epochs.readable:
                    self.epochs.install(*self.handshake.protections)
        return flight
