"""A page as output again: colours, places, and the cursor that waits behind the last column."""

from recorder.screen_page import Cursor, Row
from recorder.screen_pen import DEFAULT_PEN
from recorder.screen_text import charsets_text, cursor_on, painted

RED = DEFAULT_PEN.changed("31")


def row(text: str) -> Row:
    return [(char, DEFAULT_PEN) for char in text]


def test_rows_are_painted_without_the_blanks_behind_and_empty_rows_not_at_all() -> None:
    assert painted([row("ab  "), row("    "), [("c", RED), *row("   ")]]) == (
        f"\x1b[1H{DEFAULT_PEN.text()}ab\x1b[3H{RED.text()}c\x1b[m"
    )


def test_a_cursor_is_placed_with_its_pen_and_character_sets() -> None:
    cursor = Cursor(row=1, column=2, pen=RED, charsets=("0", "B"), shift=1)
    assert cursor_on([row("abcd")] * 2, cursor) == f"\x1b[2;3H{RED.text()}\x1b(0\x1b)B\x0e"
    assert charsets_text(Cursor()) == "\x1b(B\x1b)B\x0f"


def test_a_cursor_that_waits_behind_the_last_column_prints_its_character_once_more() -> None:
    placed = cursor_on([row("abcd")], Cursor(column=3, wraps=True))
    assert placed.startswith("\x1b[1;4H")
    assert "d" in placed.removeprefix("\x1b[1;4H")


def test_origin_mode_counts_rows_from_the_margin() -> None:
    assert cursor_on([row("ab")] * 4, Cursor(row=3, origin=True), 2).startswith("\x1b[?6h\x1b[2;1H")
