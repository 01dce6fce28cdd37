"""The domain: rooms, participants, tracks, and which packets go to whom.

**What it is for.** Everything below knows one peer and nothing of a second. Here they
meet: what one publishes, others subscribe to, and what comes of one task is put
into the queues of others. Nothing here knows LiveKit's protobuf or HTTP.

**How it goes.** A `room` is a nursery, a `participant` a scope in it, and each of its
connections (`connection`) one task that alone touches its peer. A packet that arrives
goes to its `track`, which puts the list that it came in into the queue of every
`subscription`; the subscriber's task takes from there, and its `forwarder` decides what
passes and under which number. Whoever wants something of somebody else's connection
leaves a wish in its mailbox. `node` has all rooms of a process.

**Two halves.** `layers`, `presence`, `rewriter`, `timeline`, `pictures`, `forwarder`,
`queue`, `keyframes`, `wanted`, `choices`, `permission`, `redundancy`, `filler`,
`speakers`, `grants`, `info` and `ids` are values and functions without Trio, and where
the thinking is. The rest is who waits for what.

**Where it is hard.** A subscriber must believe that it hears one encoder that never
stops, although it is moved between streams and misses what we leave out: `forwarder`
begins with how. And everything ends by cancellation, so every table must be right
whenever that strikes. There is one `with`, `Room._seat`, that puts a participant in
and takes it out, and between two waits everything is done or nothing: the calls that
change tables do not wait. Who is told of it (`participant.Listener`) may not wait either.

**What is left out.** Bandwidth does not decide yet which layer somebody gets, and a
room lives in one process. ARCHITECTURE.md has the walk of a packet and the task tree.
"""
