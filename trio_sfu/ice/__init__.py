"""ICE: finding a path between two peers, and keeping it (RFC 8445, 8489, 8838, 7675).

*What it is for.* Two programs want to exchange UDP, and neither knows how the other
looks from outside: there are NATs, several interfaces, two address families. And
nobody may be made to send media at somebody who never asked for it. ICE answers both:
each side tells the other by signalling where it might be reached (*candidates*) and a
secret; then they try the addresses out, each try sealed with the secret.

*How it goes.*

    client                                    server (lite)
      |  ufrag, password, candidates  <-- signalling -->  |
      |                                                   |
      |-- Binding request, sealed ----------------------->|  "do you hear me?"
      |<------------------- Binding success, sealed ------|  "yes, and I see you at ..."
      |                                                   |  DTLS may begin
      |-- the same with USE-CANDIDATE ------------------->|  "let us use this one"
      |<--------------------------------------------------|
      |   ... every few seconds again, for ever ...       |  consent, and sign of life

*Where it is hard.* A check overtakes signalling. An answer comes from an address
nobody told of. Both believe that they decide (a *role conflict*). The NAT gives the
client another port in the middle of a call. One side begins again with new secrets
while media flows (a *restart*). And all of it is done by strangers on an open port, so
nothing is believed before its seal was checked, and everything that is remembered is
bounded.

*What we leave out, and why.* A server has an address that everybody can reach, so it
is lite and makes no checks; our client, tests and `disable_ice_lite` have the full
agent. No gathering by STUN or TURN servers inside (the owner names addresses), no
second component, no second stream, no frozen pairs (BUNDLE and rtcp-mux leave one of
each), no names (mDNS) looked up. `docs/assumptions/ice.md` has a paragraph for each.

Read in this order: `stun`, `candidate`, `credentials` (what is on the wire); `states`,
`paths`, `generations`, `checks`, `transactions` (small parts); `session` (what an agent
knows), `asking` (the full half), `agent` (the core).
"""

from trio_sfu.ice.agent import IceAgent
from trio_sfu.ice.candidate import Candidate, host_candidate, host_candidates
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.states import (
    AddressProved,
    IceEvent,
    IceState,
    Path,
    Refusal,
    Role,
    Selected,
    StateChanged,
)

__all__ = [
    "AddressProved",
    "Candidate",
    "Credentials",
    "IceAgent",
    "IceEvent",
    "IceState",
    "Path",
    "Refusal",
    "Role",
    "Selected",
    "StateChanged",
    "host_candidate",
    "host_candidates",
]
