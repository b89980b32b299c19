"""Cells: how wide characters are, what is kept above a page, what is saved of a cursor, and the largest page."""

import pytest

from recorder.screen import Screen
from recorder.screen_page import KEPT_ABOVE, MOST_COLUMNS, MOST_ROWS, Page, Row, Saved, blank_row, bounded, cells_of


def test_a_character_takes_two_cells_when_it_is_wide_in_the_east_asian_annex_and_else_one() -> None:
    assert [cells_of(char) for char in "a中é\u0301Ａ😀"] == [1, 2, 1, 1, 2, 2]


def test_a_size_is_bounded() -> None:
    screen = Screen(10**9, 10**9)
    assert screen.size == (MOST_COLUMNS, MOST_ROWS)
    screen.resize(0, 0)
    assert screen.size == (80, 24)
    assert bounded(1, MOST_ROWS + 1) == (1, MOST_ROWS)


@pytest.mark.parametrize(("rows", "kept"), [(110, 110), (111, KEPT_ABOVE), (5_000, KEPT_ABOVE)])
def test_so_many_rows_are_kept_above_a_page(rows: int, kept: int) -> None:
    page = Page([blank_row(3)])
    for number in range(rows):
        page.keep_above([Row([(str(number), Saved().pen)])])
        assert len(page.above) <= 1_000
    page.trim_above()
    assert len(page.above) == kept
    assert page.above[-1][0][0] == str(rows - 1)


def test_a_saved_cursor_is_brought_into_a_smaller_page() -> None:
    assert Saved(9, 9, origin=True).within(5, 3) == Saved(2, 4, origin=True)
    assert Saved(1, 1).within(5, 3) == Saved(1, 1)
