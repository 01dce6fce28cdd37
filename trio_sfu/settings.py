"""Reads LiveKit's `livekit.yaml`, flags and the environment into a `Config`.

A configuration file of LiveKit's works here as it is. What there is, and how each value
is read, is written down once, in `trio_sfu.config`; what LiveKit knows and has no effect
here is in `trio_sfu.known`, and warned of; anything else is an error. Every error is one
line: where, what, and what to do.

The file is a stranger's text as much as a packet is, though the stranger is a colleague:
its size, depth and number of values are bounded, aliases are counted as often as they
stand (a YAML file of 1 KiB can say a billion things), and nothing is guessed.
"""

import difflib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import attrs
import yaml

from trio_sfu.config import OLD_NAMES, SETTINGS, Config, ConfigError, Known
from trio_sfu.kinds import Tree, TurnServer
from trio_sfu.known import EMPTY_SECTIONS, NOT_YET, WITHOUT_EFFECT

FILE_LIMIT: Final = 256 * 1024
"""Bytes; LiveKit's own sample, comments and all, has 16 KiB."""
VALUES_LIMIT: Final = 50_000
"""Values in one file, as often as aliases repeat them."""
DEPTH_LIMIT: Final = 50
"""Sections within sections; LiveKit's deepest key is in the seventh."""
SECRET_LENGTH: Final = 32
"""Bytes that a secret should have: as many as the hash it keys (RFC 7518 section 3.2)."""

SECTIONS: Final[frozenset[str]] = EMPTY_SECTIONS.union(
    *(
        [".".join(parts[:length]) for length in range(1, len(parts))]
        for parts in (key.split(".") for key in (*SETTINGS, *WITHOUT_EFFECT, *OLD_NAMES))
    )
) - frozenset(WITHOUT_EFFECT)

T = TypeVar("T", bound=attrs.AttrsInstance)


@attrs.frozen
class Flag:
    """A setting from the command line or the environment: *name* is how the operator wrote it."""

    name: str
    key: str
    value: str | Sequence[str]
    """A list is already one; a text is one value, or YAML where several are expected."""


@attrs.define
class _Found:
    """What a file and flags said, by attribute, and what of it has no effect."""

    strict: bool = True
    values: dict[str, object] = attrs.Factory(dict)
    unknown: list[str] = attrs.Factory(list)
    idle: list["_Idle"] = attrs.Factory(list)

    def note_idle(self, where: str, key: str, reasons: Mapping[str, str]) -> None:
        if (reason := reasons.get(key)) is not None:
            self.idle.append(_Idle(where, key, reason))


@attrs.frozen
class _Idle:
    """Something that was said and has no effect."""

    where: str
    key: str
    reason: str


def load(
    text: str = "",
    where: str = "",
    flags: Sequence[Flag] = (),
    development: bool = False,
    strict: bool = True,
) -> tuple[Config, list[str]]:
    """The configuration, and warnings. *where* names the YAML *text* in messages.

    Flags count for more than the text, later ones for more than earlier ones. If not
    *strict*, unknown keys are only warned of. Raises `ConfigError`.
    """
    found = _Found(strict)
    _Document(where, found).read(text)
    for flag in flags:
        _read_flag(flag, found)
    values = found.values
    if key_file := str(values.get("key_file", "")):
        values["keys"] = {**_read_key_file(key_file), **_as_keys(values.get("keys"))}
    useless: list[str] = []
    if turn_servers := values.get(_TURN):
        values[_TURN] = _with_credentials(turn_servers, useless)
    if development or values.get("development"):
        usual = Config.dev()
        defaults = {name: getattr(usual, name) for name in ("keys", "bind_addresses", "log_level")}
        values = {**defaults, **values, "development": True}
    config = _built(Config(), values)
    _check(config)
    idle = _without_effect(found.idle)
    return config, [*found.unknown, *idle, *useless, *_short_secrets(config)]


def _without_effect(idle: Sequence[_Idle]) -> Iterator[str]:
    """One line for all of a section that has no effect for one reason."""
    groups: dict[tuple[str, str], list[_Idle]] = {}
    for each in idle:
        groups.setdefault((each.key.rpartition(".")[0], each.reason), []).append(each)
    for (_, reason), group in groups.items():
        keys = ", ".join(each.key for each in group)
        verb = "has" if len(group) == 1 else "have"
        yield f"{group[0].where}: {keys} {verb} no effect: {reason}"


def _short_secrets(config: Config) -> Iterator[str]:
    for key, secret in config.keys.items():
        if len(secret.encode()) < SECRET_LENGTH and not config.development:
            yield (
                f"the secret of API key {key} is short and can be guessed: "
                f"give it {SECRET_LENGTH} characters or more (`trio-sfu generate-keys` does)"
            )


_TURN: Final = "rtc.turn_servers"


def _with_credentials(servers: object, useless: list[str]) -> tuple[TurnServer, ...]:
    """Those of *servers* that clients can use, secrets read. Browsers refuse a TURN server
    without credentials, and with it the call: so nobody is told of such a one."""
    assert isinstance(servers, tuple), "read by `kinds.TURN_SERVERS`"
    usable: list[TurnServer] = []
    each: TurnServer
    for each in servers:
        why = "it has neither a `secret` nor a `username` with its `credential`"
        if each.secret_file and not each.secret:
            try:
                secret = read_private(each.secret_file, "secret").strip()
                each = attrs.evolve(each, secret=secret)
            except ConfigError as error:
                why = str(error)
        if each.secret or (each.username and each.credential):
            usable.append(each)
        else:
            useless.append(f"{_TURN}: {each.host} has no effect: {why}")
    return tuple(usable)


def _check(config: Config) -> None:
    """What no single key can tell."""
    if not config.keys:
        raise ConfigError(
            "there are no API keys: to try things out run with --dev, else make a pair with "
            "`trio-sfu generate-keys` and give it with --keys, --key-file or `keys:`"
        )
    if config.webhook.api_key and config.webhook.api_key not in config.keys:
        raise ConfigError(
            f"webhook.api_key: {config.webhook.api_key!r} is none of the API keys: name one of "
            "them, or take it away"
        )
    if bool(config.tls.cert_file) != bool(config.tls.key_file):
        missing = "tls.key_file" if config.tls.cert_file else "tls.cert_file"
        raise ConfigError(f"{missing} is missing: a certificate and its key go together")


def _as_keys(value: object) -> Mapping[str, str]:
    return value if isinstance(value, dict) else {}


def _built(default: T, values: Mapping[str, object], prefix: str = "") -> T:
    """*default*, one of `trio_sfu.config`'s classes, with *values* by attribute in place."""
    changes: dict[str, object] = {}
    for field in attrs.fields(type(default)):
        path = prefix + field.name
        if "section" in field.metadata:
            changes[field.name] = _built(getattr(default, field.name), values, path + ".")
        elif path in values:
            changes[field.name] = values[path]
    return attrs.evolve(default, **changes)  # type: ignore[misc]  # of whichever class it is


# --- YAML


class _TooDeep(Exception):  # noqa: N818 - no error of YAML's: an answer, caught at once
    """The text has more than `DEPTH_LIMIT` levels, in the line that it says."""


class _Loader(yaml.SafeLoader):
    """Stops at `DEPTH_LIMIT`, long before Python's stack would."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise _TooDeep(self.line + 1)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, where: str) -> yaml.Node | None:
    if len(text) > FILE_LIMIT:
        raise ConfigError(
            f"{where}: this is too long for a configuration: {FILE_LIMIT} bytes is all"
        )
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{where}:{line}: this is no YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigError(
            f"{where}: this is no YAML: it has characters that YAML forbids"
        ) from None
    except _TooDeep as deep:
        raise ConfigError(f"{where}:{deep}: this is nested too deeply") from None


class _Document:
    """Walks one YAML text; *where* is what to call it."""

    def __init__(self, where: str, found: _Found) -> None:
        self._where = where
        self._found = found
        self._values = 0

    def read(self, text: str) -> None:
        root = _compose(text, self._where)
        if root is None:
            return
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{self._where}:1: expected `key: value` lines, as in livekit.yaml")
        self._section(root, "")

    def tree(self, text: str) -> Tree:
        """All that *text* says, as one value."""
        root = _compose(text, self._where)
        return {} if root is None else self._tree(root, self._where)

    def _section(self, node: yaml.MappingNode, path: str) -> None:
        seen: set[str] = set()
        wanted = not any(
            key_node.value == "enabled" and _is_off(value) for key_node, value in node.value
        )
        for key_node, value in node.value:
            here = self._here(key_node)
            name = _name_of(key_node)
            key = f"{path}{name}"
            if key in seen:
                raise ConfigError(f"{here}: {key} is given twice: take one away")
            seen.add(key)
            self._entry(key, value, here, wanted)

    def _entry(self, key: str, value: yaml.Node, here: str, wanted: bool) -> None:
        """*wanted*: the section that it is in is not switched off."""
        known = SETTINGS.get(OLD_NAMES.get(key, key))
        if known is None and key not in WITHOUT_EFFECT and key not in SECTIONS:
            if self._found.strict:
                raise ConfigError(_unknown(here, key))
            self._found.unknown.append(_unknown(here, key))
            return
        if value.tag == "tag:yaml.org,2002:null":  # `key:` and nothing after it
            return
        if known is not None:
            tree = self._tree(value, f"{here}: {key}")
            self._found.values[known.attribute] = _read(known, tree, f"{here}: {key}")
            self._found.note_idle(here, key, NOT_YET)
        elif key in WITHOUT_EFFECT:
            if wanted and not _is_off(value):
                self._found.note_idle(here, key, WITHOUT_EFFECT)
        elif not isinstance(value, yaml.MappingNode):
            raise ConfigError(f"{here}: {key}: expected `key: value` lines, indented")
        else:
            self._section(value, key + ".")

    def _tree(self, node: yaml.Node, where: str, depth: int = 0) -> Tree:
        """Counts what it meets, so that aliases can neither repeat without end nor in a circle."""
        self._values += 1
        if self._values > VALUES_LIMIT or depth > DEPTH_LIMIT:
            raise ConfigError(f"{where}: this says too much: are there aliases of aliases in it?")
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        if isinstance(node, yaml.SequenceNode):
            return [self._tree(item, where, depth + 1) for item in node.value]
        tree: dict[str, Tree] = {}
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{where}: a key must be a word")
            if key_node.value in tree:
                name = _name_of(key_node)
                raise ConfigError(f"{self._here(key_node)}: {name} is given twice: take one away")
            tree[str(key_node.value)] = self._tree(value, where, depth + 1)
        return tree

    def _here(self, node: yaml.Node) -> str:
        return f"{self._where}:{node.start_mark.line + 1}"


def _name_of(node: yaml.Node) -> str:
    """A key, fit for one line."""
    if not isinstance(node, yaml.ScalarNode):
        return "?"
    return node.value if node.value.isprintable() else repr(node.value)[1:-1]


def _is_off(node: yaml.Node) -> bool:
    """Whether somebody only says that they do not want what is not there."""
    return str(node.value).lower() in _OFF if isinstance(node, yaml.ScalarNode) else not node.value


_OFF: Final = ("", "0", "false", "no", "off")


def _unknown(here: str, key: str) -> str:
    """With the nearest key that there is."""
    if key.rpartition(".")[2] == "<<":
        return f"{here}: merge keys (<<) are not read here: write out what they stand for"
    known = {*SETTINGS, *WITHOUT_EFFECT, *SECTIONS, *OLD_NAMES}
    near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.7)
    if not near:
        near = sorted(other for other in known if other.endswith("." + key))[:1]
    hint = (
        f"did you mean {near[0]}?"
        if near
        else "take it away, or see docs/configuration.md for what there is"
    )
    return f"{here}: unknown key {key[:100]}: {hint}"


def _read(known: Known, value: Tree, where: str) -> object:
    try:
        return known.kind.read(value)
    except ValueError:
        got = ""
        # What should be keys might be a secret, whatever it is.
        if not known.setting.secret and not isinstance(value, Mapping):
            got = f", got {value[:80]!r}" if isinstance(value, str) else f", got {str(value)[:80]}"
        raise ConfigError(f"{where}: expected {known.kind.expected}{got}") from None


# --- flags and files


def _read_flag(flag: Flag, found: _Found) -> None:
    key = OLD_NAMES.get(flag.key, flag.key)
    known = SETTINGS.get(key)
    if known is None:
        found.note_idle(flag.name, key, WITHOUT_EFFECT)
        return
    value: Tree = flag.value
    if isinstance(flag.value, str) and known.kind.several:
        value = _Document(flag.name, found).tree(flag.value)
    found.values[known.attribute] = _read(known, value, flag.name)
    found.note_idle(flag.name, key, NOT_YET)


def _read_key_file(path: str) -> Mapping[str, str]:
    """Like `keys:`, in a file of its own that not everybody may read."""
    text = read_private(path, "key file")
    tree = _Document(path, _Found()).tree(text)
    return _as_keys(_read(SETTINGS["keys"], tree, path))


def read_private(path: str, what: str) -> str:
    """The text of a file that holds secrets: everybody else must not be able to read it.

    Raises `ConfigError`.
    """
    file = Path(os.path.expandvars(path)).expanduser()
    try:
        mode = file.stat().st_mode
        text = _read_text(file)
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{path}: the {what} cannot be read: {reason}") from None
    if os.name == "posix" and mode & stat.S_IRWXO:
        raise ConfigError(f"{path}: everybody may read the {what}: run `chmod o-rwx {path}`")
    return text


def read_file(path: str) -> str:
    """The text of a configuration file. Raises `ConfigError`."""
    try:
        return _read_text(Path(path))
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path}: the configuration is no text in UTF-8") from None


def _read_text(file: Path) -> str:
    """One byte more than is allowed, at most: it may be a device, or somebody's video."""
    with file.open("rb") as stream:
        return stream.read(FILE_LIMIT + 1).decode("utf-8")
