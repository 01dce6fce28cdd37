from trio_sfu.room.grants import Grants, Kind
from trio_sfu.signalling.join import ClientInfo, JoinRequest, Refused


def test_somebody_who_says_nothing_is_subscribed_to_everything() -> None:
    join = JoinRequest(room="kitchen", identity="alice", grants=Grants(), client=ClientInfo())
    assert join.auto_subscribe
    assert not join.auto_subscribe_data_track
    assert join.subscriber_allow_pause is None
    assert join.kind is Kind.STANDARD


def test_a_refusal_is_a_status_with_a_text() -> None:
    refused = Refused(503, "the node is full")
    assert (refused.status, refused.text) == (503, "the node is full")
    assert str(refused) == "503: the node is full"
