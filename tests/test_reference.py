from pathlib import Path

from click.testing import CliRunner

from trio_sfu.cli import main
from trio_sfu.config import SETTINGS
from trio_sfu.known import WITHOUT_EFFECT
from trio_sfu.options import variable_of
from trio_sfu.reference import markdown

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"


def test_the_page_says_what_the_server_knows() -> None:
    assert PAGE.read_text("utf-8") == markdown(), (
        "run `python -m trio_sfu.reference > docs/configuration.md`"
    )


def test_the_page_has_every_key_once_where_it_is_explained() -> None:
    lines = markdown().splitlines()
    for key in (*SETTINGS, *WITHOUT_EFFECT):
        assert sum(line.startswith(f"| `{key}` |") for line in lines) == 1, key


def test_verbose_help_has_every_flag_and_its_variable() -> None:
    text = CliRunner().invoke(main, ["help-verbose"]).output
    for key in SETTINGS:
        assert f"  --{key} " in text
        assert f"(${variable_of(key)})" in text.replace("\n      ", " ")
    for key in WITHOUT_EFFECT:
        assert f"--{key}" in text
