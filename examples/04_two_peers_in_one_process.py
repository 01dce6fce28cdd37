"""Two whole peers in one process: ICE, DTLS, SRTP and SCTP, without a socket or a clock.

    python examples/04_two_peers_in_one_process.py

A peer is a core like each of its parts: datagrams and a time go in, datagrams and a
deadline come out. The network between these two is a `for` loop, and it takes as long
as we say. What signalling would carry, credentials and fingerprints, we hand over.
"""

import os
import time

from trio_sfu.core import Datagram
from trio_sfu.dtls import certificate
from trio_sfu.ice import credentials
from trio_sfu.ice.candidate import host_candidate
from trio_sfu.ice.states import Role
from trio_sfu.peer.demux import protocol_of
from trio_sfu.peer.events import AddCandidate, DtlsRole, OpenChannel, SendData, SetRemote
from trio_sfu.peer.transport import PeerTransport

BROWSER, SERVER = ("198.51.100.1", 40_000), ("192.0.2.1", 7882)
DELAY = 0.02  # seconds, one way


def make(ice_role: Role, dtls_role: DtlsRole) -> tuple[PeerTransport, certificate.Certificate]:
    identity = certificate.generate(os.urandom, time.time())
    peer = PeerTransport(
        ice_role=ice_role,
        credentials=credentials.make(os.urandom),
        certificate=identity,
        entropy=os.urandom,
        wall=time.time(),
        dtls_role=dtls_role,
    )
    return peer, identity


def carry(now: float, until: float) -> float:
    """Let both talk; each flight takes `DELAY`, and silence passes at once."""
    while now < until:
        moved = False
        for name, sender, receiver in (("->", browser, server), ("<-", server, browser)):
            if datagrams := sender.take_datagrams():
                moved = True
                kinds = [protocol_of(each.data).name for each in datagrams]
                print(f"  {now:6.3f} s  browser {name} server  {', '.join(kinds)}")
                swapped = [Datagram(d.data, remote=d.local, local=d.remote) for d in datagrams]
                receiver.receive(swapped, now + DELAY)
        soonest = min(browser.deadline, server.deadline)
        now = now + DELAY if moved else min(max(now, soonest), until)
        for each in (browser, server):
            if each.deadline <= now:
                each.handle_timeout(now)
        for name, each in (("browser", browser), ("server", server)):
            for event in each.take_events():
                print(f"  {now:6.3f} s  the {name} says: {event}")
    return now


browser, hers = make(Role.CONTROLLING, DtlsRole.CLIENT)
server, ours = make(Role.LITE, DtlsRole.SERVER)

browser.ice.add_local_candidate(BROWSER, 0.0)
browser.grant(OpenChannel("chat"), 0.0)
browser.grant(SetRemote(server.ice.local, (ours.fingerprint,), DtlsRole.CLIENT, True), 0.0)
browser.grant(AddCandidate(host_candidate(SERVER).encode()), 0.0)
server.grant(SetRemote(browser.ice.local, (hers.fingerprint,), DtlsRole.SERVER), 0.0)

print("ICE checks the path, DTLS agrees on keys, SCTP opens a channel:")
now = carry(0.0, 1.0)
print("The server answers on the same channel:")
server.grant(SendData("chat", b"hello from the other object"), now)
carry(now, now + 1.0)
