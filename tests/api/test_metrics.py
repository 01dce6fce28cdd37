"""What Prometheus reads, of calls with real media in virtual time."""

import attrs
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.api.test_http import ask
from tests.signalling.house import House, open_house, sending
from trio_sfu.api.admission import Admission, Load
from trio_sfu.api.frontdoor import FrontDoor
from trio_sfu.api.looplag import LoopLag
from trio_sfu.api.metrics import Metrics, Sources
from trio_sfu.api.request import Request
from trio_sfu.api.services import services
from trio_sfu.api.tokens import Claims
from trio_sfu.api.twirp import Answered, Twirp
from trio_sfu.client.media import synthetic_vp8, vp8_payloads
from trio_sfu.client.participant import Participant as Client
from trio_sfu.client.tracks import LocalTrack
from trio_sfu.config import LimitConfig, PrometheusConfig
from trio_sfu.room.grants import Grants
from trio_sfu.signalling.join import ClientInfo, Sdk

pytestmark = pytest.mark.virtual_time


@attrs.define
class Server:
    house: House
    metrics: Metrics

    async def samples(self) -> list[Sample]:
        text = (await self.metrics.read()).decode()
        return [each for family in text_string_to_metric_families(text) for each in family.samples]

    async def read(self, name: str, **labels: str) -> float:
        found = [
            each.value
            for each in await self.samples()
            if each.name == name and labels.items() <= each.labels.items()
        ]
        assert found, f"no {name} {labels}"
        return sum(found)


@pytest.fixture
async def server(nursery: trio.Nursery) -> Server:
    house = await open_house(nursery)
    metrics = Metrics()
    house.observers.append(metrics.observe)
    admission = Admission(
        house.signalling.connect,
        limit=LimitConfig,
        load=lambda: Load(lag=0, tracks=0, bytes_per_sec=0),
    )
    said = house.signalling.messages
    metrics.look_at(Sources(house.node, LoopLag(), admission, messages=said))
    return Server(house, metrics)


async def hold_a_call(house: House) -> tuple[Client, Client, LocalTrack]:
    """Two people; one sends a hundred packets of sound and ten pictures."""
    alice, bob = await house.visit("alice"), await house.visit("bob")
    await trio.sleep(1)
    sound, picture = await alice.publish_audio(), await alice.publish_video()
    await trio.sleep(1)
    for number in range(100):
        sound.send([b"sound"], number * 960)
        if number % 10 == 0:
            frame = synthetic_vp8(3000, key=number == 0)
            picture.send(vp8_payloads(frame, number), number * 1800)
        await trio.sleep(0.02)
    await trio.sleep(1)
    return alice, bob, sound


async def test_what_there_is_and_what_passed_is_told_under_livekits_names(server: Server) -> None:
    await hold_a_call(server.house)
    read = server.read
    assert await read("livekit_room_total") == 1
    assert await read("livekit_participant_total") == 2
    for kind in "AUDIO", "VIDEO":
        assert await read("livekit_track_published_total", kind=kind) == 1
        assert await read("livekit_track_subscribed_total", kind=kind) == 1
        assert await read("livekit_track_publish_counter", kind=kind, state="success") == 1
    assert await read("livekit_track_subscribe_counter", state="success") == 2
    for state in "signal_connected", "rtc_active", "rtc_success":
        assert await read("livekit_participant_join_total", state=state) == 2
    packets = await read("livekit_packet_total", direction="incoming", transmission="initial")
    assert packets >= 130
    sent = await read("livekit_packet_total", direction="outgoing", transmission="initial")
    assert sent == packets
    assert await read("livekit_packet_bytes", direction="incoming") > 10 * 3000
    (_, picture) = server.house.participant("bob").subscriptions.values()
    picture.key_frame_lost(trio.current_time())
    await trio.sleep(1)
    assert await read("livekit_pli_total", direction="incoming") >= 1
    assert await read("livekit_session_start_time_ms_count") == 2
    assert await read("livekit_node_packet_total", type="in") > packets
    assert await read("trio_sfu_peers") >= 2


OF_A_CALL = {
    *("node_messages", "node_packet_total", "node_service_operation"),
    *("node_twirp_request_status", "node_twirp_request_latency_ms_count"),
    *("packet_total", "packet_bytes", "nack_total", "pli_total", "fir_total"),
    *("packet_loss_total", "packet_loss_percent_count", "jitter_us_count", "rtt_ms_count"),
    *("packet_out_of_order_total", "packet_out_of_order_percent_count"),
    *("participant_join_total", "participant_total", "room_total"),
    *("session_join_latency_ms_count", "session_start_time_ms_count", "peer_connection_state"),
    *("track_published_total", "track_subscribed_total", "pubsubtime_ms_count"),
    *("track_publish_counter", "track_subscribe_counter"),
    *("forward_latency", "forward_latency_ns_count", "forward_jitter"),
    *("webhook_queue_length_count",),
}
AFTER_A_CALL = {"room_duration_seconds_count", "session_duration_ms_count"}


async def test_each_of_livekits_names_is_there_after_a_call(server: Server) -> None:
    alice, bob, _ = await hold_a_call(server.house)
    await server.metrics.sample_streams()
    server.metrics.saw_queue(1)
    server.metrics.saw_call(Answered("livekit.RoomService", "ListRooms", 200, "", 0.001))
    names = {each.name.removeprefix("livekit_") for each in await server.samples()}
    assert names >= OF_A_CALL, OF_A_CALL - names
    alice.leave()
    bob.leave()
    await trio.sleep(30)
    names = {each.name.removeprefix("livekit_") for each in await server.samples()}
    assert names >= OF_A_CALL | AFTER_A_CALL


async def test_steps_are_counted_and_timed(server: Server) -> None:
    alice = await server.house.knock("alice", client=ClientInfo(sdk=Sdk.PYTHON))
    await alice.wait_for("join")
    await server.house.knock("bob", protocol=16)
    read = server.read
    assert await read("livekit_session_join_latency_ms_count", protocol_version="17") == 1
    assert await read("livekit_session_join_latency_ms_count", protocol_version="16") == 1
    assert await read("livekit_node_service_operation", type="participant_join") == 2
    connections = {"type": "peer_connection", "status": "success"}
    assert await read("livekit_node_service_operation", **connections) == 4
    for transport in "PUBLISHER", "SUBSCRIBER":
        started = {"state": "started", "transport": transport}
        assert await read("livekit_peer_connection_state", **started) == 2
    alice.announce("audio", "mic")
    await trio.sleep(0.3)
    assert await read("livekit_track_publish_counter", state="attempt", kind="AUDIO") == 1
    await server.house.activate("bob")
    alice.sendings["mic"] = sending("audio", "mic")
    await alice.renegotiate()
    assert await read("livekit_track_publish_counter", state="success", kind="AUDIO") == 1
    assert await read("livekit_track_subscribe_counter", state="attempt") == 1
    assert await read("livekit_track_subscribe_counter", state="success") == 0
    published = {"direction": "publish", "sdk": "PYTHON", "source": "MICROPHONE"}
    assert await read("livekit_pubsubtime_ms_count", **published) == 1
    assert await read("livekit_pubsubtime_ms_sum", **published) == pytest.approx(300, abs=1)


async def test_a_connection_is_counted_as_it_comes_up_and_a_subscription_as_it_flows(
    server: Server,
) -> None:
    await hold_a_call(server.house)
    read = server.read
    for state in "started", "ice_connected", "connected":
        assert await read("livekit_peer_connection_state", state=state) == 2
    assert await read("livekit_track_subscribe_counter", state="attempt") == 2
    assert await read("livekit_track_subscribe_counter", state="success") == 2
    assert await read("livekit_pubsubtime_ms_count", direction="subscribe") == 2
    assert 0 < await read("livekit_pubsubtime_ms_sum", direction="subscribe") < 2000
    assert 0 < await read("livekit_session_start_time_ms_sum", protocol_version="17") < 2000


async def test_signalling_messages_are_counted_where_they_pass(server: Server) -> None:
    alice = await server.house.enter("alice")
    heard = await server.read("livekit_node_messages", direction="response", type="signal")
    alice.announce("audio", "mic")
    alice.sendings["mic"] = sending("audio", "mic")
    alice.offer()
    told = await alice.hear()
    assert await server.read("livekit_node_messages", direction="request") == 2
    now = await server.read("livekit_node_messages", direction="response", status="success")
    assert now == heard + len(told)
    assert await server.read("livekit_node_service_operation", type="answer") == 1


async def test_calls_of_the_api_are_counted_by_what_they_were_answered(server: Server) -> None:
    admin = Claims(grants=Grants(room="kitchen", room_list=True, room_admin=True))
    twirp = Twirp(
        services(server.house.node), lambda request: admin, answered=server.metrics.saw_call
    )
    for name, body in (
        ("ListRooms", b"{}"),
        ("GetParticipant", b'{"room": "kitchen", "identity": "nobody"}'),
        ("NoSuchMethod", b"{}"),
    ):
        path = f"/twirp/livekit.RoomService/{name}"
        headers = {"content-type": "application/json"}
        await twirp.answer(Request(method="POST", path=path, headers=headers, body=body))
    calls = {
        (each.labels["service"], *(each.labels[name] for name in ("method", "status", "code")))
        for each in await server.samples()
        if each.name == "livekit_node_twirp_request_status"
    }
    assert calls == {
        ("RoomService", "ListRooms", "200", ""),
        ("RoomService", "GetParticipant", "4xx", "not_found"),
    }
    took = "livekit_node_twirp_request_latency_ms_count"
    assert await server.read(took, method="GetParticipant", status="4xx") == 1


async def test_every_line_says_which_node(server: Server) -> None:
    await hold_a_call(server.house)
    server.metrics.saw_lag(0.01)
    server.metrics.saw_pause(2, 0.01)
    for sample in await server.samples():
        if sample.name.startswith(("livekit_", "trio_sfu_")):
            assert sample.labels["node_id"] == server.house.node.sid, sample
            assert sample.labels["node_type"] == "SERVER"


async def test_what_those_who_left_counted_is_kept(server: Server) -> None:
    alice, bob, _ = await hold_a_call(server.house)
    names = ("livekit_packet_total", "livekit_packet_bytes", "livekit_pli_total")
    before = [await server.read(name, direction="incoming") for name in names]
    alice.leave()
    await trio.sleep(1)
    assert [await server.read(name, direction="incoming") for name in names] == before
    bob.leave()
    await trio.sleep(30)
    assert [await server.read(name, direction="incoming") for name in names] == before
    assert await server.read("livekit_participant_total") == 0
    assert await server.read("livekit_room_total") == 0
    assert await server.read("livekit_room_duration_seconds_count") == 1
    assert await server.read("livekit_session_duration_ms_count") == 2


async def test_what_a_subscription_dropped_is_kept_when_it_ends(server: Server) -> None:
    alice, _, sound = await hold_a_call(server.house)
    alice.mute(sound, muted=True)
    await trio.sleep(1)
    (picture,) = [
        each for each in server.house.participant("bob").subscriptions.values() if not each.audio
    ]
    assert picture.forwarder is not None
    dropped = sum(picture.forwarder.drops.values())
    before = sum(
        each.value
        for each in await server.samples()
        if each.name == "trio_sfu_drops_total" and each.labels["where"] == "forwarder"
    )
    alice.leave()
    await trio.sleep(1)
    after = sum(
        each.value
        for each in await server.samples()
        if each.name == "trio_sfu_drops_total" and each.labels["where"] == "forwarder"
    )
    assert after == before >= dropped


async def test_how_streams_do_is_sampled(server: Server) -> None:
    await hold_a_call(server.house)
    await server.metrics.sample_streams()
    for direction in "incoming", "outgoing":
        assert await server.read("livekit_jitter_us_count", direction=direction) == 2
        loss = {"direction": direction, "type": "VIDEO"}
        assert await server.read("livekit_packet_loss_percent_count", **loss) == 1
        assert await server.read("livekit_packet_loss_percent_sum", **loss) == 0
    assert await server.read("livekit_forward_latency_ns_count") == 2


async def test_bytes_a_second_are_looked_at(server: Server) -> None:
    await server.metrics.sample_bytes()
    await hold_a_call(server.house)
    await server.metrics.sample_bytes()
    assert server.metrics.bytes_per_sec > 5000
    await trio.sleep(5)
    await server.metrics.sample_bytes()
    assert server.metrics.bytes_per_sec == 0


async def test_metrics_are_served_to_who_knows_the_password(server: Server, enter) -> None:
    config = PrometheusConfig(port=1, username="u", password="p")
    stream = enter(FrontDoor(server.metrics.routes(config)))
    for authorization, status in (
        ("", 401),
        ("\r\nAuthorization: Basic dTpw", 200),
        ("\r\nAuthorization: basic dTpw", 200),
        ("\r\nAuthorization: Basic dTpx", 401),
        ("\r\nAuthorization: Basic \xff", 401),
        ("\r\nAuthorization: Bearer dTpw", 401),
    ):
        answer = await ask(stream, f"GET /metrics HTTP/1.1{authorization}")
        assert answer.status == status, authorization
        assert (b"livekit_room_total" in answer.body) == (status == 200)
    await stream.aclose()


async def test_without_a_password_metrics_are_for_all(server: Server, enter) -> None:
    stream = enter(FrontDoor(server.metrics.routes(PrometheusConfig(port=1))))
    answer = await ask(stream, "GET / HTTP/1.1")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    await stream.aclose()
