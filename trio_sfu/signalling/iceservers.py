"""Which STUN and TURN servers a client is told of: those that the operator named.

A TURN server with a shared secret knows nobody by name. Whoever brings a name with a time
in it that is yet to come, and that name's HMAC for a password, was sent by somebody who
knows the secret ("TURN REST API", as coturn and others have it):

    username    <seconds since 1970>:<participant's SID>
    credential  base64(HMAC-SHA1(secret, username))

Nobody is told of servers that were not named: they would learn who talks, and when.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable

from livekit.protocol.rtc import ICEServer

from trio_sfu.kinds import TurnServer


def ice_servers(
    stun: Iterable[str], turn: Iterable[TurnServer], sid: str, wall: float
) -> list[ICEServer]:
    """For the participant *sid*; *wall* is now, in seconds since 1970."""
    urls = [f"stun:{each}" for each in stun]
    servers = [ICEServer(urls=urls)] if urls else []
    for each in turn:
        username, credential = each.username, each.credential
        if each.secret:
            username = f"{int(wall) + each.ttl}:{sid}"
            digest = hmac.digest(each.secret.encode(), username.encode(), hashlib.sha1)
            credential = base64.b64encode(digest).decode()
        servers.append(ICEServer(urls=[each.url], username=username, credential=credential))
    return servers
