"""One remote peer, whole, without a socket: where the protocols meet.

**What it is for.** ICE, DTLS, RTP and SCTP know nothing of each other, each is a
core of its own. A browser's PeerConnection is all four on one path, and here is its
counterpart: `transport.PeerTransport`, a plain object. It hears datagrams, has
a deadline, and gives datagrams back, as each of its parts does.

**What belongs here.** What concerns this hop alone is settled here and nobody else
hears of it: whose packet this is, what is missing, what to send again, when to
report. What concerns two peers is the room's: a key frame that is wanted, an
estimate of what the path carries; that leaves as an event. Media leaves as lists.

**Order of reading.** `media` (what offer and answer agreed on, in words without SDP),
`events` (what a peer says and may be asked), `demux` (the first byte decides),
`streams` (everything that a peer sends), `sending` and `retransmit` (everything that
it is sent), `reports` (which RTCP goes out when), `channels` (messages, by label),
`transport` (all together).

**Where it is hard.** To find the section and layer of a packet by what little it says
(`streams`); and not to encrypt two different packets alike when one is sent again
without RTX (`retransmit`).

**What we leave out.** More than one path to a peer, RTCP on a port of its own, and
media that is not encrypted.
"""
