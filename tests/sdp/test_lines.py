import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_sfu.errors import WireError
from trio_sfu.sdp.lines import MAX_LINES, MAX_TEXT, Line, number, parse_lines, render_lines

VALUES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
LINES = st.lists(st.builds(Line, st.sampled_from("vosctma"), VALUES), max_size=20)


@given(LINES, st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read_with_either_line_end(lines: list[Line], end: str) -> None:
    assert parse_lines(render_lines(lines).replace("\r\n", end)) == lines


def test_the_last_line_end_may_be_missing_or_doubled() -> None:
    assert parse_lines("v=0") == parse_lines("v=0\r\n\r\n") == [Line("v", "0")]


@pytest.mark.parametrize("text", ["a", "=x", "A=x", "ab=x", "v=0\n\na=b", "v=\0", "v=a\rb", "é=x"])
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        parse_lines(text)


def test_separators_of_unicode_end_no_line() -> None:
    assert parse_lines("s=a\u2028b\x0cc\x85d") == [Line("s", "a\u2028b\x0cc\x85d")]


def test_text_and_lines_are_bounded() -> None:
    with pytest.raises(WireError, match="characters"):
        parse_lines("a" * (MAX_TEXT + 1))
    with pytest.raises(WireError, match="lines"):
        parse_lines("a=\n" * (MAX_LINES + 1))


@pytest.mark.parametrize("end", ["\r", "\n", "\0"])
def test_a_line_of_ours_holds_no_line_end(end: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        Line("a", f"msid:x{end}a=ice-lite")


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1_0", "٣", "0x1", "1" * 5000, "256"])
def test_a_number_is_decimal_digits_up_to_its_limit(text: str) -> None:
    with pytest.raises(WireError):
        number(text, 255)
    assert number("255", 255) == 255
