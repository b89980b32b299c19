"""A page in another window: lines are broken again, rows come back from above, and the cursor stays with its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.screen_page import Page, Row, blank_row
from recorder.screen_pen import DEFAULT_PEN
from recorder.screen_reflow import reflowed, resized

GREEN = DEFAULT_PEN.changed("42")


def row(text: str, *, wrapped: bool = False, columns: int = 0) -> Row:
    """A row of these characters; 你 takes two cells."""
    cells = [cell for char in text for cell in ([char, ""] if char == "你" else [char])]
    return Row([(cell, DEFAULT_PEN) for cell in cells + [" "] * (columns - len(cells))], wrapped=wrapped)


def told(rows: list[Row]) -> list[str]:
    """Each row without the blanks behind, with + where its line goes on."""
    return ["".join(char for char, _ in one).rstrip() + "+" * one.wrapped for one in rows]


@pytest.mark.parametrize(
    ("rows", "columns", "found"),
    [
        ([row("abcdef"), row("gh", columns=6)], 4, ["abcd+", "ef", "gh"]),
        ([row("abcd", wrapped=True), row("ef", columns=4), row("gh", columns=4)], 6, ["abcdef", "gh"]),
        ([row("abcd", wrapped=True), row("efgh", wrapped=True), row("i", columns=4)], 10, ["abcdefghi"]),
        ([row("abcd", wrapped=True), row("efgh", wrapped=True), row("i", columns=4)], 3, ["abc+", "def+", "ghi"]),
        ([row("abc   ")], 4, ["abc"]),  # blanks behind a line make no row
        ([row("a   ", wrapped=True), row("    ")], 8, ["a"]),
        ([row("ab你c")], 3, ["ab+", "你c"]),  # half a wide character does not fit
        ([row("你你", wrapped=True), row("你c ")], 5, ["你你+", "你c"]),
        ([row("你a")], 1, ["+", "+", "a"]),  # nor a whole one
    ],
)
def test_lines_are_broken_at_the_new_width(rows: list[Row], columns: int, found: list[str]) -> None:
    new = list(reflowed(rows, columns))
    assert told(new) == found
    assert {len(one) for one in new} == {columns}


def test_coloured_blanks_behind_a_line_are_a_part_of_it() -> None:
    assert len(list(reflowed([Row([("a", DEFAULT_PEN), (" ", GREEN), (" ", GREEN)])], 2))) == 2


def page(*rows: Row, above: tuple[Row, ...] = ()) -> Page:
    return Page(list(rows), list(above))


def test_a_smaller_window_drops_what_is_below_the_cursor_and_then_what_is_above() -> None:
    smaller, at, _ = resized(page(row("a"), row("b"), row("c"), row("d")), 1, 0, (1, 3))
    assert (told(smaller.rows), told(smaller.above), at) == (["a", "b", "c"], [], 1)
    smaller, at, _ = resized(page(row("a"), row("b"), row("c"), row("d")), 3, 0, (1, 2))
    assert (told(smaller.rows), told(smaller.above), at) == (["c", "d"], ["a", "b"], 1)


def test_a_larger_window_brings_back_what_scrolled_off() -> None:
    larger, at, column = resized(page(row("c"), row("d"), above=(row("a"), row("b"))), 1, 0, (1, 5))
    assert (told(larger.rows), larger.above, at, column) == (["a", "b", "c", "d", ""], [], 3, 0)


@pytest.mark.parametrize(
    ("cursor", "columns", "found"),
    [
        ((1, 1), 8, (0, 5)),  # it stays at its character
        ((1, 1), 3, (0, 2)),
        ((0, 3), 2, (0, 1)),  # its row scrolled off: the page begins with it
        ((1, 4), 8, (0, 7)),  # it waited behind the last column
    ],
)
def test_the_cursor_stays_with_its_text(cursor: tuple[int, int], columns: int, found: tuple[int, int]) -> None:
    _, at, column = resized(page(row("abcd", wrapped=True), row("efgh")), *cursor, (columns, 2))
    assert (at, column) == found


@given(
    st.lists(st.tuples(st.text("ab 你", max_size=6), st.booleans()), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 8)), min_size=1, max_size=4),
    st.integers(0, 4),
)
def test_whatever_the_sizes_every_row_is_full_and_the_cursor_on_the_page(
    lines: list[tuple[str, bool]], sizes: list[tuple[int, int]], at: int
) -> None:
    rows = [row(text, wrapped=goes_on, columns=12) for text, goes_on in lines]
    rows[-1].wrapped = False
    split = len(rows) // 2
    now, row_at, column = Page(rows[split:], rows[:split]), min(at, len(rows) - split - 1), 12
    for size in sizes:
        now, row_at, column = resized(now, row_at, column, size)
        assert now.size == size
        assert {len(one) for one in (*now.rows, *now.above)} == {size[0]}
        assert 0 <= row_at < size[1]
        assert 0 <= column <= size[0]
        assert all(one[0][0] != "" for one in now.rows)
        assert not now.rows[-1].wrapped


def test_an_empty_page_stays_empty() -> None:
    now, at, column = resized(page(blank_row(4), blank_row(4)), 0, 0, (9, 3))
    assert (told(now.rows), now.above, at, column) == (["", "", ""], [], 0, 0)
