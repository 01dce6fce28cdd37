"""Data channels: SCTP, spoken inside of DTLS (RFC 8261), and the channels on top of it (RFC 8831).

*What for.* WebRTC sends media as RTP and everything else as messages: chat, RPC, the
state of a game. Each channel has its own terms: in order or not, until it arrives or
only so often or so long. TCP offers one set of terms and UDP none; SCTP has them all.

*How it goes.* An association begins with four packets, the second of which carries
all that the server would have to remember in a signed cookie (`cookie`, `handshake`).
Messages are cut into DATA chunks, each with a number of the association (TSN) and, if
its stream is ordered, one of the stream (SSN). The receiver says which TSNs it has
(SACK) and puts messages together again (`inbound`); the sender repeats what is missing,
gives up what it may, and watches how much the path carries (`outbound`, `congestion`).
A channel is a pair of streams with a label; the first message on it says what it is
(`dcep`), and it ends when both directions have been reset (`reset`).

*Where it is hard.* Both ends open at the same moment (`association`). What was given up
must not leave its stream waiting for ever (`inbound`, and the placeholder in
`outbound`). A checksum over each byte, in Python (`crc32c`). An outage of half a minute
that an ICE restart mends must be outlived, and data must flow at once when it is over
(`congestion`).

*What is left out*, because there is one path and DTLS protects it: several addresses
for one end, authenticated chunks, path MTU discovery, explicit congestion notification.
And because little is lost without it: interleaved messages (RFC
8260), zero checksums (RFC 9653), added streams. ``docs/assumptions/sctp.md`` has the reasons.

Read `chunks`, `packet`, `states`, then `inbound`, `outbound`, `packing`, `association`,
`datachannel`.
"""
