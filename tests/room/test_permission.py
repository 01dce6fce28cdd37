from trio_sfu.room.permission import MAX_LISTED, Permissions, Permitted, only


def nobody(_: str) -> None:
    return None


def listed(*permitted: Permitted) -> Permissions:
    found = only(permitted, nobody)
    assert found is not None
    return found


def test_an_empty_list_lets_nobody() -> None:
    assert not listed().allow("bob", "TR_1")


def test_somebody_listed_may_hear_all_tracks_or_some() -> None:
    permissions = listed(
        Permitted(identity="bob", all_tracks=True),
        Permitted(identity="carol", tracks=frozenset({"TR_1"})),
    )
    assert permissions.allow("bob", "TR_2")
    assert permissions.allow("carol", "TR_1")
    assert not permissions.allow("carol", "TR_2")
    assert not permissions.allow("dave", "TR_1")


def test_who_is_listed_by_sid_is_found_by_it_or_passed_over() -> None:
    people = {"PA_b": "bob"}
    entries = [Permitted(sid="PA_b", all_tracks=True), Permitted(sid="PA_gone", all_tracks=True)]
    permissions = only(entries, people.get)
    assert permissions is not None
    assert permissions.allow("bob", "TR_1")
    assert not permissions.allow("", "TR_1")


def test_a_name_outweighs_a_sid() -> None:
    permissions = only(
        [Permitted(identity="bob", sid="PA_c", all_tracks=True)], {"PA_c": "carol"}.get
    )
    assert permissions is not None
    assert permissions.allow("bob", "TR_1")
    assert not permissions.allow("carol", "TR_1")


def test_the_last_word_about_somebody_counts() -> None:
    permissions = listed(Permitted(identity="bob", all_tracks=True), Permitted(identity="bob"))
    assert not permissions.allow("bob", "TR_1")


def test_an_entry_about_nobody_makes_no_permissions() -> None:
    assert only([Permitted(identity="bob"), Permitted(all_tracks=True)], nobody) is None


def test_beyond_the_limit_nobody_is_listed() -> None:
    many = [Permitted(identity=str(number), all_tracks=True) for number in range(MAX_LISTED + 1)]
    permissions = listed(*many)
    assert permissions.allow(str(MAX_LISTED - 1), "TR_1")
    assert not permissions.allow(str(MAX_LISTED), "TR_1")
