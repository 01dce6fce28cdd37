"""LiveKit's conversation: what a client and its room tell each other.

**What it is for.** A client speaks protobuf (SignalRequest, SignalResponse), and SDP
inside it. The room speaks in calls and frozen values. A session is the translator
between them, and the memory of what its client has been told.

**How it goes.** `join` is the seam: the HTTP front end hands over who wants to join and
a pair of channels, and need not know where the room is. `serve` lets the participant
in and runs the session in the room's nursery until either side ends. `session` itself
waits for nothing: requests in, responses out, a deadline. `requests` is the table of
what may be asked. `publishing` makes tracks of what was announced (`announcements`)
and offered, `subscribing` sections of what is to be heard. `paths` knows which side
offers what: on two connections (`negotiation` decides when we do), or on one, where the
client offers all (`receivers` counts what it must offer for us). `updates` decides whom
to tell of when, `packets` stamps data with their sender.
`translate` has protobuf on one side and the room's values on the other.

**Where it is hard.** Order. A client must know a participant before the offer that
carries their track, must hear Join before anything else, and may have one offer
unanswered at a time. Announcements, offers and answers cross each other on the way,
and each of them may be late, double, or about something that is no more. So nothing
here relies on what the client ought to have done: the tables say what is so, and an
offer always tells all of it.

**Who is on the other side.** Anybody with a token. Every field may hold anything; lists,
names and queues have limits with names. A description that makes no sense ends its
client, which may come again; whatever else it says, at most it is told no.

**What is left out.** Dynacast and data tracks: each has its request, which is passed over
until it is built. docs/assumptions/livekit.md has what we decided and where we deviate.
"""
