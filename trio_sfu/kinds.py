"""What a setting's value can be: how it is read from text, and what to say if it cannot.

YAML guesses what a word means, and guesses wrong: `on` is a truth, `0777` is 511,
`12:30` is 750, and an API key of digits a number. So a configuration comes here as a
`Tree`, every leaf of which is a text, and the setting's kind reads its own. The
environment and flags are texts anyway.

A kind raises `ValueError` for what it cannot read, without a word: `expected` says what
would have been right.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Final, TypeAlias, TypeVar

import attrs

Tree: TypeAlias = "str | Sequence[Tree] | Mapping[str, Tree]"
"""What a YAML document says, before anybody guesses what its words mean."""

T = TypeVar("T")

UDP_PORTS_LIMIT: Final = 64
"""Sockets that a range of UDP ports may open: each has a task and buffers of megabytes."""
SECONDS_LIMIT: Final = 2**31
COUNT_LIMIT: Final = 2**31 - 1
"""What LiveKit's own numbers, and protobuf's, can hold."""
SIZE_LIMIT: Final = 2**40
"""Bytes: more than any machine has memory."""


@attrs.frozen
class Kind:
    """One sort of value."""

    name: str
    """For the reference: "port"."""
    expected: str
    """For an error: "a port (0 to 65535)"."""
    read: Callable[[Tree], object]
    write: Callable[[object], str] = str
    """As it would stand in a file."""
    several: bool = False
    """It is a list or a mapping, and as a flag a YAML text."""


# --- single values


def _scalar(value: Tree) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _whole(least: int, most: int) -> Callable[[Tree], int]:
    def read(value: Tree) -> int:
        text = _scalar(value).replace("_", "")
        sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
        # A longer one is out of every range, and costs time to read.
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise ValueError
        number = sign * int(digits)
        if not least <= number <= most:
            raise ValueError
        return number

    return read


def _real(least: float, most: float) -> Callable[[Tree], float]:
    def read(value: Tree) -> float:
        text = _scalar(value)
        if not re.fullmatch(r"[-+]?[0-9_]+(\.[0-9]*)?(e[-+]?[0-9]{1,3})?", text, re.ASCII | re.I):
            raise ValueError
        if not least <= (number := float(text)) <= most:
            raise ValueError
        return number

    return read


def _truth(value: Tree) -> bool:
    word = _scalar(value).lower()
    if word in ("true", "yes", "on"):
        return True
    if word in ("false", "no", "off"):
        return False
    raise ValueError


def _write_truth(value: object) -> str:
    return "true" if value else "false"


_UNITS: Final[Mapping[str, float]] = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_NANOSECONDS: Final = 1_000_000
"""From here on a bare number is one of Go's durations, as LiveKit takes it: nobody means
as many seconds, and nobody fewer nanoseconds."""


def _duration(value: Tree) -> float:
    """Seconds. Go's notation: "1m30s"."""
    text = _scalar(value)
    if text == "0":
        return 0.0
    if text.isascii() and text.isdigit() and int(text[:19]) >= _NANOSECONDS:
        return int(text[:19]) * 1e-9
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{0,9})?)(ns|us|µs|ms|s|m|h)", text, re.ASCII)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))


def _write_duration(value: object) -> str:
    assert isinstance(value, float | int), "seconds"
    return f"{value * 1000:g}ms" if 0 < value < 1 else f"{value:g}s"


def _address(value: Tree) -> str:
    return str(ip_address(_scalar(value)))


def _network(value: Tree) -> str:
    return str(ip_network(_scalar(value), strict=False))


def one_of(*words: str) -> Kind:
    """One of a few words, in any case."""

    def read(value: Tree) -> str:
        word = _scalar(value).lower()
        if word not in words:
            raise ValueError
        return word

    return Kind("word", f"one of {', '.join(words)}", read)


def whole(least: int, most: int, expected: str) -> Kind:
    """A whole number, underscores allowed."""
    return Kind("number", expected, _whole(least, most))


PORT: Final = Kind("port", "a port (0 to 65535)", _whole(0, 65535))
COUNT: Final = whole(0, COUNT_LIMIT, "a whole number, such as 20 (0 is no limit)")
LIMIT: Final = whole(-1, COUNT_LIMIT, "a whole number, such as 20 (0 or -1 is no limit)")
SIZE: Final = Kind(
    "bytes", "a number of bytes, such as 65536 (0 is no limit)", _whole(0, SIZE_LIMIT)
)
SECONDS: Final = Kind("seconds", "a whole number of seconds, such as 300", _whole(0, SECONDS_LIMIT))
DURATION: Final = Kind(
    "duration", "a time with its unit, such as 500ms or 1m30s", _duration, _write_duration
)
REAL: Final = Kind(
    "number", "a number of 0 or more, such as 0.9", _real(0, 1e15), lambda value: f"{value:g}"
)
TEXT: Final = Kind("text", "a text", _scalar, lambda value: f'"{value}"')
TRUTH: Final = Kind("bool", "true or false", _truth, _write_truth)
ADDRESS: Final = Kind("address", "an IP address, such as 192.0.2.1", _address, TEXT.write)


# --- several


def list_of(kind: Kind, expected: str = "") -> Kind:
    """A list of such values; () for one that is empty."""

    def read(value: Tree) -> tuple[object, ...]:
        if isinstance(value, str | Mapping):
            raise ValueError
        return tuple(map(kind.read, value))

    return Kind(
        f"list of {kind.name}s",
        expected or f"a list, each entry {kind.expected}",
        read,
        _write_list,
        True,
    )


def _write_list(value: object) -> str:
    assert isinstance(value, tuple), "read by `list_of`"
    return "[" + ", ".join(map(str, value)) + "]"


TEXTS: Final = list_of(TEXT, "a list of texts")
NETWORKS: Final = list_of(
    Kind("network", "a network, such as 10.0.0.0/8", _network),
    "a list of networks, such as 10.0.0.0/8",
)


def _addresses(value: Tree) -> tuple[str, ...]:
    """An empty one is LiveKit's way to say all."""
    if isinstance(value, str | Mapping):
        raise ValueError
    return () if "" in value else tuple(map(_address, value))


ADDRESSES: Final = Kind(
    "list of addresses",
    "a list of IP addresses, such as [192.0.2.1]",
    _addresses,
    _write_list,
    True,
)


def _ports(value: Tree) -> tuple[int, ...]:
    first, dash, last = _scalar(value).replace(" ", "").partition("-")
    low, high = (PORT.read(end) for end in (first, last if dash else first))
    assert isinstance(low, int), "a port"
    assert isinstance(high, int), "a port"
    if not 0 <= high - low < UDP_PORTS_LIMIT:
        raise ValueError
    return tuple(range(low, high + 1))


def _write_ports(value: object) -> str:
    assert isinstance(value, tuple), "read by `_ports`"
    return str(value[0]) if len(value) == 1 else f"{value[0]}-{value[-1]}"


PORTS: Final = Kind(
    "ports",
    f"a port (0 to 65535) or a range of up to {UDP_PORTS_LIMIT}, such as 7882-7885",
    _ports,
    _write_ports,
)


def _node_ip(value: Tree) -> str:
    """One address, or one of each family with a comma between them, as LiveKit takes it."""
    text = _scalar(value)
    ips = [_address(part.strip()) for part in text.split(",")] if text else []
    if len({":" in ip for ip in ips}) < len(ips):
        raise ValueError
    return ",".join(ips)


NODE_IP: Final = Kind(
    "address",
    "an IP address, such as 192.0.2.1",
    _node_ip,
    TEXT.write,
)


def _keys(value: Tree) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError
    keys: dict[str, str] = {}
    for key, secret in value.items():
        if not key or not isinstance(secret, str) or not secret:
            raise ValueError
        keys[key] = secret
    return keys


KEYS: Final = Kind(
    "keys",
    "API keys with their secrets, as `key: secret` with a space after the colon",
    _keys,
    lambda value: "{}",
    True,
)


def _codecs(value: Tree) -> tuple[str, ...]:
    """As LiveKit writes them: a list of `mime:` (and a `fmtp_line:`, which says nothing here)."""
    if isinstance(value, str | Mapping):
        raise ValueError
    mimes: list[str] = []
    for entry in value:
        if not isinstance(entry, Mapping) or not {"mime"} <= entry.keys() <= {"mime", "fmtp_line"}:
            raise ValueError
        mime = _scalar(entry["mime"])
        if not re.fullmatch(r"(audio|video)/[\w.+-]{1,40}", mime, re.ASCII | re.I):
            raise ValueError
        mimes.append(mime)
    return tuple(mimes)


CODECS: Final = Kind(
    "list of codecs",
    "a list of codecs, each as `mime: video/VP8`",
    _codecs,
    lambda value: ", ".join(value) if isinstance(value, tuple) else "",
    True,
)


# --- where clients find themselves, and each other

_HOST: Final = r"(?P<host>[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
"""A name or an address; IPv6 in brackets."""
TURN_SECONDS: Final = 14_400
"""How long a name at a TURN server is good, where nothing else is said; LiveKit's."""


def _stun_server(value: Tree) -> str:
    """Where one such text is none, browsers refuse the whole list, and with it the call."""
    found = re.fullmatch(_HOST + r"(:(?P<port>[0-9]{1,5}))?", _scalar(value), re.ASCII)
    if not found or (found["port"] and not 1 <= int(found["port"]) <= 65535):
        raise ValueError
    return found[0]


STUN_SERVERS: Final = list_of(
    Kind("STUN server", "a STUN server, such as stun.example.org:3478", _stun_server),
    "a list of STUN servers, such as [stun.example.org:3478]",
)


@attrs.frozen(kw_only=True)
class TurnServer:
    """A TURN server that is not ours, and how clients get in."""

    host: str
    port: int
    protocol: str = "tcp"
    """ "udp", "tcp" or "tls"."""
    username: str = ""
    credential: str = attrs.field(default="", repr=False)
    secret: str = attrs.field(default="", repr=False)
    """Shared with it; then everybody has a name and a credential of their own."""
    secret_file: str = ""
    """Where the secret is, if it is not here."""
    ttl: int = TURN_SECONDS
    """Seconds that such a name is good."""

    @property
    def url(self) -> str:
        """As browsers want it (RFC 7065)."""
        scheme = "turns" if self.protocol == "tls" else "turn"
        transport = "udp" if self.protocol == "udp" else "tcp"
        return f"{scheme}:{self.host}:{self.port}?transport={transport}"


_TURN_FIELDS: Final[Mapping[str, Callable[[Tree], object]]] = {
    "port": _whole(1, 65535),
    "protocol": one_of("udp", "tcp", "tls").read,
    "username": _scalar,
    "credential": _scalar,
    "secret": _scalar,
    "secret_file": _scalar,
    "ttl": lambda value: _whole(0, SECONDS_LIMIT)(value) or TURN_SECONDS,
}


def _turn_servers(value: Tree) -> tuple[TurnServer, ...]:
    if isinstance(value, str | Mapping):
        raise ValueError
    servers: list[TurnServer] = []
    for entry in value:
        if not isinstance(entry, Mapping) or not entry.keys() <= {"host", *_TURN_FIELDS}:
            raise ValueError
        if not {"host", "port"} <= entry.keys():
            raise ValueError
        host = _scalar(entry["host"])
        if not re.fullmatch(_HOST, host, re.ASCII):
            raise ValueError
        said: dict[str, Any] = {
            name: read(entry[name]) for name, read in _TURN_FIELDS.items() if name in entry
        }
        servers.append(TurnServer(host=host, **said))
    return tuple(servers)


TURN_SERVERS: Final = Kind(
    "list of TURN servers",
    "a list of TURN servers, each with `host`, `port`, perhaps `protocol` (udp, tcp or tls), and "
    "either `username` and `credential`, or `secret` (`secret_file`) and perhaps `ttl`",
    _turn_servers,
    lambda value: "[]",
    True,
)


# --- rooms that have a name for what they are like


def _texts(value: Tree) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError
    return {name: _scalar(text) for name, text in value.items()}


def _fields(value: Tree, readers: Mapping[str, Callable[[Tree], object]]) -> dict[str, object]:
    """What a mapping says, by the names of *readers*, of which each reads its own.

    LiveKit's server wants `emptytimeout` in its file, and `empty_timeout` or `emptyTimeout`
    everywhere else: all of them are understood.
    """
    if not isinstance(value, Mapping):
        raise ValueError
    names = {name.replace("_", ""): name for name in readers}
    said: dict[str, object] = {}
    for key, tree in value.items():
        name = names.get(key.replace("_", "").lower())
        if name is None or name in said:
            raise ValueError
        said[name] = readers[name](tree)
    return said


_AGENT_FIELDS: Final[Mapping[str, Callable[[Tree], object]]] = {
    "agent_name": _scalar,
    "metadata": _scalar,
    "attributes": _texts,
    "restart_policy": _whole(0, 100),
    "deployment": _scalar,
}


def _agents(value: Tree) -> tuple[dict[str, object], ...]:
    if isinstance(value, str | Mapping):
        raise ValueError
    return tuple(_fields(each, _AGENT_FIELDS) for each in value)


_ROOM_FIELDS: Final[Mapping[str, Callable[[Tree], object]]] = {
    "name": _scalar,
    "empty_timeout": _whole(0, COUNT_LIMIT),
    "departure_timeout": _whole(0, COUNT_LIMIT),
    "max_participants": _whole(0, COUNT_LIMIT),
    "metadata": _scalar,
    "egress": lambda value: None,
    "min_playout_delay": _whole(0, COUNT_LIMIT),
    "max_playout_delay": _whole(0, COUNT_LIMIT),
    "sync_streams": _truth,
    "agents": _agents,
    "tags": _texts,
}


def _rooms(value: Tree) -> dict[str, dict[str, object]]:
    if not isinstance(value, Mapping):
        raise ValueError
    rooms = {name: _fields(each, _ROOM_FIELDS) for name, each in value.items() if name}
    if len(rooms) < len(value):
        raise ValueError
    return rooms


ROOMS: Final = Kind(
    "rooms",
    "for each name a mapping with any of " + ", ".join(f"`{name}`" for name in _ROOM_FIELDS),
    _rooms,
    lambda value: "{}",
    True,
)
