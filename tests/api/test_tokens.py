import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.api.tokens import LEEWAY, RIGHTS, Claims, InvalidToken, sign, verify
from trio_sfu.room.grants import Grants, Kind, Source
from trio_sfu.room.quality import Quality

NOW = 1_800_000_000.0
SECRET = "a secret of more than thirty-two bytes"
KEYS = {"key": SECRET, "other": "another secret of more than 32 bytes"}

VALID = {"iss": "key", "sub": "alice", "exp": NOW + 60, "video": {"roomJoin": True, "room": "r"}}


def made(secret: str = SECRET, **changes: object) -> str:
    """A token as somebody else's SDK makes it: *changes* to VALID, None takes away."""
    payload = {name: value for name, value in (VALID | changes).items() if value is not None}
    return jwt.api_jws.encode(json.dumps(payload).encode(), secret, algorithm="HS256")


def unsigned(header: dict[str, object], payload: dict[str, object]) -> str:
    parts = (json.dumps(part).encode() for part in (header, payload))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def test_a_valid_token_says_who_it_is_for_and_what_they_may() -> None:
    claims = verify(
        made(
            name="Alice",
            metadata="m",
            attributes={"a": "b"},
            kind="agent",
            kindDetails=["x"],
            video={"roomJoin": True, "room": "r", "canPublishSources": ["camera"]},
        ),
        KEYS,
        NOW,
    )
    assert claims == Claims(
        identity="alice",
        name="Alice",
        metadata="m",
        attributes={"a": "b"},
        kind=Kind.AGENT,
        kind_details=("x",),
        grants=Grants(room_join=True, room="r", can_publish_sources=frozenset({Source.CAMERA})),
        api_key="key",
        expires=NOW + 60,
    )


@pytest.mark.parametrize(
    ("times", "expected"),
    [({"nbf": 5, "iat": 6}, 5), ({"iat": 6}, 6), ({}, 0)],
)
def test_a_token_says_when_it_was_made(times: dict[str, object], expected: float) -> None:
    assert verify(made(**times), KEYS, NOW).made == expected


def test_each_key_has_its_own_secret() -> None:
    assert verify(made(KEYS["other"], iss="other"), KEYS, NOW).api_key == "other"
    with pytest.raises(InvalidToken, match="the signature is not that of API key 'other'"):
        verify(made(SECRET, iss="other"), KEYS, NOW)


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("", "this is no JSON Web Token"),
        ("x.y.z", "this is no JSON Web Token"),
        ("a" * 100_000, "this is no JSON Web Token"),
        (unsigned({"alg": "HS256"}, {}), "it names no API key"),
        (unsigned({"alg": "none"}, dict(VALID)), "signed with 'none', but only HS256"),
        (unsigned({"alg": "RS256"}, dict(VALID)), "signed with 'RS256', but only HS256"),
        (unsigned({}, dict(VALID)), "signed with 'None', but only HS256"),
        (jwt.encode(VALID, SECRET * 2, algorithm="HS512"), "'HS512', but only HS256"),
        (made(iss=None), "it names no API key"),
        (made(iss=7), "it names no API key"),
        (made(iss="nobody"), "invalid API key: 'nobody'"),
        (made(iss="long" * 1000), r"invalid API key: '(long){16}\.\.\.'$"),
        (made("a wrong secret of more than 32 bytes"), "is it the right secret"),
        (made(exp=None), "it has no time of expiry"),
        (made(exp="tomorrow"), "exp must be seconds since 1970"),
        (made(exp=True), "exp must be seconds since 1970"),
        (made(exp=float("nan")), "exp must be seconds since 1970"),
        (made(exp=10**400), "exp must be seconds since 1970"),
        (made(exp=NOW - LEEWAY), "expired 60 seconds ago"),
        (made(nbf=NOW + LEEWAY + 1), "not valid for another 61 seconds"),
        (made(nbf=[]), "nbf must be seconds since 1970"),
        (made(sub=7), "sub must be a text"),
        (made(name=[]), "name must be a text"),
        (made(attributes={"a": 1}), "attributes must be an object of texts"),
        (made(attributes="a"), "attributes must be an object of texts"),
        (made(name="half of a pair: \ud83d"), "name must be a text"),
        (made(kindDetails="x"), "kindDetails must be a list of texts"),
        (made(roomConfig="x"), "roomConfig must be an object"),
        (made(video=[]), "video must be an object"),
        (made(video={"room": 7}), "video.room must be a text"),
        (made(video={"roomJoin": "yes"}), "video.roomJoin must be true or false"),
        (made(video={"canPublish": 1}), "video.canPublish must be true or false"),
        (made(video={"canPublishSources": "mic"}), "canPublishSources must be a list of texts"),
        (made(video={"canPublishSources": ["mic"]}), "canPublishSources has no source 'mic'"),
    ],
)
def test_what_is_wrong_with_a_token_is_said(token: str, text: str) -> None:
    with pytest.raises(InvalidToken, match=text) as raised:
        verify(token, KEYS, NOW)
    assert SECRET not in str(raised.value)
    assert not token or token not in str(raised.value)


@pytest.mark.parametrize(
    "changes",
    [{"exp": NOW - LEEWAY + 1}, {"nbf": NOW + LEEWAY}, {"aud": "else"}, {"iat": NOW + 900}],
    ids=str,
)
def test_clocks_may_differ_by_a_minute_and_other_claims_are_not_ours(changes) -> None:
    assert verify(made(**changes), KEYS, NOW).identity == "alice"


def test_without_a_subject_the_id_of_the_token_is_the_identity() -> None:
    assert verify(made(sub=None, jti="bob"), KEYS, NOW).identity == "bob"


def test_without_a_video_grant_there_are_no_grants() -> None:
    assert verify(made(video=None), KEYS, NOW).grants is None


def test_an_unknown_kind_is_a_standard_participant() -> None:
    assert verify(made(kind="of future"), KEYS, NOW).kind is Kind.STANDARD


@pytest.mark.parametrize("said", [True, False, None])
@pytest.mark.parametrize(("name", "attribute"), RIGHTS.items())
def test_every_right_is_read_under_its_name(name: str, attribute: str, said) -> None:
    grants = verify(made(video={name: said}), KEYS, NOW).grants
    assert getattr(grants, attribute) == (getattr(Grants(), attribute) if said is None else said)


claims = st.builds(
    Claims,
    identity=st.text(),
    name=st.text(),
    metadata=st.text(),
    attributes=st.dictionaries(st.text(), st.text(), max_size=3),
    kind=st.sampled_from(Kind),
    kind_details=st.lists(st.text(), max_size=2).map(tuple),
    grants=st.none()
    | st.builds(
        Grants,
        room=st.text(),
        can_publish_sources=st.frozensets(st.sampled_from(Source)),
        **{attribute: st.booleans() for attribute in RIGHTS.values()},
    ),
    room_preset=st.text(),
    api_key=st.just("key"),
    made=st.just(NOW),
    expires=st.just(NOW + 600),
)


@given(claims)
def test_what_was_signed_is_read_again(claims: Claims) -> None:
    assert verify(sign(claims, "key", SECRET, NOW, 600), KEYS, NOW) == claims


@given(st.binary(max_size=200) | st.binary(max_size=200).map(base64.urlsafe_b64encode))
def test_whatever_comes_only_invalid_token_goes(data: bytes) -> None:
    for token in data.decode("latin-1"), f"{data.decode('latin-1')}.e30.", f"e30.{data!r}.x":
        with pytest.raises(InvalidToken):
            verify(token, KEYS, NOW)


def test_a_depth_that_exhausts_the_parser_is_no_token() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 40_000).decode().rstrip("=")
    with pytest.raises(InvalidToken, match="no JSON Web Token"):
        verify(f"{deep}.e30.x", KEYS, NOW)


def test_tokens_of_livekits_own_sdk_are_read() -> None:
    api = pytest.importorskip("livekit.api")
    token = (
        api.AccessToken("key", SECRET)
        .with_identity("alice")
        .with_name("Alice")
        .with_kind("agent")
        .with_attributes({"a": "b"})
        .with_grants(api.VideoGrants(room_join=True, room="r", can_publish_sources=["camera"]))
        .to_jwt()
    )
    expires = jwt.decode(token, options={"verify_signature": False})["exp"]
    claims = verify(token, KEYS, expires - 10)
    assert (claims.identity, claims.name, claims.kind) == ("alice", "Alice", Kind.AGENT)
    assert claims.attributes == {"a": "b"}
    assert claims.grants == Grants(
        room_join=True, room="r", can_publish_sources=frozenset({Source.CAMERA})
    )


def test_livekits_own_sdk_reads_our_tokens() -> None:
    api = pytest.importorskip("livekit.api")
    import time

    grants = Grants(room_join=True, room="r", can_publish=False)
    token = sign(Claims(identity="alice", grants=grants), "key", SECRET, time.time())
    read = api.TokenVerifier("key", SECRET).verify(token)
    assert (read.identity, read.video.room, read.video.can_publish) == ("alice", "r", False)


@pytest.mark.parametrize(
    ("video", "attributes", "expected"),
    [
        ({}, {}, Quality.HIGH),
        ({"maxQuality": "low"}, {}, Quality.LOW),
        ({}, {"trio-sfu.max_quality": "Medium"}, Quality.MEDIUM),
        ({"maxQuality": "low"}, {"trio-sfu.max_quality": "high"}, Quality.LOW),
        ({"maxQuality": "high"}, {"trio-sfu.max_quality": "low"}, Quality.LOW),
    ],
)
def test_a_token_may_have_a_highest_quality(video, attributes, expected) -> None:
    claims = verify(made(video={"roomJoin": True, **video}, attributes=attributes), KEYS, NOW)
    assert claims.grants is not None
    assert claims.grants.max_quality is expected
    again = verify(sign(claims, "key", SECRET, NOW), KEYS, NOW)
    assert again.grants == claims.grants


@pytest.mark.parametrize(
    ("video", "attributes", "words"),
    [
        ({"maxQuality": "4k"}, {}, "video.maxQuality must be low, medium or high"),
        ({"maxQuality": 2}, {}, "video.maxQuality must be a text"),
        ({}, {"trio-sfu.max_quality": "x"}, "trio-sfu.max_quality must be low, medium or high"),
    ],
)
def test_a_highest_quality_that_is_none_is_refused(video, attributes, words) -> None:
    with pytest.raises(InvalidToken, match=words):
        verify(made(video={"roomJoin": True, **video}, attributes=attributes), KEYS, NOW)
