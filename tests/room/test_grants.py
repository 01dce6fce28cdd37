import pytest

from trio_sfu.room.grants import Grants, Source


def test_what_a_token_does_not_mention_has_livekits_default() -> None:
    grants = Grants()
    assert (grants.can_publish, grants.can_subscribe, grants.can_publish_data) == (True,) * 3
    assert not grants.can_update_own_metadata
    assert not grants.can_subscribe_metrics
    assert not grants.room_join


@pytest.mark.parametrize("can_publish", [True, False])
def test_data_follows_publishing_unless_it_is_said(can_publish: bool) -> None:
    assert Grants(can_publish=can_publish).can_publish_data == can_publish
    assert not Grants(can_publish=can_publish, can_publish_data=False).can_publish_data
    assert Grants(can_publish=can_publish, can_publish_data=True).can_publish_data


@pytest.mark.parametrize("source", Source)
def test_without_a_list_every_source_may_be_published(source: Source) -> None:
    assert Grants().may_publish(source)
    assert not Grants(can_publish=False).may_publish(source)


@pytest.mark.parametrize("source", Source)
def test_a_list_of_sources_lets_only_these_through(source: Source) -> None:
    listed = Grants(can_publish_sources=frozenset({Source.MICROPHONE}))
    assert listed.may_publish(source) == (source is Source.MICROPHONE)
