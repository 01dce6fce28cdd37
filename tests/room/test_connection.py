"""A connection's task, between two whole peers in virtual time."""

import pytest
import trio

from tests.signalling.house import House, open_house
from trio_sfu.client.media import SILENCE, synthetic_vp8, vp8_payloads
from trio_sfu.client.participant import Participant as Client
from trio_sfu.client.tracks import LocalTrack
from trio_sfu.core import Datagram

pytestmark = pytest.mark.virtual_time


@pytest.fixture(params=[True, False], ids=["one connection", "two connections"])
async def house(nursery: trio.Nursery, request: pytest.FixtureRequest) -> House:
    house = await open_house(nursery)
    house.one_connection = request.param
    return house


async def film(camera: LocalTrack, seconds: float) -> None:
    """Thirty pictures a second, a key frame whenever one is wanted."""
    for number in range(int(30 * seconds)):
        key = camera.key_frame_wanted.is_set()
        if key:
            camera.key_frame_wanted = trio.Event()
        camera.send(vp8_payloads(synthetic_vp8(2000, key=key), number), 3000 * number)
        await trio.sleep(1 / 30)


async def watching(bob: Client, camera: LocalTrack) -> None:
    with trio.fail_after(10):
        while camera.sid not in bob.remote_tracks:  # noqa: ASYNC110 - of another task's
            await trio.sleep(0.1)


async def call(house: House) -> tuple[Client, Client, LocalTrack]:
    alice, bob = [await house.visit(name) for name in ("alice", "bob")]
    camera = await alice.publish_video()
    await watching(bob, camera)
    return alice, bob, camera


async def test_pictures_pass_from_one_peer_to_the_other_without_a_hole(house: House) -> None:
    _, bob, camera = await call(house)
    await film(camera, 3)
    track = bob.remote_tracks[camera.sid]
    sequences: list[int] = []
    with trio.move_on_after(1):
        while True:
            sequences += [packet.sequence for packet in await track.receive()]
    assert len(sequences) > 100
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


async def test_a_lost_packet_is_repeated_by_the_hop_that_lost_it(house: House) -> None:
    _, bob, camera = await call(house)
    await film(camera, 1)
    house.switch.loss = 0.05
    await film(camera, 3)
    house.switch.loss = 0.0
    await film(camera, 1)
    await trio.sleep(1)
    track = bob.remote_tracks[camera.sid]
    sequences: set[int] = set()
    with trio.move_on_after(1):
        while True:
            sequences |= {packet.sequence for packet in await track.receive()}
    missing = set(range(min(sequences), max(sequences))) - sequences
    assert len(missing) <= 0.01 * len(sequences)


async def test_a_subscriber_that_needs_a_key_frame_gets_the_publisher_to_make_one(
    house: House,
) -> None:
    _, bob, camera = await call(house)
    await film(camera, 2)
    assert not camera.key_frame_wanted.is_set()
    bob.remote_tracks[camera.sid].request_key_frame()
    with trio.fail_after(2):
        await camera.key_frame_wanted.wait()


async def test_sound_and_pictures_both_pass_while_there_is_much_of_one(house: House) -> None:
    alice, bob, camera = await call(house)
    voice = await alice.publish_audio()
    await watching(bob, voice)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(film, camera, 2)
        for number in range(100):
            voice.send([SILENCE], 960 * number)
            await trio.sleep(0.02)
    await trio.sleep(0.1)
    assert bob.remote_tracks[voice.sid].received == 100


async def test_a_connection_that_ends_says_goodbye_and_is_forgotten(house: House) -> None:
    _, bob, camera = await call(house)
    await film(camera, 1)
    before = house.endpoint.statistics()
    bob.leave()
    await trio.sleep(1)
    after = house.endpoint.statistics()
    assert before.mailboxes - after.mailboxes == (1 if house.one_connection else 2)
    assert after.addresses < before.addresses


async def test_bytes_from_strangers_are_counted_and_forgotten(house: House) -> None:
    _, bob, camera = await call(house)
    await film(camera, 1)
    mallory = house.switch.open("203.0.113.66", 6)
    for data in (b"", b"\x80" * 100, b"\x16" * 100, b"\x00\x01" + bytes(18), bytes(1200)):
        mallory.send([Datagram(data, ("192.0.2.1", 7882), mallory.address)] * 50)
    received = bob.remote_tracks[camera.sid].received
    await film(camera, 1)
    assert house.endpoint.statistics().unknown == 250
    assert bob.remote_tracks[camera.sid].received > received + 50
