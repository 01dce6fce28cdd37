"""The configuration of a server that runs, and what of it may change.

SIGHUP has it read again. What its classes mark as live takes effect at once, for what
begins from then on; everything else stays as it is, and is named. If the new one is
wrong, all stays as it is. Nobody's call is touched either way: who is in has shown their
token, and a token that was good when it was shown is not asked for again.
"""

import signal
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import attrs
import structlog
import trio

from trio_sfu.config import Config, ConfigError, settings_of

Read = Callable[[], tuple[Config, list[str]]]
"""Reads a configuration, with its warnings. Raises `ConfigError`."""

T = TypeVar("T", bound=attrs.AttrsInstance)

log = structlog.get_logger(__name__)


class Live:
    """What is in force now."""

    def __init__(self, config: Config) -> None:
        self.keys: Mapping[str, str] = _Keys(self)
        """Those of `config`, whenever they are looked at."""
        self.config = config
        self._followers: list[Callable[[Config], None]] = []

    def follow(self, act: Callable[[Config], None]) -> None:
        """Call *act* with what is in force, now and after each change.

        It may raise `ConfigError`, and the change is off: so whoever can refuse follows first.
        """
        act(self.config)
        self._followers.append(act)

    def replace(self, new: Config) -> tuple[list[str], list[str]]:
        """Put what is live of *new* in force; the keys that changed, and those that did not yet.

        Raises `ConfigError`, and then nothing has changed.
        """
        changed: list[str] = []
        waiting: list[str] = []
        values: dict[str, object] = {}
        for old, now in zip(settings_of(self.config), settings_of(new), strict=True):
            if old.default == now.default:
                continue
            # Whether TLS is spoken is settled when the port is opened.
            if now.setting.live and (
                not now.key.startswith("tls.") or (old.default and now.default)
            ):
                changed.append(now.key)
                values[now.attribute] = now.default
            else:
                waiting.append(now.key)
        before, self.config = self.config, _changed(self.config, values)
        try:
            # Also where nothing changed: a certificate may have, in the file that it is in.
            for act in self._followers:
                act(self.config)
        except ConfigError:
            self.config = before
            raise
        return changed, waiting

    async def follow_signals(self, read: Read) -> None:
        """Read again at each SIGHUP, until cancelled."""
        with trio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                # A file may be on a slow disk, and reading YAML takes a while: not in the loop.
                try:
                    new, warnings = await trio.to_thread.run_sync(read)
                    changed, waiting = self.replace(new)
                except ConfigError as error:
                    log.error(f"the configuration stays as it is: {error}")
                    continue
                for warning in warnings:
                    log.warning(warning)
                if waiting:
                    log.warning(f"these changes wait for a restart: {', '.join(waiting)}")
                log.info("the configuration was read again", changed=changed)


class _Keys(Mapping[str, str]):
    """The API keys in force: whoever was given them sees them change."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def __getitem__(self, key: str) -> str:
        return self._live.config.keys[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._live.config.keys)

    def __len__(self) -> int:
        return len(self._live.config.keys)

    def __repr__(self) -> str:
        return f"<{len(self)} secret>"


def _changed(config: T, values: Mapping[str, object], prefix: str = "") -> T:
    """*config* with *values*, by their attributes' paths."""
    changes: dict[str, object] = {}
    for field in attrs.fields(type(config)):
        path = prefix + field.name
        if path in values:
            changes[field.name] = values[path]
        elif "section" in field.metadata:
            changes[field.name] = _changed(getattr(config, field.name), values, path + ".")
    return attrs.evolve(config, **changes)  # type: ignore[misc]  # of whichever class it is
