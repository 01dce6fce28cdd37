"""How two sides find out that they can reach each other: one ICE check, in memory.

A browser knows the server's address, ufrag and password from signalling. It asks
"do you hear me?" with a STUN request that is sealed with the server's password;
the server answers with the address that it saw. Run me; nothing touches a network.
"""

import os

from trio_sfu.core import Datagram
from trio_sfu.ice import credentials
from trio_sfu.ice.agent import IceAgent
from trio_sfu.ice.candidate import host_candidate
from trio_sfu.ice.states import Role
from trio_sfu.ice.stun import USERNAME, XOR_MAPPED_ADDRESS, Class, Message, ufrag_of

BROWSER, SERVER = ("192.0.2.7", 50000), ("198.51.100.1", 7882)
now = 0.0  # agents own no clock: time is a number that we give them


def show(what: str, datagram: Datagram) -> Message:
    message = Message.decode(datagram.data)
    print(f"{what}: {message.kind.name}, {len(datagram.data)} bytes")
    print(f"    from {datagram.local} to {datagram.remote}, for ufrag {ufrag_of(datagram.data)}")
    return message


# The server is lite: it waits to be asked. Its ufrag begins with its worker's tag.
server = IceAgent(Role.LITE, credentials.make(os.urandom, tag="w1"), os.urandom)
# The browser asks, and decides which path is used.
browser = IceAgent(Role.CONTROLLING, credentials.make(os.urandom), os.urandom)

# What signalling carries: credentials both ways, and the server's candidate.
browser.set_remote(server.local, now, lite=True)
server.set_remote(browser.local, now)
browser.add_local_candidate(BROWSER, now)
line = host_candidate(SERVER).encode()
print("The server's candidate:", line)
browser.add_remote_candidate(line, now)

for attempt in ("A check", "A check with USE-CANDIDATE"):
    now = browser.deadline
    browser.handle_timeout(now)
    (check,) = browser.take_datagrams()
    asked = show(attempt, check)
    print("    USERNAME (theirs:ours):", asked.get(USERNAME))
    print("    sealed with the server's password:", asked.authentic(server.local.key))

    # On the way the addresses trade places: our "local" is their "remote".
    server.receive([Datagram(check.data, remote=check.local, local=check.remote)], now)
    (answer,) = server.take_datagrams()
    told = show("Its answer", answer)
    print("    the server saw us at:", told.get(XOR_MAPPED_ADDRESS))
    browser.receive([Datagram(answer.data, remote=answer.local, local=answer.remote)], now)

print("The server now believes that address:", server.proved(BROWSER))
print("The browser is", browser.state.name, "by", browser.selected)
print("The server is", server.state.name, "by", server.selected)

# Somebody who does not know the password gets no answer, and is counted.
username = f"{server.local.ufrag}:{browser.local.ufrag}"
forged = Message(Class.REQUEST, os.urandom(12), dict([USERNAME.of(username)]))
server.receive([Datagram(forged.encode(b"guess"), ("203.0.113.66", 6), SERVER)], now)
assert server.take_datagrams() == []
print("A stranger was refused:", ", ".join(reason.value for reason in server.refused))
