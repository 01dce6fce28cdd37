"""The one shape that every protocol core has, and what goes in and out of it."""

from collections.abc import Callable
from typing import Final, Protocol

import attrs

Address = tuple[str, int]
"""A numeric host, IPv4 or IPv6 without brackets, and a port."""

Entropy = Callable[[int], bytes]
"""Gives so many random bytes: `os.urandom` in a server, a seeded generator in a test."""

INSIDE: Final[Address] = ("inside", 0)
"""Both addresses of a datagram between the layers of one peer: DTLS and SCTP ride
on whatever path ICE chose, and the peer that holds all three puts it in."""


@attrs.define(eq=False)
class Datagram:
    """Bytes, with whom they are from or for, and the address of ours they used.

    *local* matters on a host with several addresses: a client throws away a STUN
    answer that left from another one than it asked (RFC 8445 section 7.2.5.2.1).
    Immutable by rule, not by `attrs.frozen`: one is made for every packet.
    """

    data: bytes
    remote: Address
    local: Address


class Core(Protocol):
    """A protocol that never touches a socket, a clock or the event loop.

    Time is an argument (seconds, monotone). After any call, the caller empties
    what it can take and looks at `deadline` again. Each core adds the ``take_``
    and ``send_`` calls of its own trade.
    """

    @property
    def deadline(self) -> float:
        """When to call `handle_timeout`; ``math.inf`` when no timer is armed."""

    def receive(self, datagrams: list[Datagram], now: float) -> None:
        """Hear what came. Never raises for what the bytes say: that is counted."""

    def handle_timeout(self, now: float) -> None:
        """Do what was due by *now*; afterwards `deadline` is later than *now*."""

    def take_datagrams(self) -> list[Datagram]:
        """What is to be sent; afterwards there is nothing to take."""
