"""A page in a window of another size, as the console's player makes it. Pure.

A row that goes on in the next one is a part of a longer line: when the width changes, lines are broken again. The
player's own oddity is kept, because a jump must show what playing shows: where a row grows and a wide character does
not fit, the blank stands at the old border.
"""

from collections.abc import Iterable, Iterator

from recorder.screen_page import BLANK, Page, Row, blank_row


def resized(page: Page, row: int, column: int, size: tuple[int, int]) -> tuple[Page, int, int]:
    """The page with `size` (columns and rows), and row and column of the cursor that stood at `row` and `column`.

    The rows of `page` are used up.
    """
    columns, height = size
    old_columns, old_height = page.size
    lines = [*page.above, *page.rows]
    if columns != old_columns:
        place = _place_in_line(lines, len(lines) - old_height + row, column, old_columns)
        lines = list(reflowed(lines, columns))
        lines += [blank_row(columns) for _ in range(old_height - len(lines))]
        at, column = _place_in_rows(lines, *place, columns)
        row = at - (len(lines) - old_height)
        if row < 0:  # it stands in what has scrolled off: the page begins with it
            old_height, row = old_height - row, 0
    if height < old_height:
        below = max(min(old_height - height, old_height - 1 - row), 0)
        if below:
            del lines[-below:]
            lines[-1].wrapped = False
        row -= old_height - height - below
    else:
        back = min(len(lines) - old_height, height - old_height)
        if row < old_height:
            row += back
        lines += [blank_row(columns) for _ in range(height - old_height - back)]
    return Page(lines[-height:], lines[:-height]), max(min(row, height - 1), 0), column


def reflowed(rows: Iterable[Row], columns: int) -> Iterator[Row]:
    """The rows with their lines broken at this width. The rows that are given are used up."""
    source = iter(rows)
    row = next(source, None)
    while row is not None:
        if columns == 1:
            _without_wide(row)
        rest: Row | None = None
        if len(row) > columns:
            rest = _cut(row, columns)
        elif len(row) < columns:
            rest = next(source, None)
            if rest is None:
                row.wrapped = False
            elif row.wrapped:
                rest = _joined(row, rest, columns)
                if row.wrapped and len(row) < columns:
                    continue
            row += [BLANK] * (columns - len(row))
        yield row
        row = rest if rest is not None else next(source, None)


def _cut(row: Row, columns: int) -> Row | None:
    """Leaves this many cells in the row. What follows of the line, None when that is blank."""
    if not row.wrapped:
        _trim(row, columns)
        if len(row) == columns:
            return None
    splits = row[columns][0] == ""
    at = columns - 1 if splits else columns
    rest = Row(row[at:], wrapped=row.wrapped)
    del row[at:]
    if splits:
        row.append((" ", row[-1][1]))
    row.wrapped = True
    return rest


def _joined(row: Row, following: Row, columns: int) -> Row | None:
    """Fills the row from the one in which its line goes on. What is left of that, None when all was taken."""
    if not following.wrapped:
        _trim(following, 0)
    needed = columns - len(row)
    if needed >= len(following):
        row += following
        row.wrapped = following.wrapped
        return None
    if following[needed][0] == "":
        needed -= 1
        row.append((" ", row[-1][1]))
    row += following[:needed]
    return Row(following[needed:], wrapped=following.wrapped)


def _trim(row: Row, least: int) -> None:
    """Takes the blanks behind away, down to so many cells."""
    end = len(row)
    while end > least and row[end - 1] == BLANK:
        end -= 1
    del row[end:]


def _without_wide(row: Row) -> None:
    """In a window of one column no wide character can stand."""
    for at, (char, pen) in enumerate(row):
        if char == "":
            row[at - 1] = row[at] = (" ", pen)


def _place_in_line(lines: list[Row], row: int, column: int, columns: int) -> tuple[int, int]:
    """How many lines are before the cursor's, and how far in its line the cursor stands."""
    line, before = max(row - len(lines), 0), 0
    for one in lines[:row]:
        if one.wrapped:
            before += columns
        else:
            line, before = line + 1, 0
    return line, before + column


def _place_in_rows(lines: list[Row], line: int, column: int, columns: int) -> tuple[int, int]:
    """Row and column of a place in a line; a place behind the line's end stands at its end."""
    row, last = 0, len(lines) - 1
    while line > 0 and row < last:
        if not lines[row].wrapped:
            line -= 1
        row += 1
    while column >= columns and lines[row].wrapped and row < last:
        column -= columns
        row += 1
    return row, min(column, columns - 1)
