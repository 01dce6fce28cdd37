"""Access tokens: what somebody may do, signed by somebody who holds a secret.

A token is a JSON Web Token (RFC 7519), signed with HMAC-SHA256. Its issuer (`iss`)
is an API key, a public name; the secret that belongs to it never leaves the two
sides that sign and check. Whoever runs an application makes a token for each of
its users; the server needs no list of users at all.

The one rule that keeps this safe: the algorithm is ours to choose, never the
token's. A token that says "alg: none" or names another algorithm is refused before
anything else in it is looked at. And nothing here puts a secret or a token into a
message, a log line or a repr: what is refused says *why*, not *what*.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeGuard

import attrs
import jwt
from jwt.algorithms import HMACAlgorithm

from trio_sfu.room.grants import Grants, Kind, Source
from trio_sfu.room.participant import Identity
from trio_sfu.room.quality import MAX_QUALITY as QUALITY_ATTRIBUTE
from trio_sfu.room.quality import Quality, quality_of

ALGORITHM: Final = "HS256"
LEEWAY: Final = 60
"""Seconds that two clocks may differ, for `exp` and `nbf`; LiveKit allows the same."""
LIFETIME: Final = 6 * 3600
"""Seconds; what LiveKit's server SDKs give a token unless told otherwise."""
BODY_LIFETIME: Final = 300
"""Seconds in which a webhook must arrive; LiveKit's."""
TOKEN_LIMIT: Final = 64 * 1024
"""Bytes. A head of a request is not longer, so a longer token cannot come by HTTP."""

# Every right by the name it has in a token. `room` and `destinationRoom` are text, the
# list of sources is special, all others are booleans.
TEXTS: Final[Mapping[str, str]] = {"room": "room", "destinationRoom": "destination_room"}
RIGHTS: Final[Mapping[str, str]] = {
    "roomJoin": "room_join",
    "roomCreate": "room_create",
    "roomList": "room_list",
    "roomRecord": "room_record",
    "roomAdmin": "room_admin",
    "ingressAdmin": "ingress_admin",
    "canPublish": "can_publish",
    "canSubscribe": "can_subscribe",
    "canPublishData": "can_publish_data",
    "canUpdateOwnMetadata": "can_update_own_metadata",
    "canSubscribeMetrics": "can_subscribe_metrics",
    "canManageAgentSession": "can_manage_agent_session",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
}
SOURCES: Final = "canPublishSources"
MAX_QUALITY: Final = "maxQuality"
"""Ours: LiveKit's server passes it over."""


class InvalidToken(Exception):  # noqa: N818 - reads as the answer it becomes, a 401
    """A token that is not believed; the text may be shown to whoever sent it."""


@attrs.frozen(kw_only=True)
class Claims:
    """What a token says. Only `verify` makes one that may be believed."""

    identity: str = ""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = attrs.Factory(dict)
    kind: Kind = Kind.STANDARD
    kind_details: tuple[str, ...] = ()
    grants: Grants | None = None
    """None where the token has no `video` claim: then it allows nothing here."""
    sip_admin: bool = False
    sip_call: bool = False
    """The rights of the `sip` claim."""
    room_preset: str = ""
    room_config: Mapping[str, object] | None = None
    """The JSON form of LiveKit's RoomConfiguration."""
    api_key: str = ""
    """Who signed it (`iss`)."""
    made: float = 0
    """When it was made, in seconds since 1970, as `nbf` or else `iat` says; 0 if neither does."""
    expires: float = 0
    """Seconds since 1970."""


def verify(token: str, keys: Mapping[str, str], now: float) -> Claims:
    """What *token* says, if it was signed with one of *keys* (secrets by API key).

    *now* is in seconds since 1970. Raises `InvalidToken`.
    """
    issuer = _issuer(token)
    secret = keys.get(issuer)
    if secret is None:
        raise InvalidToken(f"invalid API key: {_shown(issuer)}")
    try:
        payload = _payload(_JWS.decode(token, secret, algorithms=[ALGORITHM]))
    except jwt.InvalidSignatureError:
        raise InvalidToken(
            f"invalid authorization token: the signature is not that of API key "
            f"{_shown(issuer)}; is it the right secret?"
        ) from None
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise _not_a_token() from None
    expires = _check_time(payload, now)
    return _read_claims(payload, issuer, expires)


def sign(claims: Claims, api_key: str, secret: str, now: float, lifetime: float = LIFETIME) -> str:
    """A token that says *claims* until *lifetime* seconds after *now* (since 1970)."""
    payload: dict[str, object] = {
        "iss": api_key,
        "sub": claims.identity,
        "nbf": int(now),
        "exp": int(now + lifetime),
    }
    optional: dict[str, object] = {
        "name": claims.name,
        "metadata": claims.metadata,
        "attributes": dict(claims.attributes),
        "kind": "" if claims.kind is Kind.STANDARD else claims.kind.value,
        "kindDetails": list(claims.kind_details),
        "roomPreset": claims.room_preset,
        "roomConfig": dict(claims.room_config) if claims.room_config else None,
        "video": _written(claims.grants) if claims.grants is not None else None,
    }
    payload |= {name: value for name, value in optional.items() if value}
    return _JWS.encode(
        json.dumps(payload, separators=(",", ":")).encode(), secret, algorithm=ALGORITHM
    )


def renew(
    keys: Mapping[str, str],
    seconds: Callable[[], float],
    who: Identity,
    room: str,
    lifetime: float,
) -> str:
    """A token for somebody who is in *room*, signed with the first of *keys*, that says what
    holds now. *seconds* since 1970; it lasts *lifetime* of them."""
    claims = Claims(
        identity=who.identity,
        name=who.name,
        metadata=who.metadata,
        attributes=who.attributes,
        kind=who.kind,
        kind_details=who.kind_details,
        grants=attrs.evolve(who.grants, room=room),
    )
    key, secret = next(iter(keys.items()))
    return sign(claims, key, secret, seconds(), lifetime)


def sign_body(digest: str, api_key: str, secret: str, now: float) -> str:
    """A token that says who sent a body with this *digest*, and allows nothing.

    *digest* is the Base64 of the body's SHA-256. Webhooks carry it.
    """
    payload = {
        "iss": api_key,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + BODY_LIFETIME,
        "sha256": digest,
    }
    return _JWS.encode(
        json.dumps(payload, separators=(",", ":")).encode(), secret, algorithm=ALGORITHM
    )


class _Hs256(HMACAlgorithm):
    """Takes secrets of any length.

    `trio_sfu.settings` warns of short ones once; PyJWT would at each token, and
    development mode's is short for good.
    """

    def __init__(self) -> None:
        super().__init__(HMACAlgorithm.SHA256)

    def check_key_length(self, key: bytes) -> str | None:
        return None


# PyJWT checks the form and the signature, and here knows one algorithm: ours. Time is
# checked below, because `now` is an argument and each refusal has its own words.
_JWS: Final = jwt.PyJWS(algorithms=[])
_JWS.register_algorithm(ALGORITHM, _Hs256())


def _payload(data: bytes) -> Mapping[str, object]:
    payload = json.loads(data)
    if not isinstance(payload, dict):
        raise ValueError("a token says an object")
    return payload


def _not_a_token() -> InvalidToken:
    return InvalidToken("invalid authorization token: this is no JSON Web Token")


def _shown(name: str) -> str:
    """A name that a stranger chose, fit for a message."""
    return repr(name if len(name) <= 64 else name[:64] + "...")


def _issuer(token: str) -> str:
    """The API key that *token* claims; its algorithm is looked at first."""
    if len(token) > TOKEN_LIMIT:
        raise _not_a_token()
    try:
        parts = _JWS.decode_complete(token, options={"verify_signature": False})
        algorithm = parts["header"].get("alg")
        payload = _payload(parts["payload"])
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise _not_a_token() from None
    if algorithm != ALGORITHM:
        raise InvalidToken(
            f"invalid authorization token: signed with {_shown(str(algorithm))}, "
            f"but only {ALGORITHM} is accepted"
        )
    issuer = payload.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise InvalidToken("invalid authorization token: it names no API key (iss)")
    return issuer


def _check_time(payload: Mapping[str, object], now: float) -> float:
    expires = _time(payload, "exp")
    if expires is None:
        raise InvalidToken("invalid authorization token: it has no time of expiry (exp)")
    if expires + LEEWAY <= now:
        raise InvalidToken(f"invalid authorization token: expired {int(now - expires)} seconds ago")
    not_before = _time(payload, "nbf")
    if not_before is not None and not_before - LEEWAY > now:
        raise InvalidToken(
            f"invalid authorization token: not valid for another {int(not_before - now)} seconds"
        )
    return expires


def _time(payload: Mapping[str, object], name: str) -> float | None:
    value = payload.get(name)
    if value is None:
        return None
    # JSON as Python reads it has NaN, Infinity and whole numbers without end.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise InvalidToken(f"invalid authorization token: {name} must be seconds since 1970")
    return float(value)


def _read_claims(payload: Mapping[str, object], issuer: str, expires: float) -> Claims:
    video = payload.get("video")
    if video is not None and not isinstance(video, dict):
        raise _wrong("video", "an object")
    sip = payload.get("sip")
    if sip is not None and not isinstance(sip, dict):
        raise _wrong("sip", "an object")
    room_config = payload.get("roomConfig")
    if room_config is not None and not isinstance(room_config, dict):
        raise _wrong("roomConfig", "an object")
    attributes = payload.get("attributes") or {}
    if not isinstance(attributes, dict) or not all(map(is_text, attributes.values())):
        raise _wrong("attributes", "an object of texts")
    return Claims(
        identity=_text(payload, "sub") or _text(payload, "jti"),
        name=_text(payload, "name"),
        metadata=_text(payload, "metadata"),
        attributes=attributes,
        kind=_KINDS.get(_text(payload, "kind"), Kind.STANDARD),
        kind_details=_texts(payload, "kindDetails"),
        grants=None if video is None else _limited(_read_grants(video), attributes),
        sip_admin=sip is not None and sip.get("admin") is True,
        sip_call=sip is not None and sip.get("call") is True,
        room_preset=_text(payload, "roomPreset"),
        room_config=room_config,
        api_key=issuer,
        made=_time(payload, "nbf") or _time(payload, "iat") or 0,
        expires=expires,
    )


def _read_grants(video: Mapping[str, object]) -> Grants:
    """A right that is absent (or null, as Go writes it) keeps its default."""
    rights: dict[str, bool] = {}
    for name, attribute in RIGHTS.items():
        value = video.get(name)
        if isinstance(value, bool):
            rights[attribute] = value
        elif value is not None:
            raise _wrong(f"video.{name}", "true or false")
    unknown = sorted(set(_texts(video, SOURCES, "video.")) - set(_SOURCES))
    if unknown:  # left out, it could make the list empty, and so allow everything
        raise InvalidToken(
            f"invalid authorization token: video.{SOURCES} has no source {_shown(unknown[0])}"
        )
    sources = frozenset(_SOURCES[source] for source in _texts(video, SOURCES, "video."))
    return Grants(
        max_quality=_max_quality(_text(video, MAX_QUALITY, "video."), f"video.{MAX_QUALITY}"),
        room=_text(video, "room", "video."),
        destination_room=_text(video, "destinationRoom", "video."),
        can_publish_sources=sources,
        **rights,
    )


def _limited(grants: Grants, attributes: Mapping[str, str]) -> Grants:
    """SDKs write only the grants that they know; an attribute may say the same."""
    quality = _max_quality(attributes.get(QUALITY_ATTRIBUTE, ""), QUALITY_ATTRIBUTE)
    return attrs.evolve(grants, max_quality=min(quality, grants.max_quality))


def _max_quality(word: str, where: str) -> Quality:
    quality = quality_of(word) if word else Quality.HIGH
    if quality is None:
        raise _wrong(where, "low, medium or high")
    return quality


_KINDS: Final = {kind.value: kind for kind in Kind}
_SOURCES: Final = {source.value: source for source in Source}


def _written(grants: Grants) -> dict[str, object]:
    """As in a token: what has its default is left out, but data follows publishing."""
    usual = Grants(can_publish=grants.can_publish)
    video: dict[str, object] = {}
    for name, attribute in (*TEXTS.items(), *RIGHTS.items()):
        if (value := getattr(grants, attribute)) != getattr(usual, attribute):
            video[name] = value
    if not grants.can_publish:
        video["canPublish"] = False
    if grants.max_quality is not Quality.HIGH:
        video[MAX_QUALITY] = grants.max_quality.name.lower()
    if grants.can_publish_sources:
        video[SOURCES] = sorted(source.value for source in grants.can_publish_sources)
    return video


def is_text(value: object) -> TypeGuard[str]:
    """A string that UTF-8, and so protobuf, can hold: JSON also writes half surrogate pairs."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(claim: str, expected: str) -> InvalidToken:
    return InvalidToken(f"invalid authorization token: {claim} must be {expected}")


def _text(claims: Mapping[str, object], name: str, path: str = "") -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if not is_text(value):
        raise _wrong(path + name, "a text")
    return value


def _texts(claims: Mapping[str, object], name: str, path: str = "") -> tuple[str, ...]:
    value = claims.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(map(is_text, value)):
        raise _wrong(path + name, "a list of texts")
    return tuple(value)
