"""What an operator can set: frozen values with their reasons, under LiveKit's names.

`trio_sfu.settings` makes a `Config` of a file and flags; a program that embeds the
server makes one itself.
"""

import errno
from collections.abc import Callable, Mapping
from typing import Final

import attrs

HTTP_PORT: Final = 7880
UDP_PORT: Final = 7882
DEV_KEY: Final = "devkey"
DEV_SECRET: Final = "secret"


class ConfigError(Exception):
    """One line for an operator: where, what, and what to do."""


@attrs.frozen(kw_only=True)
class Filter:
    """Which of several things to use: those included (all, if none are) but not those excluded."""

    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    def lets_through(self, matches: Callable[[str], bool]) -> bool:
        """*matches* says whether an entry is about the thing in question."""
        included = not self.includes or any(map(matches, self.includes))
        return included and not any(map(matches, self.excludes))


@attrs.frozen(kw_only=True)
class RtcConfig:
    """How media reaches us."""

    udp_ports: tuple[int, ...] = (UDP_PORT,)
    """Everybody's media comes through one port; several are for several sockets. 0 takes
    any that is free."""
    node_ip: str = ""
    """The one address to tell clients, for a host that is reached by another than it has."""
    interfaces: Filter = Filter()
    """By name, "eth0"."""
    ips: Filter = Filter()
    """By network, "10.0.0.0/8"."""
    enable_loopback_candidate: bool = False


@attrs.frozen(kw_only=True)
class RoomConfig:
    """What holds for a room unless a token or the API says otherwise."""

    auto_create: bool = True
    """A room begins to exist when somebody joins it."""
    empty_timeout: int = 300
    """Seconds that a room stays which nobody has joined yet."""
    departure_timeout: int = 20
    """Seconds that a room stays after the last one left."""
    enable_full_room_in_webhooks: bool = False
    """Whether what is told of tracks has all of the room and the participant, or names only."""


@attrs.frozen(kw_only=True)
class WebhookConfig:
    """Who is told over HTTP what happens in rooms."""

    urls: tuple[str, ...] = ()
    """Each is told everything."""
    api_key: str = ""
    """Whose secret signs; the receiver checks with it."""
    events: Filter = Filter()
    """By LiveKit's names, "participant_joined"."""
    max_age: float = 30.0
    """Seconds after which an event is news no more, and is dropped."""
    max_depth: int = 200
    """Events of one room that one receiver has yet to take; more are dropped."""
    num_workers: int = 10
    """Requests to one receiver at a time."""


@attrs.frozen(kw_only=True)
class PrometheusConfig:
    """Where metrics are served: on a port of their own, so that it can be kept closed."""

    port: int = 0
    """TCP; 0 for none."""
    username: str = ""
    """With *password*: who may read them, by HTTP's basic authentication; "" for all."""
    password: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class LimitConfig:
    """From where on nobody new is let in, so that those who are in have a good call."""

    num_tracks: int = 0
    """Published and subscribed; 0 for no limit."""
    bytes_per_sec: float = 0.0
    """Of media, in and out; 0 for no limit."""
    loop_lag: float = 0.1
    """Seconds by which what is due comes late; 0 for no limit. LiveKit has no such key: its
    servers look at the processor's load, but ours is one thread, which is full long before."""


@attrs.frozen(kw_only=True)
class Config:
    """Everything that can be set."""

    keys: Mapping[str, str] = attrs.field(factory=dict, repr=lambda keys: f"<{len(keys)} keys>")
    """Secrets by API key. The first key signs what the server signs itself."""
    port: int = HTTP_PORT
    """TCP, for HTTP and WebSockets. 0 takes any that is free."""
    bind_addresses: tuple[str, ...] = ()
    """Where to listen for HTTP; () is everywhere."""
    development: bool = False
    region: str = ""
    log_level: str = "info"
    log_json: bool = False
    rtc: RtcConfig = RtcConfig()
    room: RoomConfig = RoomConfig()
    webhook: WebhookConfig = WebhookConfig()
    prometheus: PrometheusConfig = PrometheusConfig()
    limit: LimitConfig = LimitConfig()

    @classmethod
    def dev(cls) -> "Config":
        """For trying things on one's own machine: keys that everybody knows, on loopback."""
        return cls(
            keys={DEV_KEY: DEV_SECRET},
            bind_addresses=("127.0.0.1", "::1"),
            log_level="debug",
            development=True,
        )


def cannot_bind(error: OSError, protocol: str, host: str, port: int, flag: str) -> ConfigError:
    """What to tell somebody whose server could not bind *protocol* ("TCP") at *host*, *port*.

    *flag* is what they may change it with.
    """
    place = f"{protocol} port {port} on {host or 'all addresses'}"
    match error.errno:
        case errno.EADDRINUSE:
            return ConfigError(f"{place} is taken: stop what uses it, or choose another ({flag})")
        case errno.EACCES:
            return ConfigError(
                f"{place} is not for everybody: choose one above 1023 ({flag}), or run with the "
                "right to it (CAP_NET_BIND_SERVICE)"
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return ConfigError(
                f"{place}: this machine has no such address: choose another (--bind)"
            )
    return ConfigError(f"{place} cannot be used: {error.strerror}")
