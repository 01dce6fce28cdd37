import pytest

from tests.sim import entropy
from trio_sfu.errors import WireError
from trio_sfu.ice.credentials import ICE_CHARS, Credentials, make, parse


def test_made_credentials_are_long_enough_and_different_each_time() -> None:
    dice = entropy(1)
    made = [make(dice) for _ in range(100)]
    assert len({each.ufrag for each in made}) == len({each.password for each in made}) == 100
    assert all(parse(each.ufrag, each.password) == each for each in made)


def test_the_ufrag_begins_with_the_workers_tag() -> None:
    tagged = make(entropy(1), "w3+")
    assert tagged.ufrag.startswith("w3+") and len(tagged.ufrag) == 11


@pytest.mark.parametrize("tag", ["w:", "ä", "w" * 25])
def test_a_tag_that_would_break_the_grammar_is_the_callers_fault(tag: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        make(entropy(1), tag)


@pytest.mark.parametrize(
    ("ufrag", "password"),
    [
        ("abc", "p" * 22),
        ("u" * 257, "p" * 22),
        ("u:fr", "p" * 22),
        ("ufrä", "p" * 22),
        ("ufra", "p" * 21),
        ("ufra", "p" * 257),
        ("ufra", "p p" * 10),
    ],
)
def test_credentials_against_the_grammar_are_refused(ufrag: str, password: str) -> None:
    with pytest.raises(WireError):
        parse(ufrag, password)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Credentials("ufrag", "secret"))
    assert len(set(ICE_CHARS)) == 64
