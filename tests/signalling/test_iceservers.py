"""Which STUN and TURN servers clients are told of."""

import base64
import hashlib
import hmac

import pytest
import trio

from tests.signalling.house import WALL, House, open_house
from trio_sfu.kinds import TurnServer

pytestmark = pytest.mark.virtual_time

FIXED = TurnServer(host="a.example", port=3478, protocol="udp", username="u", credential="c")
SHARED = TurnServer(host="b.example", port=443, protocol="tls", secret="hush", ttl=60)


async def test_who_configured_none_sends_clients_to_no_third_party(house: House) -> None:
    alice = await house.knock("alice")
    assert list((await alice.wait_for("join")).ice_servers) == []


async def test_join_and_reconnect_name_the_servers_with_what_lets_this_client_in(
    nursery: trio.Nursery,
) -> None:
    house = await open_house(
        nursery, stun_servers=("s.example", "t.example:1"), turn_servers=(FIXED, SHARED)
    )
    alice = await house.knock("alice")
    join = await alice.wait_for("join")
    stun, fixed, shared = join.ice_servers
    assert list(stun.urls) == ["stun:s.example", "stun:t.example:1"]
    assert (list(fixed.urls), fixed.username, fixed.credential) == (
        ["turn:a.example:3478?transport=udp"],
        "u",
        "c",
    )
    assert list(shared.urls) == ["turns:b.example:443?transport=tcp"]
    assert shared.username == f"{int(WALL + trio.current_time()) + 60}:{join.participant.sid}"
    digest = hmac.digest(b"hush", shared.username.encode(), hashlib.sha1)
    assert shared.credential == base64.b64encode(digest).decode()

    await house.activate("alice")
    alice.hang_up()
    await trio.sleep(4)
    again = await house.resume("alice")
    reconnect = await again.wait_for("reconnect")
    *same, renewed = reconnect.ice_servers
    assert same == [stun, fixed]
    assert int(renewed.username.partition(":")[0]) == int(shared.username.partition(":")[0]) + 4
