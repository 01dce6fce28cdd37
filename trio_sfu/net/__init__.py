"""Trio meets the network: sockets, mailboxes, and the one loop that runs protocols.

**What it is for.** Protocol cores own no socket and no clock. Here is what they are
given: datagrams in lists, the time, and somebody who calls them when they asked for it.

**How it goes.** `udp` reads all that has arrived with one wake-up, and sends a burst with
one call. `endpoint` finds the mailbox that each datagram belongs to, by ufrag,
transaction or proven address. `mailbox` is the one thing that brings a connection its
news, and `turns` calls everybody who has some, one after the other. `driver` is what a
connection does in its turn: hear, keep time, act, speak. `addresses` knows what to tell
clients, where our sockets are reached.

**Where it is hard.** One port serves everybody, and packets of media do not say whose
they are. An address is believed only once it has proved itself, because whoever can
forge one must not be able to take over a call: see `endpoint`. And a task for each
connection that is woken for each packet costs more than the packet: see `turns`.

**What is left out.** ICE over TCP, until "reach". Locks, callbacks and threads: there are
none. Sending never waits, since a packet that the kernel does not take now is worth
nothing later.
"""
