"""One UDP port, many peers: finds the mailbox that a datagram belongs to.

Problem: hundreds of peers send to one port, and only STUN requests say whom they
are for. The naive answer is to believe the sender's address from the first check
on; then anybody who can forge an address can take a call over. Ours (design
decision 13):

* A STUN request finds its peer by the ufrag in it, every time, even from an
  address that is known: the client may have moved there from another peer.
* A STUN response finds it by its transaction, which our side made up.
* Everything else, DTLS, RTP, RTCP, by its address, *if* that has proved itself:
  the peer's agent has verified MESSAGE-INTEGRITY from there and said so. An
  address that proves itself to another peer moves there.

What belongs to nobody is counted and forgotten. Nothing here parses more than
that takes, so a flood costs little.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, TypeVar

import attrs
import trio

from trio_sfu.core import Address, Datagram
from trio_sfu.ice.stun import transaction_of, ufrag_of
from trio_sfu.net.mailbox import Mailbox
from trio_sfu.net.turns import Turns
from trio_sfu.net.udp import UdpSocket

MAX_TRANSACTIONS: Final = 8_192
"""Requests of ours whose answers we still know; the oldest make room."""

STUN_END: Final = 4
"""A first byte below it is STUN's (RFC 7983 section 7)."""

_REQUEST: Final = 0x00
"""First byte of a Binding request (and of an indication); responses have 0x01."""

Box = Mailbox[Any]
K = TypeVar("K")


@attrs.frozen
class EndpointStatistics:
    """What a socket layer has done so far, in datagrams."""

    received: int
    unknown: int
    refused: int
    overflowed: int
    mailboxes: int
    """Peers that somebody who knows their ufrag reaches."""
    addresses: int
    """That have proved whose they are."""


class Endpoint:
    """The sockets of one server (or of one client), and who hears what they receive."""

    def __init__(self, sockets: Sequence[UdpSocket]) -> None:
        self.sockets = tuple(sockets)
        self.turns = Turns(self.flush)
        """Of everybody who is reached through these sockets."""
        self._received = 0
        self._unknown = 0
        self._outbox: list[Datagram] = []
        self._by_ufrag: dict[str, Box] = {}
        self._by_address: dict[Address, Box] = {}
        self._by_transaction: OrderedDict[bytes, Box] = OrderedDict()
        self._v4 = next((each for each in sockets if ":" not in each.address[0]), None)
        self._v6 = next((each for each in sockets if ":" in each.address[0]), None)

    def expect(self, ufrag: str, mailbox: Box) -> None:
        """Checks that name *ufrag* go to *mailbox* from now on."""
        self._by_ufrag[ufrag] = mailbox

    def expect_only(self, ufrags: Collection[str], mailbox: Box) -> None:
        """Of the names that checks for *mailbox* may come under only *ufrags* are left."""
        for ufrag in [each for each, box in self._by_ufrag.items() if box is mailbox]:
            if ufrag not in ufrags:
                del self._by_ufrag[ufrag]

    def bind(self, remote: Address, mailbox: Box) -> None:
        """*remote* has proved that it belongs to *mailbox*'s owner."""
        self._by_address[remote] = mailbox

    def forget(self, mailbox: Box) -> None:
        """The owner of *mailbox* is gone."""
        _forget(self._by_ufrag, mailbox)
        _forget(self._by_address, mailbox)
        _forget(self._by_transaction, mailbox)

    def sender(self, mailbox: Box) -> Callable[[list[Datagram]], None]:
        """How the owner of *mailbox* sends, in its turn. Answers to its STUN requests find it."""

        def send(datagrams: list[Datagram]) -> None:
            for datagram in datagrams:
                data = datagram.data
                if data[0] == _REQUEST and data[1:2] == b"\x01":
                    self._by_transaction[data[8:20]] = mailbox
                    if len(self._by_transaction) > MAX_TRANSACTIONS:
                        self._by_transaction.popitem(last=False)
            self._outbox += datagrams

        return send

    def flush(self) -> None:
        """Send what all have said since the last time."""
        datagrams, self._outbox = self._outbox, []
        self.send(datagrams)

    def send(self, datagrams: list[Datagram]) -> None:
        """Send by the socket of each datagram's address family; never waits."""
        if not datagrams:
            return
        v6 = ":" in datagrams[0].remote[0]
        # A peer's datagrams nearly always go all to one address.
        if len(datagrams) > 1 and any((":" in each.remote[0]) is not v6 for each in datagrams):
            for each in datagrams:
                self.send([each])
        elif (sock := self._v6 if v6 else self._v4) is not None:
            sock.send(datagrams)

    async def run(self) -> None:
        """Read and write all sockets until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.turns.run)
            for sock in self.sockets:
                nursery.start_soon(self._read, sock)

    async def _read(self, sock: UdpSocket) -> None:
        while True:
            self.route(await sock.receive())

    def route(self, datagrams: list[Datagram]) -> None:
        """Hand each datagram to the mailbox that it belongs to, in order, one put a mailbox."""
        self._received += len(datagrams)
        letters: dict[Box, list[Datagram]] = {}
        for datagram in datagrams:
            mailbox = self._find(datagram)
            if mailbox is None:
                self._unknown += 1
            elif mailbox in letters:
                letters[mailbox].append(datagram)
            else:
                letters[mailbox] = [datagram]
        for mailbox, letter in letters.items():
            mailbox.put(letter)

    def _find(self, datagram: Datagram) -> Box | None:
        data = datagram.data
        if not data:
            return None
        if data[0] >= STUN_END:
            return self._by_address.get(datagram.remote)
        if data[0] == _REQUEST:
            ufrag = ufrag_of(data)
            if ufrag is not None:
                return self._by_ufrag.get(ufrag)
            return self._by_address.get(datagram.remote)  # an indication
        transaction = transaction_of(data)
        return None if transaction is None else self._by_transaction.get(transaction)

    def statistics(self) -> EndpointStatistics:
        return EndpointStatistics(
            received=self._received,
            unknown=self._unknown,
            refused=sum(sock.refused for sock in self.sockets),
            overflowed=sum(sock.overflowed for sock in self.sockets),
            mailboxes=len(set(self._by_ufrag.values())),
            addresses=len(self._by_address),
        )


def _forget(table: dict[K, Box], mailbox: Box) -> None:
    for key in [key for key, box in table.items() if box is mailbox]:
        del table[key]
