"""What can be set, as text: docs/configuration.md, and `trio-sfu help-verbose`.

    python -m trio_sfu.reference > docs/configuration.md

Both are made of `trio_sfu.config` and `trio_sfu.known`, so neither can say what is not so.
"""

import textwrap
from collections.abc import Iterator
from typing import Final

from trio_sfu.config import OLD_NAMES, SECTIONS, SETTINGS, Known
from trio_sfu.known import NOT_YET, WITHOUT_EFFECT
from trio_sfu.options import SHORT, variable_of

WIDTH: Final = 100

_HEAD: Final = """\
# Configuration

<!-- Made by `python -m trio_sfu.reference` of what the server itself knows; do not edit. -->

trio-sfu reads the configuration file of LiveKit's server: a `livekit.yaml` that was written
for it starts this server as it is.

```sh
trio-sfu run --config livekit.yaml
```

- **The file** is YAML. `--config-body`, or `$LIVEKIT_CONFIG`, is the same as a text.
- **The environment** knows each key as `LIVEKIT_` and the key in capitals, dots as underscores:
  `LIVEKIT_RTC_UDP_PORT`.
- **Flags** are called as the keys are: `--rtc.udp_port 7882`. Lists and keys are written as in the
  file: `--webhook.urls '[https://example.org/hook]'`. `trio-sfu help-verbose` lists them all.
- A flag counts for more than the environment, and that for more than the file.
- `trio-sfu ports` prints what must be open to clients.

What is wrong ends the program with status 2 and one line that says where, what, and what to do.
An unknown key is wrong (with `--disable-strict-config` it is only warned of). A key that LiveKit
knows and that has no effect here is warned of once, with the reason; those are listed at the end.

**Changes without a restart.** At SIGHUP the file, the key file and the certificates are read
again, and what is marked *live* below takes effect; nobody's call is touched. If the new file is
wrong, nothing changes, and the log says why. If something else in it changed, the log names what
waits for a restart.

Keys marked *ours* are unknown to LiveKit's server: take them away before giving it the file.
"""

_TAIL: Final = """\
## Known, and without effect

LiveKit's server has these keys too. They are accepted, with one warning.

| Key | |
|---|---|
"""

_OLD: Final = """\
## Old names

LiveKit's server calls these deprecated. They are read as what they are called now.

| Old | Now |
|---|---|
"""


def markdown() -> str:
    """The page."""
    return "\n".join(_markdown())


def _markdown() -> Iterator[str]:
    yield _HEAD
    for section, about in _sections():
        yield f"## {f'`{section}`' if section else 'At the top'}\n"
        if about:
            yield about + "\n"
        yield "| Key | Default | |"
        yield "|---|---|---|"
        for known in _in(section):
            yield f"| `{known.key}` | {_default(known)} | {_about(known)} |"
        yield ""
    yield _OLD + "\n".join(f"| `{old}` | `{new}` |" for old, new in OLD_NAMES.items()) + "\n"
    yield _TAIL + "\n".join(
        f"| `{key}` | {reason} |" for key, reason in sorted(WITHOUT_EFFECT.items())
    )
    yield ""


def _sections() -> Iterator[tuple[str, str]]:
    yield "", ""
    yield from SECTIONS.items()


def _in(section: str) -> Iterator[Known]:
    return (
        each
        for each in SETTINGS.values()
        if (each.key.partition(".")[0] if "." in each.key else "") == section
    )


def _default(known: Known) -> str:
    if known.default in ("", (), {}):
        return "–"
    return f"`{known.kind.write(known.default)}`"


def _about(known: Known) -> str:
    short = [
        f"`{each.flag}`" + (f", `${each.variable}`" if each.variable else "")
        for each in SHORT
        if each.key == known.key
    ]
    said = {"live": known.setting.live, "ours": known.setting.ours}
    marks = [word for word, marked in said.items() if marked]
    parts = [
        f"*{known.kind.name}{''.join(', ' + mark for mark in marks)}*.",
        f"**No effect: {NOT_YET[known.key]}.**" if known.key in NOT_YET else "",
        known.setting.about,
        f"Also {short[0]}." if short else "",
    ]
    return " ".join(filter(None, parts)).replace("|", "\\|")


def verbose() -> str:
    """Every flag with its variable, for a terminal."""
    return "\n".join(_verbose())


def _verbose() -> Iterator[str]:
    yield "Every setting as a flag. `trio-sfu run --help` has the short ones.\n"
    for section, about in _sections():
        yield f"{section or 'at the top'}: {about}".rstrip(": ")
        for known in _in(section):
            default = known.kind.write(known.default) if _default(known) != "–" else ""
            yield f"  --{known.key} {known.kind.name.upper()}"
            note = f"{known.setting.about} [{default}]" if default else known.setting.about
            yield textwrap.fill(
                f"{note} (${variable_of(known.key)})",
                WIDTH,
                initial_indent=" " * 6,
                subsequent_indent=" " * 6,
                break_on_hyphens=False,
            )
        yield ""
    yield "Known to LiveKit's server, and without effect here:"
    yield textwrap.fill(
        ", ".join(f"--{key}" for key in sorted(WITHOUT_EFFECT)),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )


if __name__ == "__main__":
    print(markdown(), end="")
