"""Who may call what of the server API.

A right about one room (`roomAdmin`) is looked at twice: whether a token has it at all,
before the call is read, and then whether it is about the room that is meant.
"""

from trio_sfu.api.tokens import Claims
from trio_sfu.api.twirp import Call, denied
from trio_sfu.room.grants import Grants


def grants_of(claims: Claims) -> Grants:
    """The rights about rooms; none of them where a token has no such claim."""
    return claims.grants or Grants()


def may_create(claims: Claims) -> bool:
    """Make rooms, and end them."""
    return grants_of(claims).room_create


def may_list(claims: Claims) -> bool:
    """See which rooms there are."""
    return grants_of(claims).room_list


def may_administer(claims: Claims) -> bool:
    """Do anything in one room; `ensure_admin` looks at which."""
    return grants_of(claims).room_admin


def may_record(claims: Claims) -> bool:
    """Have rooms recorded."""
    return grants_of(claims).room_record


def may_ingress(claims: Claims) -> bool:
    """Have media come into rooms from elsewhere."""
    return grants_of(claims).ingress_admin


def may_telephone(claims: Claims) -> bool:
    """Set up how the telephone network reaches rooms."""
    return claims.sip_admin


def may_dial(claims: Claims) -> bool:
    """Call somebody by telephone."""
    return claims.sip_call


def ensure_admin(call: Call, room: str) -> None:
    """Raises what LiveKit says where *call* may not do what it wants in *room*."""
    grants = grants_of(call.claims)
    if not grants.room_admin or grants.room != room:
        raise denied()
