"""The other end of a call: a participant in Python, from the same cores.

**What it is for.** Tests, benchmarks and examples need somebody to talk to, and so may
your program: a bot that speaks, a recorder that listens.

**How it goes.** `participant.run_participant` joins a room and gives you a `Participant`:
publish a track and send it payloads, take packets from those that others publish,
send data, and read its events (`events`) for what happens. `media` makes payloads of IVF and Ogg
files, or makes some up. `signalling` is the WebSocket, `connection` one PeerConnection
with a socket of its own, and `load` is many participants who count what they get.

**Where it is hard.** To be fair. Made of the server's own cores in the opposite roles,
it proves that they agree with each other and no more; what they claim is also tested
with browsers and with LiveKit's SDKs.

**What is left out.** Codecs: it neither draws nor decodes. Simulcast, reconnecting and
estimating bandwidth: a stock client does that better.
"""
