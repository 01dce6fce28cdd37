"""The command `trio-sfu`.

Flags and the environment become a `Config`; the rest is elsewhere. What is heavy to
import is imported where it is used, so that `--help` is there at once. Whatever an
operator can get wrong ends with one line on stderr and status 2.
"""

import os
import re
import secrets
import string
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final, NoReturn, TypeVar, cast

import attrs
import click

from trio_sfu import __version__, options
from trio_sfu.config import DEV_KEY, DEV_SECRET, HTTP_PORT, Config, ConfigError

Command = TypeVar("Command", bound=Callable[..., object])

KEY_LENGTH: Final = 12
SECRET_LENGTH: Final = 43
"""Letters and digits: 256 bits of chance, as many as the hash that it keys can use."""
ALPHABET: Final = string.ascii_letters + string.digits


class _RunByDefault(click.Group):
    """`trio-sfu --config f` runs the server, as `livekit-server --config f` does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_RunByDefault,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="trio-sfu", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """A WebRTC SFU that speaks LiveKit's protocol.

    \b
    Try it, on this machine alone:
        trio-sfu run --dev
    then open the address that it prints in two browser tabs: that is a call.

    \b
    Run it for others:
        trio-sfu generate-keys
        trio-sfu run --keys 'APIabc: secret' --node-ip 203.0.113.7
        trio-sfu create-join-token --keys 'APIabc: secret' --room lobby --identity alice

    Any LiveKit client works with such a token, and any LiveKit server SDK can make one.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def sources(command: Command) -> Command:
    """Where a configuration comes from."""
    for option in (
        click.option(
            "--disable-strict-config",
            "lenient",
            is_flag=True,
            help="Only warn of unknown keys.",
        ),
        click.option(
            "--config-body",
            envvar="LIVEKIT_CONFIG",
            metavar="YAML",
            help="The same, as the text itself. ($LIVEKIT_CONFIG)",
        ),
        click.option(
            "--config", metavar="PATH", help="A configuration file like LiveKit's livekit.yaml."
        ),
        click.option(
            "--dev", is_flag=True, help="Try it out: known keys, this machine only, much log."
        ),
    ):
        command = option(command)
    return cast(Command, options.of(options.SHORT, options.LONG)(command))


@main.command(short_help="Run the server.", cls=options.Grouped)
@sources
def run(**given: object) -> None:
    """Run the server until Ctrl-C or SIGTERM. SIGHUP reads the configuration again.

    Everything can be set in a file with the names of LiveKit's livekit.yaml, and each of
    its keys is a flag as well (`trio-sfu help-verbose` lists them). A flag counts for more
    than the environment, and that for more than the file.

    \b
    Open to clients:  TCP 7880 (HTTP, WebSockets; with TLS, here or in front of it)
                      UDP 7882 (all media)

    With --dev the API key is "devkey", its secret "secret", HTTP is served on this machine
    only, and the page gives everybody a token. Never open that to a network.
    """
    source = Source(given)
    configuration, warnings = _read(source)
    configure_logging(configuration.log_level, configuration.log_json)
    _run_server(configuration, warnings, source.read)


@main.command(short_help="Say which ports must be open to clients.", cls=options.Grouped)
@sources
def ports(**given: object) -> None:
    """Print the ports that a server with this configuration has open."""
    configuration, _ = _read(Source(given))
    udp = configuration.rtc.udp_ports
    click.echo("TCP Ports")
    service = "HTTPS service" if configuration.tls.cert_file else "HTTP service"
    click.echo(f"{configuration.port} - {service}")
    if configuration.prometheus.port:
        click.echo(f"{configuration.prometheus.port} - Prometheus, not for clients")
    click.echo("UDP Ports")
    click.echo(f"{udp[0]} - ICE/UDP" if len(udp) == 1 else f"{udp[0]}-{udp[-1]} - ICE/UDP")


@main.command("help-verbose", short_help="List every setting as a flag.")
def help_verbose() -> None:
    """Print all flags, also those that are named after the keys of a configuration file."""
    from trio_sfu.reference import verbose

    click.echo_via_pager(verbose()) if sys.stdout.isatty() else click.echo(verbose())


@main.command(short_help="Make a token with which a client can join a room.")
@click.option("--room", required=True, metavar="NAME")
@click.option("--identity", required=True, metavar="NAME", help="Unique in the room.")
@click.option("--name", default="", metavar="NAME", help="How others see them.")
@click.option("--metadata", default="", metavar="TEXT")
@click.option("--no-publish", is_flag=True, help="They may only watch and listen.")
@click.option("--hidden", is_flag=True, help="Others do not see them.")
@click.option(
    "--valid-for", default=6.0, show_default=True, type=click.FloatRange(min=0.01), metavar="HOURS"
)
@click.option(
    "--url",
    default=f"http://127.0.0.1:{HTTP_PORT}",
    show_default=True,
    metavar="URL",
    help="Where the server is, for the link.",
)
@click.option("--config", metavar="PATH", help="Take the keys from this livekit.yaml.")
@options.of(options.KEYS_FLAGS)
def create_join_token(
    room: str,
    identity: str,
    name: str,
    metadata: str,
    no_publish: bool,
    hidden: bool,
    valid_for: float,
    url: str,
    config: str | None,
    **given: object,
) -> None:
    """Print a token, and on a second line a link to the page that joins with it.

    The first of the keys signs it. Without any, it is made for a server with --dev.
    """
    from trio_sfu.api.tokens import Claims, sign
    from trio_sfu.room.grants import Grants

    given["config"] = config
    given["dev"] = not (any(given.values()) or "LIVEKIT_KEYS" in os.environ)
    configuration, _ = _read(Source(given))
    grants = Grants(
        room_join=True,
        room=room,
        can_publish=not no_publish,
        can_update_own_metadata=True,
        hidden=hidden,
    )
    claims = Claims(identity=identity, name=name, metadata=metadata, grants=grants)
    api_key, secret = next(iter(configuration.keys.items()))
    token = sign(claims, api_key, secret, time.time(), valid_for * 3600)
    click.echo(token)
    click.echo(f"{url.rstrip('/')}/page/?token={token}")
    if (api_key, secret) == (DEV_KEY, DEV_SECRET):
        click.echo("(signed with the keys of development mode, which everybody knows)", err=True)


@main.command(short_help="Make an API key with its secret.")
def generate_keys() -> None:
    """Print a new API key and its secret, as --keys and `keys:` in a file take them."""
    key = "API" + "".join(secrets.choice(ALPHABET) for _ in range(KEY_LENGTH))
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    click.echo(f"{key}: {secret}")


@attrs.frozen
class Source:
    """Where the configuration came from, so that it can be read again."""

    given: Mapping[str, object]
    """A command's parameters."""

    def read(self) -> tuple[Config, list[str]]:
        """The configuration and its warnings, as it is now. Raises `ConfigError`."""
        from trio_sfu.settings import load, read_file

        text, where = self.given.get("config_body"), "--config-body"
        if not text and (path := self.given.get("config")):
            text, where = read_file(str(path)), str(path)
        return load(
            str(text or ""),
            where,
            [*options.environment(os.environ), *options.flags(self.given)],
            development=bool(self.given.get("dev")),
            strict=not self.given.get("lenient"),
        )


def _read(source: Source) -> tuple[Config, list[str]]:
    """The configuration and its warnings, or the end of the program."""
    try:
        return source.read()
    except ConfigError as error:
        _fail(str(error))


def _run_server(
    configuration: Config,
    warnings: list[str],
    read: Callable[[], tuple[Config, list[str]]],
) -> None:
    import structlog
    import trio

    from trio_sfu.api.server import run

    log = structlog.get_logger(__name__)
    for warning in warnings:
        log.warning(warning)
    failures: list[str] = []
    try:
        trio.run(run, configuration, read)
    except* ConfigError as group:
        failures = [str(error) for error in _leaves(group)]
    if failures:
        _fail(failures[0])


def _leaves(group: BaseExceptionGroup[ConfigError]) -> list[ConfigError]:
    found: list[ConfigError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _fail(line: str) -> NoReturn:
    click.echo(f"trio-sfu: {line}", err=True)
    sys.exit(2)


def configure_logging(level: str, as_json: bool) -> None:
    """Lines for people, or JSON for machines, on stderr; the only place that decides so."""
    import logging

    import structlog

    number = logging.getLevelNamesMapping()[level.upper()]
    # Not the default for exceptions: where `rich` is installed it prints what every variable
    # holds, and some hold keys.
    renderer: structlog.typing.Processor = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    if as_json:
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso"),
            *([structlog.processors.format_exc_info] if as_json else []),
            without_tokens,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Trio and trio-websocket write to the standard library's log, rarely.
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING))


_TOKEN: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


def without_tokens(
    logger: object, method: str, line: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """A last net below our care never to log a token."""
    for name, value in line.items():
        if isinstance(value, str) and "eyJ" in value:
            line[name] = _TOKEN.sub("<token>", value)
    return line
