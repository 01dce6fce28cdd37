"""ICE agents of all roles, among checks and answers that are sealed as they should be."""

from typing import Final

from tests.fuzz import seals
from tests.fuzz.decoder import Decoder, Script
from tests.fuzz.machines.clock import START, Clock, Dice, of
from trio_sfu.core import Address
from trio_sfu.ice.agent import IceAgent
from trio_sfu.ice.candidate import host_candidate
from trio_sfu.ice.credentials import Credentials
from trio_sfu.ice.states import Role as IceRole

ADDRESSES: Final = (("192.0.2.1", 7882), ("2001:db8::1", 7882))
REMOTES: Final = (("198.51.100.1", 40_000), ("198.51.100.2", 1), ("2001:db8::2", 40_000))
OURS: Final = Credentials("ours", "o" * 24)
THEIRS: Final = Credentials("them", "p" * 24)

_ROLES: Final = (b"\x80\x29\x00\x08", b"\x80\x2a\x00\x08")


_ICE_ROLES: Final = (IceRole.LITE, IceRole.CONTROLLING, IceRole.CONTROLLED)


def ice(data: bytes) -> None:
    script = Script(data)
    agent = IceAgent(_ICE_ROLES[script.below(3)], OURS, Dice(0))
    clock = Clock(agent)
    for address in ADDRESSES:
        agent.add_local_candidate(address, START)
    agent.set_remote(THEIRS, START)
    asked: list[bytes] = []
    ours, theirs = OURS, THEIRS
    while script:
        what, where = script.byte(), script.byte()
        path = REMOTES[where % len(REMOTES)], ADDRESSES[where >> 4 & 1]
        match what & 7:
            case 0:
                clock.receive(script.block(), *path)
            case 1 | 2:
                name = f"{ours.ufrag}:{theirs.ufrag}".encode()
                if what & 0x20:
                    name = script.block()
                extra = _ice_attributes(script.byte(), script)
                key = None if what & 0x80 else b"wrong" if what & 0x10 else ours.key
                kind = (0x0011 if what & 0x40 else 0x0001) | (what & 8)
                said = seals.attribute(6, name) + extra
                clock.receive(seals.stun(kind, bytes((where,)) * 12, said, key), *path)
            case 3 | 4:
                transaction = asked[-1 - where % len(asked)][8:20] if asked else bytes(12)
                kind = 0x0111 if what & 0x10 else 0x0101
                extra = _ice_answer(what, path[1], where) + script.block()
                key = None if what & 0x80 else b"wrong" if what & 8 else theirs.key
                clock.receive(seals.stun(kind, transaction, extra, key), *path)
            case 5:
                asked += _requests(clock.wait(where / 4))
            case 6:
                line = script.block().decode("latin-1")
                if what & 0x10:
                    agent.add_remote_candidate(host_candidate(path[0]), clock.now)
                elif what & 0x20:
                    agent.end_of_candidates(clock.now)
                else:
                    agent.add_remote_candidate(line, clock.now)
            case 7:
                if what & 0x10:
                    theirs = Credentials(f"them{where}", "q" * 24)
                    agent.set_remote(theirs, clock.now, lite=bool(what & 0x20))
                else:
                    ours = Credentials(f"ours{where}", "r" * 24)
                    agent.restart(ours, clock.now)
        asked += _requests(clock.take())
        agent.take_events()
    clock.wait(60.0)


def _requests(datagrams: list[bytes]) -> list[bytes]:
    return [data for data in datagrams if data[:2] == b"\0\1"]


def _ice_attributes(flags: int, script: Script) -> bytes:
    found = b""
    if flags & 1:
        found += seals.attribute(0x0024, b"\x6e\0\1\xff")
    if flags & 2:
        found += seals.attribute(0x0025, b"")
    if flags & 4:
        found += _ROLES[flags >> 3 & 1] + bytes((script.byte(),)) * 8
    return found + script.take(flags >> 4)


def _ice_answer(what: int, local: Address, where: int) -> bytes:
    """An error, or where we were seen: at our own address, elsewhere, or it is not said."""
    if what & 0x10:
        return seals.attribute(9, b"\0\0" + (b"\x04\x57" if what & 0x20 else b"\x04\x01"))
    if what & 0x20 or ":" in local[0]:
        return b""
    seen = (int(part) for part in local[0].split("."))
    host = bytes(part ^ mask for part, mask in zip(seen, b"\x21\x12\xa4\x42", strict=True))
    port = local[1] ^ 0x2112 ^ (where & 0x40)
    return seals.attribute(0x20, b"\0\1" + port.to_bytes(2, "big") + host)


_CHECK: Final = "01 00 03"
_ASKED: Final = "16 00 00 05 02"
_ICE_SCRIPTS: Final = (
    "01 00 03 05 14 01 10 01 05 28 01 00 07 aa 05 f0",
    "01 00 0f 11 01 01 07 11 05 08 05 08 41 00 00 01 00 70 80010000000000",
    "21 00 03 6f757273 00 21 00 09 6f7572733a7468656d 00 21 00 01 78 00 11 00 00 09 00 00",
    f"{_ASKED} 03 00 00 05 03 03 00 00 05 20 23 00 00 05 40 03 40 00",
    f"{_ASKED} 16 01 00 05 04 13 00 00 33 01 00 05 f0 93 00 00 0b 00 00 03 07 00",
    "06 00 ff" + b"1 1 udp 1 198.51.100.1 40000 typ host".hex(),
    "06 00 21" + b"1 1 udp 1 a.local 40000 typ host".hex() + "06 00 01 61 26 00 16 00 00",
    "06 00 23" + b"1 2 udp 1 198.51.100.1 4 typ host".hex(),
    "06 00 31" + b"1 1 udp 1 198.51.100.1 4 typ host ufrag other".hex(),
    f"{_ASKED} 05 04 03 00 00 17 05 07 06 16 00 00 01 00 07 05 20 26 00 00",
    f"{_ASKED} 05 08 03 00 00 05 08 03 00 00 05 ff 05 ff 05 ff {_CHECK}",
    "37 01 01 00 07 05 05 01 00 03 05 05 00 00 04 00010000",
    "01 00 50 7ffe0000 05 04 03 00 00 13 00 00",
    # Nominated, then silent for longer than is borne, while another path works.
    f"{_ASKED} 03 00 00 05 08 03 00 00 05 02 03 00 00 16 01 00 05 20 03 01 00 {_CHECK} 01 01 03",
    f"{_CHECK} 05 02 03 00 00 {_CHECK} 05 1d 01 01 01 05 01 03 00 00 01 01 03",
    "01 00 05 ff 01 00 05 00 01 00 0d ff 01 00 0d 00 05 04",
)
_ICE_SEEDS: Final = tuple(
    bytes((role,)) + bytes.fromhex(script) for role in range(3) for script in _ICE_SCRIPTS
)

# What hears: the functions that take what came, and what they do with it.
_ICE_READS: Final = of(
    "ice.agent",
    *("IceAgent.receive", "IceAgent._asked", "IceAgent._verify", "IceAgent._conflicts"),
    *("IceAgent._answer", "IceAgent._refuse", "IceAgent.handle_timeout", "IceAgent._on"),
    *("IceAgent.add_remote_candidate", "_usable"),
    modules=("ice.asking", "ice.transactions"),
)

ICE: Final = Decoder(ice, _ICE_SEEDS, _ICE_READS, refusals=(), share=0.5)
