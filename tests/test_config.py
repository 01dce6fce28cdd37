import errno
import os
import re
from pathlib import Path

import pytest

from trio_sfu.config import SETTINGS, Config, Filter, Known, cannot_bind
from trio_sfu.known import NOT_YET


def test_a_repr_shows_no_secret() -> None:
    assert "s3cr3t" not in repr(Config(keys={"key": "s3cr3t"}))


def test_development_listens_to_this_machine_with_keys_that_everybody_knows() -> None:
    config = Config.dev()
    assert config.keys == {"devkey": "secret"}
    assert config.bind_addresses == ("127.0.0.1", "::1")
    assert (config.port, config.rtc.udp_ports) == (7880, (7882,))


@pytest.mark.parametrize(
    ("included", "excluded", "lets_through"),
    [
        ((), (), True),
        (("a",), (), True),
        (("b",), (), False),
        ((), ("a",), False),
        (("a",), ("a",), False),
        ((), ("b",), True),
    ],
)
def test_a_filter_takes_what_is_included_and_not_excluded(included, excluded, lets_through) -> None:
    filter_ = Filter(includes=included, excludes=excluded)
    assert filter_.lets_through("a".__eq__) == lets_through


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (
            errno.EADDRINUSE,
            "UDP port 7882 on all addresses is taken: stop what uses it, or choose another "
            "(--udp-port)",
        ),
        (
            errno.EACCES,
            "UDP port 7882 on all addresses is not for everybody: choose one above 1023 "
            "(--udp-port), or run with the right to it (CAP_NET_BIND_SERVICE)",
        ),
        (
            errno.EADDRNOTAVAIL,
            "UDP port 7882 on all addresses: this machine has no such address: choose another "
            "(--bind)",
        ),
        (errno.EMFILE, "UDP port 7882 on all addresses cannot be used: Too many open files"),
    ],
)
def test_why_a_port_cannot_be_used_is_one_line(number: int, text: str) -> None:
    error = OSError(number, os.strerror(number))
    assert str(cannot_bind(error, "UDP", "", 7882, "--udp-port")) == text


SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in (Path(__file__).parents[1] / "trio_sfu").rglob("*.py")
    if path.name not in ("config.py", "known.py", "reference.py", "options.py", "cli.py")
)


@pytest.mark.parametrize("known", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_nothing_reads_is_said_to_have_no_effect(known: Known) -> None:
    """By its attribute's last two names, or the last alone, read of something."""
    *sections, name = known.attribute.split(".")
    if known.kind.several and name in ("includes", "excludes"):
        name = sections.pop()  # read by `Filter` for all
    if known.key == "debug_handler.port":
        name = "debug_handler"
    if known.key in ("development", "key_file", "logging.level", "logging.json", "tls.key_file"):
        return  # the command's, or read by the way
    read = re.search(rf"\.{name}\b", SOURCES) is not None
    assert read != (known.key in NOT_YET), "see `trio_sfu.known.NOT_YET`"
