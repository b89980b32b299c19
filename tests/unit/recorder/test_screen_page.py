"""Cells: how wide characters are, how rows are cut to a width, and the largest page."""

from recorder.screen import Screen
from recorder.screen_page import MOST_COLUMNS, MOST_ROWS, Row, bounded, cells_of, fitted, split_wide
from recorder.screen_pen import DEFAULT_PEN


def row(*cells: str) -> Row:
    return [(cell, DEFAULT_PEN) for cell in cells]


def text(cells: Row) -> list[str]:
    return [char for char, _ in cells]


def test_widths_are_those_of_the_east_asian_annex() -> None:
    assert [cells_of(char) for char in "a中é\u0301Ａ"] == [1, 2, 1, 0, 2]


def test_a_row_is_cut_or_filled_and_keeps_no_half_of_a_wide_character() -> None:
    assert text(fitted(row("a", "b"), 3)) == ["a", "b", " "]
    assert text(fitted(row("a", "你", ""), 2)) == ["a", " "]


def test_a_write_into_a_wide_character_takes_both_halves() -> None:
    cells = row("你", "", "b")
    split_wide(cells, 0)
    assert text(cells) == ["你", "", "b"]
    split_wide(cells, 1)
    assert text(cells) == [" ", " ", "b"]


def test_a_size_is_bounded() -> None:
    screen = Screen(10**9, 10**9)
    assert (screen.columns, screen.rows) == (MOST_COLUMNS, MOST_ROWS)
    screen.resize(0, 0)
    assert (screen.columns, screen.rows) == (80, 24)
    assert bounded(1, MOST_ROWS + 1) == (1, MOST_ROWS)
