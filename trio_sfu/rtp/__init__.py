"""RTP: packets of sound and pictures, and what one hop knows of them (RFC 3550).

**What it is for.** Media must arrive now or not at all, so it travels in datagrams
that nobody repeats by himself. RTP gives each of them what a receiver needs to play
it: a *sequence number*, to put packets in order and to see what is missing; a
*timestamp* in the clock of the codec, to know when it is to be heard or seen; an
*SSRC*, a random number that names the stream; and a *payload type*, which offer and
answer have given a meaning. RTCP travels beside it and is about it: who sent how
much, what was lost, what should be sent again.

**How it goes.** A packet arrives encrypted (`srtp`), is read once (`packet`, `payload`,
`extensions`) and belongs to a stream, which takes notes: `receive` of its order,
losses and clock, `nack` of what to ask for again, `arrival` of when it came.
On the way out, `history` remembers what each subscriber was sent, so that it can be
sent again, and `send` keeps the sums for reports. All of that is one hop's. What
one subscriber gets of which stream is not decided here.

**Order of reading.** Codecs: `packet`, `extensions`, `rtcp`, `feedback`, `twcc`,
`payload`, `dependency`. Then SRTP: `srtp_transform`, which explains it, and `srtp`,
which does it. Then what a hop knows: `receive`, `nack`, `arrival`, and `send`,
`history`. None of them knows of each other's streams; `trio_sfu.peer` has them all.

**Where it is hard.** Numbers wrap, and what matters is always the number that does
not (`trio_sfu.sequence`). A gap is a loss or a packet that was overtaken, and one
cannot know which (`nack`). The rollover counter of SRTP is guessed, on both sides
(`srtp_transform`). A loss that was repaired is still one, and must be reported
(`receive`). And all of this happens tens of thousands of times a second, so the
paths that every packet takes are lists, and spare with calls.

**What we leave out, and why.** Mixers and contributing sources (an SFU mixes
nothing; CSRCs are skipped), multicast and the timer rules of RFC 3550 section 6.2
that are for it, forward error correction, encrypted header extensions, and
changes of key during a session (DTLS-SRTP has one handshake). The rest of our
decisions is in ``docs/assumptions/rtp.md``.
"""
