from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.room.revoked import KEEP, Revoked

NOW = 1_700_000_000.0


def test_tokens_from_before_let_nobody_in_and_newer_ones_do() -> None:
    revoked = Revoked()
    revoked.revoke("r", "mallory", before=NOW, now=NOW)
    assert revoked.keeps_out("r", "mallory", made=NOW - 1, now=NOW + 1)
    assert revoked.keeps_out("r", "mallory", made=0, now=NOW + 1)
    assert not revoked.keeps_out("r", "mallory", made=NOW, now=NOW + 1)
    assert not revoked.keeps_out("other", "mallory", made=0, now=NOW + 1)
    assert not revoked.keeps_out("r", "alice", made=0, now=NOW + 1)


def test_what_is_remembered_ends_with_the_token() -> None:
    revoked = Revoked()
    ends = NOW + 2 * KEEP
    revoked.revoke("r", "long", before=NOW, now=NOW, expires=ends)
    revoked.revoke("r", "short", before=NOW, now=NOW, expires=NOW + 60)
    assert revoked.keeps_out("r", "long", made=0, now=ends - 1)
    assert not revoked.keeps_out("r", "long", made=0, now=ends)
    assert revoked.keeps_out("r", "short", made=0, now=NOW + KEEP - 1)
    assert not revoked.keeps_out("r", "short", made=0, now=NOW + KEEP)
    revoked.revoke("r", "another", before=NOW, now=ends)
    assert len(revoked) == 1


def test_a_second_removal_only_adds() -> None:
    revoked = Revoked()
    revoked.revoke("r", "i", before=NOW, now=NOW, expires=NOW + 3 * KEEP)
    revoked.revoke("r", "i", before=NOW - 100, now=NOW)
    assert revoked.keeps_out("r", "i", made=NOW - 1, now=NOW + 2 * KEEP)


def test_too_many_drop_the_one_that_ends_first_and_count_it() -> None:
    revoked = Revoked(limit=2)
    for count, name in enumerate("abc"):
        revoked.revoke("r", name, before=NOW, now=NOW + count)
    assert [revoked.keeps_out("r", name, made=0, now=NOW + 3) for name in "abc"] == [
        False,
        True,
        True,
    ]
    assert (len(revoked), revoked.dropped) == (2, 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"), st.integers(0, 10), st.floats(0, 5 * KEEP), st.floats(0, KEEP)
        ),
        max_size=30,
    )
)
def test_it_answers_as_a_table_of_all_that_was_revoked_would(
    revocations: list[tuple[str, int, float, float]],
) -> None:
    revoked = Revoked()
    table: dict[str, tuple[float, float]] = {}
    now = 0.0
    for identity, before, expires, pause in revocations:
        revoked.revoke("r", identity, before=before, now=now, expires=expires)
        old_before, old_ends = table.get(identity, (0.0, 0.0))
        if old_ends <= now:
            old_before = 0.0
        table[identity] = max(before, old_before), max(expires, now + KEEP, old_ends)
        now += pause
        for name in "abcd":
            limit, ends = table.get(name, (0.0, 0.0))
            for made in 0.0, 5.0, 10.0:
                expected = now < ends and made < limit
                assert revoked.keeps_out("r", name, made=made, now=now) == expected
