"""What a client may ask about data tracks and blobs, and what it is told where it may not."""

import pytest
import trio
from livekit.protocol import models, rtc

from tests.signalling.house import Caller, House, kinds, open_house
from trio_sfu.room.datatracks import MAX_PUBLISHED

pytestmark = pytest.mark.virtual_time

Reason = rtc.RequestResponse.Reason


def publish(caller: Caller, handle: int = 1, name: str = "sensor", **fields: object) -> None:
    request = rtc.PublishDataTrackRequest(pub_handle=handle, name=name, **fields)
    caller.say(publish_data_track_request=request)


async def published(caller: Caller, handle: int = 1, name: str = "sensor") -> models.DataTrackInfo:
    publish(caller, handle, name)
    (response,) = await caller.hear_of("publish_data_track_response")
    return response.info


async def refused(caller: Caller) -> rtc.RequestResponse:
    (response,) = await caller.hear_of("request_response")
    return response


async def test_a_data_track_is_published_and_everybody_told(house: House) -> None:
    alice, bob = await house.attend("alice"), await house.attend("bob")
    publish(
        alice,
        7,
        encryption=models.Encryption.GCM,
        frame_encoding=models.DataTrackFrameEncoding(custom="mine"),
        schema=models.DataTrackSchemaId(
            name="s", encoding=models.DataTrackSchemaEncoding(well_known=1)
        ),
    )
    (response,) = await alice.hear_of("publish_data_track_response")
    info = response.info
    assert info.sid.startswith("DTR_")
    assert (info.pub_handle, info.name, info.encryption) == (7, "sensor", models.Encryption.GCM)
    assert info.frame_encoding.custom == "mine"
    assert (info.schema.name, info.schema.encoding.well_known) == ("s", 1)
    (update,) = await bob.hear_of("update")
    (told,) = update.participants
    assert list(told.data_tracks) == [info]
    assert told.is_publisher
    carol = await house.knock("carol")
    (join,) = await carol.hear_of("join")
    assert [
        list(each.data_tracks) for each in join.other_participants if each.identity == "alice"
    ] == [[info]]


@pytest.mark.parametrize(
    ("request_fields", "reason", "message"),
    [
        ({"handle": 0}, "INVALID_HANDLE", "handle should be > 0 AND < 65536"),
        ({"handle": 65536}, "INVALID_HANDLE", "handle should be > 0 AND < 65536"),
        (
            {"name": ""},
            "INVALID_NAME",
            "name should not be empty and should not exceed 256 characters",
        ),
        (
            {"name": "ü" * 129},
            "INVALID_NAME",
            "name should not be empty and should not exceed 256 characters",
        ),
        ({"handle": 9}, "DUPLICATE_HANDLE", "a data track with same handle already exists"),
        ({"name": "taken"}, "DUPLICATE_NAME", "a data track with same name already exists"),
        (
            {"frame_encoding": models.DataTrackFrameEncoding(custom="")},
            "INVALID_REQUEST",
            "encoding identifier is empty or exceeds the maximum length",
        ),
        (
            {"frame_encoding": models.DataTrackFrameEncoding(custom="x" * 33)},
            "INVALID_REQUEST",
            "encoding identifier is empty or exceeds the maximum length",
        ),
        (
            {
                "schema": models.DataTrackSchemaId(
                    encoding=models.DataTrackSchemaEncoding(custom="")
                )
            },
            "INVALID_REQUEST",
            "encoding identifier is empty or exceeds the maximum length",
        ),
    ],
)
async def test_each_wrong_request_has_its_reason(
    house: House, request_fields: dict[str, object], reason: str, message: str
) -> None:
    alice, bob = await house.attend("alice"), await house.attend("bob")
    await published(alice, 9, "taken")
    await bob.hear()
    publish(alice, **request_fields)
    response = await refused(alice)
    assert (Reason.Name(response.reason), response.message) == (reason, message)
    assert response.HasField("publish_data_track")
    assert await bob.hear() == []


async def test_what_is_as_long_as_it_may_be_is_published(house: House) -> None:
    alice = await house.attend("alice")
    publish(alice, 65535, "x" * 256, frame_encoding=models.DataTrackFrameEncoding(custom="x" * 32))
    assert len(await alice.hear_of("publish_data_track_response")) == 1


async def test_who_may_not_publish_data_has_no_data_tracks(house: House) -> None:
    alice = await house.attend("alice", can_publish_data=False)
    publish(alice)
    response = await refused(alice)
    assert response.reason == Reason.NOT_ALLOWED
    assert response.message == "does not have permission to publish data"


async def test_data_tracks_may_be_off(nursery: object) -> None:
    house = await open_house(nursery, data_tracks=False)
    alice = await house.attend("alice")
    publish(alice)
    assert (await refused(alice)).reason == Reason.NOT_ALLOWED
    bob = await house.visit("bob")
    await bob.send_frame(b"")  # its channel opens, and is closed
    await trio.sleep(1)
    await bob.send_frame(b"")
    await trio.sleep(1)
    assert bob.publisher.peer.drops["data before its channel"] == 1


async def test_data_tracks_are_limited(house: House) -> None:
    alice = await house.attend("alice")
    for number in range(MAX_PUBLISHED + 1):
        publish(alice, number + 1, str(number))
    told = await alice.hear()
    assert kinds(told).count("publish_data_track_response") == MAX_PUBLISHED
    assert told[-1].request_response.reason == Reason.LIMIT_EXCEEDED


async def test_a_data_track_is_unpublished(house: House) -> None:
    alice, bob = await house.attend("alice"), await house.attend("bob")
    info = await published(alice)
    await bob.hear()
    alice.say(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=1))
    (response,) = await alice.hear_of("unpublish_data_track_response")
    assert response.info == info
    (update,) = await bob.hear_of("update")
    assert not update.participants[0].data_tracks
    assert await published(alice) != info  # the handle and name are free again
    alice.say(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=2))
    response = await refused(alice)
    assert (response.reason, response.message) == (Reason.NOT_FOUND, "")
    assert response.unpublish_data_track.pub_handle == 2


def subscribe(caller: Caller, *sids: str, wanted: bool = True) -> None:
    updates = [rtc.UpdateDataSubscription.Update(track_sid=sid, subscribe=wanted) for sid in sids]
    caller.say(update_data_subscription=rtc.UpdateDataSubscription(updates=updates))


async def handles(caller: Caller) -> list[dict[str, str]]:
    """Each map that the caller was told, as SIDs with the publisher."""
    return [
        {each.track_sid: each.publisher_identity for each in told.sub_handles.values()}
        for told in await caller.hear_of("data_track_subscriber_handles")
    ]


async def test_a_subscriber_is_told_the_whole_map_on_every_change(house: House) -> None:
    alice, bob, carol = [await house.attend(name) for name in ("alice", "bob", "carol")]
    one, two = (await published(alice)).sid, (await published(bob)).sid
    subscribe(carol, one)
    assert await handles(carol) == [{one: "alice"}]
    subscribe(carol, two)
    assert await handles(carol) == [{one: "alice", two: "bob"}]
    subscribe(carol, two)  # nothing new
    assert await handles(carol) == []
    alice.say(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=1))
    assert await handles(carol) == [{two: "bob"}]
    subscribe(carol, two, wanted=False)
    assert await handles(carol) == [{}]


async def test_whose_track_it_is_is_known_before_its_handle(house: House) -> None:
    alice, bob = (
        await house.attend("alice"),
        await house.attend("bob", auto_subscribe_data_track=True),
    )
    await bob.hear()
    await published(alice)
    assert kinds(await bob.hear()) == ["update", "data_track_subscriber_handles"]


# --- blobs


def key(name: str) -> models.DataBlobKey:
    return models.DataBlobKey(generic=name)


def store(caller: Caller, name: str, contents: bytes, number: int = 5) -> None:
    blob = models.DataBlob(key=key(name), contents=contents)
    caller.say(store_data_blob_request=rtc.StoreDataBlobRequest(request_id=number, blob=blob))


def fetch(caller: Caller, owner: str, name: str, number: int = 6) -> None:
    caller.say(
        get_data_blob_request=rtc.GetDataBlobRequest(
            request_id=number, participant_identity=owner, key=key(name)
        )
    )


@pytest.fixture
async def depot(nursery: object) -> House:
    return await open_house(nursery, data_blobs=True)


async def test_a_blob_is_fetched_by_others_while_its_owner_is_there(depot: House) -> None:
    alice, bob = await depot.attend("alice"), await depot.attend("bob")
    store(alice, "menu", b"soup")
    (stored,) = await alice.hear_of("store_data_blob_response")
    assert (stored.request_id, stored.key) == (5, key("menu"))
    store(alice, "menu", b"salad")
    await alice.hear()
    fetch(bob, "alice", "menu")
    (found,) = await bob.hear_of("get_data_blob_response")
    assert (found.request_id, found.blob.key, found.blob.contents) == (6, key("menu"), b"salad")
    alice.say(leave=rtc.LeaveRequest())
    await alice.hear()
    fetch(bob, "alice", "menu")
    response = await refused(bob)
    assert (response.reason, response.message) == (Reason.NOT_FOUND, "participant not found")


async def test_blobs_are_off_unless_they_are_on(house: House) -> None:
    alice = await house.attend("alice")
    store(alice, "menu", b"soup")
    response = await refused(alice)
    assert (response.request_id, response.reason) == (5, Reason.NOT_ALLOWED)
    assert response.message == "data blob not enabled"
    fetch(alice, "alice", "menu")
    response = await refused(alice)
    assert (response.request_id, response.reason) == (6, Reason.NOT_FOUND)
    assert response.message == "data blob not found"


@pytest.mark.parametrize(
    ("blob", "reason", "message"),
    [
        ({"contents": b"x"}, "INVALID_REQUEST", "data blob is invalid"),
        (
            {"key": models.DataBlobKey(), "contents": b"x"},
            "INVALID_REQUEST",
            "data blob is invalid",
        ),
        ({"key": key("x" * 300), "contents": b"x"}, "INVALID_REQUEST", "data blob is invalid"),
        ({"key": key("x")}, "INVALID_REQUEST", "data blob is empty"),
        (
            {
                "key": models.DataBlobKey(
                    schema_id=models.DataTrackSchemaId(
                        name="s", encoding=models.DataTrackSchemaEncoding(custom="x" * 33)
                    )
                ),
                "contents": b"x",
            },
            "INVALID_REQUEST",
            "encoding identifier is empty or exceeds the maximum length",
        ),
        (
            {"key": key("x"), "contents": bytes(64_000)},
            "LIMIT_EXCEEDED",
            "async attribute definition exceeds limit",
        ),
    ],
)
async def test_each_wrong_blob_has_its_reason(
    depot: House, blob: dict[str, object], reason: str, message: str
) -> None:
    alice = await depot.attend("alice")
    request = rtc.StoreDataBlobRequest(request_id=5, blob=models.DataBlob(**blob))
    alice.say(store_data_blob_request=request)
    response = await refused(alice)
    assert (response.request_id, Reason.Name(response.reason)) == (5, reason)
    assert response.message == message


async def test_a_blob_without_a_name_is_not_looked_for(depot: House) -> None:
    alice = await depot.attend("alice")
    alice.say(get_data_blob_request=rtc.GetDataBlobRequest(request_id=6))
    response = await refused(alice)
    assert (response.reason, response.message) == (
        Reason.INVALID_REQUEST,
        "data blob key is required",
    )
