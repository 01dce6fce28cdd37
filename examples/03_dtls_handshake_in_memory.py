"""Two DTLS ends in one process: no socket, no clock, no event loop.

    python examples/03_dtls_handshake_in_memory.py

A core takes datagrams and a time, and gives datagrams and a deadline. So a
handshake is a loop that carries bytes from one to the other, and an hour of
silence is an addition. On the way we lose a datagram, to see it said again.
"""

import os
import time

from trio_sfu.dtls import Certificate, DtlsConnection, DtlsState, Role, generate
from trio_sfu.dtls.fragments import Fragment
from trio_sfu.dtls.record import ContentType, Record
from trio_sfu.wire import Reader


def contents(datagram: bytes) -> str:
    """What is in a datagram, in the RFC's words."""
    reader, words = Reader(datagram), []
    while reader:
        record = Record.decode(reader)
        if record.epoch:
            words.append(f"({len(record.payload)} encrypted bytes)")
        elif record.content_type is ContentType.HANDSHAKE:
            words.append(Fragment.decode(Reader(record.payload)).message.name)
        else:
            words.append(record.content_type.name)
    return f"{len(datagram):4} bytes: " + ", ".join(words)


def shake_hands(client: DtlsConnection, server: DtlsConnection, lose: int) -> None:
    """Carry datagrams until both are connected; the one numbered *lose* gets lost."""
    now, count = 0.0, 0
    client.start(now)
    server.start(now)
    while not client.state is server.state is DtlsState.CONNECTED:
        quiet = True
        for name, end, other in (("client", client, server), ("server", server, client)):
            for datagram in end.take_datagrams():
                quiet = False
                count += 1
                lost = " ... lost!" if count == lose else ""
                print(f"  {now:4.1f} s  {name}  {contents(datagram.data)}{lost}")
                if not lost:
                    other.receive([datagram], now)
        if quiet:  # nobody has anything to say: let the time pass until somebody has
            now = min(client.deadline, server.deadline)
            for end in (client, server):
                if end.deadline <= now:
                    end.handle_timeout(now)


def main() -> None:
    ours: Certificate = generate(os.urandom, time.time())
    theirs: Certificate = generate(os.urandom, time.time())
    print("Each end has made a certificate, and told the other its fingerprint in the SDP:")
    print(f"  a=fingerprint:{ours.fingerprint}")
    print(f"  a=fingerprint:{theirs.fingerprint}")
    client = DtlsConnection(Role.CLIENT, theirs, os.urandom)
    server = DtlsConnection(Role.SERVER, ours, os.urandom)
    client.set_remote_fingerprints([ours.fingerprint])
    server.set_remote_fingerprints([theirs.fingerprint])
    print("The handshake; its fourth datagram gets lost:")
    shake_hands(client, server, lose=4)
    assert client.srtp is not None
    assert server.srtp is not None
    assert client.srtp.local_key == server.srtp.remote_key
    print(f"Both have keys for {client.srtp.profile.name}; they are equal, and nobody else's.")
    client.send(b"an SCTP packet, some day")
    server.receive(client.take_datagrams(), 1.0)
    print(f"The server heard: {server.take_application()}")


if __name__ == "__main__":
    main()
