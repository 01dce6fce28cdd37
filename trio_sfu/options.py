"""Every setting as a flag and as an environment variable, made of `trio_sfu.config`.

The names are those of LiveKit's server: `rtc.udp_port` in a file is `--rtc.udp_port`
and `LIVEKIT_RTC_UDP_PORT`. A few that are wanted often have shorter names as well, as
they have there. What counts for more, in this order: a flag, the environment, the file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import click

from trio_sfu import kinds
from trio_sfu.config import HTTP_PORT, OLD_NAMES, SETTINGS, UDP_PORT
from trio_sfu.known import WITHOUT_EFFECT
from trio_sfu.settings import Flag

PREFIX: Final = "LIVEKIT_"


@attrs.frozen
class Short:
    """A flag with a name of its own."""

    flag: str
    key: str
    group: str
    help: str
    metavar: str
    variable: str = ""
    multiple: bool = False


SHORT: Final = (
    Short(
        "--keys",
        "keys",
        "Who may come in",
        "API keys with their secrets, one a line.",
        "'KEY: SECRET'",
        "LIVEKIT_KEYS",
    ),
    Short(
        "--key-file",
        "key_file",
        "Who may come in",
        "A file of such lines, which not everybody may read (chmod 600).",
        "PATH",
    ),
    Short(
        "--bind",
        "bind_addresses",
        "Network",
        "Where to listen for HTTP; more than once for more.",
        "IP",
        multiple=True,
    ),
    Short(
        "--port",
        "port",
        "Network",
        f"TCP port of HTTP and WebSockets [{HTTP_PORT}].",
        "PORT",
        "LIVEKIT_PORT",
    ),
    Short(
        "--udp-port",
        "rtc.udp_port",
        "Network",
        f"UDP port of all media, or a range [{UDP_PORT}].",
        "PORT",
        "UDP_PORT",
    ),
    Short(
        "--node-ip",
        "rtc.node_ip",
        "Network",
        "The address at which clients reach this machine, if it is not one of its own.",
        "IP",
        "NODE_IP",
    ),
    Short("--region", "region", "Network", "Told to clients.", "NAME", "LIVEKIT_REGION"),
    Short(
        "--redis-host", "redis.address", "", WITHOUT_EFFECT["redis.address"], "HOST", "REDIS_HOST"
    ),
    Short(
        "--redis-password",
        "redis.password",
        "",
        WITHOUT_EFFECT["redis.password"],
        "TEXT",
        "REDIS_PASSWORD",
    ),
    Short(
        "--turn-cert",
        "turn.cert_file",
        "",
        WITHOUT_EFFECT["turn.cert_file"],
        "PATH",
        "LIVEKIT_TURN_CERT",
    ),
    Short(
        "--turn-key",
        "turn.key_file",
        "",
        WITHOUT_EFFECT["turn.key_file"],
        "PATH",
        "LIVEKIT_TURN_KEY",
    ),
)
KEYS_FLAGS: Final = SHORT[:2]

_TAKEN: Final = {short.flag for short in SHORT}
LONG: Final[tuple[str, ...]] = tuple(
    key for key in (*SETTINGS, *OLD_NAMES, *WITHOUT_EFFECT) if f"--{key}" not in _TAKEN
)
"""Keys that are flags under their own name."""


def variable_of(key: str) -> str:
    """What a key is called in the environment."""
    return PREFIX + key.upper().replace(".", "_")


def environment(variables: Mapping[str, str]) -> list[Flag]:
    """What *variables* set."""
    names = {variable_of(key): key for key in LONG}
    names |= {short.variable: short.key for short in SHORT if short.variable}
    return [
        Flag(name, key, value)
        for name, key in names.items()
        if (value := variables.get(name))
        # Kubernetes says so of a service that is called "livekit".
        and not (key == "port" and value.startswith("tcp://"))
    ]


def flags(given: Mapping[str, object]) -> list[Flag]:
    """What the parameters of a command, made by `of`, set."""
    found: list[Flag] = []
    for name, (flag, key) in _PARAMETERS.items():
        value = given.get(name)
        if isinstance(value, str | tuple) and value:
            found.append(Flag(flag, key, value))
    return found


def _parameter(flag: str) -> str:
    """A name for Python: of the flag, with what Python does not allow spelled out."""
    return "set_" + flag.removeprefix("--").replace(".", "__").replace("-", "_")


_PARAMETERS: Final[Mapping[str, tuple[str, str]]] = {
    _parameter(flag): (flag, key)
    for flag, key in (
        *((f"--{key}", key) for key in LONG),
        *((short.flag, short.key) for short in SHORT),
    )
}
"""Flag and key by parameter, shorter flags last: they count for more."""


Command = Callable[..., object]


def of(shorts: Sequence[Short], longs: Sequence[str] = ()) -> Callable[[Command], Command]:
    """A decorator that gives a command these flags."""

    def add(command: Command) -> Command:
        for key in longs:
            command = click.option(
                f"--{key}", _parameter(f"--{key}"), hidden=True, **_optional(key)
            )(command)
        for short in reversed(shorts):  # the last to be added is the first in the help
            command = click.option(
                short.flag,
                _parameter(short.flag),
                multiple=short.multiple,
                metavar=short.metavar,
                help=short.help + (f" (${short.variable})" if short.variable else ""),
                hidden=not short.group,
            )(command)
        return command

    return add


def _optional(key: str) -> dict[str, Any]:
    """A truth may stand without a value: `--logging.json`."""
    known = SETTINGS.get(key)
    if known is not None and known.kind is not kinds.TRUTH:
        return {}
    return {"is_flag": False, "flag_value": "true"}


class Grouped(click.Command):
    """A command whose help puts flags that belong together together."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Configuration": []}
        names = {short.flag: short.group for short in SHORT} | {"--help": "Options"}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(names.get(parameter.opts[-1], "Configuration"), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
