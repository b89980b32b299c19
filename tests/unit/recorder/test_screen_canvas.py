"""Writing on a page by the acts themselves; `test_screen` reaches them through sequences."""

import pytest

from recorder.screen_canvas import Canvas


class OpenCanvas(Canvas):
    """A canvas whose rows can be read."""

    @property
    def lines(self) -> list[str]:
        return ["".join(char for char, _ in row).rstrip() for row in self._page.rows]


def canvas(text: str, columns: int = 6, rows: int = 3) -> OpenCanvas:
    made = OpenCanvas(columns, rows)
    made._print(text)
    return made


def test_text_goes_on_in_the_next_row_and_rows_leave_at_the_top() -> None:
    assert canvas("abcdefghijklmnopqrstu").lines == ["ghijkl", "mnopqr", "stu"]
    assert canvas("abcdef").cursor.column == 6
    assert [row.wrapped for row in canvas("abcdefghi")._page.rows] == [True, False, False]


@pytest.mark.parametrize(("text", "lines"), [("abcde你", ["abcde", "你", ""]), ("abcd你", ["abcd你", "", ""])])
def test_a_wide_character_is_never_cut_by_the_edge(text: str, lines: list[str]) -> None:
    assert canvas(text).lines == lines


def test_inserting_and_deleting_in_front_of_a_wide_character_leaves_no_half() -> None:
    one = canvas("abc你")
    one._place(0, 0)
    one._insert_cells(2)
    assert one.lines[0] == "  abc"
    other = canvas("你bc")
    other._place(0, 0)
    other._delete_cells(1)
    assert other.lines[0] == " bc"
    assert all(len(row) == 6 for row in (*one._page.rows, *other._page.rows))


def test_scrolling_and_repeating_are_bounded_by_the_page() -> None:
    one = canvas("a")
    one._repeat(65_535)
    assert one.lines == ["aaaaaa", "aaaaaa", "a"]  # a pageful behind the first one, no more
    one._scroll_up(0, 2, 65_535)
    assert one.lines == ["", "", ""]
    one._move(-65_535, 65_535)
    assert (one.cursor.row, one.cursor.column) == (0, 5)
