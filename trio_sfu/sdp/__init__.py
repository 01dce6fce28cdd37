"""Offers and answers: what two ends want of each other, as text (RFC 8866, RFC 9429).

**What it is for.** Before a packet can flow, both ends must know how to reach and
recognise each other (ICE credentials, a certificate's fingerprint), which streams
there are, and what the numbers in packets mean: payload types, header extension
ids, SSRCs. One end offers, the other answers, and whoever wants something else
later offers again. WebRTC says all this in SDP, a text format of 1998 for
announcing conferences, and by now a pile of some forty RFCs.

**How it goes.** A description is a list of lines. Those before the first ``m=``
are the session's, each ``m=`` begins a *section*. A section has a name, the mid,
and keeps its place for ever: later offers may add sections at the end, reuse one
that is idle, but never take one away. The answer has the same sections in the
same order. In each, the answerer keeps those of the offered payload types and
extensions that it also wants, with the offerer's numbers, and a direction.
BUNDLE puts all sections on one transport, so that there is one ICE session, one
DTLS handshake and one port for everything.

**Order of reading.** `lines` (the grammar), `attributes` (values), `session`
(a description, typed), `formats` (what is the same codec), `agreement` (wishes and
results), `sections` (how we write), `answer` and `offer` (the two functions that
the rest is there for).

**Where it is hard.** Clients write much that we do not know, and must get nothing
wrong back; so descriptions keep the lines, and typed views only read them. And
clients rely on particulars that no RFC has: those are in `answer`, each with its
reason, and in ``docs/assumptions/sdp.md``.

**What we leave out, and why.** Several transports (everything is in one BUNDLE,
also with FFmpeg's WHIP), RTP without rtcp-mux or DTLS, SCTP's old ``sctpmap``,
provisional answers, recycling the place of a refused section, and all of SDP that
WebRTC does not use. Candidates stay text: they are ICE's business.
"""
